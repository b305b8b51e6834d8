package acceptance

import (
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// withMore gives the host of the setup further addresses.
func withMore(s *harness.Setup, more ...netip.AddrPort) {
	list := &config.MoreAddresses{}
	for _, at := range more {
		list.List = append(list.List, config.Address{IP: at.Addr().String(), Port: uint32(at.Port())})
	}
	s.Clusters[0].Assignment.Localities[0].Endpoints[0].Additional = list
}

// TestHappyEyeballs has a host that answers at the second of its addresses, or the third, or at none. It is one connection, whatever
// is tried for it.
func TestHappyEyeballs(t *testing.T) {
	for name, test := range map[string]struct {
		refusals int
		answers  bool
	}{"the first": {0, true}, "the second": {1, true}, "the third": {2, true}, "none": {3, false}} {
		for version, protocol := range map[string]config.Protocol{"HTTP/1": config.ProtocolHTTP1, "HTTP/2": config.ProtocolHTTP2} {
			t.Run(name+"/"+version, func(t *testing.T) {
				teller, _ := newTeller(t, "127.0.0.1:0")
				var at []netip.AddrPort
				for range test.refusals {
					at = append(at, closedPort(t))
				}
				for len(at) < 3 {
					at = append(at, teller)
				}
				s := harness.NewSetup(at[0])
				withMore(s, at[1:]...)
				s.Clusters[0].Protocol, s.Clusters[0].HTTP2 = protocol, config.DefaultHTTP2()
				p := s.Start(t)
				resp := p.Dial().Get("/")
				if status := map[bool]int{true: 200, false: 503}[test.answers]; resp.Status != status {
					t.Errorf("got %q", resp.Raw)
				}
				failed := map[bool]uint64{true: 0, false: 1}[test.answers]
				wantStats(t, p, map[string]uint64{"upstream_cx_total": 1, "upstream_cx_connect_fail": failed})
			})
		}
	}
}

// TestHappyEyeballsFamilies has a host of both families, whose sockets begin at an address of each, and tells which comes first.
func TestHappyEyeballsFamilies(t *testing.T) {
	v4, _ := newTeller(t, "127.0.0.1:0")
	v6, _ := newTeller(t, "[::1]:0")
	for want, order := range map[string]config.HappyEyeballs{"127.0.0.2": {}, "::1": {First: config.FamilyIPv6}} {
		s := harness.NewSetup(v4)
		withMore(s, v6)
		s.Clusters[0].HappyEyeballs, s.Clusters[0].Bind = order, bindTo("127.0.0.2:0", "[::1]:0")
		if resp := s.Start(t).Dial().Get("/"); resp.Body != want {
			t.Errorf("asked from %q, want %s", resp.Body, want)
		}
	}
}

// TestHappyEyeballsTCP has what a client sends before the host is there arrive at the second address.
func TestHappyEyeballsTCP(t *testing.T) {
	teller, _ := newTeller(t, "127.0.0.1:0")
	s := tcpSetup(closedPort(t))
	withMore(s, teller)
	if resp := s.Start(t).Dial().Get("/"); resp.Body != "127.0.0.1" {
		t.Errorf("got %q", resp.Raw)
	}
}
