package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestTimeoutAskedFor holds that an internal client chooses the route timeout and the answer to it, and nobody else does.
func TestTimeoutAskedFor(t *testing.T) {
	tests := []struct {
		name     string
		internal bool
		fields   []string
		after    time.Duration
		outcome  string
	}{
		{"internal", true, []string{"x-envoy-upstream-rq-timeout-ms: 200"}, 200 * time.Millisecond, "504 UT response_timeout"},
		{"internal, other answer", true, []string{"x-envoy-upstream-rq-timeout-ms: 200", "x-envoy-upstream-rq-timeout-alt-response: 1"},
			200 * time.Millisecond, "204 UT response_timeout"},
		{"internal, not a number", true, []string{"x-envoy-upstream-rq-timeout-ms: soon"}, time.Second, "504 UT response_timeout"},
		{"external", false, []string{"x-envoy-upstream-rq-timeout-ms: 200"}, time.Second, "504 UT response_timeout"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := harness.NewSetup(harness.NewOrigin(t, silent).Addr())
			s.HTTP().UseRemoteAddress = true
			if test.internal {
				s.HTTP().InternalAddresses = []string{"127.0.0.0/8"}
			}
			s.Route(0).Forward.Timeout = time.Second
			p := s.Start(t)
			c := p.Dial()
			c.Send(harness.Get("/", test.fields...))
			p.Advance(test.after - justBefore)
			c.ExpectOpen()
			p.NoOutcome()
			p.Advance(2 * justBefore)
			if o := p.Outcome(); o.String() != test.outcome {
				t.Errorf("outcome %v, want %s", o, test.outcome)
			}
		})
	}
}
