package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// wantStats compares statistics of the cluster with what they are to be.
func wantStats(t *testing.T, p *harness.Proxy, want map[string]uint64) {
	t.Helper()
	for name, n := range want {
		if got := p.ClusterStat(name); got != n {
			t.Errorf("%s is %d, want %d", name, got, n)
		}
	}
}

// timesOf returns how many times a histogram of the cluster has, none where there is no such histogram.
func timesOf(t *testing.T, p *harness.Proxy, name string) uint64 {
	t.Helper()
	for sample := range p.Store.Snapshot(t.Context()).All() {
		if sample.Name == "cluster."+harness.ClusterName+"."+name {
			return sample.Total.Count()
		}
	}
	return 0
}

// TestResponseStatsByOrigin holds that responses are counted apart by whether the request comes from inside.
func TestResponseStatsByOrigin(t *testing.T) {
	for from, blocks := range map[string][]string{"internal": {"127.0.0.0/8"}, "external": nil} {
		t.Run(from, func(t *testing.T) {
			s := harness.NewSetup(answering(t, "HTTP/1.1 204 No Content\r\n\r\n"))
			s.HTTP().InternalAddresses = blocks
			p := s.Start(t)
			p.Dial().Get("/")
			other := map[string]string{"internal": "external", "external": "internal"}[from]
			wantStats(t, p, map[string]uint64{
				"upstream_rq_204": 1, from + ".upstream_rq_204": 1, from + ".upstream_rq_2xx": 1, from + ".upstream_rq_completed": 1,
			})
			if n := timesOf(t, p, from+".upstream_rq_time"); n != 1 {
				t.Errorf("%d times of %s requests, want 1", n, from)
			}
			if n := timesOf(t, p, other+".upstream_rq_time"); n != 0 {
				t.Errorf("%d times of %s requests, want none", n, other)
			}
		})
	}
}

// TestResponseStatsByZone holds that responses are counted by the zones of the proxy and of the host, where both are known.
func TestResponseStatsByZone(t *testing.T) {
	s := harness.NewSetup()
	s.Locality = config.Locality{Zone: "here"}
	s.Clusters = []*config.Cluster{inZones(t, harness.ClusterName, map[string]int{"a": 1, "b": 1})}
	s.Clusters[0].ZoneAware = config.ZoneAware{}
	s.Clusters[0].Assignment.Localities[1].Zone = ""
	p := s.Start(t)
	for range 4 {
		p.Dial().Get("/")
	}
	wantStats(t, p, map[string]uint64{"zone.here.a.upstream_rq_200": 2, "zone.here.a.upstream_rq_2xx": 2, "upstream_rq_200": 4})
	if n := timesOf(t, p, "zone.here.a.upstream_rq_time"); n != 2 {
		t.Errorf("%d times of responses from the zone, want 2", n)
	}
}

// TestReplyStats holds that answers which take the place of a host's count as those of its cluster, and others do not.
func TestReplyStats(t *testing.T) {
	for name, test := range map[string]struct {
		setup   func(*harness.Setup)
		status  int
		counted uint64
	}{
		"no host":           {func(s *harness.Setup) { s.Clusters[0].Assignment = &config.ClusterLoadAssignment{} }, 503, 1},
		"overflow":          {func(s *harness.Setup) { s.Clusters[0].Breakers.MaxRequests = 0 }, 503, 1},
		"dropped":           {func(s *harness.Setup) { s.Clusters[0].Assignment.Drop = config.FractionAll }, 503, 1},
		"host out of order": {func(s *harness.Setup) { s.Clusters[0].Bind = bindTo("192.0.2.1:0", "") }, 503, 1},
		"direct response":   {func(s *harness.Setup) { s.SetRoutes(harness.Direct("/", 503, "")) }, 503, 0},
		"no cluster":        {func(s *harness.Setup) { s.SetRoutes(harness.Forward("/", "none")) }, 503, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.NewSetup(answering(t, statusOnly(200)))
			test.setup(s)
			p := s.Start(t)
			if resp := p.Dial().Get("/"); resp.Status != test.status {
				t.Fatalf("got %q", resp.Raw)
			}
			wantStats(t, p, map[string]uint64{"upstream_rq_completed": test.counted})
			if test.counted > 0 {
				wantStats(t, p, map[string]uint64{"upstream_rq_503": 1, "upstream_rq_5xx": 1, "external.upstream_rq_503": 1})
			}
			if n := timesOf(t, p, "upstream_rq_time"); n != 0 {
				t.Errorf("%d times of answers that no host gave", n)
			}
		})
	}
}
