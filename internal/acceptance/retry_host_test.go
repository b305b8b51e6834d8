package acceptance

import (
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// ranked has one host in each priority of a cluster.
func ranked(k *config.Cluster, hosts ...netip.AddrPort) *config.Cluster {
	k.Assignment.Localities = nil
	for i, h := range hosts {
		k.Assignment.Localities = append(k.Assignment.Localities, config.LocalityEndpoints{Priority: uint32(i),
			Endpoints: []config.Endpoint{{Address: config.Address{IP: h.Addr().String(), Port: uint32(h.Port())}, Weight: 1}}})
	}
	return k
}

// unavailable returns a host that answers with 503.
func unavailable(t *testing.T) netip.AddrPort { return answering(t, statusOnly(503)) }

// rankedHosts returns the number of requests that each host of a cluster has had, by priority.
func rankedHosts(p *harness.Proxy, cluster string) []uint64 {
	p.Sync()
	for _, k := range p.Server.Clusters() {
		if k.Config.Name == cluster {
			counts := make([]uint64, len(k.Hosts))
			for _, h := range k.Hosts {
				counts[h.Priority] += h.Stats.RqTotal
			}
			return counts
		}
	}
	return nil
}

func wantRanked(t *testing.T, p *harness.Proxy, cluster string, want ...uint64) {
	t.Helper()
	got := rankedHosts(p, cluster)
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Errorf("hosts of %s had %v requests by priority, want %v", cluster, got, want)
			return
		}
	}
}

// TestPreviousPriorities holds that further attempts go to other priorities, and to all again when all were tried.
func TestPreviousPriorities(t *testing.T) {
	for _, tc := range []struct {
		name    string
		every   int
		retries uint32
		want    []uint64
	}{
		{"not at all", 0, 3, []uint64{4, 0, 0}},
		{"after each", 1, 2, []uint64{1, 1, 1}},
		{"again from the first", 1, 4, []uint64{2, 2, 1}},
		{"after every second", 2, 3, []uint64{2, 2, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := retrying("5xx")
			ranked(s.Clusters[0], unavailable(t), unavailable(t), unavailable(t))
			policy := s.Route(0).Forward.Retry
			policy.NumRetries, policy.PriorityFrequency = tc.retries, tc.every
			p := s.Start(t)
			c := p.Dial()
			if resp := c.Get("/"); resp.Status != 503 {
				t.Errorf("got %q", resp.Raw)
			}
			wantRanked(t, p, harness.ClusterName, tc.want...)
		})
	}
}

// TestPreviousPrioritiesOfAggregate holds that further attempts go to the next cluster of an aggregate when the priorities of the one
// before were tried.
func TestPreviousPrioritiesOfAggregate(t *testing.T) {
	s := retrying("5xx")
	s.Clusters[0].Type, s.Clusters[0].Members = config.ClusterAggregate, []string{"first", "second"}
	s.Clusters = append(s.Clusters, ranked(harness.Cluster("first"), unavailable(t), unavailable(t)), ranked(harness.Cluster("second"), unavailable(t)))
	policy := s.Route(0).Forward.Retry
	policy.NumRetries, policy.PriorityFrequency = 2, 1
	p := s.Start(t)
	c := p.Dial()
	c.Get("/")
	wantRanked(t, p, "first", 1, 1)
	wantRanked(t, p, "second", 1)
}

// TestPreviousPrioritiesOfSubset holds that further attempts stay in the subset that the route wants.
func TestPreviousPrioritiesOfSubset(t *testing.T) {
	s := retrying("5xx")
	k := ranked(s.Clusters[0], unavailable(t), unavailable(t), unavailable(t))
	k.Subsets = versions(config.SubsetNone)
	for i, v := range []string{"v1", "v2", "v1"} {
		k.Assignment.Localities[i].Endpoints[0].SubsetLabels = subsetLabels(v)
	}
	policy := s.Route(0).Forward.Retry
	policy.NumRetries, policy.PriorityFrequency = 1, 1
	s.Route(0).Forward.Match = wantsVersion("v1")
	p := s.Start(t)
	c := p.Dial()
	c.Get("/")
	wantRanked(t, p, harness.ClusterName, 1, 0, 1)
	if n := p.ClusterStat("lb_subsets_selected"); n != 2 {
		t.Errorf("lb_subsets_selected is %d, want 2", n)
	}
}

// TestOmittedHosts holds that hosts which a policy omits are picked for first attempts only.
func TestOmittedHosts(t *testing.T) {
	for name, omit := range map[string]func(*config.RetryPolicy, *config.Endpoint){
		"canaries": func(p *config.RetryPolicy, e *config.Endpoint) { p.OmitCanary, e.Canary = true, true },
		"metadata": func(p *config.RetryPolicy, e *config.Endpoint) {
			p.OmitLabels, e.SubsetLabels = []config.Labels{versionLabels("none"), versionLabels("v2")}, subsetLabels("v2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := retrying("5xx", unavailable(t), answering(t, harness.OK("good")))
			bad := &s.Clusters[0].Assignment.Localities[0].Endpoints[0]
			bad.Weight = 9 // so that it is the next one of a round robin too
			policy := s.Route(0).Forward.Retry
			omit(policy, bad)
			policy.HostAttempts = 50
			p := s.Start(t)
			c := p.Dial()
			for range 20 {
				if resp := c.Get("/"); resp.Body != "good" {
					t.Fatalf("got %q", resp.Raw)
				}
			}
			if p.ClusterStat("upstream_rq_retry") == 0 {
				t.Error("no first attempt came to the host that is omitted")
			}
		})
	}
}

// TestCanaryStats holds that responses of hosts on trial, and those that say to be of one, are counted once more.
func TestCanaryStats(t *testing.T) {
	s := harness.NewSetup(
		answering(t, "HTTP/1.1 204 No Content\r\n\r\n"),
		answering(t, "HTTP/1.1 404 Not Found\r\nx-envoy-upstream-canary: true\r\ncontent-length: 0\r\n\r\n"),
		answering(t, "HTTP/1.1 200 OK\r\nx-envoy-upstream-canary: no\r\ncontent-length: 0\r\n\r\n"),
	)
	s.Clusters[0].Assignment.Localities[0].Endpoints[0].Canary = true
	p := s.Start(t)
	c := p.Dial()
	for range 6 {
		c.Get("/")
	}
	for name, want := range map[string]uint64{
		"canary.upstream_rq_204": 2, "canary.upstream_rq_404": 2, "canary.upstream_rq_2xx": 2, "canary.upstream_rq_4xx": 2,
		"canary.upstream_rq_completed": 4, "upstream_rq_completed": 6, "upstream_rq_200": 2,
	} {
		if got := p.ClusterStat(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}
