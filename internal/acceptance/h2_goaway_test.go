package acceptance

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// noLastStream is what the first GOAWAY of a graceful end names (RFC 9113 section 6.8).
const noLastStream = 1<<31 - 1

// TestOriginGoesAwayGracefully holds that streams which an origin serves go on after both its GOAWAYs, new ones go elsewhere, and
// the connection ends with the last of them.
func TestOriginGoesAwayGracefully(t *testing.T) {
	origin := newHandOrigin(t)
	p := h2Setup(origin.H2Origin).Start(t)
	c := p.DialH2()
	ids := ask(c, 2)
	old := origin.take(2)
	old[0].peer.GoAway(noLastStream, http2.ErrCodeNo, "")
	p.Sync()
	id := c.Get("/new")
	fresh := origin.next()
	if fresh.peer.Number != 1 {
		t.Errorf("a new stream came on connection %d", fresh.peer.Number)
	}
	fresh.answer()
	c.Response(id)
	old[0].peer.GoAway(old[1].StreamID, http2.ErrCodeNo, "")
	old[1].answer()
	p.Sync()
	origin.expectNone(p)
	if n := p.ClusterStat("upstream_cx_active"); n != 2 {
		t.Errorf("upstream_cx_active is %d, want 2", n)
	}
	old[0].answer()
	origin.WaitEnded(0)
	expectAnswers(t, c, ids)
	expectStats(t, p, map[string]uint64{
		"cluster.c.upstream_cx_close_notify": 1, "cluster.c.upstream_cx_active": 1, "cluster.c.upstream_cx_destroy_local": 1,
		"cluster.c.upstream_rq_active": 0,
	})
}

// TestOriginGoesAwayAbruptly holds that streams above the last that an origin serves are sent again on another connection, and
// those below go on (row 70).
func TestOriginGoesAwayAbruptly(t *testing.T) {
	for name, last := range map[string]int{"none served": -1, "the first served": 0, "two served": 1} {
		t.Run(name, func(t *testing.T) {
			origin := newHandOrigin(t)
			p := h2Setup(origin.H2Origin).Start(t)
			c := p.DialH2()
			const requests = 4
			ids := ask(c, requests)
			old := origin.take(requests)
			lastID := uint32(0)
			if last >= 0 {
				lastID = old[last].StreamID
			}
			old[0].peer.GoAway(lastID, http2.ErrCodeNo, "")
			again := origin.take(requests - 1 - last)
			for _, r := range again {
				if r.peer.Number != 1 {
					t.Errorf("%s was sent again on connection %d", r.Path, r.peer.Number)
				}
			}
			answerAll(again)
			answerAll(old[:last+1])
			expectAnswers(t, c, ids)
			origin.WaitEnded(0)
			origin.expectNone(p)
		})
	}
}

// TestOriginGoesAwayIdle holds that a connection without streams ends when the origin says so, and is not used again.
func TestOriginGoesAwayIdle(t *testing.T) {
	origin := newHandOrigin(t)
	p := h2Setup(origin.H2Origin).Start(t)
	c := p.DialH2()
	for i := range 10 {
		id := c.Get("/")
		r := origin.next()
		if r.peer.Number != i {
			t.Fatalf("request %d came on connection %d", i, r.peer.Number)
		}
		r.answer()
		c.Response(id)
		r.peer.GoAway(r.StreamID, http2.ErrCodeNo, "")
		origin.WaitEnded(i)
		p.Sync()
	}
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_active": 0, "cluster.c.upstream_cx_destroy": 10, "cluster.c.upstream_cx_close_notify": 10})
}

// lifetimes are limits on how long a connection to an origin serves.
var lifetimes = map[string]struct {
	set     func(*config.Cluster)
	use     func(p *harness.Proxy, c *harness.H2Client, o *handOrigin) // uses the connection up
	counter string
}{
	"max_requests_per_connection": {
		func(k *config.Cluster) { k.MaxRequestsPerConnection = 3 },
		func(_ *harness.Proxy, c *harness.H2Client, o *handOrigin) {
			o.warm(c)
			o.warm(c)
		},
		"upstream_cx_max_requests",
	},
	"max_connection_duration": {
		func(k *config.Cluster) { k.MaxConnectionDuration = time.Minute },
		func(p *harness.Proxy, c *harness.H2Client, o *handOrigin) {
			o.warm(c)
			p.Advance(time.Minute - time.Second)
			o.warm(c)
		},
		"upstream_cx_max_duration_reached",
	},
}

// TestUpstreamConnectionLifetime holds that a connection which has served its number of requests or its time takes no further
// streams, and ends with its last one.
func TestUpstreamConnectionLifetime(t *testing.T) {
	for name, test := range lifetimes {
		t.Run(name, func(t *testing.T) {
			origin := newHandOrigin(t)
			s := h2Setup(origin.H2Origin)
			test.set(s.Clusters[0])
			s.Route(0).Forward.Timeout = 0
			p := s.Start(t)
			c := p.DialH2()
			test.use(p, c, origin)
			last := c.Get("/last")
			held := origin.next()
			p.Advance(2 * time.Second)
			id := c.Get("/next")
			next := origin.next()
			if held.peer.Number != 0 || next.peer.Number != 1 {
				t.Errorf("the last stream came on connection %d, the next on %d", held.peer.Number, next.peer.Number)
			}
			next.answer()
			c.Response(id)
			held.answer()
			c.Response(last)
			origin.WaitEnded(0)
			p.Sync()
			if n := p.ClusterStat(test.counter); n == 0 {
				t.Errorf("%s is 0", test.counter)
			}
			if n := p.ClusterStat("upstream_cx_active"); n != 1 {
				t.Errorf("upstream_cx_active is %d, want 1", n)
			}
		})
	}
}

