package config

import "testing"

// TestReaches holds that a change of anything that a cluster is given reaches it, and one of what others are given does not.
func TestReaches(t *testing.T) {
	own := ConfigSource{Path: "endpoints.yaml"}
	eds := &Cluster{Name: "eds", Type: ClusterEDS, EDSName: "service"}
	filed := &Cluster{Name: "filed", Type: ClusterEDS, EDSName: "service", EDS: Discovery{Source: own}}
	dns := &Cluster{Name: "dns", Type: ClusterStrictDNS}
	secure := &Cluster{Name: "secure", TLS: &UpstreamTLS{}}
	assignments := func(name string) Changes[*ClusterLoadAssignment] {
		return Changes[*ClusterLoadAssignment]{Set: map[string]*ClusterLoadAssignment{name: {}}}
	}
	tests := map[string]struct {
		d    Delta
		want []*Cluster
	}{
		"nothing":                 {Delta{}, nil},
		"listener":                {Delta{Listeners: Changes[*Listener]{Set: map[string]*Listener{"eds": {}}}}, nil},
		"cluster":                 {Delta{Clusters: Changes[*Cluster]{Set: map[string]*Cluster{"dns": dns}}}, []*Cluster{dns}},
		"all clusters":            {Delta{Clusters: Changes[*Cluster]{Replace: true}}, []*Cluster{eds, filed, dns, secure}},
		"endpoints":               {Delta{Endpoints: assignments("service")}, []*Cluster{eds}},
		"endpoints of own source": {Delta{Endpoints: assignments(own.Key("service"))}, []*Cluster{filed}},
		"endpoints are removed":   {Delta{Endpoints: Changes[*ClusterLoadAssignment]{Remove: []string{"service"}}}, []*Cluster{eds, filed}},
		"endpoints of another":    {Delta{Endpoints: assignments("eds")}, nil},
		"addresses":               {Delta{Resolved: map[*Cluster]*ClusterLoadAssignment{dns: {}}}, []*Cluster{dns}},
		"addresses of a non-DNS":  {Delta{Resolved: map[*Cluster]*ClusterLoadAssignment{eds: {}}}, nil},
		"health":                  {Delta{Health: map[*Cluster]*ClusterHealth{eds: {}}}, []*Cluster{eds}},
		"ejected":                 {Delta{Ejected: Changes[map[Address]bool]{Set: map[string]map[Address]bool{"filed": {}}}}, []*Cluster{filed}},
		"secret":                  {Delta{Secrets: Changes[*Secret]{Set: map[string]*Secret{"s": {}}}}, []*Cluster{secure}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			want := make(map[*Cluster]bool)
			for _, c := range tc.want {
				want[c] = true
			}
			for _, c := range []*Cluster{eds, filed, dns, secure} {
				if got := tc.d.Reaches(c); got != want[c] {
					t.Errorf("%s is reached: %v", c.Name, got)
				}
			}
		})
	}
}
