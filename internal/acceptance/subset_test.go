package acceptance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// versions divides hosts by the label "version".
func versions(fallback config.SubsetFallback) *config.Subsets {
	return &config.Subsets{Fallback: fallback, Selectors: []config.SubsetSelector{{Keys: []string{"version"}}}}
}

func versionLabels(version string) config.Labels {
	return config.Labels{Values: map[string]string{"version": `"` + version + `"`}}
}

func subsetLabels(version string) *config.SubsetLabels {
	return &config.SubsetLabels{Labels: versionLabels(version)}
}

func wantsVersion(version string) *config.MetadataMatch {
	return &config.MetadataMatch{Labels: versionLabels(version)}
}

// versionSetup returns a cluster with a host of each version that answers with it, and a route to each by path.
func versionSetup(t *testing.T, list ...string) *harness.Setup {
	s := harness.NewSetup()
	var routes []*config.Route
	for _, v := range list {
		h := answering(t, harness.OK(v))
		s.Clusters[0].Assignment.Localities[0].Endpoints = append(s.Clusters[0].Assignment.Localities[0].Endpoints, config.Endpoint{
			Address: config.Address{IP: h.Addr().String(), Port: uint32(h.Port())}, Weight: 1, SubsetLabels: subsetLabels(v),
		})
		r := harness.Forward("/"+v, "c")
		r.Forward.Match = wantsVersion(v)
		routes = append(routes, r)
	}
	s.Clusters[0].Subsets = versions(config.SubsetNone)
	s.SetRoutes(append(routes, harness.Forward("/", "c"))...)
	return s
}

// answersOf returns what clients get for a path, in order and each once.
func answersOf(p *harness.Proxy, path string) string {
	var got []string
	for range 3 {
		c := p.Dial()
		for range 8 {
			resp := c.Get(path)
			got = append(got, fmt.Sprint(resp.Status, " ", resp.Body))
		}
		c.Close()
	}
	slices.Sort(got)
	return strings.Join(slices.Compact(got), ", ")
}

// TestSubsetsOfRoutes holds that routes get the hosts that they want on all workers, and still do when routes, hosts or the way in
// which hosts are divided change.
func TestSubsetsOfRoutes(t *testing.T) {
	s := versionSetup(t, "v1", "v2")
	s.Workers = 2
	p := s.Start(t)
	check := func(what, path, want string) {
		t.Helper()
		if got := answersOf(p, path); got != want {
			t.Errorf("%s: %s gets %q, want %q", what, path, got, want)
		}
	}
	const none = "503 no healthy upstream"
	check("at first", "/v1", "200 v1")
	check("at first", "/v2", "200 v2")
	check("at first", "/", none)
	if n := p.ClusterStat("lb_subsets_active"); n != 2 {
		t.Errorf("lb_subsets_active is %d, want 2", n)
	}

	apply := func(change func(*config.Cluster)) {
		k := *s.Clusters[0]
		a := *k.Assignment
		a.Localities = []config.LocalityEndpoints{{Endpoints: slices.Clone(a.Localities[0].Endpoints)}}
		k.Assignment = &a
		change(&k)
		s.Clusters[0] = &k
		p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"c": &k}}})
	}
	apply(func(k *config.Cluster) { k.Subsets = versions(config.SubsetAny) })
	check("with a fallback", "/v1", "200 v1")
	check("with a fallback", "/", "200 v1, 200 v2")
	apply(func(k *config.Cluster) {
		e := k.Assignment.Localities[0].Endpoints
		e[0].SubsetLabels, e[1].SubsetLabels = e[1].SubsetLabels, subsetLabels("v3")
	})
	check("with other labels", "/v2", "200 v1")
	check("with other labels", "/v1", "200 v1, 200 v2")
	for name, want := range map[string]uint64{"lb_subsets_active": 2, "lb_subsets_created": 3, "lb_subsets_removed": 1} {
		if n := p.ClusterStat(name); n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}

	l := *s.Listener
	chain, manager := *l.Default, *l.Default.HTTP
	l.Default, chain.HTTP = &chain, &manager
	three := harness.Forward("/v3", "c")
	three.Forward.Match = wantsVersion("v3")
	manager.Routes = harness.Routes(three, harness.Forward("/", "c"))
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{l.Name: &l}}})
	check("with other routes", "/v3", "200 v2")
	check("with other routes", "/v1", "200 v1, 200 v2")

	apply(func(k *config.Cluster) { k.Subsets = nil })
	check("undivided", "/v3", "200 v1, 200 v2")
	if n := p.ClusterStat("lb_subsets_active"); n != 0 {
		t.Errorf("undivided: lb_subsets_active is %d", n)
	}
	apply(func(k *config.Cluster) { k.Subsets = versions(config.SubsetNone) })
	check("divided again", "/v3", "200 v2")
	check("divided again", "/", none)
}

