package main

import (
	"net"
	"net/netip"
)

// localAddress returns the first address of this machine, of IPv6 or IPv4, that others can reach; the zero value where there
// is none. Envoy chooses the same way.
func localAddress(v6 bool) netip.Addr {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if ip := prefix.Addr().Unmap(); ip.Is6() == v6 && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return ip
		}
	}
	return netip.Addr{}
}
