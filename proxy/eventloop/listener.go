package eventloop

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptsPerTurn bounds the connections taken from one listener in a turn, so that a flood of new ones does not starve
	// those that are there.
	acceptsPerTurn = 64
	// listenBacklog is cut by the kernel to net.core.somaxconn.
	listenBacklog = 4096
	// acceptPause is how long a listener rests after accept failed, most often for want of descriptors or memory.
	acceptPause = 100 * time.Millisecond
)

// AcceptHandler takes new connections, on the loop's thread.
type AcceptHandler interface {
	// Accepted owns c from then on.
	Accepted(c *Conn)
	// AcceptFailed reports an accept that failed for want of resources, or because the socket listens no more; the listener
	// goes on after a pause.
	AcceptFailed(err error)
}

// Listener is a listening socket on a Loop. It belongs to the loop's thread, but for the creation of its socket.
type Listener struct {
	loop    *Loop
	fd      int
	handler AcceptHandler
	pause   Timer
	closed  bool
	events  uint32 // asked of epoll
	hand    func(fd int) bool
}

// ListenOptions are what a listening socket has besides its address.
type ListenOptions struct {
	IPv6Only bool // a socket on an IPv6 address takes no connections over IPv4
	// Backlog bounds the connections that wait to be accepted; 0 means as many as the kernel allows.
	Backlog int
	// Set is called with the descriptor before it is bound, after that, and once it listens, in this order; nil is not.
	Set [3]func(fd int) error
}

// ListenSocket binds a listening TCP socket with SO_REUSEPORT. Several sockets may listen on the same address, one per
// worker. It may be called on any goroutine; the caller owns the descriptor.
func ListenSocket(address netip.AddrPort, o ListenOptions) (fd int, err error) {
	family := unix.AF_INET6
	if address.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("listen on %s: socket: %w", address, err)
	}
	if err = bindAndListen(fd, address, family == unix.AF_INET6, o); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listen on %s: %w", address, err)
	}
	return fd, nil
}

// ListenPath binds a listening Unix domain socket: path is that of its file, which must not be there, or with '@' first an abstract name.
// The file goes again when that fails. It may be called on any goroutine; the caller owns the descriptor.
func ListenPath(path string, o ListenOptions) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("listen on %s: socket: %w", path, err)
	}
	bound := false
	err = o.listen(func() error {
		err := unix.Bind(fd, &unix.SockaddrUnix{Name: path})
		bound = err == nil
		return err
	}, fd)
	if err != nil {
		_ = unix.Close(fd)
		if bound && path[0] != '@' {
			_ = unix.Unlink(path)
		}
		return -1, fmt.Errorf("listen on %s: %w", path, err)
	}
	return fd, nil
}

func bindAndListen(fd int, address netip.AddrPort, ipv6 bool, o ListenOptions) error {
	options := []struct {
		level, name, value int
		text               string
	}{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, "SO_REUSEADDR"},
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, "SO_REUSEPORT"},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, "TCP_NODELAY"}, // inherited by what is accepted
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setsockopt %s: %w", o.text, err)
		}
	}
	if ipv6 {
		only := 0
		if o.IPv6Only {
			only = 1
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return fmt.Errorf("setsockopt IPV6_V6ONLY: %w", err)
		}
	}
	return o.listen(func() error { return unix.Bind(fd, Sockaddr(address)) }, fd)
}

// listen has a new socket bound and listen, with the options.
func (o *ListenOptions) listen(bind func() error, fd int) error {
	backlog := listenBacklog
	if o.Backlog > 0 {
		backlog = o.Backlog
	}
	steps := [...]func() error{
		func() error { return nil },
		bind,
		func() error { return unix.Listen(fd, backlog) },
	}
	for i, name := range [...]string{"socket", "bind", "listen"} {
		if err := steps[i](); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if o.Set[i] == nil {
			continue
		}
		if err := o.Set[i](fd); err != nil {
			return err
		}
	}
	return nil
}

// SocketAddress returns the address that a socket is bound to.
func SocketAddress(fd int) netip.AddrPort { return localAddress(fd) }

