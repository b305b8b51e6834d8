package eventloop

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What a connection's calls return besides what the kernel says (a syscall.Errno) and io.EOF.
var (
	// ErrWouldBlock says that nothing can be done now; the connection's waker is woken when that changes.
	ErrWouldBlock = errors.New("operation would block")
	// ErrClosed is returned for the use of a connection after Close.
	ErrClosed = errors.New("connection is closed")
)

// connEvents is what a connection asks of epoll, once: with edge-triggered delivery no further call is needed, whatever
// the connection waits for later.
const connEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET

// IdleHandler is told of events of a connection that nobody waits for, on the loop's thread.
type IdleHandler interface {
	// Ready says that the connection may have become readable, was closed by the peer or failed.
	Ready(c *Conn)
}

// connFlags is the state of a Conn, a set of the bits below.
type connFlags uint16

const (
	flagConnecting  connFlags = 1 << iota // connect has not completed
	flagReadable                          // a read may succeed
	flagBlocked                           // the last send took less than was given: wait for EPOLLOUT
	flagHangup                            // the peer has sent FIN or RST: read on to the end even after a short read
	flagUrgent                            // the peer has sent urgent data: a read stops short of it (RFC 9293 section 3.8.5)
	flagEOF                               // the end of the peer's bytes was read
	flagPending                           // the layer may hold bytes that it has read
	flagUnread                            // bytes that were given back are to be read first
	flagHandshaking                       // the layer is being made: nothing but its handshake uses the wire
	flagDirty                             // in loop.dirty
	flagFIN                               // send FIN once everything is written
	flagFINSent
	flagClosed
)

// Conn is a stream socket on a Loop. It and its methods belong to the loop's thread.
//
// Output is gathered and sent when the turn ends; input is read straight into the caller's buffer. A Conn that nobody
// reads or writes holds no buffer.
type Conn struct {
	loop       *Loop
	fd         int
	generation uint32
	flags      connFlags

	waker Waker // woken on events; nil: idle is told
	idle  IdleHandler

	out       gathered // output, not sealed where there is a layer
	over      *layered // nil without a layer
	wakeBelow int      // wake once fewer bytes than this are gathered; 0: never

	unread []byte // given back, with flagUnread

	failure      error // why the connection can be neither written nor read any more
	writeFailure error // why it cannot be written any more

	remote, local netip.AddrPort
	race          *race // while there are other addresses to connect to, or attempts under way

	bytesRead, bytesWritten uint64
}

// newConn registers fd, which must be non-blocking, and owns it from then on, also when it fails.
func (l *Loop) newConn(fd int, flags connFlags, remote netip.AddrPort) (*Conn, error) {
	c := &Conn{loop: l, fd: fd, flags: flags, remote: remote}
	generation, err := l.register(fd, c, connEvents)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c.generation = generation
	return c, nil
}

// Loop returns the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// SetWaker has w woken on the connection's events; nil has the IdleHandler told instead.
func (c *Conn) SetWaker(w Waker) { c.waker = w }

// SetIdleHandler sets who is told of events while the connection has no task.
func (c *Conn) SetIdleHandler(h IdleHandler) { c.idle = h }

// RemoteAddr returns the peer's address, the zero value on a Unix domain socket.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote }

// LocalAddr returns the address of our end, the zero value on a Unix domain socket.
func (c *Conn) LocalAddr() netip.AddrPort {
	if !c.local.IsValid() && c.remote.IsValid() && c.flags&flagClosed == 0 {
		c.local = localAddress(c.fd)
	}
	return c.local
}

// BytesRead returns the number of bytes taken from the kernel.
func (c *Conn) BytesRead() uint64 { return c.bytesRead }

// BytesWritten returns the number of bytes handed to the kernel.
func (c *Conn) BytesWritten() uint64 { return c.bytesWritten }

// Err returns why the connection cannot be used any more, nil while it can. The end of input is not an error.
func (c *Conn) Err() error { return c.failure }

// WriteErr returns why output is dropped, nil while it is not.
func (c *Conn) WriteErr() error {
	if c.failure != nil {
		return c.failure
	}
	return c.writeFailure
}

// Connected reports whether a dialled connection is established. It fails with the reason when it cannot be.
func (c *Conn) Connected() (bool, error) {
	if c.failure != nil {
		return false, c.failure
	}
	return c.flags&(flagConnecting|flagHandshaking) == 0, nil
}

// EOF reports whether everything that the peer sent has been read.
func (c *Conn) EOF() bool { return c.flags&flagEOF != 0 }

// Readable reports whether a read may find bytes, the end of input, or an error.
func (c *Conn) Readable() bool {
	return c.flags&(flagReadable|flagPending|flagUnread) != 0 && c.flags&flagHandshaking == 0 || c.failure != nil
}

// PeerGone reports whether the peer has closed its side or the connection, as far as the kernel has told.
func (c *Conn) PeerGone() bool { return c.flags&(flagHangup|flagEOF) != 0 || c.failure != nil }

// Quiet reports whether the peer keeps the connection, and has sent nothing but what the layer keeps for itself, as TLS keeps a
// session ticket. Where there may be something it reads, and what it finds then is lost: it is for a connection that ends with that.
func (c *Conn) Quiet() bool {
	if c.PeerGone() || !c.Readable() {
		return !c.PeerGone()
	}
	buf := c.loop.AcquireBuffer(ReadBufferSize)
	_, err := c.Read(buf)
	c.loop.ReleaseBuffer(buf)
	return errors.Is(err, ErrWouldBlock)
}

