package config

import "testing"

func TestHealthOf(t *testing.T) {
	at := Address{IP: "192.0.2.1", Port: 80}
	checked := &ClusterHealth{Hosts: map[Address]HostHealth{at: DegradedActiveHC}}
	none := &ClusterHealth{}
	plain, with := &Cluster{}, &Cluster{HealthCheck: &HealthCheck{}}
	patient := &Cluster{HealthCheck: &HealthCheck{}, IgnoreNewHosts: true}
	e, disabled := &Endpoint{Address: at}, &Endpoint{Address: at, HealthCheck: EndpointHealthCheck{Disabled: true}}
	for _, tc := range []struct {
		name     string
		cluster  *Cluster
		checked  *ClusterHealth
		endpoint *Endpoint
		want     HostHealth
		excluded bool
	}{
		{"without a check", plain, checked, e, 0, false},
		{"checked", with, checked, e, DegradedActiveHC, false},
		{"not yet", with, none, e, FailedActiveHC, false},
		{"none of the cluster yet", with, nil, e, FailedActiveHC, false},
		{"not yet, new hosts are ignored", patient, none, e, FailedActiveHC | PendingActiveHC, true},
		{"checked, new hosts are ignored", patient, checked, e, DegradedActiveHC, false},
		{"disabled", with, checked, disabled, 0, false},
		{"disabled, not checked", patient, nil, disabled, 0, false},
	} {
		if got := tc.cluster.HealthOf(tc.checked, tc.endpoint); got != tc.want || got.Excluded() != tc.excluded {
			t.Errorf("%s: %b, excluded %v, want %b, %v", tc.name, got, got.Excluded(), tc.want, tc.excluded)
		}
	}
}

func TestCheckedAt(t *testing.T) {
	for _, tc := range []struct {
		check EndpointHealthCheck
		want  string
	}{
		{EndpointHealthCheck{}, "192.0.2.1:80"},
		{EndpointHealthCheck{Port: 81}, "192.0.2.1:81"},
		{EndpointHealthCheck{IP: "2001:db8::1"}, "[2001:db8::1]:80"},
		{EndpointHealthCheck{IP: "192.0.2.2", Port: 82}, "192.0.2.2:82"},
	} {
		e := Endpoint{Address: Address{IP: "192.0.2.1", Port: 80}, HealthCheck: tc.check}
		if got := e.CheckedAt().String(); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.check, got, tc.want)
		}
	}
}

// TestHealthIsASourceOfItsOwn holds that what checks find outlives updates of what is checked.
func TestHealthIsASourceOfItsOwn(t *testing.T) {
	s := NewStore(accept)
	h := &ClusterHealth{}
	a, b := &Cluster{Name: "a"}, &Cluster{Name: "b"}
	must(t, s.Apply(SourceXDS, Delta{Clusters: Changes[*Cluster]{Set: map[string]*Cluster{"a": a, "b": b}}}))
	must(t, s.Apply(SourceHealth, Delta{Health: map[*Cluster]*ClusterHealth{a: h, b: h}}))
	must(t, s.Apply(SourceXDS, Delta{Endpoints: Changes[*ClusterLoadAssignment]{Set: map[string]*ClusterLoadAssignment{"a": {}}}}))
	must(t, s.Apply(SourceHealth, Delta{Health: map[*Cluster]*ClusterHealth{b: nil}}))
	if now := s.Current(); now.Health[a] != h || len(now.Health) != 1 || now.Clusters["a"] != a {
		t.Errorf("health %v, clusters %v", now.Health, now.Clusters)
	}
}
