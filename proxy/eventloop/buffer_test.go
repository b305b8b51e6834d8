package eventloop

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestBuffers(t *testing.T) {
	l := newSteppedLoop(t)
	tests := []struct{ atLeast, want int }{
		{0, ReadBufferSize}, {1, ReadBufferSize}, {ReadBufferSize, ReadBufferSize}, {ReadBufferSize + 1, LargeBufferSize},
		{LargeBufferSize, LargeBufferSize}, {LargeBufferSize + 1, LargeBufferSize + 1}, {1 << 20, 1 << 20},
	}
	for _, tt := range tests {
		b := l.AcquireBuffer(tt.atLeast)
		if len(b) != tt.want {
			t.Errorf("AcquireBuffer(%d) has %d bytes, want %d", tt.atLeast, len(b), tt.want)
		}
		l.ReleaseBuffer(b[:1]) // what is in use of it does not matter
		again := l.AcquireBuffer(tt.atLeast)
		if reused := &again[0] == &b[0]; reused != (tt.want <= LargeBufferSize) || len(again) != tt.want {
			t.Errorf("AcquireBuffer(%d): %d bytes, reused %v", tt.atLeast, len(again), reused)
		}
	}
}

// TestTwoOwnersOfABuffer never gives a buffer that is in use to another.
func TestTwoOwnersOfABuffer(t *testing.T) {
	l := newSteppedLoop(t)
	for _, size := range []int{ReadBufferSize, LargeBufferSize} {
		a, b := l.AcquireBuffer(size), l.AcquireBuffer(size)
		l.ReleaseBuffer(a)
		l.ReleaseBuffer(b)
		c, d, e := l.AcquireBuffer(size), l.AcquireBuffer(size), l.AcquireBuffer(size)
		if &c[0] == &d[0] || &d[0] == &e[0] || &c[0] == &e[0] {
			t.Errorf("%d bytes: two owners", size)
		}
	}
}

// TestIdleBuffersAreBounded keeps no more than the bound of each kind.
func TestIdleBuffersAreBounded(t *testing.T) {
	l := newSteppedLoop(t)
	for range maxIdleReadBuffers + 10 {
		l.ReleaseBuffer(make([]byte, ReadBufferSize))
		l.chunks.put(new(chunk))
	}
	for range maxIdleLargeBuffers + 10 {
		l.ReleaseBuffer(make([]byte, LargeBufferSize))
	}
	if s, g, c := len(l.buffers.small), len(l.buffers.large), len(l.chunks.idle); s != maxIdleReadBuffers || g != maxIdleLargeBuffers || c != maxIdleChunks {
		t.Errorf("%d, %d and %d are kept; want %d, %d, %d", s, g, c, maxIdleReadBuffers, maxIdleLargeBuffers, maxIdleChunks)
	}
}

// TestChunksGoBack counts the chunks that every way to end output returns: each once.
func TestChunksGoBack(t *testing.T) {
	ends := map[string]func(s *steppedLoop, c *Conn, peer int){
		"sent":  func(s *steppedLoop, _ *Conn, _ int) { s.step() },
		"close": func(_ *steppedLoop, c *Conn, _ int) { c.Close() },
		"abort": func(_ *steppedLoop, c *Conn, _ int) { c.Abort() },
		"write failure": func(s *steppedLoop, c *Conn, peer int) {
			_ = unix.Shutdown(peer, unix.SHUT_RD)
			s.step()
			c.Close()
		},
		"failure, then close": func(_ *steppedLoop, c *Conn, _ int) {
			c.fail(ErrClosed)
			c.Close()
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := newSteppedLoop(t)
			c, peer := s.pair()
			const chunks = 3
			c.Write([]byte("x"))
			c.Write(make([]byte, (chunks-1)*ReadBufferSize))
			end(s, c, peer)
			s.step()
			seen := map[*chunk]bool{}
			for _, k := range s.chunks.idle {
				if seen[k] {
					t.Error("a chunk is in the pool twice")
				}
				if seen[k] = true; k.next != nil || k.sent != 0 || k.filled != 0 {
					t.Error("a chunk in the pool is not empty")
				}
			}
			if len(seen) != chunks {
				t.Errorf("%d chunks are in the pool, want %d", len(seen), chunks)
			}
		})
	}
}
