package acceptance

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestStreamsShareConnections holds that the streams of all clients go on one connection up to what the origin takes or we allow
// ourselves, and on further ones beyond.
func TestStreamsShareConnections(t *testing.T) {
	for name, test := range map[string]struct {
		settings []http2.Setting
		ours     uint32
		want     []int // streams of 7 by connection
	}{
		"no limit":       {nil, 1024, []int{7}},
		"the origin's":   {[]http2.Setting{maxStreams(3)}, 1024, []int{3, 3, 1}},
		"ours":           {nil, 3, []int{3, 3, 1}},
		"ours is lower":  {[]http2.Setting{maxStreams(5)}, 4, []int{4, 3}},
		"ours is higher": {[]http2.Setting{maxStreams(4)}, 5, []int{4, 3}},
		"one":            {[]http2.Setting{maxStreams(1)}, 1024, []int{1, 1, 1, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			origin := newHandOrigin(t, test.settings...)
			s := h2Setup(origin.H2Origin)
			s.Clusters[0].HTTP2.MaxStreams = test.ours
			p := s.Start(t)
			clients := []*harness.H2Client{p.DialH2(), p.DialH2()}
			origin.warm(clients[0])
			first, second := ask(clients[0], 4), ask(clients[1], 3)
			requests := origin.take(7)
			counts := on(requests)
			if got := slices.Collect(maps.Values(counts)); len(got) != len(test.want) || origin.Connections() != len(test.want) {
				t.Errorf("streams by connection: %v, want %v", counts, test.want)
			}
			for i, n := range test.want {
				if counts[i] != n {
					t.Errorf("connection %d has %d streams, want %d", i, counts[i], n)
				}
			}
			answerAll(requests)
			expectAnswers(t, clients[0], first)
			expectAnswers(t, clients[1], second)
			p.Sync()
			origin.warm(clients[0])
			expectStats(t, p, map[string]uint64{
				"cluster.c.upstream_cx_http2_total": uint64(len(test.want)), "cluster.c.upstream_cx_active": uint64(len(test.want)),
				"cluster.c.upstream_rq_total": 9, "cluster.c.upstream_rq_pending_active": 0,
			})
		})
	}
}

// TestFirstStreamsWaitForSettings holds that a burst at an origin nobody knows goes on one connection, and that what is too much
// for it and refused finds its way.
func TestFirstStreamsWaitForSettings(t *testing.T) {
	const limit, burst = 3, 8
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
			if p.Number == 0 && r.StreamID > 2*limit-1 {
				p.Reset(r.StreamID, http2.ErrCodeRefusedStream)
				return
			}
			p.Respond(r.StreamID, harness.H2OK(r.Path))
		})(p)
	}, maxStreams(limit))
	p := h2Setup(origin).Start(t)
	c := p.DialH2()
	expectAnswers(t, c, ask(c, burst))
	if n := origin.Connections(); n < 2 || n > 1+(burst-limit+limit-1)/limit {
		t.Errorf("%d connections for %d requests, of which the first took %d", n, burst, limit)
	}
}

// TestPendingStreams holds that requests which no connection has room for wait in line, in order, within max_pending_requests,
// and are served as streams end.
func TestPendingStreams(t *testing.T) {
	origin := newHandOrigin(t, maxStreams(2))
	s := h2Setup(origin.H2Origin)
	s.Clusters[0].Breakers.MaxConnections, s.Clusters[0].Breakers.MaxPending = 1, 3
	p := s.Start(t)
	c := p.DialH2()
	origin.warm(c)
	ids := ask(c, 5)
	running := origin.take(2)
	origin.expectNone(p)
	expectStats(t, p, map[string]uint64{
		"cluster.c.upstream_rq_pending_active": 3, "cluster.c.upstream_rq_pending_total": 3, "cluster.c.upstream_rq_active": 5,
	})
	over := c.Response(c.Get("/over"))
	if over.Status != 503 || over.Body != resetReason("overflow") || over.Fields.Get("x-envoy-overloaded") != "true" {
		t.Errorf("got %v", over)
	}
	p.Outcome()
	if o := p.Outcome(); o.String() != "503 UO upstream_reset_before_response_started{overflow}" {
		t.Errorf("outcome %v", o)
	}
	for i := 2; i < 5; i++ {
		running[0].answer()
		running = append(running[1:], origin.next())
		if got := running[1].Path; got != fmt.Sprintf("/%d", i) {
			t.Errorf("%s was served, want /%d", got, i)
		}
		origin.expectNone(p)
	}
	answerAll(running)
	expectAnswers(t, c, ids)
	p.Sync()
	expectStats(t, p, map[string]uint64{
		"cluster.c.upstream_rq_pending_active": 0, "cluster.c.upstream_rq_active": 0, "cluster.c.upstream_rq_pending_overflow": 1,
		"cluster.c.upstream_cx_total": 1, "cluster.c.upstream_cx_overflow": 4,
	})
}

