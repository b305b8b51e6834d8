package eventloop

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// DialOption is a socket option that holds a number or, where Bytes is not nil, those, as for setsockopt(2).
type DialOption struct {
	Level, Name, Value int
	Bytes              []byte
}

// DialSource is where a connection begins.
type DialSource struct {
	// Address is what the socket is bound to, not valid for what the kernel picks when it connects; so is a port of 0.
	Address netip.AddrPort
	// Prebind are options that are set before the socket is bound, Bound after that.
	Prebind, Bound []DialOption
}

// BindError says that a socket could not be bound to a source address.
type BindError struct {
	Address netip.AddrPort
	Err     error
}

func (e *BindError) Error() string { return fmt.Sprintf("bind to %s: %v", e.Address, e.Err) }

// Unwrap returns what the kernel said.
func (e *BindError) Unwrap() error { return e.Err }

// Dial begins to connect to a TCP address, from a socket with the options. What is written meanwhile is gathered; Connected tells
// how it went, and the connection's waker is woken when there is news.
func (l *Loop) Dial(address netip.AddrPort, options ...DialOption) (*Conn, error) {
	return l.DialFrom(nil, address, options...)
}

// DialFrom is Dial for a connection that begins somewhere, anywhere for a nil from. The error may be a *BindError.
func (l *Loop) DialFrom(from *DialSource, address netip.AddrPort, options ...DialOption) (*Conn, error) {
	family := unix.AF_INET6
	if address.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, connected, err := connect(family, Sockaddr(address), from, options)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return l.newConn(fd, connected, address)
}

// DialPath is Dial for a Unix domain socket: path is that of its file, or with '@' first an abstract name. Its connections have no
// addresses. Of the options those of the socket itself (SOL_SOCKET) are set: there is no protocol below that had others. A server whose
// queue of connections is full refuses with EAGAIN.
func (l *Loop) DialPath(path string, options ...DialOption) (*Conn, error) {
	fd, connected, err := connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, nil, options)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return l.newConn(fd, connected, netip.AddrPort{})
}

// connect begins to connect a new socket, and returns the flags of its connection.
func connect(family int, to unix.Sockaddr, from *DialSource, options []DialOption) (fd int, flags connFlags, err error) {
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socket: %w", err)
	}
	if err := setOptions(fd, family, options); err != nil {
		_ = unix.Close(fd)
		return 0, 0, err
	}
	if from != nil {
		if err := from.bind(fd, family); err != nil {
			_ = unix.Close(fd)
			return 0, 0, err
		}
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

// bind has a socket begin at s. Without a port the kernel picks one when it connects (IP_BIND_ADDRESS_NO_PORT): then connections to
// different hosts may share one, of which there are only so many.
func (s *DialSource) bind(fd, family int) error {
	for _, o := range s.Prebind {
		if err := o.set(fd); err != nil {
			return err
		}
	}
	if s.Address.IsValid() {
		if s.Address.Port() == 0 {
			if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
				return fmt.Errorf("setsockopt IP_BIND_ADDRESS_NO_PORT: %w", err)
			}
		}
		if s.Address.Addr().Is4() != (family == unix.AF_INET) {
			return &BindError{s.Address, unix.EAFNOSUPPORT}
		}
		if err := unix.Bind(fd, Sockaddr(s.Address)); err != nil {
			return &BindError{s.Address, err}
		}
	}
	for _, o := range s.Bound {
		if err := o.set(fd); err != nil {
			return err
		}
	}
	return nil
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
		if err := o.set(fd); err != nil {
			return err
		}
	}
	return nil
}

func (o *DialOption) set(fd int) error {
	if o.Bytes != nil {
		if err := unix.SetsockoptString(fd, o.Level, o.Name, string(o.Bytes)); err != nil {
			return fmt.Errorf("setsockopt level %d, name %d to %x: %w", o.Level, o.Name, o.Bytes, err)
		}
		return nil
	}
	if err := unix.SetsockoptInt(fd, o.Level, o.Name, o.Value); err != nil {
		return fmt.Errorf("setsockopt level %d, name %d to %d: %w", o.Level, o.Name, o.Value, err)
	}
	return nil
}
