package http2

import (
	"golang.org/x/net/http2"
)

const (
	// maxOutput is how much of the bodies of all streams together is gathered for the kernel. What exceeds it stays with its
	// stream, so that who comes later is not behind all of it.
	maxOutput = 256 << 10
	// quantum is how much of its body a stream gathers at once without waiting for its turn.
	quantum = 64 << 10
)

// output is what a connection knows of sending.
type output struct {
	window       outflow // of the connection
	first, last  *Stream // those that have body bytes and a window for them, in the order in which it is their turn
	pendingBytes int     // of all streams
}

// enqueue gives a stream that has something to send, and may, a place in line.
func (c *conn) enqueue(s *Stream) {
	if s.queued || !s.sendable() {
		return
	}
	s.queued = true
	s.before, s.after = c.last, nil
	if c.last != nil {
		c.last.after = s
	} else {
		c.first = s
	}
	c.last = s
	c.touch()
}

// dequeue takes a stream out of the line.
func (c *conn) dequeue(s *Stream) {
	if !s.queued {
		return
	}
	s.queued = false
	if s.before != nil {
		s.before.after = s.after
	} else {
		c.first = s.after
	}
	if s.after != nil {
		s.after.before = s.before
	} else {
		c.last = s.before
	}
	s.before, s.after = nil, nil
}

// room returns how many body bytes may be gathered now.
func (c *conn) room() int { return min(maxOutput-c.raw.Buffered(), int(c.window)) }

// shareOut gathers what waits, a frame of each stream by turns, as far as there is room.
func (c *conn) shareOut() {
	for c.first != nil && c.room() > 0 {
		s := c.first
		c.dequeue(s)
		if s.sendable() { // the peer may have taken its window back
			c.sendPending(s, min(c.room(), minMaxFrameSize))
			c.enqueue(s)
		}
	}
	if c.first != nil && c.window > 0 {
		c.raw.NotifyBelow(maxOutput / 2)
	}
}

// sendPending gathers a frame of at most max bytes of what the stream has waiting, and what ends the stream behind the last.
func (c *conn) sendPending(s *Stream, max int) {
	b := s.pending.take(&c.env.pieces, min(max, int(s.window)))
	c.pendingBytes -= len(b)
	c.stats.Sub(statPendingBytes, uint64(len(b)))
	last, trailers := s.endQueued && s.pending.empty(), s.lateTrailers()
	c.sendData(s, b, last && trailers == nil)
	if last && trailers != nil {
		c.sendTrailers(s, trailers)
	}
	s.wakeIfBelow()
}

// sendNow gathers as much of b as may go out at once, and returns how much that was. end says that the stream ends with b.
func (c *conn) sendNow(s *Stream, b []byte, end bool) int {
	if c.first != nil {
		return 0 // nobody is overtaken
	}
	n := min(len(b), quantum, int(s.window), c.room())
	if n <= 0 {
		return 0
	}
	for sent := 0; sent < n; {
		k := min(n-sent, minMaxFrameSize)
		c.sendData(s, b[sent:sent+k], end && sent+k == len(b))
		sent += k
	}
	return n
}

// sendData gathers a DATA frame.
func (c *conn) sendData(s *Stream, b []byte, end bool) {
	next, scope := s.state.sendData()
	if scope != allowed {
		return
	}
	flags := http2.Flags(0)
	if end {
		flags = http2.FlagDataEndStream
		next, _ = next.sendEnd()
	}
	c.countData()
	dst := appendFrameHeader(c.raw.AppendBuffer(), len(b), http2.FrameData, flags, s.id)
	if cap(dst)-len(dst) >= len(b) {
		c.raw.Commit(append(dst, b...))
	} else {
		c.raw.Commit(dst)
		c.raw.Write(b)
	}
	s.window -= outflow(len(b))
	c.window -= outflow(len(b))
	s.state = next
	if end {
		c.settle(s)
	}
}

// beginBlock returns a slice to append a field block to, with room for the header of the frame before it.
func (c *conn) beginBlock() []byte {
	var header [frameHeaderSize]byte
	return c.encoder.Begin(append(c.raw.AppendBuffer(), header[:]...))
}

// commitBlock gathers the block in dst, which beginBlock began: in one frame, or in several where it is larger than a frame.
func (c *conn) commitBlock(dst []byte, stream uint32, end bool) {
	flags := http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	c.countFrame()
	if n := len(dst) - frameHeaderSize; n <= c.peer.maxFrame {
		putFrameHeader(dst, n, http2.FrameHeaders, flags|http2.FlagHeadersEndHeaders, stream)
		c.raw.Commit(dst)
		return
	}
	// dst may be the connection's own buffer, which what is written next would overwrite.
	block := append([]byte(nil), dst[frameHeaderSize:]...)
	kind := http2.FrameHeaders
	for len(block) > 0 {
		n := min(len(block), c.peer.maxFrame)
		if n == len(block) {
			flags |= http2.FlagHeadersEndHeaders // the same bit for CONTINUATION
		}
		c.raw.Write(appendFrameHeader(nil, n, kind, flags, stream))
		c.raw.Write(block[:n])
		block, kind, flags = block[n:], http2.FrameContinuation, 0
	}
}

// writeReset gathers a RST_STREAM frame.
func (c *conn) writeReset(stream uint32, code http2.ErrCode) {
	c.countControl()
	c.raw.Commit(appendUint32Frame(c.raw.AppendBuffer(), http2.FrameRSTStream, stream, uint32(code)))
	c.recent.add(stream, true)
	c.stats.Inc(statTxReset)
}
