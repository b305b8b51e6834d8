package config

import (
	"errors"
	"strings"
	"testing"
)

func accept(_, _ *Snapshot, _ *Delta) error { return nil }

func TestFileWinsOverXDS(t *testing.T) {
	s := NewStore(accept)
	fromFile, fromXDS := &Cluster{Name: "a"}, &Cluster{Name: "a", AddedViaAPI: true}
	must(t, s.Apply(SourceXDS, Delta{Clusters: Changes[*Cluster]{Set: map[string]*Cluster{"a": fromXDS, "b": fromXDS}}}))
	must(t, s.Apply(SourceFile, Delta{Clusters: Changes[*Cluster]{Set: map[string]*Cluster{"a": fromFile}}}))
	if s.Current().Clusters["a"] != fromFile {
		t.Error("the file's cluster did not win")
	}
	must(t, s.Apply(SourceFile, Delta{Clusters: Changes[*Cluster]{Remove: []string{"a"}}}))
	if s.Current().Clusters["a"] != fromXDS {
		t.Error("the xDS cluster did not come back once the file let go of it")
	}
	must(t, s.Apply(SourceXDS, Delta{Clusters: Changes[*Cluster]{Replace: true}}))
	if n := len(s.Current().Clusters); n != 0 {
		t.Errorf("%d clusters left, want none", n)
	}
}

func TestRefusedChangeLeavesEverything(t *testing.T) {
	refuse := errors.New("cannot bind")
	var answer error
	s := NewStore(func(_, _ *Snapshot, _ *Delta) error { return answer })
	l := &Listener{Name: "l", Address: Address{IP: "127.0.0.1", Port: 80}}
	must(t, s.Apply(SourceFile, Delta{Listeners: Changes[*Listener]{Set: map[string]*Listener{"l": l}}}))
	before := s.Current()

	answer = refuse
	err := s.Apply(SourceXDS, Delta{Routes: Changes[*RouteConfiguration]{Set: map[string]*RouteConfiguration{"r": {}}}})
	if !errors.Is(err, refuse) || s.Current() != before {
		t.Errorf("err = %v, snapshot kept = %v", err, s.Current() == before)
	}
	answer = nil
	must(t, s.Apply(SourceXDS, Delta{Endpoints: Changes[*ClusterLoadAssignment]{Set: map[string]*ClusterLoadAssignment{"e": {}}}}))
	if len(s.Current().Routes) != 0 {
		t.Error("a refused route configuration came back with the next change")
	}

	clash := &Listener{Name: "m", Address: l.Address}
	err = s.Apply(SourceXDS, Delta{Listeners: Changes[*Listener]{Set: map[string]*Listener{"m": clash}}})
	if err == nil || !strings.Contains(err.Error(), `listener "m": address 127.0.0.1:80 is taken by listener "l"`) {
		t.Errorf("err = %v", err)
	}
}

func TestUntouchedKindsAreShared(t *testing.T) {
	s := NewStore(accept)
	must(t, s.Apply(SourceXDS, Delta{Clusters: Changes[*Cluster]{Set: map[string]*Cluster{"b": {Name: "b"}, "a": {Name: "a"}}}}))
	must(t, s.Apply(SourceModuleService, Delta{Overlay: &Overlay{RateLimits: map[string]RateLimit{"r": {1, 1}}}}))
	must(t, s.Apply(SourceXDS, Delta{Clusters: Changes[*Cluster]{Remove: []string{"b"}}}))
	now := s.Current()
	if now.Generation != 3 || len(now.Clusters) != 1 || len(now.Overlay.RateLimits) != 1 {
		t.Errorf("snapshot = %+v", now)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
