package http2

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Handler serves the streams of a ServerConn, on the loop's thread.
type Handler interface {
	// Open is told of a stream that a client opens and returns where its request is to be put. Serve or Refuse follows at once.
	Open(s ServerStream) *message.Request
	// Serve is told that the head of the request has come.
	Serve(s ServerStream)
	// Refuse is told that the request cannot be served, and why. After ErrMalformed and ErrProtocol the stream is over; the
	// others are to be answered. What is known of the request is in the message.
	Refuse(s ServerStream, why Error)
	// Gone is told that a stream has ended, or that the client opens no more of them.
	Gone()
	// Late is told, when a turn ends, that the client has begun what it owes us: a frame or a field block of which a part
	// has come, or its preface. HeadSince tells since when.
	Late()
	// Ended is told that the connection is over, and why. What there is to say to the client is gathered.
	Ended(err error)
}

// ServerConn is the server's side of an HTTP/2 connection.
type ServerConn struct {
	conn
	handler Handler
}

// ServerStream is a stream that a client has opened. It is a handle, to be copied at will.
type ServerStream struct{ *Stream }

// Init makes s the server's side of a connection, which begins with the client's preface. opts is shared and read-only. It
// must not be called for a connection with a task. block counts, with stats.HTTP2Codec.
func (s *ServerConn) Init(raw *eventloop.Conn, env *Env, opts *Options, block *stats.Block, h Handler) {
	s.handler = h
	s.server = true
	s.preface = len(http2.ClientPreface)
	s.init(raw, env, opts, block, s, 0)
	settings := []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: opts.MaxStreams}}
	if opts.AllowConnect {
		settings = append(settings, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	}
	s.announce(settings)
}

// Feed gives the connection bytes that somebody else has read from it already. They are copied.
func (s *ServerConn) Feed(b []byte) {
	s.touch()
	s.buf = s.loop.AcquireBuffer(max(len(b), eventloop.ReadBufferSize))
	s.start, s.end = 0, copy(s.buf, b)
	s.hasRead = true
	s.parse()
}

// Release lets go of everything but the socket. The streams are over; the handler is not told.
func (s *ServerConn) Release() { s.release() }

// HeadSince returns since when the client owes us the rest of a frame or a field block, or of what it has to begin with, in
// nanoseconds on the loop's clock; 0 when it does not.
func (s *ServerConn) HeadSince() int64 { return s.headSince }

// Shutdown tells the client that the connection is going to end and to open no more streams. Those that it opens
// nevertheless, because it does not know yet, are served until GoAway is called (RFC 9113 section 6.8).
func (s *ServerConn) Shutdown() {
	if !s.dead {
		s.writeGoAway(maxStreamID, http2.ErrCodeNo, "")
	}
}

// GoAway tells the client which of its streams are served; later ones are not.
func (s *ServerConn) GoAway() {
	if !s.dead && !s.goneAway {
		s.goneAway = true
		s.writeGoAway(s.lastID, http2.ErrCodeNo, "")
	}
}

// Exhausted reports whether the client has used up its stream identifiers.
func (s *ServerConn) Exhausted() bool { return s.lastID == maxStreamID }

// PeerGone reports whether the client has said that it opens no more streams.
func (s *ServerConn) PeerGone() bool { return s.peerGone }

// GiveUp ends the connection for a reason of the owner's, who is not told. The client is.
func (s *ServerConn) GiveUp(reason string) {
	if !s.dead {
		s.writeGoAway(s.lastID, http2.ErrCodeNo, reason)
		s.release()
	}
}

// newBlock implements owner: a field block on a stream that is not there opens one.
func (s *ServerConn) newBlock(h frameHeader, block []byte, selfDependent bool) fault {
	switch {
	case h.stream&1 == 0:
		return faultStreamID
	case h.stream <= s.lastID:
		return s.lateBlock(h, block)
	case s.goneAway:
		return s.skipBlock(block)
	}
	s.lastID = h.stream
	if s.streams.count >= int(s.opts.MaxStreams) {
		return s.refuseStream(h, block)
	}
	return s.openStream(h, block, selfDependent)
}

// lateBlock judges a field block on a stream that is not there any more. One that never was is closed by the next higher one
// (RFC 9113 section 5.1.1).
func (s *ServerConn) lateBlock(h frameHeader, block []byte) fault {
	switch {
	case s.mayBeIgnored(h.stream):
		return s.skipBlock(block)
	case s.recent.hasEnded(h.stream):
		return faultStreamClosed
	default:
		return faultStreamID
	}
}

