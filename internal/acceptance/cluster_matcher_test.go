package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestClusterMatcher has a matcher pick the cluster of each request: by a field, or else by its path, or none.
func TestClusterMatcher(t *testing.T) {
	leads := func(i int) config.RouteOutcome { return config.RouteOutcome{First: i, End: i + 1} }
	setup := func() *harness.Setup {
		s := harness.NewSetup()
		s.Clusters = nil
		for _, name := range []string{"a", "b"} {
			s.Clusters = append(s.Clusters, harness.Cluster(name, answering(t, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"+name)))
		}
		forward := s.Route(0).Forward
		forward.Clusters = []config.WeightedCluster{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "gone", Weight: 1}}
		forward.ClusterNotFoundStatus = 404
		forward.ClusterMatcher = &config.RouteMatcher{
			Branches: []config.RouteBranch{{
				When: config.RoutePredicate{Header: &config.HeaderMatcher{
					Name: ":path", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringPrefix, Value: "/none"},
				}},
				Then: config.RouteOutcome{Matcher: &config.RouteMatcher{
					Tree: &config.RouteTree{Header: "x-none", Outcomes: map[string]config.RouteOutcome{"1": leads(2)}}, Otherwise: &config.RouteOutcome{},
				}},
			}},
			Tree: &config.RouteTree{Header: "x-c", Outcomes: map[string]config.RouteOutcome{"b": leads(1)}}, Otherwise: new(leads(0)),
		}
		return s
	}
	tests := []struct {
		path, field, want string
	}{
		{"/", "x-c: b", "b"}, {"/", "x-c: c", "a"}, {"/", "x-d: b", "a"},
		{"/none", "x-none: 1", ""}, // a cluster that there is not
		{"/none", "x-c: b", ""},    // nowhere
	}
	p := setup().Start(t)
	c := p.Dial()
	for _, test := range tests {
		resp := c.Get(test.path, test.field)
		if status := map[bool]int{true: 404, false: 200}[test.want == ""]; resp.Status != status || resp.Body != test.want {
			t.Errorf("%s, %s: %d %q, want %q", test.path, test.field, resp.Status, resp.Body, test.want)
		}
	}
	if n := p.HTTPStat("no_cluster"); n != 2 {
		t.Errorf("no_cluster is %d, want 2", n)
	}

	s := setup()
	s.Overlay = &config.Overlay{Weights: map[string][]config.WeightedCluster{s.Route(0).Name: {{Name: "b", Weight: 1}}}}
	if resp := s.Start(t).Dial().Get("/"); resp.Body != "b" {
		t.Errorf("got %q where weights are laid over the route, want b", resp.Body)
	}
}
