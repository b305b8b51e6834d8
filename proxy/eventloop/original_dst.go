package eventloop

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// originalDst is SO_ORIGINAL_DST of linux/netfilter_ipv4.h, which is IP6T_SO_ORIGINAL_DST too.
const originalDst = 80

// OriginalDst returns where the client wanted to connect to before the kernel's address translation sent it here, and false
// where that is not known: there was no translation, or the kernel has no connection tracking.
func (c *Conn) OriginalDst() (netip.AddrPort, bool) {
	if c.flags&flagClosed != 0 {
		return netip.AddrPort{}, false
	}
	if c.remote.Addr().Is4() {
		// The kernel fills in a sockaddr_in, of 16 bytes, for which an ipv6_mreq has room.
		raw, err := unix.GetsockoptIPv6Mreq(c.fd, unix.IPPROTO_IP, originalDst)
		if err != nil {
			return netip.AddrPort{}, false
		}
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), networkOrder(in.Port)), in.Family == unix.AF_INET
	}
	// A sockaddr_in6, of 28 bytes, for which an ipv6_mtuinfo has room.
	raw, err := unix.GetsockoptIPv6MTUInfo(c.fd, unix.IPPROTO_IPV6, originalDst)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr.Addr).Unmap(), networkOrder(raw.Addr.Port)), raw.Addr.Family == unix.AF_INET6
}
