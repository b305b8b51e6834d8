package config

import (
	"net"
	"net/netip"
	"strconv"
)

// String returns the address as "ip:port", with brackets around an IPv6 address, or as the path of a Unix domain socket.
func (a Address) String() string {
	if a.Path != "" {
		return a.Path
	}
	return net.JoinHostPort(a.IP, strconv.FormatUint(uint64(a.Port), 10))
}

// Network returns what package net calls the kind of socket that the address is of: String is an address of it.
func (a Address) Network() string {
	if a.Path != "" {
		return "unix"
	}
	return "tcp"
}

// Socket returns the IP address and port, an IPv4-mapped address as IPv4. It reports false for a Unix domain socket, and for a name
// that is not resolved.
func (a Address) Socket() (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(a.IP)
	if err != nil || a.Path != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(a.Port)), true
}

// Unmapped returns the address in the form by which hosts are told apart: an IPv4-mapped address is the IPv4 one. It reports false for
// a name that is not resolved, which is no host.
func (a Address) Unmapped() (Address, bool) {
	if a.Path != "" {
		return Address{Path: a.Path}, true
	}
	socket, ok := a.Socket()
	if !ok {
		return Address{}, false
	}
	return Address{IP: socket.Addr().String(), Port: uint32(socket.Port())}, true
}