// TestPendingStreamLeaves holds that a client that resets a waiting stream gives up its place, and the origin never hears of it.
func TestPendingStreamLeaves(t *testing.T) {
	origin := newHandOrigin(t, maxStreams(1))
	s := h2Setup(origin.H2Origin)
	s.Clusters[0].Breakers.MaxConnections = 1
	p := s.Start(t)
	c := p.DialH2()
	origin.warm(c)
	ids := ask(c, 3)
	first := origin.next()
	c.Reset(ids[1], http2.ErrCodeCancel)
	p.Outcome()
	if o := p.Outcome(); o.Path != "/1" || o.Flags != "DR" {
		t.Errorf("outcome %+v", o)
	}
	first.answer()
	last := origin.next()
	if last.Path != "/2" {
		t.Errorf("the origin got %s", last.Path)
	}
	last.answer()
	c.Response(ids[2])
}

// TestRaisedMaxStreams holds that an origin that takes more streams from now on is asked at once by those that wait.
func TestRaisedMaxStreams(t *testing.T) {
	for _, from := range []uint32{0, 1} {
		t.Run(fmt.Sprint("from ", from), func(t *testing.T) {
			origin := newHandOrigin(t, maxStreams(1))
			s := h2Setup(origin.H2Origin)
			s.Clusters[0].Breakers.MaxConnections = 1
			p := s.Start(t)
			c := p.DialH2()
			id := c.Get("/warm")
			warm := origin.next()
			peer := warm.peer
			warm.answer()
			c.Response(id)
			setMaxStreams(p, peer, from)
			ids := ask(c, 5)
			requests := origin.take(int(from))
			origin.expectNone(p)
			setMaxStreams(p, peer, 4)
			requests = append(requests, origin.take(4-int(from))...)
			origin.expectNone(p)
			setMaxStreams(p, peer, 2)
			answerAll(requests[:2])
			origin.expectNone(p) // two are left, which is all it takes now
			answerAll(requests[2:3])
			origin.next().answer()
			answerAll(requests[3:])
			expectAnswers(t, c, ids)
		})
	}
}

// setMaxStreams has an origin change its mind, and the proxy take note.
func setMaxStreams(p *harness.Proxy, peer *harness.H2Peer, n uint32) {
	peer.Settings(maxStreams(n))
	p.Sync()
}

// TestOriginTakesNoStreams holds that requests wait while an origin takes no streams at all, and do not open one connection after
// the other (row 71).
func TestOriginTakesNoStreams(t *testing.T) {
	origin := newHandOrigin(t, maxStreams(0))
	p := h2Setup(origin.H2Origin).Start(t)
	c := p.DialH2()
	first := c.Get("/first") // nobody knows yet
	origin.next().peer.Reset(1, http2.ErrCodeRefusedStream)
	ids := ask(c, 3)
	for range 3 {
		p.Sync()
	}
	if n := origin.Connections(); n > 2 {
		t.Errorf("%d connections to an origin that takes no streams", n)
	}
	p.Advance(config.DefaultRouteTimeout + time.Second)
	for _, id := range append(ids, first) {
		if r := c.Response(id); r.Status != 504 {
			t.Errorf("got %v, want 504", r)
		}
	}
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_rq_active": 0, "cluster.c.upstream_rq_pending_active": 0})
}

