package config

import "testing"

// TestWhatIsKnownOfClusters holds what becomes of answers of DNS and of the health of hosts when clusters come, warm, take the place
// of others, and go.
func TestWhatIsKnownOfClusters(t *testing.T) {
	s := NewStore(accept)
	check := &HealthCheck{}
	made := func(kind ClusterType) *Cluster { return &Cluster{Name: "a", Type: kind, HealthCheck: check} }
	first, second, third := made(ClusterStrictDNS), made(ClusterStrictDNS), made(ClusterStrictDNS)
	set := func(c *Cluster) Changes[*Cluster] { return Changes[*Cluster]{Set: map[string]*Cluster{"a": c}} }
	found := func(c *Cluster) (*ClusterLoadAssignment, *ClusterHealth) {
		a, h := &ClusterLoadAssignment{}, &ClusterHealth{}
		must(t, s.Apply(SourceDNS, Delta{Resolved: map[*Cluster]*ClusterLoadAssignment{c: a}}))
		must(t, s.Apply(SourceHealth, Delta{Health: map[*Cluster]*ClusterHealth{c: h}}))
		return a, h
	}
	want := func(what string, c *Cluster, a *ClusterLoadAssignment, h *ClusterHealth, known int) {
		t.Helper()
		now := s.Current()
		if now.Resolved[c] != a || now.Health[c] != h || len(now.Resolved) != known || len(now.Health) != known {
			t.Errorf("%s: resolved %v, health %v", what, now.Resolved, now.Health)
		}
	}

	must(t, s.Apply(SourceXDS, Delta{Clusters: set(first)}))
	a1, h1 := found(first)
	want("in force", first, a1, h1, 1)
	must(t, s.Apply(SourceXDS, Delta{Warming: set(second)}))
	want("another warms", second, nil, nil, 1)
	a2, h2 := found(second)
	want("it is known", second, a2, h2, 2)
	want("beside it", first, a1, h1, 2)
	must(t, s.Apply(SourceXDS, Delta{Clusters: set(second), Warming: Changes[*Cluster]{Remove: []string{"a"}}}))
	want("it takes the place", second, a2, h2, 1)
	must(t, s.Apply(SourceXDS, Delta{Clusters: set(third)}))
	want("one that did not warm goes on with what is known", third, a2, h2, 1)
	found(first)
	want("news of what has gone", third, a2, h2, 1)
	other := &Cluster{Name: "a", Type: ClusterStatic}
	must(t, s.Apply(SourceXDS, Delta{Clusters: set(other)}))
	want("nothing is to be known of another kind", other, nil, nil, 0)
}
