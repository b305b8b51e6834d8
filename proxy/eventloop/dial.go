package eventloop

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// DialOption is a socket option that holds a number, as for setsockopt(2).
type DialOption struct{ Level, Name, Value int }

// Dial begins to connect to a TCP address, from a socket with the options. What is written meanwhile is gathered; Connected tells
// how it went, and the connection's waker is woken when there is news.
func (l *Loop) Dial(address netip.AddrPort, options ...DialOption) (*Conn, error) {
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
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.Level, o.Name, o.Value); err != nil {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("connect to %s: setsockopt level %d, name %d to %d: %w", address, o.Level, o.Name, o.Value, err)
		}
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
