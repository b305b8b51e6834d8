package http1

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// ClientConn is the client's side of an HTTP/1 connection: one request out, its response in, and again. Requests are
// never pipelined. It belongs to the loop's thread.
type ClientConn struct {
	wire
	parser ResponseParser

	head, connect bool // the method of the request
	sent          bool // the request was written to its end
	keepAlive     bool // the last response allows another request
}

// Init makes c the client's side of conn. limits is shared and read-only.
func (c *ClientConn) Init(conn *eventloop.Conn, limits *Limits) {
	*c = ClientConn{wire: wire{conn: conn, limits: limits, bodyDone: true, speller: newSpeller(limits)}}
}

// WriteHead gathers a request head. Without a body (req.EndStream) that is the whole request.
func (c *ClientConn) WriteHead(req *message.Request) {
	c.head, c.connect = string(req.Method) == "HEAD", string(req.Method) == "CONNECT"
	c.out = RequestFraming(req)
	c.sent, c.keepAlive, c.bodyDone = req.EndStream, false, true
	out := c.conn.AppendBuffer()
	start := len(out)
	out = AppendRequestHead(out, req, c.out)
	c.respell(out[start:], &req.Fields)
	c.conn.Commit(out)
}

// WriteBody gathers bytes of the request body. p is not kept. last ends the body.
func (c *ClientConn) WriteBody(p []byte, last bool) {
	c.writeBody(p)
	if last {
		c.WriteEnd(nil)
	}
}

// WriteEnd ends the request body. Trailers may be nil.
func (c *ClientConn) WriteEnd(trailers *message.Fields) {
	c.wire.WriteEnd(trailers)
	c.sent = true
}

// ReadHead reads a response head into resp. After an informational one (1xx but 101) it is called again. It returns
// eventloop.ErrWouldBlock while the head is not complete, io.EOF when the peer closed, and an Error for a malformed head.
func (c *ClientConn) ReadHead(resp *message.Response) error {
	for {
		if c.start < c.end {
			if c.speller != nil {
				c.speller.take(c.conn.Loop(), c.unread())
			}
			n, refused := c.parser.Parse(c.unread(), resp, c.head, c.connect, c.limits)
			if refused != noError {
				return refused
			}
			if n > 0 {
				if c.speller != nil {
					resp.Fields.SetSpelling(c.speller.finish(n, c.limits.ForwardReason))
				}
				c.start += n
				if resp.Status >= 200 || resp.Status == 101 {
					c.keepAlive = !resp.Close && resp.Status != 101 // after that it is no longer HTTP
					c.expectBody(c.parser.Framing(), resp.ContentLength)
				}
				return nil
			}
		}
		if err := c.fillHead(); err != nil {
			return err
		}
	}
}

// ResponseStarted reports whether some bytes of the response were read.
func (c *ClientConn) ResponseStarted() bool { return c.start < c.end }

// Reusable reports whether another request may be sent: the last one was sent and answered to their ends, both sides
// keep the connection, and not a byte too many came.
func (c *ClientConn) Reusable() bool {
	return c.sent && c.bodyDone && c.keepAlive && c.out != FramingClose && c.start == c.end &&
		c.conn.Quiet() && c.conn.WriteErr() == nil
}

// EndExchange lets go of the response.
func (c *ClientConn) EndExchange() { c.endMessage() }

// Release lets go of all buffers. The connection itself is the caller's to close.
func (c *ClientConn) Release() { c.release() }
