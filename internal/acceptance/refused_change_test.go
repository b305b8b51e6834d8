package acceptance

import (
	"net"
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestRefusedChange holds that nothing of a change is in force that could not be made as a whole: one of its listeners cannot listen.
func TestRefusedChange(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.Overlay = &config.Overlay{RateLimits: map[string]config.RateLimit{"all /": {RequestsPerSecond: 1, BurstSize: 2}}}
	p := s.Start(t)
	c := p.Dial()
	if r := c.Get("/"); r.Status != 200 {
		t.Fatalf("status %d", r.Status)
	}
	changes := p.ClusterStat("membership_change")

	closed := harness.Cluster(harness.ClusterName, origin.Addr(), netip.MustParseAddrPort("127.0.0.1:9"))
	closed.Breakers.MaxRequests = 0
	closed.HighBreakers.MaxRequests = 0
	stuck := harness.Listener(harness.Direct("/", 200, ""))
	address := netip.MustParseAddrPort(taken.Addr().String())
	stuck.Name, stuck.Address = "stuck", config.Address{IP: address.Addr().String(), Port: uint32(address.Port())}
	d := config.Delta{Overlay: &config.Overlay{}}
	d.Clusters.Set = map[string]*config.Cluster{harness.ClusterName: closed}
	d.Listeners.Set = map[string]*config.Listener{"stuck": stuck}
	if err := p.Server.Store().Apply(config.SourceFile, d); err == nil {
		t.Fatal("a listener got an address that was taken")
	}
	if got := p.ClusterStat("membership_total"); got != 1 {
		t.Errorf("membership_total is %d, want 1 as before", got)
	}
	if got := p.ClusterStat("membership_change"); got != changes {
		t.Errorf("membership_change is %d, want %d as before", got, changes)
	}
	other := harness.Cluster("other", origin.Addr())
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"other": other}}})
	if r := c.Get("/"); r.Status != 200 {
		t.Errorf("status %d for the second token of the bucket: the breakers of a refused change are in force", r.Status)
	}
	if r := c.Get("/"); r.Status != 429 {
		t.Errorf("status %d, want 429: the bucket was filled again by a refused change", r.Status)
	}
}
