// Package listener holds the sockets that the proxy accepts on. Each address has one socket per worker, all bound with
// SO_REUSEPORT, so that the kernel spreads connections over the workers and none of them shares an accept queue.
//
// The kernel spreads them by a hash of the addresses. With few connections that live long, some workers then have a lot more
// than others. Sockets.Steer puts a BPF program in place of the hash, which gives each connection to the worker that has
// the fewest; the workers tell it through shared memory how many they have.
//
// A Unix domain socket is one for all workers, as SO_REUSEPORT does not exist for these. Each accepts from it, and hands on what
// another has fewer of (Share).
package listener

import (
	"fmt"
	"net/netip"
	"reflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"golang.org/x/sys/unix"
)

// Sockets are the listening sockets of one address, one per worker. They belong to whoever bound them until Take hands
// them out.
type Sockets struct {
	asked   config.ListenAddress
	address netip.AddrPort // the zero value for a Unix domain socket
	fds     []int
	loads   []*Load // by worker; nil when connections are not steered
	steered bool    // or it was tried
	pipe    *pipe   // nil for TCP
	shares  *shares // of pipe, nil for TCP
}

// Bind opens the sockets of an address for so many workers. Nothing stays open when it fails. Port 0 means a free port,
// the same for all workers. With shared the address may be in use by sockets of this process that are about to go.
func Bind(a config.ListenAddress, workers int, shared bool) (*Sockets, error) {
	ip, err := netip.ParseAddr(a.IP)
	if err != nil {
		return nil, fmt.Errorf("address %q is not an IP address", a.IP)
	}
	if a.Port > 65535 {
		return nil, fmt.Errorf("port %d is not a port (0-65535)", a.Port)
	}
	s := &Sockets{asked: a, address: netip.AddrPortFrom(ip.WithZone(""), uint16(a.Port))}
	if s.address.Port() != 0 && !shared {
		if err := s.checkFree(); err != nil {
			return nil, err
		}
	}
	for range workers {
		fd, err := eventloop.ListenSocket(s.address, listenOptions(&a.SocketSettings))
		if err != nil {
			s.Close()
			return nil, err
		}
		s.fds = append(s.fds, fd)
		s.address = eventloop.SocketAddress(fd)
	}
	return s, nil
}

// checkFree refuses an address that another process listens on. SO_REUSEPORT would let two proxies of the same user share
// it silently, each with half of the connections.
func (s *Sockets) checkFree() error {
	family := unix.AF_INET6
	if s.address.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("listen on %s: socket: %w", s.address, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("listen on %s: setsockopt SO_REUSEADDR: %w", s.address, err)
	}
	if err := unix.Bind(fd, eventloop.Sockaddr(s.address)); err != nil {
		return fmt.Errorf("listen on %s: bind: %w", s.address, err)
	}
	return nil
}

// Are reports whether the sockets are what Bind would make for a.
func (s *Sockets) Are(a config.ListenAddress) bool { return reflect.DeepEqual(s.asked, a) }

// On reports whether the sockets are on a: they were asked for there, or that is where port 0 has led to.
func (s *Sockets) On(a config.Address) bool {
	return s.asked.Address == a || s.pipe == nil && s.asked.IP == a.IP && uint32(s.address.Port()) == a.Port
}

// Address returns the address with the port that was bound, the zero value for a Unix domain socket.
func (s *Sockets) Address() netip.AddrPort { return s.address }

// Where returns what was bound: Address, or the path.
func (s *Sockets) Where() config.Address {
	if s.pipe != nil {
		return config.Address{Path: s.pipe.path}
	}
	return config.Address{IP: s.address.Addr().String(), Port: uint32(s.address.Port())}
}

// Share returns the worker's part in a Unix domain socket, nil for TCP. It is to be released when the descriptor is closed that Take has
// returned.
func (s *Sockets) Share(worker int) *Share {
	if s.shares == nil {
		return nil
	}
	return &s.shares.all[worker]
}

// Take returns the socket of a worker and what is to be told of its connections, both of which the caller owns from then
// on: -1 and nil when they were taken before. The Load is nil when connections are not steered.
func (s *Sockets) Take(worker int) (fd int, load *Load) {
	fd = s.fds[worker]
	s.fds[worker] = -1
	if s.loads != nil && fd >= 0 {
		load = s.loads[worker]
	}
	return fd, load
}

// Close closes the sockets that were not taken.
func (s *Sockets) Close() {
	for worker := range s.fds {
		if fd, load := s.Take(worker); fd >= 0 {
			_ = unix.Close(fd)
			load.Release()
			s.Share(worker).Release()
		}
	}
}
