package config

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// ProxyHeader is envoy.config.core.v3.ProxyProtocolConfig: the header of the PROXY protocol that connections to hosts begin with, before
// anything else, TLS included (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
type ProxyHeader struct {
	V2 bool // in version 2, which is binary; otherwise in version 1, which is text
	// TLVs are the fields that headers of version 2 end with (added_tlvs), as they go over the wire.
	TLVs string
}

// MaxProxyTLVs bounds ProxyHeader.TLVs in bytes: connections are kept apart by whole headers, of which a worker keeps some for each host.
const MaxProxyTLVs = 1 << 10

// proxyV2Signature is what every header of version 2 begins with (section 2.2).
const proxyV2Signature = "\r\n\r\n\x00\r\nQUIT\n"

// Bytes of the header of version 2 after its signature (section 2.2).
const (
	proxyV2Local = 0x20 // the version, and that the connection is the proxy's own
	proxyV2Proxy = 0x21 // the version, and that it is for another
	proxyTCP4    = 0x11
	proxyTCP6    = 0x21
)

// AppendTo appends the header of a connection that is made for one of a client, from source to destination. Addresses that are not
// valid, as those of a Unix domain socket, and of what the proxy asks by itself, leave the host to go by the connection that it sees:
// the command is LOCAL then, in version 1 the protocol is UNKNOWN. It ends where its own bytes say, so that what follows is told from it.
func (p *ProxyHeader) AppendTo(b []byte, source, destination netip.AddrPort) []byte {
	known := source.IsValid() && destination.IsValid()
	from, to := source.Addr().Unmap().WithZone(""), destination.Addr().Unmap().WithZone("")
	if from.Is4() != to.Is4() && known {
		// Both are of one family in a header. Every IPv4 address is one of IPv6, too (RFC 4291 section 2.5.5.2).
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
	}
	source, destination = netip.AddrPortFrom(from, source.Port()), netip.AddrPortFrom(to, destination.Port())
	switch {
	case p.V2 && !known:
		return append(append(b, proxyV2Signature...), proxyV2Local, 0, 0, 0)
	case p.V2:
		return p.appendV2(b, source, destination)
	case !known:
		return append(b, "PROXY UNKNOWN\r\n"...)
	default:
		return appendProxyV1(b, source, destination)
	}
}

// appendV2 appends the header of version 2 for two addresses of one family.
func (p *ProxyHeader) appendV2(b []byte, source, destination netip.AddrPort) []byte {
	family := byte(proxyTCP6)
	if source.Addr().Is4() {
		family = proxyTCP4
	}
	from, to := source.Addr().AsSlice(), destination.Addr().AsSlice()
	b = append(append(b, proxyV2Signature...), proxyV2Proxy, family)
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(from)+4+len(p.TLVs)))
	b = append(append(b, from...), to...)
	b = binary.BigEndian.AppendUint16(b, source.Port())
	b = binary.BigEndian.AppendUint16(b, destination.Port())
	return append(b, p.TLVs...)
}

// appendProxyV1 appends the header of version 1 for two addresses of one family (section 2.1).
func appendProxyV1(b []byte, source, destination netip.AddrPort) []byte {
	if source.Addr().Is4() {
		b = append(b, "PROXY TCP4 "...)
	} else {
		b = append(b, "PROXY TCP6 "...)
	}
	b = append(source.Addr().AppendTo(b), ' ')
	b = append(destination.Addr().AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(source.Port()), 10), ' ')
	return append(strconv.AppendUint(b, uint64(destination.Port()), 10), "\r\n"...)
}

// ProxyHeaderOf returns what connections to a host begin with, by its labels and those of its locality, which may be nil; nil for nothing.
func (c *Cluster) ProxyHeaderOf(host, locality *Labels) *ProxyHeader {
	if i := FindSocket(len(c.SocketMatches), func(i int) *Labels { return &c.SocketMatches[i].Match }, host, locality); i >= 0 {
		return c.SocketMatches[i].ProxyHeader
	}
	return c.ProxyHeader
}

// SameAs reports whether two headers say the same of the same addresses; either may be nil for none.
func (p *ProxyHeader) SameAs(other *ProxyHeader) bool {
	return p == other || p != nil && other != nil && *p == *other
}
