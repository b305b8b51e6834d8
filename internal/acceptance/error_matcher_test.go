package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

func headMatch(headers ...config.HeaderMatcher) *config.ResponseMatch {
	return &config.ResponseMatch{Kind: config.ResponseMatchHeaders, Headers: headers}
}

func either(rules ...*config.ResponseMatch) *config.ResponseMatch {
	return &config.ResponseMatch{Kind: config.ResponseMatchOr, Rules: rules}
}

func statusFrom(start, end int64) config.HeaderMatcher {
	return config.HeaderMatcher{Name: ":status", Kind: config.HeaderRange, Start: start, End: end}
}

// TestErrorMatcher holds that a cluster may say which answers eject a host, and that these count by their status where that is one
// of an error, and as 500 otherwise.
func TestErrorMatcher(t *testing.T) {
	flagged := config.HeaderMatcher{Name: "x-failed", Kind: config.HeaderString, String: config.StringMatcher{Value: "yes"}}
	not := func(m *config.ResponseMatch) *config.ResponseMatch {
		return &config.ResponseMatch{Kind: config.ResponseMatchNot, Rules: []*config.ResponseMatch{m}}
	}
	for name, test := range map[string]struct {
		errors  *config.ResponseMatch
		answer  string
		by5xx   uint64
		gateway uint64
	}{
		"by status":                {headMatch(statusFrom(404, 405)), statusOnly(404), 1, 0},
		"by a field":               {headMatch(flagged), statusOnly(200, "x-failed: yes"), 1, 0},
		"another value":            {headMatch(flagged), statusOnly(200, "x-failed: no"), 0, 0},
		"both are asked for":       {headMatch(statusFrom(404, 405), flagged), statusOnly(404), 0, 0},
		"one is enough":            {either(headMatch(statusFrom(404, 405)), headMatch(flagged)), statusOnly(404), 1, 0},
		"5xx that is no error":     {headMatch(statusFrom(404, 405)), statusOnly(503), 0, 0},
		"5xx counts as what it is": {headMatch(statusFrom(500, 600)), statusOnly(503), 1, 1},
		"all but one":              {not(headMatch(statusFrom(200, 300))), statusOnly(302), 1, 0},
		"any":                      {&config.ResponseMatch{Kind: config.ResponseMatchAny}, statusOnly(204), 1, 0},
		"gRPC by its head alone": {headMatch(statusFrom(500, 600)),
			"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ncontent-length: 0\r\n\r\n", 0, 0},
		"without": {nil, statusOnly(503), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.NewSetup(answering(t, test.answer), answering(t, harness.OK("good")))
			s.Clusters[0].Outlier, s.Clusters[0].Errors = outliers(), test.errors
			o := s.Clusters[0].Outlier
			o.Enforcing5xx, o.ConsecutiveGateway = 0, 2 // it is only detected, so that hosts go on to be taken by turns
			o.MaxEjectionPercent = 100
			p := s.Start(t)
			c := p.Dial()
			for range 4 {
				c.Get("/", "content-type: application/grpc")
			}
			want := map[string]uint64{"consecutive_5xx": test.by5xx, "consecutive_gateway_failure": test.gateway}
			if test.errors != nil && test.errors.Kind == config.ResponseMatchAny {
				want["consecutive_5xx"] = 2 // both hosts
			}
			for kind, n := range want {
				untilStat(t, p, "outlier_detection.ejections_detected_"+kind, n)
			}
		})
	}
}

// TestErrorMatcherOfMirror holds that what a mirror answers is judged by what its own cluster says, and that a change of it is in
// force for the next answer.
func TestErrorMatcherOfMirror(t *testing.T) {
	s := mirrored(t, answering(t, statusOnly(404)))
	s.Clusters[1].Outlier, s.Clusters[1].Errors = outliers(), headMatch(statusFrom(500, 600))
	s.Clusters[1].Outlier.Enforcing5xx = 0
	p := s.Start(t)
	c := p.Dial()
	ask := func(all uint64) {
		c.Get("/")
		c.Get("/")
		untilMirrored(t, p, "upstream_rq_completed", all)
	}
	ask(2)
	changed := *s.Clusters[1]
	changed.Errors = headMatch(statusFrom(404, 405))
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{mirrorName: &changed}}})
	untilMirrored(t, p, "outlier_detection.ejections_detected_consecutive_5xx", 0)
	ask(4)
	untilMirrored(t, p, "outlier_detection.ejections_detected_consecutive_5xx", 1)
}
