package acceptance

import (
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// aggregateOf returns an aggregate of the name that routes lead to.
func aggregateOf(members ...string) *config.Cluster {
	k := harness.Cluster(harness.ClusterName)
	k.Type, k.Members = config.ClusterAggregate, members
	return k
}

// TestAggregate holds that the requests to an aggregate go to its first member that has hosts, with that member's own settings and
// statistics, and that they move over and back as members come, fail and go.
func TestAggregate(t *testing.T) {
	hosts := make(map[string]netip.AddrPort)
	for _, name := range []string{"first", "second"} {
		hosts[name] = harness.NewOrigin(t, func(p *harness.Peer) {
			for {
				if _, ok := p.ReadRequest(); !ok || !p.Write(harness.OK(name)) {
					return
				}
			}
		}).Addr()
	}
	s := harness.NewSetup()
	s.Clusters = []*config.Cluster{aggregateOf("first", "unknown", "second")}
	p := s.Start(t)
	c := p.Dial()
	apply := func(name string, k *config.Cluster) {
		t.Helper()
		changes := config.Changes[*config.Cluster]{}
		if k == nil {
			changes.Remove = []string{name}
		} else {
			changes.Set = map[string]*config.Cluster{name: k}
		}
		p.Apply(config.Delta{Clusters: changes})
	}
	want := func(what, body string) {
		t.Helper()
		if got := c.Get("/").Body; got != body {
			t.Errorf("%s: %q, want %q", what, got, body)
		}
	}
	want("no member exists", "no healthy upstream")
	apply("second", harness.Cluster("second", hosts["second"]))
	want("the second exists", "second")
	apply("first", harness.Cluster("first", hosts["first"]))
	want("both exist", "first")
	down := harness.Cluster("first", hosts["first"])
	down.Assignment.Localities[0].Endpoints[0].Health = config.HealthUnhealthy
	apply("first", down)
	want("the first is down", "second")
	apply("first", harness.Cluster("first", hosts["first"]))
	want("the first is back", "first")
	apply("first", nil)
	want("the first has gone", "second")
	apply("c", aggregateOf("first"))
	want("the second is no member", "no healthy upstream")
	apply("c", harness.Cluster("c", hosts["first"]))
	want("it is no aggregate any more", "first")
	for name, count := range map[string]uint64{"cluster.second.upstream_rq_total": 3, "cluster.c.upstream_rq_total": 1} {
		if got := p.Stat(name); got != count {
			t.Errorf("%s is %d, want %d", name, got, count)
		}
	}
	if n := p.ClusterStat("upstream_cx_none_healthy"); n != 2 {
		t.Errorf("upstream_cx_none_healthy is %d, want 2", n)
	}
}

// TestAggregateTCP holds that connections of a TCP proxy go to members too.
func TestAggregateTCP(t *testing.T) {
	origin := harness.NewOrigin(t, reverse)
	s := tcpSetup()
	s.Clusters = []*config.Cluster{aggregateOf("m"), harness.Cluster("m", origin.Addr())}
	p := s.Start(t)
	c := p.Dial()
	c.Send("abc")
	c.CloseWrite()
	if got := c.ReadAll(); got != "cba" {
		t.Errorf("got %q", got)
	}
}
