package eventloop

import "slices"

// Buffer sizes. A read takes up to ReadBufferSize at once; LargeBufferSize holds the largest message head allowed by
// default with room to spare.
const (
	ReadBufferSize  = 16 << 10
	LargeBufferSize = 64 << 10

	// What is kept for reuse per worker: at most 8 MiB of each kind, the rest is left to the garbage collector.
	maxIdleReadBuffers  = 512
	maxIdleLargeBuffers = 128
	maxIdleChunks       = 512
)

// bufferPool keeps read buffers for reuse.
type bufferPool struct {
	small, large [][]byte
}

// AcquireBuffer returns a buffer of ReadBufferSize, or the next larger size that holds atLeast bytes. Its content is
// arbitrary. The caller owns it until it gives it back with ReleaseBuffer.
func (l *Loop) AcquireBuffer(atLeast int) []byte {
	switch {
	case atLeast <= ReadBufferSize:
		return takeBuffer(&l.buffers.small, ReadBufferSize)
	case atLeast <= LargeBufferSize:
		return takeBuffer(&l.buffers.large, LargeBufferSize)
	default:
		return make([]byte, atLeast)
	}
}

func takeBuffer(pool *[][]byte, size int) []byte {
	n := len(*pool)
	if n == 0 {
		return make([]byte, size)
	}
	b := (*pool)[n-1]
	(*pool)[n-1] = nil
	*pool = (*pool)[:n-1]
	return b
}

// ReleaseBuffer takes back a buffer from AcquireBuffer. Nothing may refer to its bytes any more.
func (l *Loop) ReleaseBuffer(b []byte) {
	b = b[:cap(b)]
	switch {
	case len(b) == ReadBufferSize && len(l.buffers.small) < maxIdleReadBuffers:
		l.buffers.small = append(l.buffers.small, b)
	case len(b) == LargeBufferSize && len(l.buffers.large) < maxIdleLargeBuffers:
		l.buffers.large = append(l.buffers.large, b)
	}
}

// chunk is a piece of gathered output: bytes[sent:filled] waits to be written.
type chunk struct {
	next         *chunk
	sent, filled int
	bytes        [ReadBufferSize]byte
}

// free returns the unused end of the chunk, empty and with the capacity that is left.
func (c *chunk) free() []byte { return c.bytes[c.filled:c.filled] }

// chunkPool keeps chunks for reuse.
type chunkPool struct {
	idle []*chunk
}

func (p *chunkPool) get() *chunk {
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = slices.Delete(p.idle, n-1, n)
		return c
	}
	return new(chunk)
}

func (p *chunkPool) put(c *chunk) {
	c.next, c.sent, c.filled = nil, 0, 0
	if len(p.idle) < maxIdleChunks {
		p.idle = append(p.idle, c)
	}
}
