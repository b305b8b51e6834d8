package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// urgent is where requests of priority HIGH go to in prioritized.
const urgent = "/urgent"

// prioritized returns a setup in which requests to urgent are of priority HIGH.
func prioritized(origin *harness.Origin) *harness.Setup {
	s := harness.NewSetup(origin.Addr())
	high := harness.Forward(urgent, harness.ClusterName)
	high.Forward.Priority = config.PriorityHigh
	s.SetRoutes(high, s.Route(0))
	return s
}

// TestPriorityBreakers holds that requests of each priority have breakers of their own: those of one are no matter to the other.
func TestPriorityBreakers(t *testing.T) {
	for name, c := range map[string]struct {
		paths  [2]string // of what is to fill its breakers, and of the other priority
		filled func(*config.Cluster) *config.Thresholds
		gauges [2]string
	}{
		"HIGH": {
			[2]string{urgent, "/"}, func(k *config.Cluster) *config.Thresholds { return &k.HighBreakers }, [2]string{"high", "default"},
		},
		"DEFAULT": {
			[2]string{"/", urgent}, func(k *config.Cluster) *config.Thresholds { return &k.Breakers }, [2]string{"default", "high"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := prioritized(harness.NewOrigin(t, silent))
			c.filled(s.Clusters[0]).MaxRequests = 1
			p := s.Start(t)
			p.Dial().Send(harness.Get(c.paths[0]))
			untilStat(t, p, "upstream_rq_active", 1)
			if resp := p.Dial().Get(c.paths[0]); resp.Status != 503 || resp.Fields.Get("x-envoy-overloaded") != "true" {
				t.Errorf("the second request was answered with %q, want 503", resp.Raw)
			}
			p.Dial().Send(harness.Get(c.paths[1]))
			untilStat(t, p, "upstream_rq_active", 2)
			for i, want := range []uint64{1, 0} {
				if n := p.ClusterStat("circuit_breakers." + c.gauges[i] + ".rq_open"); n != want {
					t.Errorf("circuit_breakers.%s.rq_open is %d, want %d", c.gauges[i], n, want)
				}
			}
		})
	}
}

// TestPriorityConnections holds that a connection which one priority has left is not given to the other, in each protocol.
func TestPriorityConnections(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			s := pair.setup(pair.origin(t, harness.H2Response{Status: 200, Fields: harness.Fields{{Name: "content-length", Value: "0"}}, EndStream: true}))
			high := harness.Forward(urgent, harness.ClusterName)
			high.Forward.Priority = config.PriorityHigh
			s.SetRoutes(high, s.Route(0))
			p := s.Start(t)
			for range 2 {
				for _, path := range []string{"/", urgent} {
					r := pair.ask(p, harness.H2Request{Method: "GET", Scheme: "http", Authority: "a", Path: path, EndStream: true})
					if r.Status != 200 {
						t.Errorf("%s was answered with %d", path, r.Status)
					}
					p.Outcome()
				}
			}
			if n := p.ClusterStat("upstream_cx_total"); n != 2 {
				t.Errorf("%d connections were opened for two requests of each priority, want 2", n)
			}
		})
	}
}

// TestPriorityRetries holds that retries are counted by the breaker of their priority.
func TestPriorityRetries(t *testing.T) {
	s := retrying("5xx", unavailable(t))
	s.Route(0).Forward.Priority = config.PriorityHigh
	s.Clusters[0].HighBreakers.MaxRetries = 0
	p := s.Start(t)
	p.Dial().Get("/")
	if n := p.ClusterStat("upstream_rq_retry_overflow"); n != 1 {
		t.Errorf("upstream_rq_retry_overflow is %d, want 1", n)
	}
	if n := p.ClusterStat("circuit_breakers.high.rq_retry_open"); n != 1 {
		t.Errorf("circuit_breakers.high.rq_retry_open is %d, want 1", n)
	}
	if n := p.ClusterStat("circuit_breakers.default.rq_retry_open"); n != 0 {
		t.Errorf("circuit_breakers.default.rq_retry_open is %d, want 0", n)
	}
}