// TestSubsetsOfSplit holds that a cluster of a split has its own hosts, or else those of its route.
func TestSubsetsOfSplit(t *testing.T) {
	s := versionSetup(t, "v1", "v2", "v3")
	r := harness.Forward("/", "c")
	r.Forward.Match = wantsVersion("v3")
	r.Forward.Clusters = []config.WeightedCluster{{Name: "c", Weight: 1, Match: wantsVersion("v1")}, {Name: "c", Weight: 1}}
	s.SetRoutes(r)
	p := s.Start(t)
	if got := answersOf(p, "/"); got != "200 v1, 200 v3" {
		t.Errorf("got %q, want v1 and v3", got)
	}
}

// TestSubsetsOfAggregate holds that what a route wants holds for the members of an aggregate.
func TestSubsetsOfAggregate(t *testing.T) {
	s := versionSetup(t, "v1", "v2")
	s.Clusters = append(s.Clusters, harness.Cluster("all"))
	all := s.Clusters[1]
	all.Type, all.Members, all.Assignment = config.ClusterAggregate, []string{"c"}, &config.ClusterLoadAssignment{Name: "all", Overprovision: 140}
	r := harness.Forward("/", "all")
	r.Forward.Match = wantsVersion("v2")
	s.SetRoutes(r)
	if got := answersOf(s.Start(t), "/"); got != "200 v2" {
		t.Errorf("got %q, want v2", got)
	}
}

// TestSubsetsOfTCP holds that connections of a TCP proxy go to the hosts that it wants, and those of a split to their own.
func TestSubsetsOfTCP(t *testing.T) {
	greeting := func(text string) netip.AddrPort {
		return harness.NewOrigin(t, func(p *harness.Peer) { p.Write(text) }).Addr()
	}
	s := tcpSetup(greeting("v1"), greeting("v2"), greeting("v3"))
	s.Clusters[0].Subsets = versions(config.SubsetNone)
	for i, e := range s.Clusters[0].Assignment.Localities[0].Endpoints {
		e.SubsetLabels = subsetLabels(fmt.Sprint("v", i+1))
		s.Clusters[0].Assignment.Localities[0].Endpoints[i] = e
	}
	s.TCP().Match = wantsVersion("v2")
	s.TCP().Clusters = []config.WeightedCluster{{Name: "c", Weight: 1}, {Name: "c", Weight: 1, Match: wantsVersion("v3")}}
	p := s.Start(t)
	got := make(map[string]bool)
	for range 40 {
		got[p.Dial().ReadAll()] = true
	}
	if len(got) != 2 || !got["v2"] || !got["v3"] {
		t.Errorf("got %v, want v2 and v3", got)
	}
}

// TestTooManySubsets holds that there is a limit to what routes may want of a cluster whose hosts are divided.
func TestTooManySubsets(t *testing.T) {
	s := versionSetup(t, "v1")
	p := s.Start(t)
	l := *s.Listener
	chain, manager := *l.Default, *l.Default.HTTP
	l.Default, chain.HTTP = &chain, &manager
	var routes []*config.Route
	for i := range 1025 {
		r := harness.Forward(fmt.Sprint("/", i), "c")
		r.Forward.Match = wantsVersion(fmt.Sprint(i))
		routes = append(routes, r)
	}
	manager.Routes = harness.Routes(routes...)
	delta := config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{l.Name: &l}}}
	err := p.Server.Store().Apply(config.SourceFile, delta)
	if want := `cluster "c": routes want 1025 subsets of it by metadata_match, at most 1024 are allowed`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := answersOf(p, "/v1"); got != "200 v1" {
		t.Errorf("after it was refused: %q", got)
	}
}
