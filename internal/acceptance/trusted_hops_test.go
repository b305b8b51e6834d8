package acceptance

import (
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
