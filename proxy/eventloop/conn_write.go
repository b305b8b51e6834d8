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
func (c *Conn) Buffered() int {
	if c.over != nil {
		return c.out.bytes + c.over.sealed.bytes
	}
	return c.out.bytes
}

// Write gathers b, which is copied or sent and not kept. It never blocks: the caller bounds what is gathered by looking
// at Buffered. After a failure it does nothing; WriteErr tells.
func (c *Conn) Write(b []byte) {
	if !c.writable() {
		return
	}
	if len(b) >= directWrite && c.over == nil && c.out.bytes == 0 && c.flags&(flagBlocked|flagConnecting) == 0 {
		b = b[c.send(b):]
	}
	if len(b) > 0 && c.writable() {
		c.out.add(&c.loop.chunks, b)
		c.markDirty()
	}
}

// AppendBuffer returns an empty slice to append to, with room for minHeadRoom bytes at least. The result of appending
// is handed to Commit before anything else is done with the connection.
func (c *Conn) AppendBuffer() []byte {
	if !c.writable() {
		return nil
	}
	c.markDirty() // a buffer that nothing is committed to goes back when the turn ends
	return c.out.withRoom(&c.loop.chunks, minHeadRoom).free()
}

// Commit gathers b, which was made by appending to what AppendBuffer returned.
func (c *Conn) Commit(b []byte) {
	if !c.writable() || len(b) == 0 {
		return
	}
	if tail := c.out.tail; cap(b) == len(tail.bytes)-tail.filled && &b[0] == &tail.bytes[tail.filled] {
		c.out.grow(len(b))
		c.markDirty()
		return
	}
	c.Write(b) // appending has outgrown the chunk and moved
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
	return c.Buffered() == 0
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
	return c.Buffered() == 0 && (c.flags&flagFIN == 0 || c.flags&flagFINSent != 0)
}

// NotifyBelow has the connection's waker woken once fewer than n bytes are gathered, when the turn ends if they are fewer
// already or output has failed. It asks once.
func (c *Conn) NotifyBelow(n int) {
	c.wakeBelow = n
	if c.Buffered() < n {
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
	if c.flags&flagHandshaking != 0 {
		if !c.writable() {
			c.over.task.Wake()
		}
		return // its owner is told of everything when that is over
	}
	if c.Buffered() < c.wakeBelow || !c.writable() {
		c.wakeBelow = 0
		c.loop.guardWake(c)
	}
}

// flush sends gathered output until there is none or the kernel takes no more.
func (c *Conn) flush() {
	wire := &c.out
	if c.over != nil {
		wire = &c.over.sealed
	}
	for c.flags&(flagBlocked|flagConnecting) == 0 && c.writable() {
		if c.over != nil && c.over.layer != nil {
			c.seal()
		}
		if wire.head == nil {
			break
		}
		if n := c.sendFrom(wire); c.writable() {
			wire.consume(&c.loop.chunks, n)
		}
	}
	if c.Flushed() || c.Buffered() > 0 || !c.writable() || c.flags&flagConnecting != 0 || c.over != nil && !c.over.finished {
		return
	}
	c.flags |= flagFINSent
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		c.failWrite(fmt.Errorf("shutdown: %w", err))
	}
}

// sendFrom gives the beginning of what is gathered to the kernel and returns how much it took.
func (c *Conn) sendFrom(g *gathered) int {
	if g.head == g.tail {
		return c.send(g.first())
	}
	var vector [maxVector]unix.Iovec
	count, total := g.vector(&vector)
	n, errno := rawSendVector(c.fd, vector[:count])
	return c.sent(n, total, errno)
}

// send gives b, which may be empty, to the kernel and returns how much it took.
func (c *Conn) send(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	n, errno := rawSend(c.fd, b)
	return c.sent(n, len(b), errno)
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

// writable reports whether output still makes sense.
func (c *Conn) writable() bool { return c.failure == nil && c.writeFailure == nil }

// failWrite ends output. What the peer sent before it went away can still be read.
func (c *Conn) failWrite(err error) {
	c.writeFailure = err
	c.dropOutput()
}

func (c *Conn) dropOutput() {
	c.out.drop(&c.loop.chunks)
	if c.over != nil {
		c.over.sealed.drop(&c.loop.chunks)
	}
}
