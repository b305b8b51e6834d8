package eventloop

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSealed is how much sealed output is made before the kernel has taken some of it, in bytes: four records of TLS.
	maxSealed = 64 << 10
	// maxUnsentReplies bounds what a layer says on its own account while the kernel takes nothing, in bytes: a peer that asks
	// for new keys again and again and does not read the answers is cut off.
	maxUnsentReplies = maxSealed + 64<<10
)

// ErrTruncated is returned for reads after the peer's bytes have ended without the end that its layer marks: what came may
// not be all (RFC 8446 section 6.1).
var ErrTruncated = errors.New("the peer has closed the connection without close_notify")

// errHandshakePanicked fails a connection whose handshake did not return.
var errHandshakePanicked = errors.New("the handshake panicked")

// errUnread ends a connection whose peer makes a layer say more than it reads.
var errUnread = errors.New("the peer does not read what it asks for")

// Layer is what is between the users of a Conn and its bytes on the wire, as the Conn of crypto/tls is. It is made on a Wire,
// by which it reads and writes, belongs to the loop's thread, and never blocks: its Read returns the error of its Wire's Read
// and goes on where it was when it is called again.
type Layer interface {
	Read(b []byte) (int, error)
	// Write makes b ready for the wire, whole.
	Write(b []byte) (int, error)
	// CloseWrite makes the mark of the end ready for the wire. Nothing is written after it.
	CloseWrite() error
}

// layered is what a Conn with a Layer has besides. It runs the handshake.
type layered struct {
	conn     *Conn
	shake    func(*Wire) (Layer, error)
	task     *Task    // shakes hands, nil before and after that
	layer    Layer    // nil until hands are shaken
	sealed   gathered // for the wire
	finished bool     // the mark of the end is in sealed, or was
}

// Wire is the bytes of a Conn as they go over the network, a net.Conn for the Layer above. It belongs to the loop's thread.
type Wire struct {
	conn *Conn
	task *Task // to be parked while there is nothing to read; nil: Read does not wait
}

// IsNetworkError reports whether the reason why a layer's handshake failed is what happened to the connection, and not what was
// said on it.
func IsNetworkError(err error) bool {
	_, kernel := errors.AsType[syscall.Errno](err)
	return kernel || errors.Is(err, ErrTruncated) || errors.Is(err, ErrClosed)
}

// Handshake has the connection begin with shake, which makes its layer: once the connection is established it is called in a
// task, and reads and writes on the Wire like blocking code. Until it returns, the connection counts as one that is being
// connected; when it fails, connecting has failed. It bounds what it reads; how long it may take is for the owner to bound.
func (c *Conn) Handshake(shake func(*Wire) (Layer, error)) {
	c.over = &layered{conn: c, shake: shake}
	if c.flags&flagConnecting == 0 {
		c.beginHandshake()
	}
}

func (c *Conn) beginHandshake() {
	c.flags |= flagHandshaking
	c.over.task = c.loop.Spawn(c.over)
}

// Run implements Runner.
func (o *layered) Run(t *Task) {
	c, w := o.conn, &Wire{conn: o.conn, task: t}
	err := errHandshakePanicked
	defer func() {
		o.task, w.task, o.shake = nil, nil, nil
		c.flags &^= flagHandshaking
		if c.flags&flagClosed != 0 {
			return
		}
		if err != nil {
			c.failLayer(err)
		}
		// The layer may hold bytes that came with the end of the handshake, and who has the connection may have written.
		c.flags |= flagPending
		c.markDirty()
		c.loop.guardWake(c)
	}()
	o.layer, err = o.shake(w)
}

// Await runs f, which takes its time, on an ordinary goroutine, and waits for it. It is for the handshake only.
func (w *Wire) Await(f func()) { w.task.Await(f) }

// Linger is for the end of a handshake that has failed. It sends what was written, closes our side, and throws away what the peer
// still sends, up to limit bytes, until the peer closes its own: a reset would take from it what it was told. It bounds no time.
func (w *Wire) Linger(limit int) {
	c := w.conn
	c.flush()
	if c.WriteErr() != nil || unix.Shutdown(c.fd, unix.SHUT_WR) != nil {
		return
	}
	for limit > 0 {
		n, err := c.discard()
		switch {
		case err == nil:
			limit -= n
		case errors.Is(err, ErrWouldBlock):
			w.task.Park()
		default:
			return
		}
	}
}

