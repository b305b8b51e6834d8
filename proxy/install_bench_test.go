package proxy

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// manyClusters is the size of a large installation.
const manyClusters = 10_000

func assignment(name string, n int) *config.ClusterLoadAssignment {
	var endpoints []config.Endpoint
	for i := range n {
		endpoints = append(endpoints, config.Endpoint{Address: config.Address{IP: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), Port: 80}, Weight: 1})
	}
	return &config.ClusterLoadAssignment{Name: name, Overprovision: 140, Localities: []config.LocalityEndpoints{{Endpoints: endpoints}}}
}

// BenchmarkInstall measures how long a large configuration takes until every worker serves it: all of it, and a change of
// one cluster's endpoints.
func BenchmarkInstall(b *testing.B) {
	clusters := make(map[string]*config.Cluster)
	endpoints := make(map[string]*config.ClusterLoadAssignment)
	host := &config.VirtualHost{Name: "all", Domains: []string{"*"}}
	for i := range manyClusters {
		name := fmt.Sprintf("cluster-%d", i)
		clusters[name] = &config.Cluster{Name: name, Type: config.ClusterEDS, EDSName: name, BufferLimit: 1 << 20, ChoiceCount: 2, PanicThreshold: 50}
		endpoints[name] = assignment(name, 5)
		host.Routes = append(host.Routes, &config.Route{
			Name:    name,
			Match:   config.RouteMatch{Path: fmt.Sprintf("/service/%d/", i), CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}},
			Forward: &config.Forward{Clusters: []config.WeightedCluster{{Name: name, Weight: 1}}, Timeout: time.Second},
		})
	}
	listener := &config.Listener{Name: "l", Address: config.Address{IP: "127.0.0.1"}, Default: &config.FilterChain{HTTP: &config.HTTPConnectionManager{
		StatPrefix: "l", RouteConfigName: "r"}}}
	all := config.Delta{
		Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{"l": listener}},
		Routes:    config.Changes[*config.RouteConfiguration]{Set: map[string]*config.RouteConfiguration{"r": {Name: "r", VirtualHosts: []*config.VirtualHost{host}}}},
		Clusters:  config.Changes[*config.Cluster]{Set: clusters},
		Endpoints: config.Changes[*config.ClusterLoadAssignment]{Set: endpoints},
	}
	b.Run("everything", func(b *testing.B) {
		for b.Loop() {
			s := newBenchServer(b)
			apply(b, s, all)
			b.StopTimer()
			s.Close()
			b.StartTimer()
		}
	})
	b.Run("one-endpoint", func(b *testing.B) {
		s := newBenchServer(b)
		defer s.Close()
		apply(b, s, all)
		for n := 1; b.Loop(); n++ {
			apply(b, s, config.Delta{Endpoints: config.Changes[*config.ClusterLoadAssignment]{
				Set: map[string]*config.ClusterLoadAssignment{"cluster-7": assignment("cluster-7", 5+n%2)},
			}})
		}
	})
}

func newBenchServer(b *testing.B) *Server {
	b.Helper()
	s, err := NewServer(Options{Workers: 2, Logger: zap.NewNop(), Stats: stats.NewStore(stats.Options{})})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func apply(b *testing.B, s *Server, d config.Delta) {
	b.Helper()
	if err := s.Store().Apply(config.SourceXDS, d); err != nil {
		b.Fatal(err)
	}
}
