package inspect_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/listener/inspect"
)

const (
	v2        = "\r\n\r\n\x00\r\nQUIT\n"
	v2IPv4    = "\x0a\x00\x00\x01\x0a\x00\x00\x02\x30\x39\x01\xbb"
	v2IPv6    = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x30\x39\x01\xbb"
	bothKinds = inspect.ProxyV1 | inspect.ProxyV2
)

func TestProxy(t *testing.T) {
	four := [2]string{"10.0.0.1:12345", "10.0.0.2:443"}
	six := [2]string{"[2001:db8::1]:12345", "[2001:db8::2]:443"}
	v1Header := "PROXY TCP6 fdff:f00f:ffff:ffff:ffff:ffff:ffff:ffff fdfe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"
	for _, tt := range []struct {
		data string
		ends [2]string // empty for a connection of the proxy itself
		v    inspect.ProxyVersions
		skip int // bytes of the header that need not have come
	}{
		{"PROXY TCP4 10.0.0.1 10.0.0.2 12345 443\r\n", four, inspect.ProxyV1, 0},
		{"PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n", six, inspect.ProxyV1, 0},
		{v1Header, [2]string{"[fdff:f00f:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[fdfe:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"}, inspect.ProxyV1, 0},
		{"PROXY TCP4 10.0.0.1 10.0.0.2 0 443\r\n", [2]string{"10.0.0.1:0", "10.0.0.2:443"}, inspect.ProxyV1, 0},
		{"PROXY UNKNOWN\r\n", [2]string{}, inspect.ProxyV1, 0},
		{"PROXY UNKNOWN anything at all\r\n", [2]string{}, inspect.ProxyV1, 0},
		{v2 + "\x21\x11\x00\x0c" + v2IPv4, four, inspect.ProxyV2, 0},
		{v2 + "\x21\x21\x00\x24" + v2IPv6, six, inspect.ProxyV2, 0},
		{v2 + "\x21\x11\x00\x0f" + v2IPv4 + "\x04\x00\x00", four, inspect.ProxyV2, 3},
		{v2 + "\x20\x00\x00\x00", [2]string{}, inspect.ProxyV2, 0},
		{v2 + "\x20\x11\x00\x0c" + v2IPv4, [2]string{}, inspect.ProxyV2, 12},
	} {
		want := inspect.ProxyHeader{Version: tt.v, Length: len(tt.data)}
		if tt.ends[0] != "" {
			want.Source, want.Destination = netip.MustParseAddrPort(tt.ends[0]), netip.MustParseAddrPort(tt.ends[1])
		}
		for n := range len(tt.data) - tt.skip {
			if _, verdict := inspect.Proxy([]byte(tt.data[:n]), bothKinds); verdict != inspect.More {
				t.Errorf("%q: %d bytes are enough", tt.data, n)
			}
		}
		for _, data := range []string{tt.data[:len(tt.data)-tt.skip], tt.data, tt.data + "GET / HTTP/1.1\r\n\r\n"} {
			if got, verdict := inspect.Proxy([]byte(data), bothKinds); verdict != inspect.Found || !reflect.DeepEqual(got, want) {
				t.Errorf("%q: got %d, %+v, want %+v", data, verdict, got, want)
			}
		}
		if got, verdict := inspect.Proxy([]byte(tt.data), bothKinds&^tt.v); verdict != inspect.Other || got.Version != 0 {
			t.Errorf("%q, with the other version only: got %d, %+v", tt.data, verdict, got)
		}
	}
}