// discard reads what is there and throws it away.
func (c *Conn) discard() (int, error) {
	buf := c.loop.AcquireBuffer(ReadBufferSize)
	defer c.loop.ReleaseBuffer(buf)
	return c.receive(buf)
}

// wouldBlock is ErrWouldBlock in a form in which crypto/tls does not take it for the end.
type wouldBlock struct{}

func (wouldBlock) Error() string        { return ErrWouldBlock.Error() }
func (wouldBlock) Is(target error) bool { return target == ErrWouldBlock }
func (wouldBlock) Timeout() bool        { return false }
func (wouldBlock) Temporary() bool      { return true }

// Read reads from the network into b. At the end of the peer's bytes it returns ErrTruncated: a layer that has seen the
// mark of the end does not read on.
func (w *Wire) Read(b []byte) (int, error) {
	for {
		n, err := w.conn.receive(b)
		switch {
		case err == nil && w.task != nil:
			w.task.AwaitTurn() // what comes of it takes its time
			return n, w.conn.WriteErr()
		case err == nil:
			return n, nil
		case err == io.EOF:
			return 0, ErrTruncated
		case !errors.Is(err, ErrWouldBlock):
			return 0, err
		case w.task == nil:
			return 0, wouldBlock{}
		}
		w.task.Park()
	}
}

// Write gathers b for the network.
func (w *Wire) Write(b []byte) (int, error) {
	c := w.conn
	if err := c.WriteErr(); err != nil {
		return 0, err
	}
	if c.over.sealed.bytes > maxUnsentReplies {
		c.fail(errUnread) // a layer may keep it to itself, as crypto/tls does when it answers a KeyUpdate
		return 0, errUnread
	}
	c.over.sealed.add(&c.loop.chunks, b)
	c.markDirty()
	return len(b), nil
}

// Close does nothing: the Conn is closed by who has it.
func (w *Wire) Close() error { return nil }

// LocalAddr returns the address of our end.
func (w *Wire) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(w.conn.LocalAddr()) }

// RemoteAddr returns the peer's address.
func (w *Wire) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(w.conn.RemoteAddr()) }

// SetDeadline does nothing: the loop's timers bound what is done with a Conn.
func (w *Wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (w *Wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *Wire) SetWriteDeadline(time.Time) error { return nil }

// open is Read through the layer. It fills b as far as there is something, so that, as without a layer, a short read tells
// that there is no more.
func (c *Conn) open(b []byte) (int, error) {
	if c.over.layer == nil {
		return 0, ErrWouldBlock
	}
	n := 0
	for n < len(b) {
		m, err := c.over.layer.Read(b[n:])
		n += m
		switch {
		case err == nil:
		case errors.Is(err, ErrWouldBlock):
			c.flags &^= flagPending
			if n == 0 {
				return 0, ErrWouldBlock
			}
			return n, nil
		case n > 0: // it says so again
			c.flags |= flagPending
			return n, nil
		case err == io.EOF:
			return 0, c.endOfInput()
		default:
			c.failLayer(err)
			return 0, c.failure // the wire may have known better before
		}
	}
	c.flags |= flagPending
	return n, nil
}

// failLayer is fail for an error of the layer. What that has to say of it to the peer, an alert of TLS, is tried once.
func (c *Conn) failLayer(err error) {
	c.flush()
	c.fail(err)
}

// seal makes gathered output ready for the wire, some of it while the kernel is slow, and the mark of the end after the last.
func (c *Conn) seal() {
	o := c.over
	for c.out.head != nil && o.sealed.bytes < maxSealed && c.writable() {
		b := c.out.first()
		if _, err := o.layer.Write(b); err != nil {
			c.failWrite(err)
			return
		}
		c.out.consume(&c.loop.chunks, len(b))
	}
	if c.out.head == nil && c.flags&flagFIN != 0 && !o.finished && c.writable() {
		o.finished = true
		if err := o.layer.CloseWrite(); err != nil {
			c.failWrite(err)
		}
	}
}