// Listen accepts connections from a listening socket, which the Listener owns from then on.
func (l *Loop) Listen(fd int, h AcceptHandler) (*Listener, error) {
	return l.listen(&Listener{loop: l, fd: fd, handler: h, events: unix.EPOLLIN})
}

// ListenShared is Listen for a socket that other loops accept from too, each by a duplicate of the descriptor. A connection wakes one of
// those that wait, and most often the same one. So hand is asked of each connection, and reports whether it has given the descriptor
// to another loop, which is to Adopt it.
func (l *Loop) ListenShared(fd int, h AcceptHandler, hand func(fd int) bool) (*Listener, error) {
	return l.listen(&Listener{loop: l, fd: fd, handler: h, events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, hand: hand})
}

func (l *Loop) listen(ln *Listener) (*Listener, error) {
	if _, err := l.register(ln.fd, ln, ln.events); err != nil {
		_ = unix.Close(ln.fd)
		return nil, err
	}
	return ln, nil
}

// Adopt has the handler take a connection that was accepted on another loop. It owns fd, which it closes when the listener was closed.
func (ln *Listener) Adopt(fd int) {
	if ln.closed {
		_ = unix.Close(fd)
		return
	}
	ln.take(fd, netip.AddrPort{})
}

// handleEvents accepts what waits, up to a bound: delivery is level-triggered, so the rest is reported again.
func (ln *Listener) handleEvents(uint32) {
	for range acceptsPerTurn {
		var raw unix.RawSockaddrAny
		fd, errno := rawAccept(ln.fd, &raw)
		switch errno {
		case 0:
			ln.accepted(fd, &raw)
		case unix.EAGAIN:
			return
		case unix.EINTR, unix.ECONNABORTED, unix.EPERM, unix.EPROTO, unix.ENOPROTOOPT, unix.EOPNOTSUPP,
			unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET:
			// The connection failed while it waited (accept(2), "error handling"): there may be more behind it.
		default: // for want of descriptors or memory, or the socket listens no more
			ln.rest()
			ln.handler.AcceptFailed(fmt.Errorf("accept: %w", errno))
			return
		}
		if ln.closed {
			return
		}
	}
}

func (ln *Listener) accepted(fd int, raw *unix.RawSockaddrAny) {
	if ln.hand != nil && ln.hand(fd) {
		return
	}
	ln.take(fd, addressOf(raw))
}

func (ln *Listener) take(fd int, remote netip.AddrPort) {
	c, err := ln.loop.newConn(fd, 0, remote)
	if err != nil {
		ln.handler.AcceptFailed(err)
		return
	}
	handed := false
	defer func() {
		if !handed { // the handler has panicked, and nobody else would close the connection
			c.Abort()
		}
	}()
	ln.handler.Accepted(c)
	handed = true
}

// rest stops accepting for a while: level-triggered delivery would spin otherwise. The loop keeps the listener on its
// books, to close it when it ends.
func (ln *Listener) rest() {
	_ = unix.EpollCtl(ln.loop.epoll, unix.EPOLL_CTL_DEL, ln.fd, nil)
	ln.loop.SetTimer(&ln.pause, acceptPause, ln)
}

// Expired ends the rest. It implements Expirer.
func (ln *Listener) Expired(*Timer) {
	if _, err := ln.loop.register(ln.fd, ln, ln.events); err != nil {
		ln.handler.AcceptFailed(err)
		ln.loop.SetTimer(&ln.pause, acceptPause, ln)
	}
}

// Close stops accepting and closes the socket.
func (ln *Listener) Close() {
	if ln.closed {
		return
	}
	ln.closed = true
	ln.loop.StopTimer(&ln.pause)
	ln.loop.forget(ln.fd)
	if ln.hand != nil {
		// What its duplicates keep open stays registered when the descriptor is closed (epoll(7), "questions and answers").
		_ = unix.EpollCtl(ln.loop.epoll, unix.EPOLL_CTL_DEL, ln.fd, nil)
	}
	_ = unix.Close(ln.fd)
}
