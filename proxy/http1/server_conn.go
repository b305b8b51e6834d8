package http1

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// ServerConn is the server's side of an HTTP/1 connection: requests in, responses out, one pair after the other. Requests
// that a client sends ahead wait in the read buffer and then in the kernel. It belongs to the loop's thread.
type ServerConn struct {
	wire
	parser RequestParser

	head    bool            // the request is HEAD: no response body
	connect bool            // the request is CONNECT: success is a tunnel and no response body
	version message.Version // of the request
	closing bool            // the response says or implies that the connection closes
}

// Init makes s the server's side of c. limits is shared and read-only.
func (s *ServerConn) Init(c *eventloop.Conn, limits *Limits) {
	*s = ServerConn{wire: wire{conn: c, limits: limits, bodyDone: true, speller: newSpeller(limits)}}
}

// ReadHead reads the next request head into req. It returns eventloop.ErrWouldBlock while the head is not complete,
// io.EOF when the client closed, and an Error for a request that must be refused; what was understood of the request
// line then serves the answer.
func (s *ServerConn) ReadHead(req *message.Request) error {
	for {
		if s.start < s.end {
			if s.speller != nil {
				s.speller.take(s.conn.Loop(), s.unread())
			}
			n, refused := s.parser.Parse(s.unread(), req, s.limits)
			if refused != noError {
				s.noteRequest(req)
				s.bodyDone = true
				return refused
			}
			if n > 0 {
				if s.speller != nil {
					req.Fields.SetSpelling(s.speller.finish(n, false))
				}
				s.start += n
				s.noteRequest(req)
				s.expectBody(s.parser.Framing(), req.ContentLength)
				return nil
			}
		}
		if err := s.fillHead(); err != nil {
			return err
		}
	}
}

func (s *ServerConn) noteRequest(req *message.Request) {
	s.head, s.connect = string(req.Method) == "HEAD", string(req.Method) == "CONNECT"
	s.version = req.Version
	s.closing = req.Close
}

// ForgetRequest makes the next response one to no request in particular: of the head that has begun, nothing is known.
func (s *ServerConn) ForgetRequest() {
	s.head, s.connect, s.version, s.closing = false, false, message.HTTP11, false
}

// HeadStarted reports whether some bytes of the next request were read.
func (s *ServerConn) HeadStarted() bool { return s.start < s.end }

// WriteHead gathers a response head. An informational one (1xx but 101) may come before the final one. With close, the
// response tells the client that the connection ends.
func (s *ServerConn) WriteHead(resp *message.Response, close bool) {
	if resp.Status < 200 && resp.Status != 101 {
		s.writeHead(resp, FramingNone, HeadOptions{})
		return
	}
	if s.connect && resp.Status/100 == 2 {
		// RFC 9110 section 9.3.6: neither content-length nor transfer-encoding, the tunnel begins after the head.
		s.out = FramingNone
		s.writeHead(resp, FramingClose, HeadOptions{HTTP10: s.version == message.HTTP10})
		return
	}
	s.out = ResponseFraming(resp, s.head, s.version)
	s.closing = s.closing || close || s.out == FramingClose
	opts := HeadOptions{Close: s.closing, HTTP10: s.version == message.HTTP10, KeepAlive: !s.closing}
	s.writeHead(resp, s.out, opts)
}

// writeHead gathers a response head as it is said to be.
func (s *ServerConn) writeHead(resp *message.Response, f Framing, opts HeadOptions) {
	if spelling := resp.Fields.Spelling(); spelling != nil {
		opts.Reason = spelling.Reason
	}
	out := s.conn.AppendBuffer()
	start := len(out)
	out = AppendResponseHead(out, resp, f, opts)
	s.respell(out[start:], &resp.Fields)
	s.conn.Commit(out)
}

// WriteBody gathers bytes of the response body, which are dropped where there can be none. p is not kept. last ends the body.
func (s *ServerConn) WriteBody(p []byte, last bool) {
	s.writeBody(p)
	if last {
		s.WriteEnd(nil)
	}
}

// CloseDelimited reports whether the end of the response body is told by closing the connection.
func (s *ServerConn) CloseDelimited() bool { return s.out == FramingClose }

// Closing reports whether the connection must close after the current response.
func (s *ServerConn) Closing() bool { return s.closing }

// EndExchange lets go of the request. It reports whether bytes of the next one were read already.
func (s *ServerConn) EndExchange() (more bool) {
	s.endMessage()
	return s.start < s.end
}

// Release lets go of all buffers. The connection itself is the caller's to close.
func (s *ServerConn) Release() { s.release() }

// SwitchToTunnel makes both directions raw bytes. The connection ends with the tunnel.
func (s *ServerConn) SwitchToTunnel() {
	s.wire.SwitchToTunnel()
	s.closing = true
}
