package eventloop

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Dial begins to connect to a TCP address. What is written meanwhile is gathered; Connected tells how it went, and the
// connection's waker is woken when there is news.
func (l *Loop) Dial(address netip.AddrPort) (*Conn, error) {
	family := unix.AF_INET6
	if address.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: socket: %w", address, err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect to %s: setsockopt TCP_NODELAY: %w", address, err)
	}
	flags := connFlags(0)
	switch err := unix.Connect(fd, Sockaddr(address)); err {
	case nil:
	case unix.EINPROGRESS:
		flags = flagConnecting
	default:
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return l.newConn(fd, flags, address)
}
