package acceptance

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// inZones returns a cluster with hosts that answer with their zone, as many in each of zones.
func inZones(t *testing.T, name string, zones map[string]int) *config.Cluster {
	k := harness.Cluster(name)
	k.ZoneAware = config.ZoneAware{Enabled: 100, MinClusterSize: 2}
	k.Assignment.Localities = nil
	for _, zone := range []string{"a", "b"} {
		l := config.LocalityEndpoints{Zone: zone}
		for range zones[zone] {
			h := answering(t, harness.OK(zone))
			l.Endpoints = append(l.Endpoints, config.Endpoint{Address: config.Address{IP: h.Addr().String(), Port: uint32(h.Port())}, Weight: 1})
		}
		if len(l.Endpoints) > 0 {
			k.Assignment.Localities = append(k.Assignment.Localities, l)
		}
	}
	return k
}

// peersIn returns the cluster of a proxy and its like; nobody connects to them.
func peersIn(zones ...string) *config.Cluster {
	k := harness.Cluster("proxies")
	k.Assignment.Localities = nil
	for i, zone := range zones {
		k.Assignment.Localities = append(k.Assignment.Localities, config.LocalityEndpoints{Zone: zone,
			Endpoints: []config.Endpoint{{Address: config.Address{IP: "192.0.2.1", Port: uint32(i + 1)}, Weight: 1}}})
	}
	return k
}

// TestZoneAware holds that requests stay in the zone of the proxy as far as its hosts go, on all workers, and follow the proxies that
// there are.
func TestZoneAware(t *testing.T) {
	s := harness.NewSetup()
	s.Workers, s.LocalCluster, s.Locality = 2, "proxies", config.Locality{Zone: "a"}
	s.Clusters = []*config.Cluster{inZones(t, harness.ClusterName, map[string]int{"a": 2, "b": 2}), peersIn("a", "b")}
	p := s.Start(t)
	if got := answersOf(p, "/"); got != "200 a" {
		t.Errorf("with as many hosts as proxies in the zone: %s", got)
	}
	if n := p.ClusterStat("lb_zone_routing_all_directly"); n != 24 {
		t.Errorf("%d requests went directly, want 24", n)
	}
	if n := p.ClusterStat("lb_recalculate_zone_structures"); n != uint64(s.Workers) {
		t.Errorf("zones were found out %d times, want %d", n, s.Workers)
	}
	if n := p.Stat("cluster.proxies.lb_recalculate_zone_structures"); n != 0 {
		t.Errorf("the proxies' own cluster goes by zones: %d", n)
	}

	apply := func(clusters ...*config.Cluster) error {
		set := make(map[string]*config.Cluster)
		for _, k := range clusters {
			set[k.Name] = k
		}
		return p.Server.Store().Apply(config.SourceFile, config.Delta{Clusters: config.Changes[*config.Cluster]{Set: set}})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(apply(peersIn("a", "a", "a", "b"))) // of whom these take 75 % of the traffic, for which there are 50 % of the hosts
	if got := answersOf(p, "/"); got != "200 a, 200 b" {
		t.Errorf("with fewer hosts than proxies in the zone: %s", got)
	}
	if sampled, cross := p.ClusterStat("lb_zone_routing_sampled"), p.ClusterStat("lb_zone_routing_cross_zone"); sampled+cross != 24 || sampled == 0 || cross == 0 {
		t.Errorf("%d requests stayed and %d went elsewhere, want 24 together", sampled, cross)
	}
	must(apply(peersIn("b", "c")))
	if got := answersOf(p, "/"); got != "200 a, 200 b" {
		t.Errorf("without a proxy in the zone: %s", got)
	}
	if n := p.ClusterStat("lb_local_cluster_not_ok"); n != uint64(s.Workers) {
		t.Errorf("lb_local_cluster_not_ok is %d, want %d", n, s.Workers)
	}
	must(apply(peersIn("a", "b")))
	small := *s.Clusters[0]
	small.ZoneAware.MinClusterSize = 5
	must(apply(&small))
	if got := answersOf(p, "/"); got != "200 a, 200 b" {
		t.Errorf("with too few hosts: %s", got)
	}
	if n := p.ClusterStat("lb_zone_cluster_too_small"); n != uint64(s.Workers) {
		t.Errorf("lb_zone_cluster_too_small is %d, want %d", n, s.Workers)
	}

	wrong := peersIn("a", "b")
	wrong.Assignment.Localities[1].Priority = 1
	if err := apply(wrong); err == nil || !strings.Contains(err.Error(), `cluster "proxies": has endpoints of priority 1`) {
		t.Errorf("proxies of two priorities: %v", err)
	}
}

// TestZoneAwareSubset holds that a subset is divided by zones like a cluster of its hosts.
func TestZoneAwareSubset(t *testing.T) {
	s := harness.NewSetup()
	s.LocalCluster, s.Locality = "proxies", config.Locality{Zone: "a"}
	k := inZones(t, harness.ClusterName, map[string]int{"a": 2, "b": 2})
	k.Subsets = versions(config.SubsetNone)
	for _, l := range k.Assignment.Localities {
		for i := range l.Endpoints {
			l.Endpoints[i].SubsetLabels = subsetLabels("v1")
		}
	}
	s.Clusters = []*config.Cluster{k, peersIn("a", "b")}
	r := harness.Forward("/", harness.ClusterName)
	r.Forward.Match = wantsVersion("v1")
	s.SetRoutes(r)
	p := s.Start(t)
	if got := answersOf(p, "/"); got != "200 a" {
		t.Errorf("got %s", got)
	}
}

// TestFailTrafficOnPanic holds that nobody is asked where panic mode is to fail requests.
func TestFailTrafficOnPanic(t *testing.T) {
	s := harness.NewSetup()
	k := inZones(t, harness.ClusterName, map[string]int{"a": 2})
	k.ZoneAware.FailOnPanic = true
	for i := range k.Assignment.Localities[0].Endpoints {
		k.Assignment.Localities[0].Endpoints[i].Health = config.HealthUnhealthy
	}
	s.Clusters = []*config.Cluster{k}
	p := s.Start(t)
	if got := answersOf(p, "/"); got != "503 no healthy upstream" {
		t.Errorf("got %s", got)
	}
	if n := p.ClusterStat("lb_healthy_panic"); n != 24 {
		t.Errorf("lb_healthy_panic is %d, want 24", n)
	}
}
