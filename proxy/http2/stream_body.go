package http2

import (
	"math"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// ReadBody returns the next bytes of the body, which are valid until the next call and until the turn ends, and whether the
// body ended with them. It returns eventloop.ErrWouldBlock when none are there, and an Error when the stream has ended before
// its time. What had come before that is returned first.
func (s *Stream) ReadBody() (data []byte, done bool, err error) {
	if !s.recv.empty() {
		data = s.recv.take(&s.conn.env.pieces, math.MaxInt)
		s.conn.consume(s, len(data))
		return data, s.ended && s.recv.empty(), nil
	}
	switch {
	case s.ended:
		return nil, true, nil
	case s.err != noError:
		return nil, false, s.err
	default:
		return nil, false, eventloop.ErrWouldBlock
	}
}

// BodyDone reports whether the body has been read to its end.
func (s *Stream) BodyDone() bool { return s.ended && s.recv.empty() }

// Trailers returns the trailers of a body that has come to its end, nil when there are none.
func (s *Stream) Trailers() *message.Fields {
	if !s.ended || s.trailers == nil || s.trailers.Len() == 0 {
		return nil
	}
	return s.trailers
}

// bodyAllowed reports whether what has come of the body is no more than may.
func (s *Stream) bodyAllowed() bool {
	if s.noBody || !s.headDone {
		return s.headDone && s.received == 0
	}
	return s.declared < 0 || s.received <= s.declared
}

// taken credits n received bytes to the peer for the stream, unless it has sent everything.
func (s *Stream) taken(n int) {
	c := s.conn
	if !s.state.canRecv() || s.ended || c.dead {
		return
	}
	if n := s.inflow.take(n, c.opts.StreamWindow); n > 0 {
		c.countFrame()
		c.raw.Commit(appendUint32Frame(c.raw.AppendBuffer(), http2.FrameWindowUpdate, s.id, n))
	}
}

// WriteBody gathers body bytes, which are not kept: for the kernel, or in the stream when there is no window for them. last
// says that nothing follows, not even trailers.
func (s *Stream) WriteBody(p []byte, last bool) {
	if !s.state.canSend() || s.endQueued {
		return
	}
	c := s.conn
	if len(p) == 0 {
		if last {
			s.WriteEnd(nil)
		}
		return
	}
	if s.pending.empty() {
		n := c.sendNow(s, p, last)
		if n == len(p) {
			return
		}
		p = p[n:]
	}
	s.pending.append(&c.env.pieces, p)
	c.pendingBytes += len(p)
	c.stats.Add(statPendingBytes, uint64(len(p)))
	s.endQueued = last
	c.enqueue(s)
}

// WriteEnd ends a message whose last bytes were not known to be the last. Trailers may be nil.
func (s *Stream) WriteEnd(trailers *message.Fields) {
	if !s.state.canSend() || s.endQueued {
		return
	}
	c := s.conn
	switch {
	case s.pending.empty() && trailers != nil:
		c.sendTrailers(s, trailers)
	case s.pending.empty():
		c.sendData(s, nil, true)
	default:
		s.endQueued = true
		if trailers != nil {
			late := new(message.Fields)
			late.CloneFrom(trailers, nil)
			s.more().lateTrailers = late
		}
	}
}

// sendTrailers gathers the field block that ends a message.
func (c *conn) sendTrailers(s *Stream, trailers *message.Fields) {
	next, scope := s.state.sendEnd()
	if scope != allowed {
		return
	}
	dst := c.beginBlock()
	list := trailers.All()
	for i := range list {
		if f := &list[i]; !message.ForbiddenTrailer(f.Name) {
			dst = c.encoder.AppendField(dst, f)
		}
	}
	c.commitBlock(dst, s.id, true)
	s.state = next
	c.settle(s)
}

// lateTrailers returns the trailers that follow what is pending, nil when there are none.
func (s *Stream) lateTrailers() *message.Fields {
	if s.rare == nil {
		return nil
	}
	return s.rare.lateTrailers
}

// sendable reports whether the stream has something waiting and may send it.
func (s *Stream) sendable() bool { return s.state.canSend() && !s.pending.empty() && s.window > 0 }

// Pending returns the number of body bytes that wait in the stream.
func (s *Stream) Pending() int { return int(s.pending.size) }

// NotifyBelow has the stream's task woken once fewer than n bytes wait. It asks once.
func (s *Stream) NotifyBelow(n int) {
	s.wakeBelow = int32(min(n, math.MaxInt32))
	s.wakeIfBelow()
}

// wakeIfBelow tells who asked that less is waiting, and notes that the peer takes something.
func (s *Stream) wakeIfBelow() {
	if s.detached && s.inTable {
		s.waitFlush()
	}
	if s.pending.size < s.wakeBelow {
		s.wakeBelow = 0
		s.wake()
	}
}

// Flushed reports whether everything written is on its way to the kernel.
func (s *Stream) Flushed() bool { return s.pending.empty() && !s.endQueued || !s.state.canSend() }

// WriteErr returns why what is written is dropped, nil while it is not.
func (s *Stream) WriteErr() error {
	if s.err != noError {
		return s.err
	}
	return nil
}

// SwitchToTunnel makes both directions raw bytes, which is what they are.
func (s *Stream) SwitchToTunnel() { s.tunnel, s.declared = true, -1 }
