package proxy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func TestEntriesFromRight(t *testing.T) {
	tests := []struct {
		lines []string
		n     int
		want  string
	}{
		{nil, 1, ""},
		{[]string{"1.1.1.1"}, 1, "1.1.1.1"},
		{[]string{"1.1.1.1"}, 2, ""},
		{[]string{"1.1.1.1, 2.2.2.2,3.3.3.3"}, 1, "3.3.3.3"},
		{[]string{"1.1.1.1, 2.2.2.2,3.3.3.3"}, 2, "2.2.2.2"},
		{[]string{"1.1.1.1, 2.2.2.2,3.3.3.3"}, 3, "1.1.1.1"},
		{[]string{"1.1.1.1", "2.2.2.2 , 3.3.3.3"}, 3, "1.1.1.1"},
		{[]string{"1.1.1.1,"}, 1, ""},
	}
	for _, test := range tests {
		var fields message.Fields
		fields.AddRaw([]byte("via"), []byte("9.9.9.9"))
		for _, line := range test.lines {
			fields.Add(message.NameXForwardedFor, []byte(line))
		}
		fields.AddRaw([]byte("x-other"), []byte("8.8.8.8"))
		entries := fromRight(&fields, message.NameXForwardedFor)
		if got := string(entries.skip(test.n - 1)); got != test.want {
			t.Errorf("%q, %d from the right: %q, want %q", test.lines, test.n, got, test.want)
		}
	}
}

// TestOriginalIP holds which address the extensions find, and when it may tell internal requests.
func TestOriginalIP(t *testing.T) {
	hops := func(n uint32) config.OriginalIP { return config.OriginalIP{Hops: n} }
	proxies := config.OriginalIP{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7")}}
	header := config.OriginalIP{Header: "x-real-ip", Trusted: true}
	manyProxies := strings.Repeat("10.0.0.2,", maxTrustedProxies)
	tests := []struct {
		name   string
		config config.OriginalIP
		peer   string
		fields []string // lines of x-forwarded-for, or "name: value"
		want   string   // with "!" when it may tell internal requests
	}{
		{"the only entry", hops(0), "9.9.9.9", []string{"1.1.1.1"}, "1.1.1.1!"},
		{"the last of two", hops(0), "9.9.9.9", []string{"1.1.1.1, 2.2.2.2"}, "2.2.2.2"},
		{"the last of two lines", hops(0), "9.9.9.9", []string{"1.1.1.1", "2.2.2.2"}, "2.2.2.2"},
		{"behind a hop", hops(1), "9.9.9.9", []string{"1.1.1.1, 2.2.2.2"}, "1.1.1.1"},
		{"too few entries", hops(1), "9.9.9.9", []string{"1.1.1.1"}, ""},
		{"no address", hops(0), "9.9.9.9", []string{"1.1.1.1, unknown"}, ""},
		{"nothing", hops(0), "9.9.9.9", nil, ""},

		{"peer is no proxy", proxies, "9.9.9.9", []string{"1.1.1.1"}, ""},
		{"peer without an address", proxies, "", []string{"1.1.1.1"}, ""},
		{"client of a proxy", proxies, "10.0.0.1", []string{"1.1.1.1"}, "1.1.1.1!"},
		{"peer in its IPv6 form", proxies, "::ffff:10.0.0.1", []string{"1.1.1.1"}, "1.1.1.1!"},
		{"client of two proxies", proxies, "10.0.0.1", []string{"6.6.6.6, 1.1.1.1, fc00::1"}, "1.1.1.1"},
		{"over lines, with empty entries", proxies, "10.0.0.1", []string{"6.6.6.6", "1.1.1.1, ,", "fc00::1,"}, "1.1.1.1"},
		{"proxies alone", proxies, "10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3!"},
		{"no address before proxies", proxies, "10.0.0.1", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"nothing from a proxy", proxies, "10.0.0.1", nil, ""},
		{"as many proxies as may be", proxies, "10.0.0.1", []string{"1.1.1.1, " + manyProxies[len("10.0.0.2,"):]}, "1.1.1.1"},
		{"too many proxies", proxies, "10.0.0.1", []string{"1.1.1.1, " + manyProxies}, "10.0.0.2"},

		{"header", header, "9.9.9.9", []string{"x-real-ip: 1.1.1.1"}, "1.1.1.1!"},
		{"first of the headers", header, "9.9.9.9", []string{"x-real-ip: 1.1.1.1", "x-real-ip: 2.2.2.2"}, "1.1.1.1!"},
		{"header of IPv6", header, "9.9.9.9", []string{"x-real-ip: 2001:db8::1"}, "2001:db8::1!"},
		{"header of no address", header, "9.9.9.9", []string{"x-real-ip: a"}, ""},
		{"header with a port", header, "9.9.9.9", []string{"x-real-ip: 1.1.1.1:80"}, ""},
		{"header of two", header, "9.9.9.9", []string{"x-real-ip: 1.1.1.1, 2.2.2.2"}, ""},
		{"no header", header, "9.9.9.9", []string{"1.1.1.1"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := &message.Request{}
			for _, line := range test.fields {
				if name, value, ok := strings.Cut(line, ": "); ok {
					req.Fields.AddRaw([]byte(name), []byte(value))
				} else {
					req.Fields.Add(message.NameXForwardedFor, []byte(line))
				}
			}
			var peer netip.Addr
			if test.peer != "" {
				peer = netip.MustParseAddr(test.peer)
			}
			address, trusted := compileOriginalIPs([]config.OriginalIP{test.config})[0].detect(req, peer)
			got := ""
			if address.IsValid() {
				got = address.String()
				if trusted {
					got += "!"
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
