package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestScopedRoutes holds that a field of a request picks its routes, and that scopes and their routes change under a connection
// that stays.
func TestScopedRoutes(t *testing.T) {
	s := harness.NewSetup()
	host := *s.VirtualHost()
	routes := func(name, body string) *config.RouteConfiguration {
		vh := host
		vh.Routes = []*config.Route{harness.Direct("/", 200, body)}
		return &config.RouteConfiguration{Name: name, VirtualHosts: []*config.VirtualHost{&vh}}
	}
	hcm := s.HTTP()
	hcm.Routes = nil
	hcm.Scopes = &config.ScopedRoutes{Key: []config.ScopeFragment{{Header: "tenant"}}, SRDS: &config.Discovery{}}
	p := s.Start(t)
	c := p.Dial()
	wants := func(what, tenant string, status int, body string) {
		t.Helper()
		r := c.Get("/", "tenant: "+tenant)
		if r.Status != status || (status == 200 && r.Body != body) {
			t.Errorf("%s: %d %q, want %d %q", what, r.Status, r.Body, status, body)
		}
	}
	wants("before scopes are known", "a", 404, "")
	scopes := []*config.Scope{
		{Name: "a", Key: []string{"a"}, RouteConfigName: "ra"},
		{Name: "b", Key: []string{"b"}, Routes: routes("rb", "of b")},
	}
	p.Apply(config.Delta{Scopes: config.Changes[[]*config.Scope]{Set: map[string][]*config.Scope{"": scopes}}})
	wants("before routes are known", "a", 404, "")
	wants("routes that came with the scope", "b", 200, "of b")
	p.Apply(config.Delta{Routes: config.Changes[*config.RouteConfiguration]{Set: map[string]*config.RouteConfiguration{"ra": routes("ra", "of a")}}})
	wants("routes that came later", "a", 200, "of a")
	wants("no such scope", "c", 404, "")
	if r := c.Get("/"); r.Status != 404 {
		t.Errorf("without the field: %d", r.Status)
	}
	p.Apply(config.Delta{Scopes: config.Changes[[]*config.Scope]{Set: map[string][]*config.Scope{"": scopes[:1]}}})
	wants("a scope that has gone", "b", 404, "")
	wants("a scope that stays", "a", 200, "of a")
}
