package eventloop

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// directWrite is the size from which bytes are offered to the kernel at once when nothing is gathered: below it a
	// copy is cheaper than a system call.
	directWrite = 16 << 10
	// minHeadRoom is the room that AppendBuffer gives at least. Most message heads fit.
	minHeadRoom = 4 << 10
	// maxVector bounds the buffers sent with one call (UIO_MAXIOV is 1024; 64 chunks are 1 MiB).
	maxVector = 64
)

// Buffered returns the number of gathered bytes that the kernel has not taken yet.
func (c *Conn) Buffered() int { return c.buffered }

// Write gathers b, which is copied or sent and not kept. It never blocks: the caller bounds what is gathered by looking
// at Buffered. After a failure it does nothing; WriteErr tells.
func (c *Conn) Write(b []byte) {
	if !c.writable() {
		return
	}
	if len(b) >= directWrite && c.buffered == 0 && c.flags&(flagBlocked|flagConnecting) == 0 {
		b = b[c.send(b):]
	}
	for len(b) > 0 && c.writable() {
		tail := c.tailWithRoom(1)
		n := copy(tail.bytes[tail.filled:], b)
		c.grow(tail, n)
		b = b[n:]
	}
}

// AppendBuffer returns an empty slice to append to, with room for minHeadRoom bytes at least. The result of appending
// is handed to Commit before anything else is done with the connection.
func (c *Conn) AppendBuffer() []byte {
	if !c.writable() {
		return nil
	}
	c.markDirty() // a buffer that nothing is committed to goes back when the turn ends
	return c.tailWithRoom(minHeadRoom).free()
}

// Commit gathers b, which was made by appending to what AppendBuffer returned.
func (c *Conn) Commit(b []byte) {
	if !c.writable() || len(b) == 0 {
		return
	}
	if tail := c.tail; cap(b) == len(tail.bytes)-tail.filled && &b[0] == &tail.bytes[tail.filled] {
		c.grow(tail, len(b))
		return
	}
	c.Write(b) // appending has outgrown the chunk and moved
}

// tailWithRoom returns the last chunk if it has room for n bytes, a new one otherwise.
func (c *Conn) tailWithRoom(n int) *chunk {
	if c.tail != nil && len(c.tail.bytes)-c.tail.filled >= n {
		return c.tail
	}
	next := c.loop.chunks.get()
	if c.tail == nil {
		c.head = next
	} else {
		c.tail.next = next
	}
	c.tail = next
	return next
}

func (c *Conn) grow(tail *chunk, n int) {
	tail.filled += n
	c.buffered += n
	c.markDirty()
}

func (c *Conn) markDirty() {
	if c.flags&(flagDirty|flagClosed) == 0 {
		c.flags |= flagDirty
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// Flush offers what was gathered to the kernel now and reports whether it took everything.
func (c *Conn) Flush() bool {
	c.flush()
	return c.buffered == 0
}

// ShutdownWrite sends FIN after everything that was gathered.
func (c *Conn) ShutdownWrite() {
	if c.writable() && c.flags&flagFIN == 0 {
		c.flags |= flagFIN
		c.markDirty()
	}
}

// Flushed reports whether everything gathered, and the FIN if one was asked for, has been given to the kernel.
func (c *Conn) Flushed() bool {
	return c.buffered == 0 && (c.flags&flagFIN == 0 || c.flags&flagFINSent != 0)
}

// NotifyBelow has the connection's waker woken once fewer than n bytes are gathered, when the turn ends if they are fewer
// already or output has failed. It asks once.
func (c *Conn) NotifyBelow(n int) {
	c.wakeBelow = n
	if c.buffered < n {
		c.markDirty()
	}
}

// flushDirty sends what the connections gathered in this turn, and wakes who asked to be told or must know of a failure.
func (l *Loop) flushDirty() {
	list := l.dirty
	l.dirty = l.spare[:0]
	for i, c := range list {
		list[i] = nil
		c.flags &^= flagDirty
		if c.flags&flagClosed == 0 {
			c.flushAndTell()
		}
	}
	l.spare = list[:0]
}

func (c *Conn) flushAndTell() {
	c.flush()
	if c.buffered < c.wakeBelow || !c.writable() {
		c.wakeBelow = 0
		c.loop.guardWake(c)
	}
}

// flush sends gathered output until there is none or the kernel takes no more.
func (c *Conn) flush() {
	for c.head != nil && c.flags&(flagBlocked|flagConnecting) == 0 {
		if c.head == c.tail {
			c.consume(c.send(c.head.bytes[c.head.sent:c.head.filled]))
		} else {
			c.consume(c.sendChunks())
		}
	}
	if c.head == nil && c.writable() && c.flags&(flagFIN|flagFINSent|flagConnecting) == flagFIN {
		c.flags |= flagFINSent
		if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
			c.failWrite(fmt.Errorf("shutdown: %w", err))
		}
	}
}

// send gives b, which may be empty, to the kernel and returns how much it took.
func (c *Conn) send(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	n, errno := rawSend(c.fd, b)
	return c.sent(n, len(b), errno)
}

func (c *Conn) sendChunks() int {
	var vector [maxVector]unix.Iovec
	count, total := 0, 0
	for k := c.head; k != nil && count < maxVector; k = k.next {
		if k.filled == k.sent {
			continue
		}
		vector[count].Base = &k.bytes[k.sent]
		vector[count].SetLen(k.filled - k.sent)
		total += k.filled - k.sent
		count++
	}
	n, errno := rawSendVector(c.fd, vector[:count])
	return c.sent(n, total, errno)
}

// sent takes note of a send of want bytes that took n.
func (c *Conn) sent(n, want int, errno syscall.Errno) int {
	switch errno {
	case 0:
	case unix.EINTR:
		return 0
	case unix.EAGAIN:
		c.flags |= flagBlocked
		return 0
	default:
		c.failWrite(errno)
		return 0
	}
	if n < want {
		c.flags |= flagBlocked
	}
	c.bytesWritten += uint64(n)
	return n
}

// consume takes n sent bytes off the gathered output.
func (c *Conn) consume(n int) {
	if !c.writable() {
		return
	}
	c.buffered -= n
	for n > 0 || c.head != nil && c.head.sent == c.head.filled {
		k := c.head
		step := min(n, k.filled-k.sent)
		k.sent += step
		n -= step
		if k.sent == k.filled {
			c.head = k.next
			c.loop.chunks.put(k)
		}
	}
	if c.head == nil {
		c.tail = nil
	}
}

// writable reports whether output still makes sense.
func (c *Conn) writable() bool { return c.failure == nil && c.writeFailure == nil }

// failWrite ends output. What the peer sent before it went away can still be read.
func (c *Conn) failWrite(err error) {
	c.writeFailure = err
	c.dropOutput()
}

func (c *Conn) dropOutput() {
	for k := c.head; k != nil; {
		next := k.next
		c.loop.chunks.put(k)
		k = next
	}
	c.head, c.tail, c.buffered = nil, nil, 0
}
