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
	fd, connected, err := connect(family, Sockaddr(address), options)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return l.newConn(fd, connected, address)
}

// DialPath is Dial for a Unix domain socket: path is that of its file, or with '@' first an abstract name. Its connections have no
// addresses. Of the options those of the socket itself (SOL_SOCKET) are set: there is no protocol below that had others. A server whose
// queue of connections is full refuses with EAGAIN.
func (l *Loop) DialPath(path string, options ...DialOption) (*Conn, error) {
	fd, connected, err := connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, options)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return l.newConn(fd, connected, netip.AddrPort{})
}

// connect begins to connect a new socket, and returns the flags of its connection.
func connect(family int, to unix.Sockaddr, options []DialOption) (fd int, flags connFlags, err error) {
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socket: %w", err)
	}
	if err := setOptions(fd, family, options); err != nil {
		_ = unix.Close(fd)
		return 0, 0, err
	}
	switch err := unix.Connect(fd, to); err {
	case nil:
		return fd, 0, nil
	case unix.EINPROGRESS:
		return fd, flagConnecting, nil
	default:
		_ = unix.Close(fd)
		return 0, 0, err
	}
}

func setOptions(fd, family int, options []DialOption) error {
	if family != unix.AF_UNIX {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("setsockopt TCP_NODELAY: %w", err)
		}
	}
	for _, o := range options {
		if family == unix.AF_UNIX && o.Level != unix.SOL_SOCKET {
			continue
		}
		if err := unix.SetsockoptInt(fd, o.Level, o.Name, o.Value); err != nil {
			return fmt.Errorf("setsockopt level %d, name %d to %d: %w", o.Level, o.Name, o.Value, err)
		}
	}
	return nil
}
