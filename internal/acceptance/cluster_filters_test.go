package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// aborting is a fault that answers every request.
func aborting(status int) *config.Fault {
	return &config.Fault{MaxActive: 10, Status: status, AbortShare: everyRequest}
}

// splitRoute returns a route among two clusters of which the field x-split picks one: the first by 0, the second by 1.
func splitRoute(first, second config.WeightedCluster) *config.Route {
	r := harness.Forward("/", "")
	first.Weight, second.Weight = 1, 1
	r.Forward.Clusters, r.Forward.SplitHeader = []config.WeightedCluster{first, second}, "x-split"
	return r
}

// TestFiltersOfClusters holds that what a cluster of a split says to a filter goes before what its route says, and before all above
// that, and that it is said for requests to that cluster alone.
func TestFiltersOfClusters(t *testing.T) {
	abort := func(status int) config.FilterConfigs { return config.FilterConfigs{"f": {Config: aborting(status)}} }
	off, on := config.FilterConfigs{"f": {Disabled: true}}, config.FilterConfigs{"f": {}}
	type levels struct{ cluster, route, host, table config.FilterConfigs }
	for _, test := range []struct {
		name          string
		says          levels
		off           bool // in the connection manager
		first, second int
	}{
		{"nobody", levels{}, false, 503, 503},
		{"the cluster", levels{cluster: abort(418)}, false, 418, 503},
		{"the cluster goes before the route", levels{cluster: abort(418), route: abort(419)}, false, 418, 419},
		{"the cluster goes before the virtual host", levels{cluster: abort(418), host: abort(420)}, false, 418, 420},
		{"the cluster goes before the route configuration", levels{cluster: abort(418), table: abort(421)}, false, 418, 421},
		{"off for the cluster", levels{cluster: off, route: abort(419)}, false, 200, 419},
		{"off but for the cluster", levels{cluster: abort(418)}, true, 418, 200},
		{"on again for the cluster", levels{cluster: on, route: off}, false, 503, 200},
		{"on again for the cluster, as the virtual host says", levels{cluster: on, route: off, host: abort(420)}, false, 420, 200},
		{"another filter", levels{cluster: config.FilterConfigs{"g": {Config: aborting(418)}}}, false, 503, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
			s.HTTP().Filters = []config.HTTPFilter{{Name: "f", Config: aborting(503), Disabled: test.off}}
			s.SetRoutes(splitRoute(config.WeightedCluster{Name: harness.ClusterName, Filters: test.says.cluster}, config.WeightedCluster{Name: harness.ClusterName}))
			s.Route(0).Filters, s.VirtualHost().Filters, s.HTTP().Routes.Filters = test.says.route, test.says.host, test.says.table
			c := s.Start(t).Dial()
			for split, want := range map[string]int{"0": test.first, "1": test.second} {
				if resp := c.Get("/", "x-split: "+split); resp.Status != want {
					t.Errorf("split %s: got %q, want %d", split, resp.Raw, want)
				}
			}
		})
	}
}

// TestFiltersOfNamedCluster holds the same for a cluster of a split that the request names.
func TestFiltersOfNamedCluster(t *testing.T) {
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.HTTP().Filters = []config.HTTPFilter{{Name: "f", Config: &config.Fault{MaxActive: 10}}}
	s.SetRoutes(splitRoute(
		config.WeightedCluster{Header: "x-cluster", Filters: config.FilterConfigs{"f": {Config: aborting(418)}}}, config.WeightedCluster{Name: harness.ClusterName},
	))
	c := s.Start(t).Dial()
	for split, want := range map[string]int{"0": 418, "1": 200} {
		if resp := c.Get("/", "x-split: "+split, "x-cluster: "+harness.ClusterName); resp.Status != want {
			t.Errorf("split %s: got %q, want %d", split, resp.Raw, want)
		}
	}
}

// TestCORSOfCluster holds that a policy of a cluster takes what it does not say from the route's.
func TestCORSOfCluster(t *testing.T) {
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.HTTP().Filters = []config.HTTPFilter{{Name: "cors", Config: config.CORS{}}}
	own := config.FilterConfigs{"cors": {Config: &config.CORSPolicy{AllowMethods: "PUT", Enabled: everyRequest}}}
	s.SetRoutes(splitRoute(config.WeightedCluster{Name: harness.ClusterName, Filters: own}, config.WeightedCluster{Name: harness.ClusterName}))
	s.Route(0).Filters = config.FilterConfigs{"cors": {Config: corsPolicy(func(p *config.CORSPolicy) { p.AllowMethods, p.MaxAge = "GET", "5" })}}
	c := s.Start(t).Dial()
	for split, want := range map[string]string{"0": "PUT", "1": "GET"} {
		c.Send(harness.Head("OPTIONS /", "Origin: http://a.test", "Access-Control-Request-Method: PUT", "X-Split: "+split))
		resp := c.ReadResponse("OPTIONS")
		if resp.Fields.Get("access-control-allow-methods") != want || resp.Fields.Get("access-control-max-age") != "5" {
			t.Errorf("split %s: got %q, want methods %s", split, resp.Raw, want)
		}
	}
}

// TestReplyOfFilterKnowsCluster holds that the answer of a filter has what the cluster adds, which was picked before.
func TestReplyOfFilterKnowsCluster(t *testing.T) {
	s := harness.NewSetup()
	s.HTTP().Filters = []config.HTTPFilter{{Name: "f", Config: aborting(418)}}
	first := config.WeightedCluster{Name: harness.ClusterName}
	first.ResponseAdd = []config.HeaderValue{{Name: "x-cluster", Value: "%UPSTREAM_CLUSTER%"}}
	s.SetRoutes(splitRoute(first, config.WeightedCluster{Name: harness.ClusterName}))
	p := s.Start(t)
	c := p.Dial()
	for split, want := range map[string]string{"0": harness.ClusterName, "1": ""} {
		if resp := c.Get("/", "x-split: "+split); resp.Status != 418 || resp.Fields.Get("x-cluster") != want {
			t.Errorf("split %s: got %q", split, resp.Raw)
		}
		if o := p.Outcome(); o.Cluster != harness.ClusterName {
			t.Errorf("split %s: outcome %+v", split, o)
		}
	}
}
