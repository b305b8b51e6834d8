package eventloop

import (
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attemptDelay is for how long an address is waited for before the next one is tried beside it: Envoy's, within what RFC 8305
// section 8 allows.
const attemptDelay = 300 * time.Millisecond

// Candidate is one of several addresses of a host, and where a connection to it begins, anywhere for a nil From.
type Candidate struct {
	Address netip.AddrPort
	From    *DialSource
}

// race is a connection that is being made to whichever of several addresses answers first (RFC 8305). The Conn always has the socket of
// one attempt; attempts beside it are rivals.
type race struct {
	conn    *Conn
	left    []Candidate // to be tried yet, in order
	options []DialOption
	rivals  []*rival
	timer   Timer // for the next of left
}

// rival is an attempt that its Conn does not have the socket of.
type rival struct {
	race       *race
	fd         int
	generation uint32
	remote     netip.AddrPort
}

// DialFirst is DialFrom to the first of several addresses that answers: each is tried when the one before has failed, or has not
// answered for 300 ms. The candidates, of which there is at least one, are kept until then. It fails when no attempt can be begun.
func (l *Loop) DialFirst(candidates []Candidate, options ...DialOption) (*Conn, error) {
	r := &race{left: candidates, options: options}
	fd, flags, remote, err := r.next()
	if err != nil {
		return nil, err
	}
	c, err := l.newConn(fd, flags, remote)
	if err != nil {
		return nil, err
	}
	if flags&flagConnecting != 0 && len(r.left) > 0 {
		r.conn, c.race = c, r
		l.SetTimer(&r.timer, attemptDelay, r)
	}
	return c, nil
}

// next begins to connect to the next address for which that can be begun. The error is that of the last.
func (r *race) next() (fd int, flags connFlags, remote netip.AddrPort, err error) {
	for len(r.left) > 0 {
		to := r.left[0]
		r.left = r.left[1:]
		family := unix.AF_INET6
		if to.Address.Addr().Is4() {
			family = unix.AF_INET
		}
		if fd, flags, err = connect(family, Sockaddr(to.Address), to.From, r.options); err == nil {
			return fd, flags, to.Address, nil
		}
		err = fmt.Errorf("connect to %s: %w", to.Address, err)
	}
	return 0, 0, netip.AddrPort{}, err
}

// Expired implements Expirer: the last attempt has not answered for long enough.
func (r *race) Expired(*Timer) { r.enter() }

// enter begins an attempt beside the others, if there is an address left.
func (r *race) enter() {
	if len(r.left) == 0 {
		return
	}
	l := r.conn.loop
	fd, flags, remote, err := r.next()
	if err != nil {
		return // the others go on
	}
	v := &rival{race: r, fd: fd, remote: remote}
	if v.generation, err = l.register(fd, v, connEvents); err != nil {
		_ = unix.Close(fd)
		return
	}
	r.rivals = append(r.rivals, v)
	if flags&flagConnecting == 0 {
		v.handleEvents(unix.EPOLLOUT)
		return
	}
	if len(r.left) > 0 {
		l.SetTimer(&r.timer, attemptDelay, r)
	}
}

// handleEvents implements eventHandler: the attempt has succeeded or failed.
func (v *rival) handleEvents(events uint32) {
	if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return
	}
	r := v.race
	c := r.conn
	r.leave(v)
	if connectError(v.fd) != nil {
		c.loop.forget(v.fd)
		_ = unix.Close(v.fd)
		r.enter()
		return
	}
	c.loop.forget(c.fd)
	_ = unix.Close(c.fd)
	c.adopt(v)
	c.handleEvents(events)
}

// leave takes v from the rivals.
func (r *race) leave(v *rival) {
	for i, other := range r.rivals {
		if other == v {
			r.rivals = append(r.rivals[:i], r.rivals[i+1:]...)
			return
		}
	}
}

// adopt makes the attempt of v that of the connection, whose own socket is closed.
func (c *Conn) adopt(v *rival) {
	c.fd, c.generation, c.remote, c.local = v.fd, v.generation, v.remote, netip.AddrPort{}
	c.flags &^= flagHangup | flagReadable | flagUrgent
	c.loop.slots[c.fd].handler = c
}

// replace has another attempt take the place of the connection's own, which has failed. It reports whether there is one.
func (r *race) replace() bool {
	c := r.conn
	if len(r.rivals) == 0 {
		r.enter()
	}
	if c.flags&flagConnecting == 0 || c.race == nil {
		return true // one that was begun has succeeded at once
	}
	if len(r.rivals) == 0 {
		return false
	}
	v := r.rivals[0]
	r.leave(v)
	c.loop.forget(c.fd)
	_ = unix.Close(c.fd)
	c.adopt(v)
	if len(r.rivals) == 0 {
		r.enter() // the failure of one is the time for the next
	}
	return true
}

// end closes all attempts but the connection's own.
func (r *race) end() {
	l := r.conn.loop
	l.StopTimer(&r.timer)
	for _, v := range r.rivals {
		l.forget(v.fd)
		_ = unix.Close(v.fd)
	}
	r.rivals, r.left, r.conn.race = nil, nil, nil
}

// connectError returns what became of connecting, nil for success.
func connectError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	return err
}
