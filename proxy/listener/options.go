package listener

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// maxBacklog is the largest backlog that listen(2) takes for what it is.
const maxBacklog = 1<<31 - 1

// listenOptions returns what the settings of a socket are to the loop.
func listenOptions(s *config.SocketSettings) eventloop.ListenOptions {
	o := eventloop.ListenOptions{IPv6Only: !s.IPv4Compat, Backlog: backlog(s)}
	for state := range o.Set {
		o.Set[state] = func(fd int) error { return apply(s, fd, config.SocketState(state)) }
	}
	return o
}

func backlog(s *config.SocketSettings) int { return int(min(s.Backlog, maxBacklog)) }

// apply sets what is to be set on a socket that has come as far as state.
func apply(s *config.SocketSettings, fd int, state config.SocketState) error {
	if state == config.SocketPrebind {
		if err := applyFlags(s, fd); err != nil {
			return err
		}
	}
	return applyOptions(s, fd, state)
}

// applyOptions sets the options for a socket that has come as far as state.
func applyOptions(s *config.SocketSettings, fd int, state config.SocketState) error {
	for i := range s.Options {
		o := &s.Options[i]
		if o.State != state {
			continue
		}
		err := error(nil)
		if o.Bytes != nil {
			err = unix.SetsockoptString(fd, o.Level, o.Name, string(o.Bytes))
		} else {
			err = unix.SetsockoptInt(fd, o.Level, o.Name, o.Int)
		}
		if err != nil {
			return fmt.Errorf("setsockopt level %d, name %d: %w", o.Level, o.Name, err)
		}
	}
	return nil
}

// applyFlags sets what has a field of its own.
func applyFlags(s *config.SocketSettings, fd int) error {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return fmt.Errorf("getsockopt SO_DOMAIN: %w", err)
	}
	level, freebind, transparent := unix.IPPROTO_IP, unix.IP_FREEBIND, unix.IP_TRANSPARENT
	if family == unix.AF_INET6 {
		level, freebind, transparent = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, unix.IPV6_TRANSPARENT
	}
	for _, flag := range []struct {
		wanted bool
		name   int
		text   string
	}{{s.Freebind, freebind, "freebind"}, {s.Transparent, transparent, "transparent"}} {
		if !flag.wanted {
			continue
		}
		if err := unix.SetsockoptInt(fd, level, flag.name, 1); err != nil {
			return fmt.Errorf("setsockopt %s: %w", flag.text, err)
		}
	}
	return nil
}