// handleEvents takes note of what epoll reports and wakes who waits.
func (c *Conn) handleEvents(events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags |= flagHangup | flagReadable
	}
	if events&unix.EPOLLIN != 0 {
		c.flags |= flagReadable
	}
	if events&unix.EPOLLPRI != 0 {
		c.flags |= flagUrgent | flagReadable
	}
	news := events&^unix.EPOLLOUT != 0
	if c.flags&flagConnecting != 0 {
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if !c.finishConnect() {
			return
		}
		if c.over != nil && c.failure == nil {
			c.beginHandshake()
			return
		}
		news = true
		if c.out.head != nil || c.Buffered() > 0 || c.flags&flagFIN != 0 {
			c.markDirty()
		}
	}
	if events&unix.EPOLLOUT != 0 && c.flags&flagBlocked != 0 {
		c.flags &^= flagBlocked
		c.markDirty()
	}
	switch {
	case !news:
	case c.flags&flagHandshaking != 0:
		c.over.task.Wake()
	default:
		c.wake()
	}
}

func (c *Conn) wake() {
	switch {
	case c.waker != nil:
		c.waker.Wake()
	case c.idle != nil:
		c.idle.Ready(c)
	}
}

// finishConnect reports whether it is decided what has become of connecting: with another attempt it is not.
func (c *Conn) finishConnect() bool {
	err, remote := connectError(c.fd), c.remote
	if c.race != nil {
		if err != nil && c.race.replace() {
			return false
		}
		c.race.end()
	}
	c.flags &^= flagConnecting
	if err != nil {
		c.fail(fmt.Errorf("connect to %s: %w", remote, err))
	}
	return true
}

// fail makes err the answer to every later read and write and drops the gathered output.
func (c *Conn) fail(err error) {
	if c.failure == nil {
		c.failure = err
	}
	c.dropOutput()
}

// Read reads into b, which must not be empty, what is there. It returns ErrWouldBlock when nothing is, and io.EOF at the
// end of the peer's bytes.
func (c *Conn) Read(b []byte) (int, error) {
	if c.failure != nil {
		return 0, c.failure
	}
	if c.flags&flagEOF != 0 {
		return 0, io.EOF
	}
	if c.over != nil {
		return c.open(b)
	}
	n, err := c.receive(b)
	if err == io.EOF {
		err = c.endOfInput()
	}
	return n, err
}

// receive reads from the kernel into b. It returns io.EOF for as long as the end of the peer's bytes is all there is.
func (c *Conn) receive(b []byte) (int, error) {
	if c.failure != nil {
		return 0, c.failure
	}
	if c.flags&flagUnread != 0 {
		return c.receiveUnread(b), nil
	}
	if c.flags&flagReadable == 0 {
		return 0, ErrWouldBlock
	}
	n, errno := rawRecv(c.fd, b)
	switch {
	case errno == unix.EAGAIN:
		c.flags &^= flagReadable
		return 0, ErrWouldBlock
	case errno == unix.EINTR:
		return 0, ErrWouldBlock // still readable: the caller's next try reads
	case errno != 0:
		c.fail(errno)
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	// A short read has emptied the socket, and what arrives later is a new event (epoll(7), "edge-triggered"). The
	// exceptions are a FIN that came with the event already seen, and urgent data, at which a read stops.
	if n < len(b) && c.flags&(flagHangup|flagUrgent) == 0 {
		c.flags &^= flagReadable
	}
	c.bytesRead += uint64(n)
	return n, nil
}

// Unread gives bytes back that were read, to be read again before all others, also by a layer that the connection gets now. It
// keeps b, which must not be changed any more. Only one who has read all that was given back before may call it, and not at
// the end of the peer's bytes.
func (c *Conn) Unread(b []byte) {
	if len(b) > 0 {
		c.unread = b
		c.flags |= flagUnread
	}
}

// receiveUnread reads what was given back. It was counted when it was first read.
func (c *Conn) receiveUnread(b []byte) int {
	n := copy(b, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.unread = nil
		c.flags &^= flagUnread
	}
	return n
}

// endOfInput tells the end of the peer's bytes from a connection that broke: the kernel reports a reset once, and if that
// was to a send, a read sees no more than the end. EPIPE is no break: the peer had sent FIN before.
func (c *Conn) endOfInput() error {
	if c.writeFailure != nil && !errors.Is(c.writeFailure, unix.EPIPE) {
		c.fail(c.writeFailure)
		return c.failure
	}
	c.flags |= flagEOF
	return io.EOF
}

// Close closes the socket at once. Output that was gathered and not sent is tried once and then dropped.
func (c *Conn) Close() {
	if c.flags&flagClosed != 0 {
		return
	}
	if c.over != nil && c.over.layer != nil {
		c.flags |= flagFIN // the peer is told that this is the end
	}
	c.flush()
	c.release()
}

// Abort closes the connection with a reset, so that the peer cannot take what it has for the whole.
func (c *Conn) Abort() {
	if c.flags&flagClosed != 0 {
		return
	}
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	c.release()
}

func (c *Conn) release() {
	if c.race != nil {
		c.race.end()
	}
	c.dropOutput()
	c.flags |= flagClosed
	if c.failure == nil {
		c.failure = ErrClosed
	}
	if c.flags&flagHandshaking != 0 {
		c.over.task.Wake() // it finds that there is nothing to shake hands for
	}
	c.loop.forget(c.fd)
	_ = unix.Close(c.fd)
	c.waker, c.idle = nil, nil
}

// Break makes why the answer to every later read and write, drops what was gathered, and wakes who waits for the connection:
// it is how somebody else than its owner ends it.
func (c *Conn) Break(why error) {
	c.fail(why)
	c.wake()
}

// Closed reports whether Close or Abort was called.
func (c *Conn) Closed() bool { return c.flags&flagClosed != 0 }

// Wake tells who waits for the connection to look at it again.
func (c *Conn) Wake() { c.wake() }
