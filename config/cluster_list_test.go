package config

import (
	"slices"
	"testing"
)

// TestClusterList holds that the list has the clusters of the names after every kind of change, and of a snapshot that no
// Store has made.
func TestClusterList(t *testing.T) {
	s := NewStore(func(_, _ *Snapshot, _ *Delta) error { return nil })
	check := func(what string, now *Snapshot, want ...string) {
		t.Helper()
		if !slices.Equal(now.ClusterNames(), want) {
			t.Errorf("%s: names %q, want %q", what, now.ClusterNames(), want)
		}
		for i, c := range now.ClusterList() {
			if c == nil || c != now.Clusters[want[i]] {
				t.Errorf("%s: cluster %d is %+v, want that of %q", what, i, c, want[i])
			}
		}
	}
	apply := func(source Source, c Changes[*Cluster]) {
		t.Helper()
		if err := s.Apply(source, Delta{Clusters: c}); err != nil {
			t.Fatal(err)
		}
	}
	set := func(names ...string) map[string]*Cluster {
		all := make(map[string]*Cluster)
		for _, name := range names {
			all[name] = &Cluster{Name: name}
		}
		return all
	}
	apply(SourceXDS, Changes[*Cluster]{Set: set("b", "c")})
	check("new", s.Current(), "b", "c")
	apply(SourceXDS, Changes[*Cluster]{Set: set("b")})
	check("one is another, and the names are the same", s.Current(), "b", "c")
	apply(SourceFile, Changes[*Cluster]{Set: set("a", "c")})
	check("one is laid over", s.Current(), "a", "b", "c")
	if err := s.Apply(SourceXDS, Delta{Endpoints: Changes[*ClusterLoadAssignment]{Set: map[string]*ClusterLoadAssignment{"b": {}}}}); err != nil {
		t.Fatal(err)
	}
	check("something else", s.Current(), "a", "b", "c")
	apply(SourceXDS, Changes[*Cluster]{Remove: []string{"b"}})
	check("one is gone", s.Current(), "a", "c")
	check("by hand", &Snapshot{Clusters: set("x", "y")}, "x", "y")
}
