package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestClusterRetries holds that the retry policy of a cluster takes the place of the route's, as a whole.
func TestClusterRetries(t *testing.T) {
	for name, test := range map[string]struct {
		route, virtualHost, cluster *config.RetryPolicy
		want                        uint64
	}{
		"none":                           {},
		"the cluster's alone":            {cluster: retryPolicy("5xx"), want: 1},
		"over the route's":               {route: retryPolicy("retriable-4xx"), cluster: retryPolicy("5xx"), want: 1},
		"over the virtual host's":        {virtualHost: retryPolicy("retriable-4xx"), cluster: retryPolicy("5xx"), want: 1},
		"the route's is not merged":      {route: retryPolicy("5xx"), cluster: retryPolicy("retriable-4xx")},
		"one that never tries again":     {route: retryPolicy("5xx"), cluster: &config.RetryPolicy{NumRetries: 1}},
		"the route's, where it has none": {route: retryPolicy("5xx"), want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
			s := harness.NewSetup(origin.Addr())
			s.SystemClock = true
			s.Route(0).Forward.Retry, s.VirtualHost().Retry, s.Clusters[0].Retry = test.route, test.virtualHost, test.cluster
			p := s.Start(t)
			resp := p.Dial().Get("/")
			if tried := resp.Body == "GET / "; tried != (test.want == 1) {
				t.Errorf("got %q", resp.Raw)
			}
			p.Outcome()
			if n := p.ClusterStat("upstream_rq_retry"); n != test.want {
				t.Errorf("upstream_rq_retry is %d, want %d", n, test.want)
			}
		})
	}
}

// TestClusterRetriesOfSplit holds that each cluster of a split has a policy of its own.
func TestClusterRetriesOfSplit(t *testing.T) {
	s := harness.NewSetup(answering(t, statusOnly(503)))
	s.SystemClock = true
	other := harness.Cluster("other", answering(t, statusOnly(503)))
	other.Retry = retryPolicy("5xx")
	other.Retry.NumRetries = 2
	s.Clusters = append(s.Clusters, other)
	s.Route(0).Forward.Clusters = []config.WeightedCluster{{Name: harness.ClusterName, Weight: 1}, {Name: "other", Weight: 1}}
	s.Route(0).Forward.SplitHeader = "x-split"
	p := s.Start(t)
	c := p.Dial()
	c.Get("/", "x-split: 0")
	c.Get("/", "x-split: 1")
	if n, of := p.ClusterStat("upstream_rq_retry"), p.Stat("cluster.other.upstream_rq_retry"); n != 0 || of != 2 {
		t.Errorf("upstream_rq_retry is %d, and %d of the other, want 0 and 2", n, of)
	}
}

// TestClusterRetryHosts holds that a cluster's policy says which hosts further attempts go to, and that the runtime has its say in it.
func TestClusterRetryHosts(t *testing.T) {
	s := harness.NewSetup()
	s.SystemClock = true
	ranked(s.Clusters[0], unavailable(t), unavailable(t), unavailable(t))
	policy := retryPolicy("5xx")
	policy.NumRetries, policy.PriorityFrequency = 2, 1
	s.Clusters[0].Retry = policy
	p := s.Start(t)
	c := p.Dial()
	setRuntime(p, map[string]uint64{config.KeyUseRetry: 0})
	c.Get("/")
	wantRanked(t, p, harness.ClusterName, 1, 0, 0)
	setRuntime(p, map[string]uint64{config.KeyUseRetry: 100})
	c.Get("/")
	wantRanked(t, p, harness.ClusterName, 2, 1, 1)
}

// TestClusterHedges holds that attempts race each other by the time that the cluster's policy gives them.
func TestClusterHedges(t *testing.T) {
	for _, pair := range pairs {
		tr, s := pair.hedging(t, 2)
		own := *s.Route(0).Forward.Retry
		own.PerTryTimeout = 2 * time.Second
		s.Clusters[0].Retry = &own
		p := s.Start(t)
		c := pair.upload(p, "5")
		c.send("hello", true)
		tr.wait(t)
		p.Advance(2*time.Second - justBefore)
		p.Sync()
		if n := p.ClusterStat("upstream_rq_retry"); n != 0 {
			t.Errorf("%v: a race by the route's time", pair)
		}
		p.Advance(2 * justBefore)
		tr.wait(t).answer <- harness.H2Response{Status: 200, Body: "second"}
		if status, body := c.response(); status != 200 || body != "second" {
			t.Errorf("%v: got %d %q", pair, status, body)
		}
	}
}

