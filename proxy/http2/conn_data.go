package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// recvDataHeader takes the header of a DATA frame, and the length of its padding if there is one. The body is passed on as it
// comes.
func (c *conn) recvDataHeader(h frameHeader, unparsed []byte) (f fault, more bool) {
	size, pad := frameHeaderSize, 0
	if h.flags&http2.FlagDataPadded != 0 {
		if h.length == 0 {
			return faultFrameSize, false
		}
		if len(unparsed) == size {
			return fault{}, false
		}
		pad = int(unparsed[size])
		size++
		if pad >= int(h.length) {
			return faultPadding, false
		}
	}
	if h.stream == 0 {
		return fault{http2.ErrCodeProtocol, "DATA on stream 0"}, false
	}
	if !c.inflow.receive(int(h.length)) {
		return faultConnWindow, false
	}
	c.start += size
	c.headSince = 0 // what comes next has a time of its own
	body := int(h.length) - pad - (size - frameHeaderSize)
	end := h.flags&http2.FlagDataEndStream != 0
	if body > 0 || end {
		c.flood.empty = 0
	} else if f := c.countEmpty(); f.is() {
		return f, false
	}
	s, f := c.dataStream(h, body)
	c.data = dataFrame{id: h.stream, wanted: s != nil, left: body, pad: pad, end: end, open: true}
	// Padding is never taken by anybody.
	c.consume(s, int(h.length)-body)
	c.creditConn() // for what lies there within the slack: who does not read calls for nothing
	return f, !f.is()
}

// dataStream returns the stream that a DATA frame of so many body bytes is for, nil when nobody wants it.
func (c *conn) dataStream(h frameHeader, body int) (*Stream, fault) {
	s := c.streams.find(h.stream)
	if s == nil {
		return nil, c.dataAfterEnd(h.stream)
	}
	if _, scope := s.state.recvData(); scope != allowed {
		c.resetStream(s, http2.ErrCodeStreamClosed, ErrProtocol)
		return nil, fault{}
	}
	if !s.inflow.receive(int(h.length)) {
		c.resetStream(s, http2.ErrCodeFlowControl, ErrProtocol)
		return nil, fault{}
	}
	s.received += int64(body)
	if !s.bodyAllowed() {
		c.resetStream(s, http2.ErrCodeProtocol, ErrMalformed)
		return nil, fault{}
	}
	return s, fault{}
}

// dataAfterEnd judges DATA on a stream that is not there.
func (c *conn) dataAfterEnd(id uint32) fault {
	switch {
	case c.isIdle(id):
		return faultIdleStream
	case c.mayBeIgnored(id):
		return fault{}
	case !c.server:
		return faultStreamClosed
	default:
		c.writeReset(id, http2.ErrCodeStreamClosed)
		c.addPremature(c.flood.ended)
		return fault{}
	}
}

// recvDataBytes passes on what is there of the DATA frame that is open. It reports whether that was all of it.
func (c *conn) recvDataBytes() (more bool) {
	d := &c.data
	s := c.dataWanted()
	n := min(d.left, c.end-c.start)
	if n > 0 {
		b := c.buf[c.start : c.start+n : c.start+n]
		c.start += n
		d.left -= n
		if s != nil {
			c.deliver(s, b)
		} else {
			c.consume(nil, n)
		}
	}
	skip := min(d.pad, c.end-c.start)
	c.start += skip
	d.pad -= skip
	if d.left > 0 || d.pad > 0 {
		return false
	}
	end := d.end
	*d = dataFrame{}
	if s != nil && end {
		c.recvEnd(s)
	}
	return true
}

// dataWanted returns the stream of the DATA frame that is open, nil when nobody wants it: it may have ended in the middle of
// the frame.
func (c *conn) dataWanted() *Stream {
	if !c.data.wanted {
		return nil
	}
	if s := c.streams.find(c.data.id); s != nil && s.state.canRecv() {
		return s
	}
	c.data.wanted = false
	return nil
}

// deliver gives body bytes to a stream.
func (c *conn) deliver(s *Stream, b []byte) {
	if s.detached {
		c.consume(nil, len(b)) // its window is not opened any more
		return
	}
	if !s.recv.borrowed {
		c.borrowers = append(c.borrowers, s)
	}
	s.recv.borrow(&c.env.pieces, b)
	s.wake()
}

// consume credits n received bytes to the peer: for the connection, and for the stream if there is one.
func (c *conn) consume(s *Stream, n int) {
	if n == 0 {
		return
	}
	c.taken(n)
	if s != nil {
		s.taken(n)
	}
}

// taken credits n received bytes to the peer for the connection.
func (c *conn) taken(n int) {
	c.inflow.take(n)
	c.creditConn()
}

// creditConn opens the window of the connection by what is due.
func (c *conn) creditConn() {
	if n := c.inflow.credit(); n > 0 && !c.dead {
		c.countFrame()
		c.raw.Commit(appendUint32Frame(c.raw.AppendBuffer(), http2.FrameWindowUpdate, 0, n))
	}
}

// recvEnd takes END_STREAM.
func (c *conn) recvEnd(s *Stream) {
	if s.declared >= 0 && s.received != s.declared {
		// RFC 9113 section 8.1.1: content-length does not equal the sum of the DATA frames.
		c.resetStream(s, http2.ErrCodeProtocol, ErrMalformed)
		return
	}
	s.state, _ = s.state.recvEnd()
	s.ended = true
	s.wake()
	c.settle(s)
}

// recvReset takes a RST_STREAM frame.
func (c *conn) recvReset(h frameHeader, payload []byte) fault {
	switch {
	case len(payload) != 4:
		return faultFrameSize
	case h.stream == 0, c.isIdle(h.stream):
		return faultIdleStream
	}
	s := c.streams.find(h.stream)
	if s == nil {
		return fault{}
	}
	c.stats.Inc(statRxReset)
	code := http2.ErrCode(binary.BigEndian.Uint32(payload))
	err := ErrReset
	switch {
	case code == http2.ErrCodeRefusedStream:
		err = ErrRefused
	case code == http2.ErrCodeConnect && !c.server:
		err = ErrConnect
	}
	s.code = code
	s.state, _ = s.state.recvReset()
	c.countPremature(s)
	c.drop(s, err, false)
	return fault{}
}

// recvWindowUpdate takes a WINDOW_UPDATE frame (RFC 9113 section 6.9).
func (c *conn) recvWindowUpdate(h frameHeader, payload []byte) fault {
	if len(payload) != 4 {
		return faultFrameSize
	}
	if f := c.countWindowUpdate(); f.is() {
		return f
	}
	n := int64(binary.BigEndian.Uint32(payload) & maxWindow)
	if h.stream == 0 {
		if n == 0 {
			return fault{http2.ErrCodeProtocol, "WINDOW_UPDATE by 0"}
		}
		if !c.window.open(n) {
			return fault{http2.ErrCodeFlowControl, "connection window exceeds 2^31-1"}
		}
		return fault{}
	}
	s := c.streams.find(h.stream)
	switch {
	case s == nil && c.isIdle(h.stream):
		return faultIdleStream
	case s == nil:
	case n == 0:
		c.resetStream(s, http2.ErrCodeProtocol, ErrProtocol)
	case !s.window.open(n):
		c.resetStream(s, http2.ErrCodeFlowControl, ErrProtocol)
	default:
		c.enqueue(s)
	}
	return fault{}
}
