package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// byVersion has the routes of a virtual host picked by x-version: the first by "1", the second by what begins with "2", the last by
// anything else.
func byVersion(s *harness.Setup) {
	s.VirtualHost().Matcher = &config.RouteMatcher{
		Branches: []config.RouteBranch{{
			When: config.RoutePredicate{Header: &config.HeaderMatcher{Name: "x-version", Kind: config.HeaderString, String: config.StringMatcher{Value: "1"}}},
			Then: config.RouteOutcome{First: 0, End: 1},
		}},
		Otherwise: &config.RouteOutcome{Matcher: &config.RouteMatcher{
			Tree:      &config.RouteTree{Header: "x-version", Prefixes: true, Outcomes: map[string]config.RouteOutcome{"2": {First: 1, End: 2}}},
			Otherwise: &config.RouteOutcome{First: 2, End: 3},
		}},
	}
}

// TestRouteMatcher holds that requests go where the matcher of their virtual host leads, whatever the order of its routes, and that what
// the routes and the virtual host say holds for them.
func TestRouteMatcher(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	first, second := harness.Direct("/", 200, "first"), harness.Forward("/two", harness.ClusterName)
	second.Forward.PrefixRewrite = "/zwei"
	last := harness.Direct("/", 404, "last")
	s.SetRoutes(first, second, last)
	byVersion(s)
	s.VirtualHost().ResponseAdd = []config.HeaderValue{{Name: "x-route", Value: "%ROUTE_NAME%"}}
	first.Name, second.Name, last.Name = "first", "second", "last"
	p := s.Start(t)
	c := p.Dial()
	for _, test := range []struct {
		path, version, route string
		status               int
	}{
		{"/", "1", "first", 200}, {"/two/x", "2.0", "second", 200}, {"/", "2.0", "", 404}, {"/", "3", "last", 404},
	} {
		resp := c.Get(test.path, "x-version: "+test.version)
		if resp.Status != test.status || resp.Fields.Get("x-route") != test.route {
			t.Errorf("%s, version %s: got %q, want %d by %q", test.path, test.version, resp.Raw, test.status, test.route)
		}
		if o := p.Outcome(); o.Route != test.route || test.route == "" && o.Flags != "NR" {
			t.Errorf("%s, version %s: outcome %+v", test.path, test.version, o)
		}
	}
	if got := origin.Requests(); len(got) != 1 || got[0].Target != "/zwei/x" {
		t.Errorf("the origin got %+v", got)
	}
}

// TestRouteMatcherAfterTLSRequirement holds that a virtual host which wants TLS says so before its matcher is asked.
func TestRouteMatcherAfterTLSRequirement(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 200, ""), harness.Direct("/", 200, ""), harness.Direct("/", 200, ""))
	byVersion(s)
	s.VirtualHost().RequireTLS = config.TLSAll
	if resp := s.Start(t).Dial().Get("/", "x-version: 1"); resp.Status != 301 {
		t.Errorf("got %q", resp.Raw)
	}
}