// TestClusterPoliciesAfterRedirect holds that a redirect has the policies of the cluster that it leads to, and no others.
func TestClusterPoliciesAfterRedirect(t *testing.T) {
	s, _, _ := pair{1, 1}.redirecting(t, 307, "http://b.test/next")
	s.Route(1).Forward.InternalRedirect.Statuses = []int{307}
	failing := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
	shadow, unused := harness.NewOrigin(t, harness.Echo), harness.NewOrigin(t, harness.Echo)
	s.Clusters[1] = harness.Cluster("next", failing.Addr())
	s.Clusters[1].Retry, s.Clusters[1].Mirrors = retryPolicy("5xx"), []config.MirrorPolicy{mirrorTo(mirrorName)}
	s.Clusters[0].Retry, s.Clusters[0].Mirrors = retryPolicy("retriable-4xx"), []config.MirrorPolicy{mirrorTo("z")}
	s.Clusters = append(s.Clusters, harness.Cluster(mirrorName, shadow.Addr()), harness.Cluster("z", unused.Addr()))
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 5"), "hello")
	if got := c.ReadResponse("POST"); got.Body != "POST /next hello" {
		t.Errorf("got %q", got.Raw)
	}
	untilMirrored(t, p, "upstream_rq_completed", 1)
	untilStatOf(t, p, "z", "upstream_rq_completed", 1)
	if n := p.Stat("cluster.next.upstream_rq_retry_success"); n != 1 {
		t.Errorf("upstream_rq_retry_success is %d", n)
	}
	if of, first := shadow.Requests(), unused.Requests(); len(of) != 1 || of[0].Target != "/next" || len(first) != 1 || first[0].Target != "/" {
		t.Errorf("mirrored are %v by the second, %v by the first", of, first)
	}
}

// TestClusterMirrors holds that mirrors of a cluster take the place of the route's.
func TestClusterMirrors(t *testing.T) {
	toM, toNone, never := mirrorTo(mirrorName), mirrorTo("none"), mirrorTo(mirrorName)
	never.Fraction.Default = 0
	list := func(policies ...config.MirrorPolicy) []config.MirrorPolicy { return policies }
	for name, test := range map[string]struct {
		route, cluster []config.MirrorPolicy
		want           uint64
	}{
		"the cluster's alone":    {nil, list(toM), 1},
		"over the route's":       {list(toNone), list(toM), 1},
		"are not merged":         {list(toM), list(toNone), 0},
		"taken by no request":    {list(toM), list(never), 0},
		"several":                {list(toM), list(toM, never, toM), 2},
		"the route's where none": {list(toM), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := mirrored(t, origin.Addr())
			s.Route(0).Forward.Mirrors, s.Clusters[0].Mirrors = test.route, test.cluster
			p := s.Start(t)
			if got := p.Dial().Get("/"); got.Status != 200 {
				t.Errorf("got %q", got.Raw)
			}
			untilMirrored(t, p, "upstream_rq_completed", test.want)
			if n := len(origin.Requests()); n != int(test.want) {
				t.Errorf("%d requests were mirrored, want %d", n, test.want)
			}
		})
	}
}

// TestClusterMirrorsAreNotMirrored holds that policies of a cluster are for what routes send to it, and not for what is mirrored there.
func TestClusterMirrorsAreNotMirrored(t *testing.T) {
	s := mirrored(t, answering(t, statusOnly(503)))
	s.Clusters[1].Mirrors, s.Clusters[1].Retry = []config.MirrorPolicy{mirrorTo(mirrorName)}, retryPolicy("5xx")
	p := s.Start(t)
	p.Dial().Get("/")
	untilMirrored(t, p, "upstream_rq_completed", 1)
	untilMirrored(t, p, "upstream_rq_active", 0)
	untilMirrored(t, p, "upstream_rq_total", 1)
}

// TestClusterMirrorsChange holds that mirrors of a cluster lead to the same one when there are others than before, and follow the runtime.
func TestClusterMirrorsChange(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := mirrored(t, origin.Addr())
	s.Route(0).Forward.Mirrors = nil
	share := mirrorTo(mirrorName)
	share.Fraction.Key = "share"
	s.Clusters[0].Mirrors = []config.MirrorPolicy{share}
	p := s.Start(t)
	c := p.Dial()
	c.Get("/1")
	untilMirrored(t, p, "upstream_rq_completed", 1)
	setRuntime(p, map[string]uint64{"share": 0})
	c.Get("/2")
	setRuntime(p, map[string]uint64{"share": 100})
	first := harness.Cluster("a", closedPort(t))
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"a": first}}})
	c.Get("/3")
	untilMirrored(t, p, "upstream_rq_completed", 2)
	if all := origin.Requests(); len(all) != 2 || all[1].Target != "/3" {
		t.Errorf("mirrored are %v", all)
	}
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Remove: []string{mirrorName}}})
	if got := c.Get("/4"); got.Status != 200 {
		t.Errorf("without the cluster that is mirrored to: %q", got.Raw)
	}
}