func TestProxyRefused(t *testing.T) {
	const addresses, number = "want TCP4 or TCP6, two addresses and two ports, or UNKNOWN", "an address or port is not one"
	const notHost = "an address is not that of a host"
	for data, fault := range map[string]string{
		"GET / HTTP/1.1\r\n":                                 "",
		"PROXX":                                              "",
		"\r\n\r\n\x00\r\nQUIX":                               "",
		"PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n":                 addresses,
		"PROXY TCP4  10.0.0.1 10.0.0.2 1 2\r\n":              addresses,
		"PROXY TCP5 10.0.0.1 10.0.0.2 1 2\r\n":               addresses,
		"PROXY TCP4 10.0.0.1 10.0.0.2 1 2 \r\n":              addresses,
		"PROXY tcp4 10.0.0.1 10.0.0.2 1 2\r\n":               addresses,
		"PROXY TCP4 10.0.0.1 10.0.0.2 1 65536\r\n":           number,
		"PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n":              number,
		"PROXY TCP4 10.0.0.1 10.0.0.2 +1 2\r\n":              number,
		"PROXY TCP4 10.0.0.1 10.0.0.256 1 2\r\n":             number,
		"PROXY TCP4 ::1 ::2 1 2\r\n":                         number,
		"PROXY TCP6 10.0.0.1 10.0.0.2 1 2\r\n":               number,
		"PROXY TCP6 fe80::1%e fe80::2 1 2\r\n":               number,
		"PROXY TCP4 0.0.0.0 10.0.0.2 1 2\r\n":                notHost,
		"PROXY TCP4 10.0.0.1 224.0.0.1 1 2\r\n":              notHost,
		"PROXY TCP4 10.0.0.1 255.255.255.255 1 2\r\n":        notHost,
		"PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n": "there is no CRLF in the first 107 bytes",
		"PROXY TCP4 10.0.0.1\n" + strings.Repeat("x", 100):   "there is no CRLF in the first 107 bytes",
		v2 + "\x11":             "the version is not 2",
		v2 + "\x22\x11\x00\x0c": "the command is neither LOCAL nor PROXY",
		v2 + "\x21\x00\x00\x00": "the family is neither TCP over IPv4 nor TCP over IPv6",
		v2 + "\x21\x31\x00\xd8": "the family is neither TCP over IPv4 nor TCP over IPv6",
		v2 + "\x21\x12\x00\x0c": "the family is neither TCP over IPv4 nor TCP over IPv6",
		v2 + "\x21\x11\x00\x0b": "the header is too short for its addresses",
		v2 + "\x21\x21\x00\x23": "the header is too short for its addresses",
		v2 + "\x21\x11\x00\x0c" + strings.Repeat("\x00", 12): notHost,
	} {
		got, verdict := inspect.Proxy([]byte(data), bothKinds)
		if verdict != inspect.Other || got.Fault != fault || got.Source.IsValid() {
			t.Errorf("%q: got %d, %+v, want the fault %q", data, verdict, got, fault)
		}
	}
}

// FuzzProxy holds that more bytes do not change what was decided, and that a header says the same when it is written anew.
func FuzzProxy(f *testing.F) {
	f.Add([]byte("PROXY TCP4 10.0.0.1 10.0.0.2 12345 443\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2 + "\x21\x11\x00\x0c" + v2IPv4))
	f.Add([]byte(v2 + "\x21\x21\x00\x24" + v2IPv6))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, final := inspect.Proxy(data, bothKinds)
		for n := range data {
			if got, verdict := inspect.Proxy(data[:n], bothKinds); verdict != inspect.More && (verdict != final || !reflect.DeepEqual(got, want)) {
				t.Fatalf("after %d bytes %d, %+v; after all %d, %+v", n, verdict, got, final, want)
			}
		}
		if final != inspect.Found || !want.Source.IsValid() || want.Source.Addr().Is4() != want.Destination.Addr().Is4() {
			return
		}
		kind := "TCP6"
		if want.Source.Addr().Is4() {
			kind = "TCP4"
		}
		text := fmt.Sprintf("PROXY %s %s %s %d %d\r\n", kind, want.Source.Addr(), want.Destination.Addr(), want.Source.Port(), want.Destination.Port())
		again, _ := inspect.Proxy([]byte(text), bothKinds)
		if again.Source != want.Source || again.Destination != want.Destination {
			t.Errorf("%q says %s and %s, want %s and %s", text, again.Source, again.Destination, want.Source, want.Destination)
		}
	})
}
