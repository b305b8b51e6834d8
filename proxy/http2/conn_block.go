package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// partialBlock is a field block that is arriving in more than one frame. It has to be whole to be decoded.
type partialBlock struct {
	header        frameHeader // of the HEADERS frame that began it
	bytes         []byte
	selfDependent bool
	open          bool
}

// priorityFieldSize is the size of the priority fields of a HEADERS frame.
const priorityFieldSize = 5

// recvHeaders takes a HEADERS frame.
func (c *conn) recvHeaders(h frameHeader, payload []byte) fault {
	if h.stream == 0 {
		return fault{http2.ErrCodeProtocol, "HEADERS on stream 0"}
	}
	fragment, f := unpad(h, payload)
	if f.is() {
		return f
	}
	selfDependent := false
	if h.flags&http2.FlagHeadersPriority != 0 {
		if len(fragment) < priorityFieldSize {
			return faultFrameSize
		}
		// Priorities are obsolete (RFC 9113 section 5.3.2), and so is the only mistake that can be made with them.
		selfDependent = binary.BigEndian.Uint32(fragment)&maxStreamID == h.stream
		fragment = fragment[priorityFieldSize:]
	}
	if h.flags&http2.FlagHeadersEndHeaders != 0 {
		if len(fragment) > 0 || h.flags&http2.FlagHeadersEndStream != 0 {
			c.flood.empty = 0
		} else if f := c.countEmpty(); f.is() {
			return f
		}
		return c.recvBlock(h, fragment, selfDependent)
	}
	c.block = partialBlock{header: h, selfDependent: selfDependent, open: true}
	return c.addFragment(fragment)
}

// recvContinuation takes a CONTINUATION frame, which checkHeader has found to belong to the block that is open.
func (c *conn) recvContinuation(h frameHeader, fragment []byte) fault {
	if f := c.addFragment(fragment); f.is() {
		return f
	}
	if h.flags&http2.FlagContinuationEndHeaders == 0 {
		return fault{}
	}
	b := c.block
	c.block = partialBlock{}
	c.flood.empty = 0
	return c.recvBlock(b.header, b.bytes, b.selfDependent)
}

// addFragment adds to the block that is open. A block that is a little too large is decoded and its message refused. One that
// is much too large cannot be skipped, because the table of the decoder has to follow it, and is not kept: the connection ends
// (CVE-2024-27316 and its like).
func (c *conn) addFragment(fragment []byte) fault {
	if len(fragment) == 0 {
		return c.countEmpty()
	}
	if len(c.block.bytes)+len(fragment) > c.opts.HeaderBytes+blockSlack {
		c.stats.Inc(statHeaderOverflow)
		return fault{http2.ErrCodeEnhanceYourCalm, "field block exceeds the limit on header size"}
	}
	c.block.bytes = append(c.block.bytes, fragment...)
	return fault{}
}

// recvBlock takes a whole field block.
func (c *conn) recvBlock(h frameHeader, block []byte, selfDependent bool) fault {
	s := c.streams.find(h.stream)
	if s == nil {
		return c.owner.newBlock(h, block, selfDependent)
	}
	next, scope := s.state.recvHeaders()
	if scope != allowed {
		if f := c.skipBlock(block); f.is() {
			return f
		}
		c.resetStream(s, http2.ErrCodeStreamClosed, ErrProtocol)
		return fault{}
	}
	s.state = next
	return c.laterBlock(s, h, block)
}

// skipBlock decodes a block for the sake of the table alone.
func (c *conn) skipBlock(block []byte) fault {
	c.decoder.Begin()
	return c.skipRest(block)
}

// skipRest is skipBlock for the rest of a block.
func (c *conn) skipRest(block []byte) fault {
	for len(block) > 0 {
		n, _, err := c.decoder.Skip(block)
		if err != 0 {
			return faultCompression
		}
		if n == 0 {
			break
		}
		block = block[n:]
	}
	return fault{}
}
