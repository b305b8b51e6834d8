package health

import (
	"regexp"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestServiceName holds that a host which is of another service than it should be fails, whatever else it answers.
func TestServiceName(t *testing.T) {
	for _, tc := range []struct {
		name    string
		matcher config.StringMatcher
		yes, no string
	}{
		{"exact", config.StringMatcher{Value: "Blue"}, "Blue", "blue"},
		{"exact, any case", config.StringMatcher{Value: "blue", IgnoreCase: true}, "BLUE", "blu"},
		{"prefix", config.StringMatcher{Kind: config.StringPrefix, Value: "blue"}, "blue-2", "a-blue"},
		{"suffix", config.StringMatcher{Kind: config.StringSuffix, Value: "blue"}, "a-blue", "blue-2"},
		{"contains", config.StringMatcher{Kind: config.StringContains, Value: "lu"}, "blue", "green"},
		{"regex", config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile(`^(?:b.*)$`)}, "blue", "green"},
		{"nothing", config.StringMatcher{}, "", "green"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check := httpCheck(func(c *config.HTTPHealthCheck) { c.ServiceName = &tc.matcher }).HTTP
			for _, degrades := range []bool{false, true} {
				a := answer{status: 200, cluster: tc.yes, degraded: degrades}
				want := passed
				if degrades {
					want = degraded
				}
				if r := a.judge(check); r.outcome != want || !r.verified {
					t.Errorf("%q: %s, verified %v, want %s", tc.yes, r.outcome, r.verified, want)
				}
				a.cluster = tc.no
				if r := a.judge(check); r.outcome != failed || !r.verified {
					t.Errorf("%q: %s, verified %v, want %s", tc.no, r.outcome, r.verified, failed)
				}
			}
			a := answer{status: 503, cluster: tc.yes}
			if r := a.judge(check); r.outcome != failed || r.verified {
				t.Errorf("status 503: %s, verified %v", r.outcome, r.verified)
			}
		})
	}
}

// TestServiceNameOfAnswers holds that the name is read, and looked at, whatever is spoken.
func TestServiceNameOfAnswers(t *testing.T) {
	change := func(c *config.HTTPHealthCheck) { c.ServiceName = &config.StringMatcher{Value: "blue"} }
	http1 := newOrigin(t, answerAll("HTTP/1.1 200 OK\r\nX-Envoy-Upstream-Healthchecked-Cluster: blue\r\ncontent-length: 0\r\n\r\n"))
	wantOutcome(t, http1.prober(httpCheck(change)), passed)
	http2 := rawOrigin(t, func(h *rawHost, s uint32) {
		h.head(s, true, ":status", "200", "x-envoy-upstream-healthchecked-cluster", "blue")
	})
	wantOutcome(t, http2.prober(http2Check(change)), passed)
	other := newOrigin(t, answerAll(okResponse))
	if why := wantOutcome(t, other.prober(httpCheck(change)), failed); why != `it says that it is of the service ""` {
		t.Errorf("why: %q", why)
	}
}