// TestUpstreamIdleTimeout holds that a connection without streams ends after idle_timeout, and not while it has one.
func TestUpstreamIdleTimeout(t *testing.T) {
	origin := newHandOrigin(t)
	s := h2Setup(origin.H2Origin)
	s.Clusters[0].IdleTimeout = 10 * time.Second
	s.Route(0).Forward.Timeout = 0
	p := s.Start(t)
	c := p.DialH2()
	origin.warm(c)
	p.Advance(9 * time.Second)
	id := c.Get("/")
	held := origin.next()
	p.Advance(time.Minute)
	held.answer()
	if r := c.Response(id); r.Body != "/" {
		t.Errorf("got %v", r)
	}
	p.Advance(9 * time.Second)
	origin.warm(c)
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	p.Advance(11 * time.Second)
	origin.WaitEnded(0)
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_idle_timeout": 1, "cluster.c.upstream_cx_active": 0, "cluster.c.http2.goaway_sent": 1})
	origin.warm(c)
}

// TestHostLeaves holds that the streams to a host that leaves the cluster finish, and their connection with them.
func TestHostLeaves(t *testing.T) {
	old, fresh := newHandOrigin(t), newHandOrigin(t)
	s := h2Setup(old.H2Origin)
	p := s.Start(t)
	c := p.DialH2()
	ids := ask(c, 2)
	held := old.take(2)
	k := *s.Clusters[0]
	k.Assignment = harness.Cluster("", fresh.Addr()).Assignment
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{k.Name: &k}}})
	fresh.warm(c)
	answerAll(held)
	expectAnswers(t, c, ids)
	old.WaitEnded(0)
	if n := p.ClusterStat("upstream_cx_active"); n != 1 {
		t.Errorf("upstream_cx_active is %d, want 1", n)
	}
}

// TestClusterLeaves holds that the streams to a cluster that is removed finish, and nothing is left of it.
func TestClusterLeaves(t *testing.T) {
	origin := newHandOrigin(t)
	p := h2Setup(origin.H2Origin).Start(t)
	c := p.DialH2()
	ids := ask(c, 2)
	held := origin.take(2)
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Remove: []string{harness.ClusterName}}})
	if r := c.Response(c.Get("/later")); r.Status != 503 {
		t.Errorf("got %v", r)
	}
	answerAll(held)
	expectAnswers(t, c, ids)
	origin.WaitEnded(0)
}

// keepalive sets connection_keepalive.
func keepalive(h *config.HTTP2) {
	h.KeepaliveInterval, h.KeepaliveTimeout, h.KeepaliveJitter = 10*time.Second, 5*time.Second, 0
}

// TestUpstreamKeepalive holds that an origin is asked for a sign of life, and lost when it gives none.
func TestUpstreamKeepalive(t *testing.T) {
	pings := make(chan *harness.H2Peer, 16)
	origin := harness.NewH2Origin(t, harness.H2InTurn(func(p *harness.H2Peer) {
		p.NoAcks()
		for range 2 {
			data := p.ExpectPing()
			p.PingAck(data)
			pings <- p
		}
		p.ExpectPing() // which it does not answer
		pings <- p
		p.Drain()
	}, harness.H2Echo))
	s := h2Setup(origin)
	keepalive(&s.Clusters[0].HTTP2)
	s.Route(0).Forward.Timeout = 0
	p := s.Start(t)
	c := p.DialH2()
	id := c.Post("/", "x") // not to be repeated
	origin.WaitCounts("a request", func(n harness.H2Counts) bool { return n.Started == 1 })
	for range 2 {
		p.Advance(10 * time.Second)
		<-pings
		p.Advance(4 * time.Second)
	}
	p.Advance(10 * time.Second)
	<-pings
	p.Advance(4 * time.Second)
	p.NoOutcome()
	p.Advance(2 * time.Second)
	if r := c.Response(id); r.Status != 503 || r.Body != resetReason("connection termination") {
		t.Errorf("got %v", r)
	}
	origin.WaitEnded(0)
	expectStats(t, p, map[string]uint64{"cluster.c.http2.keepalive_timeout": 1, "cluster.c.upstream_cx_active": 0})
	if r := c.Response(c.Get("/next")); r.Body != "GET /next " {
		t.Errorf("got %v", r)
	}
}

// TestUpstreamKeepaliveWhenIdle holds that connection_idle_interval has a PING precede a stream on a connection that nothing was
// heard of for long, and no other.
func TestUpstreamKeepaliveWhenIdle(t *testing.T) {
	origin := newHandOrigin(t)
	s := h2Setup(origin.H2Origin)
	h := &s.Clusters[0].HTTP2
	h.KeepaliveIdle, h.KeepaliveTimeout = 30*time.Second, 5*time.Second
	p := s.Start(t)
	c := p.DialH2()
	ask := func(pings int) {
		t.Helper()
		id := c.Get("/")
		r := origin.next()
		r.answer()
		c.Response(id)
		if n := r.peer.Received(http2.FramePing); n != pings {
			t.Errorf("%d PINGs have come, want %d", n, pings)
		}
		p.Sync()
	}
	ask(0)
	p.Advance(20 * time.Second)
	ask(0)
	p.Advance(31 * time.Second)
	ask(1)
	p.Advance(6 * time.Second) // it was answered
	ask(1)
}