// refuseStream refuses a stream above the limit, which the client knows or soon will.
func (s *ServerConn) refuseStream(h frameHeader, block []byte) fault {
	f := s.skipBlock(block)
	if !f.is() {
		s.stats.Inc(statRefused)
		s.writeReset(h.stream, http2.ErrCodeRefusedStream)
		s.flood.ended++
		s.addPremature(s.flood.ended)
	}
	return f
}

func (s *ServerConn) openStream(h frameHeader, block []byte, selfDependent bool) fault {
	stream := s.env.get()
	s.open(stream, h.stream)
	stream.state, _ = stream.state.recvHeaders()
	stream.headDone = true
	stream.request = s.handler.Open(ServerStream{stream})
	end := h.flags&http2.FlagHeadersEndStream != 0
	why, f := s.readRequest(stream, block, end)
	switch {
	case f.is():
		stream.lose(ErrProtocol)
		s.handler.Refuse(ServerStream{stream}, ErrProtocol)
		return f
	case selfDependent && why == noError:
		why = ErrProtocol
	}
	if why == ErrMalformed || why == ErrProtocol {
		s.resetStream(stream, http2.ErrCodeProtocol, why)
		s.handler.Refuse(ServerStream{stream}, why)
		return fault{}
	}
	if end {
		stream.state, _ = stream.state.recvEnd()
		stream.ended = true
	}
	if why != noError {
		s.handler.Refuse(ServerStream{stream}, why)
		return fault{}
	}
	s.handler.Serve(ServerStream{stream})
	return fault{}
}

// laterBlock takes a field block on a stream that is there: the trailers of a request, or of a response, or its head.
func (c *conn) laterBlock(s *Stream, h frameHeader, block []byte) fault {
	end := h.flags&http2.FlagHeadersEndStream != 0
	if s.headDone {
		return c.readTrailers(s, block, end)
	}
	return c.readResponse(s, block, end)
}

// refuseMessage resets a stream whose message is not one, or has become too large.
func (c *conn) refuseMessage(s *Stream, why Error) {
	code := http2.ErrCodeProtocol
	if why == ErrTooLarge {
		code = http2.ErrCodeEnhanceYourCalm
	}
	c.resetStream(s, code, why)
}

// settled, draining, streamGone and ended implement owner.

func (s *ServerConn) established()       {}
func (s *ServerConn) settled()           {}
func (s *ServerConn) late()              { s.handler.Late() }
func (s *ServerConn) draining()          { s.handler.Gone() }
func (s *ServerConn) streamGone(*Stream) { s.handler.Gone() }
func (s *ServerConn) ended(err error)    { s.handler.Ended(err) }

// Gone reports whether nobody is left to answer.
func (s ServerStream) Gone() bool { return s.err != noError }

// WriteHead gathers a response head. Informational ones may come before the final one. That the connection ends with the
// response cannot be said in HTTP/2.
func (s ServerStream) WriteHead(resp *message.Response, _ bool) {
	if !s.state.canSend() || s.headSent {
		return
	}
	c := s.conn
	final := resp.Status >= 200 || resp.Status == 101
	bodyless := string(s.request.Method) == "HEAD" || resp.Status == 204 || resp.Status == 304
	end := final && resp.Status != 101 && (resp.EndStream || bodyless)
	c.commitBlock(c.appendResponseHead(c.beginBlock(), resp), s.id, end)
	if final {
		s.headSent = true
	}
	if end {
		s.state, _ = s.state.sendEnd()
		c.settle(s.Stream)
	}
}

// WriteContinue gathers a 100 (Continue), unless some of the body has come already, or the final head went out.
func (s ServerStream) WriteContinue() {
	if s.received > 0 || s.headSent || !s.state.canSend() {
		return
	}
	c := s.conn
	c.commitBlock(c.encoder.AppendStatus(c.beginBlock(), 100), s.id, false)
}

// End ends the part of who serves the stream. complete says that the response was written to its end; what waits of it still
// goes out, as long as the client takes some of it within patience. Otherwise the client is told that the response is not
// whole. The stream must not be used after that.
func (s ServerStream) End(complete bool, patience time.Duration) {
	s.detach(complete, http2.ErrCodeInternal, patience)
}