// TestPendingStreamTimesOut holds that the route's timeout runs while a request waits for a stream, and that its place is free
// then.
func TestPendingStreamTimesOut(t *testing.T) {
	origin := newHandOrigin(t, maxStreams(1))
	s := h2Setup(origin.H2Origin)
	s.Clusters[0].Breakers.MaxConnections = 1
	p := s.Start(t)
	c := p.DialH2()
	origin.warm(c)
	p.Outcome()
	ids := ask(c, 2)
	running := origin.next()
	origin.expectNone(p)
	p.Advance(10 * time.Second)
	last := c.Get("/last")
	p.Advance(6 * time.Second)
	for _, id := range ids {
		if r := c.Response(id); r.Status != 504 {
			t.Errorf("got %v, want 504", r)
		}
		if o := p.Outcome(); o.Flags != "UT" {
			t.Errorf("outcome %v", o)
		}
	}
	origin.WaitCounts("the first cancelled", func(n harness.H2Counts) bool { return n.Reset == 1 })
	next := origin.next()
	if next.Path != "/last" || next.peer != running.peer {
		t.Errorf("the origin got %s", next.Path)
	}
	next.answer()
	c.Response(last)
}

// TestMaxRequestsOverHTTP2 holds that max_requests bounds what is in flight, on whatever connection.
func TestMaxRequestsOverHTTP2(t *testing.T) {
	origin := newHandOrigin(t)
	s := h2Setup(origin.H2Origin)
	s.Clusters[0].Breakers.MaxRequests = 2
	p := s.Start(t)
	c := p.DialH2()
	ids := ask(c, 2)
	held := origin.take(2)
	if r := c.Response(c.Get("/over")); r.Status != 503 || r.Body != resetReason("overflow") {
		t.Errorf("got %v", r)
	}
	answerAll(held)
	expectAnswers(t, c, ids)
	p.Sync()
	origin.warm(c)
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_rq_active_overflow": 1})
}

// TestHostLeavesWithPendingStreams holds that requests which wait for a host that leaves the cluster are served still, and that no
// connection to it stays.
func TestHostLeavesWithPendingStreams(t *testing.T) {
	old, fresh := newHandOrigin(t, maxStreams(1)), newHandOrigin(t)
	s := h2Setup(old.H2Origin)
	s.Clusters[0].Breakers.MaxConnections = 1
	p := s.Start(t)
	c := p.DialH2()
	old.warm(c)
	ids := ask(c, 3)
	running := old.next()
	old.expectNone(p)
	k := *s.Clusters[0]
	k.Assignment = harness.Cluster("", fresh.Addr()).Assignment
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{k.Name: &k}}})
	running.answer()
	for range 2 {
		old.next().answer()
	}
	expectAnswers(t, c, ids)
	for i := range old.Connections() {
		old.WaitEnded(i)
	}
	fresh.warm(c)
	p.Sync()
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_active": 1, "cluster.c.upstream_rq_pending_active": 0})
}

// TestAttemptCountOfRefused holds that a host and a client are told how often a refused request was sent.
func TestAttemptCountOfRefused(t *testing.T) {
	letGo := make(chan struct{})
	close(letGo)
	origin := harness.NewH2Origin(t, refusing1(refusals["REFUSED_STREAM"], letGo))
	s := h2Setup(origin)
	s.VirtualHost().IncludeRequestAttemptCount, s.VirtualHost().IncludeAttemptCountInResponse = true, true
	p := s.Start(t)
	c := p.DialH2()
	r := c.Response(c.Get("/"))
	if got := r.Fields.Get("x-envoy-attempt-count"); got != "2" {
		t.Errorf("the client is told %q", got)
	}
	if got := origin.Requests()[0].Fields.Get("x-envoy-attempt-count"); got != "2" {
		t.Errorf("the origin is told %q", got)
	}
}

// TestWorkersHaveTheirOwnConnections holds that two workers do not share a connection, and each has no more than it needs.
func TestWorkersHaveTheirOwnConnections(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Echo)
	s := h2Setup(origin)
	s.Workers = 2
	p := s.Start(t)
	for range 16 {
		c := p.DialH2()
		for range 4 {
			if r := c.Response(c.Get("/")); r.Status != 200 {
				t.Fatalf("got %v", r)
			}
		}
	}
	if n := origin.Connections(); n < 1 || n > 2 {
		t.Errorf("%d connections, want one for each worker that has clients", n)
	}
}
