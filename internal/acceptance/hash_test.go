package acceptance

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// hashSetup returns a setup with n hosts that answer with their own address, and the addresses.
func hashSetup(t *testing.T, n int, lb config.LBPolicy, policies ...config.HashPolicy) (*harness.Setup, []netip.AddrPort) {
	var hosts []netip.AddrPort
	for range n {
		var origin *harness.Origin
		origin = harness.NewOrigin(t, func(p *harness.Peer) {
			for {
				if _, ok := p.ReadRequest(); !ok || !p.Write(harness.OK(origin.Addr().String())) {
					return
				}
			}
		})
		hosts = append(hosts, origin.Addr())
	}
	s := harness.NewSetup(hosts...)
	s.Clusters[0].LB = lb
	s.Route(0).Forward.HashPolicies = policies
	return s, hosts
}

// TestHashKeepsHost holds that requests with the same value go to the same host over different connections and on all workers,
// and those with different values to different ones.
func TestHashKeepsHost(t *testing.T) {
	for _, lb := range []config.LBPolicy{config.RingHash, config.Maglev} {
		s, _ := hashSetup(t, 4, lb, config.HashPolicy{Name: "x-user"})
		s.Workers = 2
		p := s.Start(t)
		byUser := make(map[string]string)
		hosts := make(map[string]bool)
		for range 3 {
			c := p.Dial()
			for i := range 24 {
				user := fmt.Sprint("user", i)
				host := c.Get("/", "x-user: "+user).Body
				if before := byUser[user]; before != "" && before != host {
					t.Errorf("LB %d: %s went to %s and to %s", lb, user, before, host)
				}
				byUser[user], hosts[host] = host, true
			}
			c.Close()
		}
		if len(hosts) != 4 {
			t.Errorf("LB %d: %d hosts were used, want 4", lb, len(hosts))
		}
	}
}

// TestHashCookie holds that a client without the cookie is given one, and that the cookie brings it to the same host.
func TestHashCookie(t *testing.T) {
	cookie := &config.HashedCookie{TTL: time.Minute, Path: "/app", Attributes: []config.CookieAttribute{{Name: "Secure"}}}
	s, _ := hashSetup(t, 8, config.Maglev, config.HashPolicy{Kind: config.HashCookie, Name: "lb", Cookie: cookie})
	p := s.Start(t)
	want := regexp.MustCompile(`^lb="([0-9a-f]{16})"; Max-Age=60; Path=/app; Secure; HttpOnly$`)
	for range 6 {
		c := p.Dial()
		first := c.Get("/")
		found := want.FindStringSubmatch(first.Fields.Get("set-cookie"))
		if found == nil {
			t.Fatalf("set-cookie is %q", first.Fields.Get("set-cookie"))
		}
		if again := c.Get("/"); again.Body != first.Body || again.Fields.Get("set-cookie") != first.Fields.Get("set-cookie") {
			t.Errorf("without the cookie again: %q, want as before: %q", again.Raw, first.Raw)
		}
		other := p.Dial().Get("/", "cookie: lb="+found[1])
		if other.Body != first.Body || strings.Contains(other.Raw, "set-cookie") {
			t.Errorf("with the cookie: %q, want host %s and no set-cookie", other.Raw, first.Body)
		}
	}
}

// TestHashPolicyOfCluster holds that the policies of a cluster take the place of the route's.
func TestHashPolicyOfCluster(t *testing.T) {
	s, _ := hashSetup(t, 4, config.RingHash, config.HashPolicy{Name: "x-route"})
	s.Clusters[0].Hashing.Policies = []config.HashPolicy{{Kind: config.HashQueryParameter, Name: "q"}}
	p := s.Start(t)
	c := p.Dial()
	byParameter := make(map[string]string)
	for i := range 32 {
		q := fmt.Sprint(i % 4)
		host := c.Get("/?q="+q, fmt.Sprint("x-route: ", i)).Body
		if before := byParameter[q]; before != "" && before != host {
			t.Errorf("q=%s went to %s and %s", q, before, host)
		}
		byParameter[q] = host
	}
}

// TestHashSplit holds that with use_hash_policy the hash decides on the cluster: it stays, and the weights are kept.
func TestHashSplit(t *testing.T) {
	a, b := harness.NewOrigin(t, harness.Echo), harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(a.Addr())
	s.Clusters = append(s.Clusters, harness.Cluster("d", b.Addr()))
	f := s.Route(0).Forward
	f.Clusters = []config.WeightedCluster{{Name: "c", Weight: 1}, {Name: "d", Weight: 3}}
	f.HashPolicies, f.HashSplit = []config.HashPolicy{{Name: "x-user"}}, true
	p := s.Start(t)
	c := p.Dial()
	const users = 200
	toD := 0
	for i := range users {
		c.Get("/", fmt.Sprint("x-user: ", i))
		cluster := p.Outcome().Cluster
		c.Get("/", fmt.Sprint("x-user: ", i))
		if other := p.Outcome().Cluster; other != cluster {
			t.Errorf("user %d went to %s and %s", i, cluster, other)
		}
		if cluster == "d" {
			toD++
		}
	}
	if toD < users*65/100 || toD > users*85/100 {
		t.Errorf("%d of %d users went to the cluster of three quarters", toD, users)
	}
}

