package acceptance

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestTrustedHops holds that the client's address is what the last trusted proxy noted, and the peer's without one.
func TestTrustedHops(t *testing.T) {
	tests := []struct {
		name      string
		hops      uint32
		forwarded string
		want      string
	}{
		{"no hop", 0, "1.1.1.1, 2.2.2.2", "127.0.0.1"},
		{"one hop", 1, "1.1.1.1, 2.2.2.2", "2.2.2.2"},
		{"two hops", 2, "1.1.1.1, 2.2.2.2", "1.1.1.1"},
		{"more hops than entries", 3, "1.1.1.1, 2.2.2.2", "127.0.0.1"},
		{"not an address", 1, "1.1.1.1, unknown", "127.0.0.1"},
		{"a thousand entries", 1, strings.Repeat("1.1.1.1, ", 999) + "2.2.2.2", "2.2.2.2"},
		{"a thousand entries, each trusted", 1000, "3.3.3.3, " + strings.Repeat("1.1.1.1, ", 998) + "2.2.2.2", "3.3.3.3"},
		{"commas alone", 1, strings.Repeat(",", 1000), "127.0.0.1"},
		{"IPv6", 1, "1.1.1.1, 2001:db8::1", "2001:db8::1"},
		{"IPv6 with a scope", 1, "1.1.1.1, fe80::1%eth0", "fe80::1%eth0"},
		{"IPv6 with a scope and nothing", 1, "1.1.1.1, fe80::1%", "127.0.0.1"},
		{"a scope alone", 1, "1.1.1.1, %eth0", "127.0.0.1"},
		{"IPv4 in IPv6", 1, "1.1.1.1, ::ffff:2.2.2.2", "::ffff:2.2.2.2"},
		{"IPv4 in IPv6, in full", 1, "1.1.1.1, 0:0:0:0:0:ffff:2.2.2.2", "::ffff:2.2.2.2"},
		{"with a port", 1, "1.1.1.1, 2.2.2.2:80", "127.0.0.1"},
		{"IPv6 with a port", 1, "1.1.1.1, [2001:db8::1]:80", "127.0.0.1"},
		{"IPv6 in brackets", 1, "1.1.1.1, [2001:db8::1]", "127.0.0.1"},
		{"a part of an address", 1, "1.1.1.1, 2.2.2", "127.0.0.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := harness.NewSetup(origin.Addr())
			s.HTTP().UseRemoteAddress = true
			s.HTTP().XFFNumTrustedHops = test.hops
			p := s.Start(t)
			p.Dial().Get("/", "x-forwarded-for: "+test.forwarded)
			got := origin.Requests()[0].Fields
			if a := got.Get("x-envoy-external-address"); a != test.want {
				t.Errorf("x-envoy-external-address is %q, want %q", a, test.want)
			}
			if f := got.Get("x-forwarded-for"); f != test.forwarded+",127.0.0.1" {
				t.Errorf("x-forwarded-for is %q", f)
			}
		})
	}
}
