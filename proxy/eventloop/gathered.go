package eventloop

import "golang.org/x/sys/unix"

// gathered is a queue of bytes in chunks of a loop's pool.
type gathered struct {
	head, tail *chunk
	bytes      int // that wait
}

// withRoom returns the last chunk if it has room for n bytes, a new one otherwise.
func (g *gathered) withRoom(pool *chunkPool, n int) *chunk {
	if g.tail != nil && len(g.tail.bytes)-g.tail.filled >= n {
		return g.tail
	}
	next := pool.get()
	if g.tail == nil {
		g.head = next
	} else {
		g.tail.next = next
	}
	g.tail = next
	return next
}

// add copies b to the end.
func (g *gathered) add(pool *chunkPool, b []byte) {
	for len(b) > 0 {
		tail := g.withRoom(pool, 1)
		n := copy(tail.bytes[tail.filled:], b)
		g.grow(n)
		b = b[n:]
	}
}

// grow counts n bytes that were put into the last chunk.
func (g *gathered) grow(n int) {
	g.tail.filled += n
	g.bytes += n
}

// first returns the bytes of the first chunk, which may be none.
func (g *gathered) first() []byte { return g.head.bytes[g.head.sent:g.head.filled] }

// vector lists the chunks that one call may send, and returns their number and bytes.
func (g *gathered) vector(list *[maxVector]unix.Iovec) (count, bytes int) {
	for k := g.head; k != nil && count < maxVector; k = k.next {
		if k.filled == k.sent {
			continue
		}
		list[count].Base = &k.bytes[k.sent]
		list[count].SetLen(k.filled - k.sent)
		bytes += k.filled - k.sent
		count++
	}
	return count, bytes
}

// consume takes n bytes off the beginning, and chunks that are empty.
func (g *gathered) consume(pool *chunkPool, n int) {
	g.bytes -= n
	for n > 0 || g.head != nil && g.head.sent == g.head.filled {
		k := g.head
		step := min(n, k.filled-k.sent)
		k.sent += step
		n -= step
		if k.sent == k.filled {
			g.head = k.next
			pool.put(k)
		}
	}
	if g.head == nil {
		g.tail = nil
	}
}

// drop takes everything off.
func (g *gathered) drop(pool *chunkPool) {
	for k := g.head; k != nil; {
		next := k.next
		pool.put(k)
		k = next
	}
	*g = gathered{}
}
