package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestAttemptCount holds that x-envoy-attempt-count goes up and down where the virtual host asks for it.
func TestAttemptCount(t *testing.T) {
	for _, test := range []struct{ up, down bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		origin := harness.NewOrigin(t, harness.Echo)
		s := harness.NewSetup(origin.Addr())
		host := s.HTTP().Routes.VirtualHosts[0]
		host.IncludeRequestAttemptCount, host.IncludeAttemptCountInResponse = test.up, test.down
		p := s.Start(t)
		want := func(yes bool) string {
			if yes {
				return "1"
			}
			return ""
		}
		if got := p.Dial().Get("/").Fields.Get("x-envoy-attempt-count"); got != want(test.down) {
			t.Errorf("%+v: the client got %q", test, got)
		}
		if got := origin.Requests()[0].Fields.Get("x-envoy-attempt-count"); got != want(test.up) {
			t.Errorf("%+v: the origin got %q", test, got)
		}
	}
}
