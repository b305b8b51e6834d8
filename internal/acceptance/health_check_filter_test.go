package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestHealthCheckFilter holds what is answered to health checks of this proxy, and what others learn while they fail.
func TestHealthCheckFilter(t *testing.T) {
	const immediate, checked = "x-envoy-immediate-health-check-fail", "x-envoy-upstream-healthchecked-cluster"
	for _, test := range []struct {
		name              string
		passThrough, fail bool
		path              string
		want              string
		immediate         string
		checked           bool
	}{
		{"healthy", false, false, "/ready", "200 - health_check_ok", "", true},
		{"failing", false, true, "/ready", "503 - health_check_failed", "", true},
		{"another request", false, false, "/", "200 - via_upstream", "", false},
		{"another request while it fails", false, true, "/", "200 - via_upstream", "true", false},
		{"passed on", true, false, "/ready", "200 - via_upstream", "", true},
		{"passed on while it fails", true, true, "/ready", "200 - via_upstream", "", true},
		{"without a route", false, false, "/ready", "200 - health_check_ok", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := harness.NewSetup(origin.Addr())
			s.HTTP().Filters = []config.HTTPFilter{{Name: "hc", Config: &config.HealthCheckFilter{
				PassThrough: test.passThrough,
				Headers:     []config.HeaderMatcher{{Name: ":path", Kind: config.HeaderString, String: config.StringMatcher{Value: "/ready"}}},
			}}}
			if test.name == "without a route" {
				s.SetRoutes()
			}
			p := s.Start(t)
			p.Server.FailHealthChecks(test.fail)
			resp := p.Dial().Get(test.path)
			if o := p.Outcome(); o.String() != test.want {
				t.Errorf("outcome %v, want %s", o, test.want)
			}
			if got := resp.Fields.Get(immediate); got != test.immediate || resp.Fields.Has(checked) != test.checked {
				t.Errorf("got %q", resp.Raw)
			}
		})
	}
}
