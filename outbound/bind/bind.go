// Package bind has connections of the process to hosts of clusters begin where the configuration says (upstream_bind_config), beside
// traffic.
package bind

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// bindAddressNoPort is IP_BIND_ADDRESS_NO_PORT of ip(7), which package syscall does not have.
const bindAddressNoPort = 24

// Dialer returns a dialer whose connections begin as b says, anywhere for a nil b.
func Dialer(b *config.Bind) *net.Dialer {
	if b == nil {
		return &net.Dialer{}
	}
	return &net.Dialer{Control: func(network, _ string, c syscall.RawConn) error {
		from, v4 := &b.V6, strings.HasSuffix(network, "4")
		switch {
		case strings.HasPrefix(network, "unix"):
			return nil
		case v4:
			from = &b.V4
		}
		var failed error
		err := c.Control(func(fd uintptr) { failed = apply(int(fd), from, v4) })
		if err != nil {
			return err
		}
		return failed
	}}
}

// apply sets the options of a socket of IPv4, or else IPv6, and binds it.
func apply(fd int, from *config.BindSource, v4 bool) error {
	if err := set(fd, from.Options, config.SocketPrebind); err != nil {
		return err
	}
	if from.Address.IsValid() {
		if from.Address.Port() == 0 {
			if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1); err != nil {
				return fmt.Errorf("setsockopt IP_BIND_ADDRESS_NO_PORT: %w", err)
			}
		}
		if from.Address.Addr().Is4() != v4 {
			return fmt.Errorf("bind to %s: %w", from.Address, syscall.EAFNOSUPPORT)
		}
		if err := syscall.Bind(fd, sockaddr(from.Address)); err != nil {
			return fmt.Errorf("bind to %s: %w", from.Address, err)
		}
	}
	return set(fd, from.Options, config.SocketBound)
}

func set(fd int, options []config.SocketOption, state config.SocketState) error {
	for _, o := range options {
		if o.State != state {
			continue
		}
		err := error(nil)
		if o.Bytes != nil {
			err = syscall.SetsockoptString(fd, o.Level, o.Name, string(o.Bytes))
		} else {
			err = syscall.SetsockoptInt(fd, o.Level, o.Name, o.Int)
		}
		if err != nil {
			return fmt.Errorf("setsockopt level %d, name %d: %w", o.Level, o.Name, err)
		}
	}
	return nil
}

func sockaddr(a netip.AddrPort) syscall.Sockaddr {
	if a.Addr().Is4() {
		return &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
