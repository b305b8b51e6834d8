package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestFilterDiscovery holds that no request passes a filter whose configuration is not there, and that all do once it came, and
// that a default stands in for it.
func TestFilterDiscovery(t *testing.T) {
	const web = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"
	for name, fallback := range map[string]any{"without a default": nil, "with a default": config.GRPCWeb{}} {
		t.Run(name, func(t *testing.T) {
			s := harness.NewSetup()
			s.SetRoutes(harness.Direct("/", 200, "passed"))
			s.HTTP().Filters = []config.HTTPFilter{{Name: "f", Discovery: &config.FilterDiscovery{Types: []string{web}, Default: fallback}}}
			p := s.Start(t)
			c := p.Dial()
			wants := func(what string, status int) {
				t.Helper()
				if r := c.Get("/"); r.Status != status {
					t.Errorf("%s: %d, want %d", what, r.Status, status)
				}
			}
			apply := func(e *config.Extension) {
				p.Apply(config.Delta{Extensions: config.Changes[*config.Extension]{Set: map[string]*config.Extension{"f": e}}})
			}
			without := 500
			if fallback != nil {
				without = 200
			}
			wants("at first", without)
			apply(&config.Extension{Type: "some.other.Filter", Config: config.CORS{}})
			wants("of a type that the listener does not take", without)
			apply(&config.Extension{Type: web, Config: config.GRPCWeb{}})
			wants("when it came", 200)
			p.Apply(config.Delta{Extensions: config.Changes[*config.Extension]{Remove: []string{"f"}}})
			wants("when it is gone", without)
		})
	}
}
