package http2

import (
	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/http2/hpack"
)

const (
	// frameMetadata is the type of METADATA frames, an extension of Envoy's: key and value pairs beside the messages of a
	// stream. Their payloads make a field block, which uses no dynamic table.
	frameMetadata = http2.FrameType(0x4d)
	// flagEndMetadata says that the block ends with the frame.
	flagEndMetadata = http2.Flags(0x4)
	// maxMetadata bounds what is kept of the METADATA blocks of a connection, in bytes: they are under no flow control. It is
	// Envoy's bound for one block.
	maxMetadata = 1 << 20
	// metadataCost is what a block costs beside its bytes.
	metadataCost = 64
)

// metadata is what has come of METADATA and was not taken.
type metadata struct {
	arriving []byte
	blocks   [][]byte
	size     int // bytes, with the cost of each block
}

// recvMetadata takes a METADATA frame. Without allow_metadata it is of a type that we do not know, and there is nobody to
// read what concerns the whole connection.
func (c *conn) recvMetadata(h frameHeader, payload []byte) fault {
	if !c.opts.AllowMetadata || h.stream == 0 {
		return fault{}
	}
	end := h.flags&flagEndMetadata != 0
	if len(payload) == 0 {
		c.stats.Inc(statEmptyMetadata)
		if !end {
			return c.countEmpty()
		}
	}
	s := c.streams.find(h.stream)
	if s == nil || s.detached || !s.state.canRecv() {
		return fault{}
	}
	m := &s.more().metadata
	m.arriving = append(m.arriving, payload...)
	c.keepMetadata(m, len(payload)+metadataCost)
	if c.metadataSize > maxMetadata {
		return fault{http2.ErrCodeEnhanceYourCalm, "too much METADATA waits to be passed on"}
	}
	if !end {
		return fault{}
	}
	if !validMetadata(m.arriving) {
		c.resetStream(s, http2.ErrCodeProtocol, ErrMalformed)
		return fault{}
	}
	m.blocks, m.arriving = append(m.blocks, m.arriving), nil
	s.wake()
	return fault{}
}

// keepMetadata notes that n bytes more are kept, or fewer.
func (c *conn) keepMetadata(m *metadata, n int) {
	m.size += n
	c.metadataSize += n
}

// validMetadata reports whether a block can be decoded without a dynamic table.
func validMetadata(block []byte) bool {
	var (
		d     hpack.Decoder
		field hpack.Field
		arena []byte
	)
	d.Init(0)
	d.Begin()
	for len(block) > 0 {
		n, used, err := d.Next(block, arena[:0], &field)
		if err != 0 {
			return false
		}
		if n == 0 {
			break
		}
		block, arena = block[n:], used
	}
	return true
}

// PassMetadata moves the METADATA blocks that have come on s to the stream on the other side of the proxy, in order. They are
// dropped when that one cannot be told of them: it is nil, because another protocol is spoken there, or its configuration
// does not allow them. They stay while its peer does not read.
func (s *Stream) PassMetadata(to *Stream) {
	if s.rare == nil {
		return
	}
	m := &s.rare.metadata
	for len(m.blocks) > 0 {
		block := m.blocks[0]
		if to != nil && !to.writeMetadata(block) {
			return
		}
		m.blocks[0] = nil
		m.blocks = m.blocks[1:]
	}
	s.conn.keepMetadata(m, len(m.arriving)-m.size)
}

// writeMetadata gathers a block, and reports false when the peer has yet to read what was gathered before.
func (s *Stream) writeMetadata(block []byte) bool {
	c := s.conn
	switch {
	case !c.opts.AllowMetadata || !s.state.canSend() || s.endQueued:
		return true
	case c.raw.Buffered() > maxUnsent:
		return false
	}
	for first := true; first || len(block) > 0; first = false {
		n := min(len(block), minMaxFrameSize)
		flags := http2.Flags(0)
		if n == len(block) {
			flags = flagEndMetadata
		}
		c.countFrame()
		dst := appendFrameHeader(c.raw.AppendBuffer(), n, frameMetadata, flags, s.id)
		c.raw.Commit(append(dst, block[:n]...))
		block = block[n:]
	}
	return true
}
