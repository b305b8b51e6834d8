package acceptance

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
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

// TestRemainingGauges holds that the gauges of what remains before a circuit breaker opens are there with track_remaining, and only then.
func TestRemainingGauges(t *testing.T) {
	origin := harness.NewOrigin(t, silent)
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].Breakers = config.Thresholds{MaxConnections: 9, MaxPending: 7, MaxRequests: 1024, MaxRetries: 3, TrackRemaining: true}
	p := s.Start(t)
	p.Dial().Send(harness.Get("/"))
	for p.ClusterStat("upstream_rq_active") == 0 {
		p.Sync()
	}
	want := map[string]uint64{
		"remaining_cx": 8, "remaining_pending": 7, "remaining_rq": 1023, "remaining_retries": 3, "remaining_cx_pools": math.MaxUint32,
	}
	got := make(map[string]uint64)
	for sample := range p.Store.Snapshot(t.Context()).All() {
		if _, name, found := strings.Cut(sample.Name, ".circuit_breakers."); found && strings.Contains(name, "remaining") {
			got[strings.TrimPrefix(name, "default.")] = sample.Value
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
