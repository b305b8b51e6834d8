package config

import (
	"net/netip"
	"testing"
)

// TestProxyHeader writes headers as the examples and tables of the PROXY protocol's specification have them (sections 2.1 and 2.2).
func TestProxyHeader(t *testing.T) {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	v1, v2, fields := ProxyHeader{}, ProxyHeader{V2: true}, ProxyHeader{V2: true, TLVs: "\xe0\x00\x01x"}
	for _, test := range []struct {
		header              ProxyHeader
		source, destination string
		want                string
	}{
		{v1, "192.168.0.1:56324", "192.168.0.11:443", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"},
		{v1, "[::ffff:192.168.0.1]:1", "192.168.0.11:443", "PROXY TCP4 192.168.0.1 192.168.0.11 1 443\r\n"},
		{v1, "[fe80::1%eth0]:1", "[2001:db8::2]:2", "PROXY TCP6 fe80::1 2001:db8::2 1 2\r\n"},
		{v1, "192.0.2.1:1", "[2001:db8::2]:2", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n"},
		{v1, "", "", "PROXY UNKNOWN\r\n"},
		{v1, "192.0.2.1:1", "", "PROXY UNKNOWN\r\n"},
		{v2, "192.0.2.1:258", "192.0.2.2:772", signature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x01\x02\x03\x04"},
		{fields, "192.0.2.1:258", "192.0.2.2:772", signature + "\x21\x11\x00\x10\xc0\x00\x02\x01\xc0\x00\x02\x02\x01\x02\x03\x04\xe0\x00\x01x"},
		{v2, "[::1]:1", "[::2]:2", signature + "\x21\x21\x00\x24" +
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x00\x02"},
		{fields, "", "", signature + "\x20\x00\x00\x00"},
	} {
		var source, destination netip.AddrPort
		if test.source != "" {
			source = netip.MustParseAddrPort(test.source)
		}
		if test.destination != "" {
			destination = netip.MustParseAddrPort(test.destination)
		}
		if got := string(test.header.AppendTo([]byte("before"), source, destination)); got != "before"+test.want {
			t.Errorf("from %q to %q: %q, want %q", test.source, test.destination, got, test.want)
		}
	}
}
