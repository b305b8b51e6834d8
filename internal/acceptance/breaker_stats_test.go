package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestBreakerGauges holds that the gauges of the circuit breakers say which of them is open.
func TestBreakerGauges(t *testing.T) {
	origin := harness.NewOrigin(t, silent)
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].Breakers.MaxRequests = 1
	p := s.Start(t)
	gauges := func() (connections, requests uint64) {
		return p.ClusterStat("circuit_breakers.default.cx_open"), p.ClusterStat("circuit_breakers.default.rq_open")
	}
	if cx, rq := gauges(); cx != 0 || rq != 0 {
		t.Errorf("cx_open %d, rq_open %d before the first request", cx, rq)
	}
	first := p.Dial()
	first.Send(harness.Get("/"))
	p.Sync()
	for p.ClusterStat("upstream_rq_active") == 0 {
		p.Sync()
	}
	if cx, rq := gauges(); cx != 0 || rq != 1 {
		t.Errorf("cx_open %d, rq_open %d with the only request under way, want 0 and 1", cx, rq)
	}
	if resp := p.Dial().Get("/"); resp.Status != 503 || resp.Fields.Get("x-envoy-overloaded") != "true" {
		t.Errorf("got %q", resp.Raw)
	}
}
