package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// groupStats compares statistics of a group of requests with what they are to be.
func groupStats(t *testing.T, p *harness.Proxy, group string, want map[string]uint64) {
	t.Helper()
	for name, n := range want {
		if got := p.Stat("vhost.all." + group + "." + name); got != n {
			t.Errorf("%s.%s is %d, want %d", group, name, got, n)
		}
	}
}

// grouped returns a setup with a virtual cluster "gets" of the requests of the method GET, and with a route that has the stat_prefix "r".
func grouped(s *harness.Setup) *harness.Setup {
	host := s.VirtualHost()
	host.Name = "all"
	host.VirtualClusters = []config.VirtualCluster{
		{Name: "gets", Headers: []config.HeaderMatcher{{Name: ":method", Kind: config.HeaderString, String: config.StringMatcher{Value: "GET"}}}},
		{Name: "never:", Headers: []config.HeaderMatcher{{Name: "x-never", Present: true}}},
	}
	s.Route(0).StatPrefix = "r:1"
	return s
}

// TestStatGroups holds that the first virtual cluster that matches a request counts it, or else that of all other requests, and its
// route besides.
func TestStatGroups(t *testing.T) {
	s := grouped(harness.NewSetup(answering(t, "HTTP/1.1 204 No Content\r\n\r\n")))
	logs := newLineLogs(s, "%VIRTUAL_CLUSTER_NAME%")
	s.HTTP().AccessLogs = []*config.AccessLog{logs.log("requests", nil)}
	p := s.Start(t)
	p.Dial().Get("/")
	logs.next(t, "requests", "gets")
	c := p.Dial()
	c.Send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
	c.ReadResponse("HEAD")
	logs.next(t, "requests", "other")
	one := map[string]uint64{"upstream_rq_204": 1, "upstream_rq_2xx": 1, "upstream_rq_completed": 1, "upstream_rq_total": 1, "upstream_rq_retry": 0}
	groupStats(t, p, "vcluster.gets", one)
	groupStats(t, p, "vcluster.other", one)
	groupStats(t, p, "vcluster.never_", map[string]uint64{"upstream_rq_total": 0})
	groupStats(t, p, "route.r_1", map[string]uint64{"upstream_rq_204": 2, "upstream_rq_total": 2})
	for _, name := range []string{"vcluster.gets", "vcluster.other", "route.r_1"} {
		times := uint64(0)
		for sample := range p.Store.Snapshot(t.Context()).All() {
			if sample.Name == "vhost.all."+name+".upstream_rq_time" {
				times = sample.Total.Count()
			}
		}
		if want := map[bool]uint64{true: 2, false: 1}[name == "route.r_1"]; times != want {
			t.Errorf("%d times in %s, want %d", times, name, want)
		}
	}
}

// TestStatGroupsRetry has a request tried again, with success and in vain.
func TestStatGroupsRetry(t *testing.T) {
	s := grouped(retrying("5xx", answering(t, statusOnly(500))))
	p := s.Start(t)
	p.Dial().Get("/")
	want := map[string]uint64{
		"upstream_rq_total": 2, "upstream_rq_retry": 1, "upstream_rq_retry_limit_exceeded": 1, "upstream_rq_retry_success": 0,
		"upstream_rq_retry_overflow": 0, "upstream_rq_500": 1,
	}
	groupStats(t, p, "vcluster.gets", want)
	groupStats(t, p, "route.r_1", want)

	origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(500)), once(statusOnly(200))))
	p = grouped(retrying("5xx", origin.Addr())).Start(t)
	p.Dial().Get("/")
	groupStats(t, p, "vcluster.gets", map[string]uint64{"upstream_rq_retry_success": 1, "upstream_rq_200": 1})

	s = grouped(retrying("5xx", answering(t, statusOnly(500))))
	s.Clusters[0].Breakers.MaxRetries = 0
	p = s.Start(t)
	p.Dial().Get("/")
	groupStats(t, p, "route.r_1", map[string]uint64{"upstream_rq_retry": 0, "upstream_rq_retry_overflow": 1})
}

// TestStatGroupsTimeout holds that the answer to a request that took too long counts too.
func TestStatGroupsTimeout(t *testing.T) {
	origin := harness.NewOrigin(t, silent)
	p := grouped(harness.NewSetup(origin.Addr())).Start(t)
	c := p.Dial()
	c.Send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
	origin.WaitCaptured(1)
	p.Advance(config.DefaultRouteTimeout + time.Second)
	if resp := c.ReadResponse("GET"); resp.Status != 504 {
		t.Fatalf("got %q", resp.Raw)
	}
	groupStats(t, p, "vcluster.gets", map[string]uint64{"upstream_rq_timeout": 1, "upstream_rq_504": 1, "upstream_rq_total": 1})
	wantStats(t, p, map[string]uint64{"upstream_rq_timeout": 1, "upstream_rq_504": 1, "external.upstream_rq_504": 1})
}

// TestStatGroupsStay has routes replaced: what is there again goes on, and what is not is gone.
func TestStatGroupsStay(t *testing.T) {
	s := grouped(harness.NewSetup(answering(t, "HTTP/1.1 204 No Content\r\n\r\n")))
	p := s.Start(t)
	p.Dial().Get("/")
	next := *s.HTTP().Routes
	host := *next.VirtualHosts[0]
	host.VirtualClusters = host.VirtualClusters[:1]
	next.VirtualHosts = []*config.VirtualHost{&host}
	listener := *s.Listener
	chain := *listener.Default
	manager := *s.HTTP()
	manager.Routes, chain.HTTP = &next, &manager
	listener.Default = &chain
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{listener.Name: &listener}}})
	p.Dial().Get("/")
	groupStats(t, p, "vcluster.gets", map[string]uint64{"upstream_rq_total": 2})
	if _, ok := p.Store.Snapshot(t.Context()).Value("vhost.all.vcluster.never_.upstream_rq_total"); ok {
		t.Error("statistics of a virtual cluster that is gone are there")
	}
}