// TestHashStats holds the gauges of the tables, and that they follow the hosts.
func TestHashStats(t *testing.T) {
	s, hosts := hashSetup(t, 3, config.RingHash)
	s.Clusters[0].Hashing.MinRingSize = 12
	m := harness.Cluster("m", hosts...)
	m.LB, m.Hashing.TableSize = config.Maglev, 11
	s.Clusters = append(s.Clusters, m)
	p := s.Start(t)
	for name, want := range map[string]uint64{
		"cluster.c.ring_hash_lb.size": 12, "cluster.c.ring_hash_lb.min_hashes_per_host": 4, "cluster.c.ring_hash_lb.max_hashes_per_host": 4,
		"cluster.m.maglev_lb.min_entries_per_host": 3, "cluster.m.maglev_lb.max_entries_per_host": 4,
	} {
		if got := p.Stat(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	fewer := harness.Cluster("m", hosts[0])
	fewer.LB, fewer.Hashing.TableSize = config.Maglev, 11
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"m": fewer}}})
	if got := p.Stat("cluster.m.maglev_lb.min_entries_per_host"); got != 11 {
		t.Errorf("with one host min_entries_per_host is %d, want 11", got)
	}
}

// TestHashSurvivesHosts holds that a host that leaves takes only its own requests along.
func TestHashSurvivesHosts(t *testing.T) {
	s, hosts := hashSetup(t, 5, config.RingHash, config.HashPolicy{Name: "x-user"})
	s.Clusters[0].Hashing.MinRingSize = 20
	p := s.Start(t)
	c := p.Dial()
	before := make(map[int]string)
	for i := range 100 {
		before[i] = c.Get("/", fmt.Sprint("x-user: ", i)).Body
	}
	fewer := *s.Clusters[0]
	fewer.Assignment = harness.Cluster("c", hosts[:4]...).Assignment
	fewer.Hashing.MinRingSize = 16 // 4 points each, as before
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"c": &fewer}}})
	gone := hosts[4].String()
	for i := range 100 {
		switch host := c.Get("/", fmt.Sprint("x-user: ", i)).Body; {
		case before[i] == gone && host == gone:
			t.Errorf("user %d still goes to the host that left", i)
		case before[i] != gone && host != before[i]:
			t.Errorf("user %d went to %s and now to %s, though only %s left", i, before[i], host, gone)
		}
	}
}

// TestHashBounded holds that requests go past the host of their hash while it has more than its part of those in flight.
func TestHashBounded(t *testing.T) {
	var hosts []netip.AddrPort
	for range 2 {
		var origin *harness.Origin
		origin = harness.NewOrigin(t, func(p *harness.Peer) {
			for {
				req, ok := p.ReadRequest()
				if !ok || req.Target != "/held" && !p.Write(harness.OK(origin.Addr().String())) {
					return
				}
			}
		})
		hosts = append(hosts, origin.Addr())
	}
	for _, lb := range []config.LBPolicy{config.RingHash, config.Maglev} {
		s := harness.NewSetup(hosts...)
		s.Clusters[0].LB, s.Clusters[0].Hashing.BalanceFactor = lb, 100
		s.Route(0).Forward.HashPolicies = []config.HashPolicy{{Name: "x-user"}}
		p := s.Start(t)
		c := p.Dial()
		own := c.Get("/", "x-user: a").Body
		var held []*harness.Client
		for n, want := range []bool{true, true, true, false} {
			// With n requests in flight each of the two may have half of n+1, rounded up, and then gets one more.
			if got := c.Get("/", "x-user: a").Body; (got == own) != want {
				t.Errorf("LB %d: with %d requests at %s another went to %s", lb, n, own, got)
			}
			h := p.Dial()
			h.Send(harness.Get("/held", "x-user: a"))
			held = append(held, h)
			untilStat(t, p, "upstream_rq_active", uint64(len(held)))
		}
		for _, h := range held {
			h.Close()
		}
		untilStat(t, p, "upstream_rq_active", 0)
		if got := c.Get("/", "x-user: a").Body; got != own {
			t.Errorf("LB %d: with nothing in flight a request went to %s, want %s", lb, got, own)
		}
	}
}
