package inspect

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
)

// The PROXY protocol, as its specification has it: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1
// and 2.2.
const (
	proxyV1Signature = "PROXY "
	proxyV2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxyV1       = 107 // bytes of a header in text form, with CRLF
	proxyV2Fixed     = 16  // signature, version and command, family, length
	proxyV2IPv4      = 12  // bytes of two addresses and ports
	proxyV2IPv6      = 36
)

// ProxyVersions are versions of the PROXY protocol, a set.
type ProxyVersions uint8

// The versions.
const (
	ProxyV1 ProxyVersions = 1 << iota
	ProxyV2
)

// ProxyHeader is what a PROXY header says.
type ProxyHeader struct {
	// Version is the version whose signature the bytes have, 0 as long as that is not known and when it is none.
	Version ProxyVersions
	// Source and Destination are the ends of the connection that the header is about. They are not valid for a connection of
	// the proxy itself (LOCAL), and where the proxy does not know (UNKNOWN).
	Source, Destination netip.AddrPort
	// Length is the length of the header in bytes. What of it is beyond the bytes that were looked at has nothing that matters
	// and is to be skipped when it comes.
	Length int
	// Fault says what is wrong with a header that has a signature, empty when nothing is.
	Fault string
}

// Proxy looks for the header of one of the versions at the beginning of all bytes so far. With Other, ProxyHeader.Fault tells a
// bad header from none.
func Proxy(data []byte, versions ProxyVersions) (h ProxyHeader, verdict Verdict) {
	for _, v := range []struct {
		version   ProxyVersions
		signature string
		parse     func([]byte, *ProxyHeader) Verdict
	}{{ProxyV1, proxyV1Signature, parseProxyV1}, {ProxyV2, proxyV2Signature, parseProxyV2}} {
		n := min(len(data), len(v.signature))
		if versions&v.version == 0 || string(data[:n]) != v.signature[:n] {
			continue
		}
		if n < len(v.signature) {
			return h, More
		}
		h.Version = v.version
		return h, v.parse(data, &h)
	}
	return h, Other
}

// fail notes a fault.
func (h *ProxyHeader) fail(fault string) Verdict {
	h.Fault = fault
	return Other
}

func parseProxyV1(data []byte, h *ProxyHeader) Verdict {
	end := bytes.Index(data[:min(len(data), maxProxyV1)], []byte("\r\n"))
	switch {
	case end < 0 && len(data) >= maxProxyV1:
		return h.fail("there is no CRLF in the first 107 bytes")
	case end < 0:
		return More
	}
	h.Length = end + 2
	words := strings.Split(string(data[len(proxyV1Signature):end]), " ")
	if words[0] == "UNKNOWN" {
		return Found
	}
	if len(words) != 5 || words[0] != "TCP4" && words[0] != "TCP6" {
		return h.fail("want TCP4 or TCP6, two addresses and two ports, or UNKNOWN")
	}
	source, sourceOK := proxyV1Address(words[1], words[3], words[0] == "TCP4")
	destination, destinationOK := proxyV1Address(words[2], words[4], words[0] == "TCP4")
	if !sourceOK || !destinationOK {
		return h.fail("an address or port is not one")
	}
	return h.accept(source, destination)
}

// proxyV1Address parses an address and a port in decimal without leading zeros.
func proxyV1Address(ip, port string, v4 bool) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Is4() != v4 || addr.Zone() != "" {
		return netip.AddrPort{}, false
	}
	n := 0
	for i := range len(port) {
		c := port[i]
		if c < '0' || c > '9' || i > 0 && n == 0 {
			return netip.AddrPort{}, false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return netip.AddrPort{}, false
		}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), port != ""
}

func parseProxyV2(data []byte, h *ProxyHeader) Verdict {
	const version, command, family, length = 12, 12, 13, 14
	if len(data) > version && data[version]>>4 != 2 {
		return h.fail("the version is not 2")
	}
	if len(data) < proxyV2Fixed {
		return More
	}
	n := int(binary.BigEndian.Uint16(data[length:]))
	h.Length = proxyV2Fixed + n
	addresses := 0
	switch {
	case data[command]&0xf == 0: // LOCAL: a connection of the proxy itself
		return Found
	case data[command]&0xf != 1:
		return h.fail("the command is neither LOCAL nor PROXY")
	case data[family] == 0x11:
		addresses = proxyV2IPv4
	case data[family] == 0x21:
		addresses = proxyV2IPv6
	default:
		return h.fail("the family is neither TCP over IPv4 nor TCP over IPv6")
	}
	if n < addresses {
		return h.fail("the header is too short for its addresses")
	}
	if len(data) < proxyV2Fixed+addresses {
		return More
	}
	body := data[proxyV2Fixed : proxyV2Fixed+addresses]
	size := (addresses - 4) / 2
	source, _ := netip.AddrFromSlice(body[:size])
	destination, _ := netip.AddrFromSlice(body[size : 2*size])
	return h.accept(netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(body[2*size:])),
		netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(body[2*size+2:])))
}

// accept takes the addresses, unless they cannot be those of a connection.
func (h *ProxyHeader) accept(source, destination netip.AddrPort) Verdict {
	for _, a := range []netip.Addr{source.Addr(), destination.Addr()} {
		if a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return h.fail("an address is not that of a host")
		}
	}
	h.Source, h.Destination = source, destination
	return Found
}
