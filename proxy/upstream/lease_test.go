package upstream

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// oneConnection returns a cluster of two origins that may have one connection.
func oneConnection(t *testing.T, pending uint32) (*worker, *Cluster, *origin, *origin) {
	t.Helper()
	w, a, b := newWorker(t), newOrigin(t), newOrigin(t)
	cfg := clusterConfig()
	cfg.Breakers.MaxConnections, cfg.Breakers.MaxPending = 1, pending
	return w, w.cluster(cfg, a.address, b.address), a, b
}

// wantGranted waits until a queued exchange is woken with a connection.
func (x *exchange) wantGranted() {
	x.w.t.Helper()
	x.w.until("woken", func() bool { return x.woken > 0 })
	if x.Waiting() || x.conn == nil {
		x.w.t.Fatalf("woken without a connection: waiting %v, error %v", x.Waiting(), x.Err)
	}
}

// wantWaiting checks that an exchange is still queued.
func (x *exchange) wantWaiting() {
	x.w.t.Helper()
	x.w.do(func() {
		if !x.Waiting() || x.conn != nil || x.woken != 0 {
			x.w.t.Errorf("waiting %v, connection %v, woken %d times, want it to wait", x.Waiting(), x.conn, x.woken)
		}
	})
}

func TestQueueFirstInFirstOut(t *testing.T) {
	w, k, o, _ := oneConnection(t, 64)
	x := w.connected(k, 0)
	p := o.accept()
	var queue []*exchange
	for range 4 {
		queue = append(queue, w.mustAcquire(k, 0, Queued))
	}
	w.wantStats(map[string]int64{
		"upstream_rq_pending_active": 4, "upstream_rq_pending_total": 4, "upstream_rq_active": 5, "upstream_cx_overflow": 4, "upstream_cx_active": 1,
	})
	for i, next := range queue {
		next.wantWaiting()
		x.serve(p)
		x.release(Success, true)
		next.wantGranted()
		if n := k.shared.pending.Load(); n != int64(len(queue)-1-i) {
			t.Errorf("%d are pending, want %d", n, len(queue)-1-i)
		}
		x = next
	}
	x.serve(p)
	x.release(Success, true)
	w.wantStats(map[string]int64{"upstream_cx_total": 1, "upstream_rq_pending_total": 4, "upstream_cx_overflow": 4})
	w.end(k)
}

// TestQueueServedOnLoss holds that the place of a connection that is lost goes to the exchange that waits longest.
func TestQueueServedOnLoss(t *testing.T) {
	w, k, o, _ := oneConnection(t, 64)
	x := w.connected(k, 0)
	second, third := w.mustAcquire(k, 0, Queued), w.mustAcquire(k, 0, Queued)
	_ = o.accept().Close()
	x.release(ServerError, false)
	second.wantGranted()
	second.waitConnected()
	third.wantWaiting()
	second.serve(o.accept())
	second.release(Success, false)
	third.wantGranted()
	third.waitConnected()
	third.release(Cancelled, false)
	w.wantStats(map[string]int64{"upstream_cx_total": 3})
	w.wantNothingInUse(k)
}

// TestQueueServedOnConnectFailure holds that one failure to connect after the other reaches all that wait.
func TestQueueServedOnConnectFailure(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	cfg.Breakers.MaxConnections = 1
	k := w.cluster(cfg, refusing(t))
	all := []*exchange{w.mustAcquire(k, 0, Granted)}
	for range 3 {
		all = append(all, w.mustAcquire(k, 0, Queued))
	}
	for _, x := range all {
		w.until("the failure", func() bool {
			if x.conn == nil {
				return false
			}
			_, err := x.conn.Connected()
			return err != nil
		})
		x.release(ServerError, false)
	}
	w.wantStats(map[string]int64{"upstream_cx_total": 4, "upstream_rq_total": 4})
	w.wantNothingInUse(k)
}

func TestWaiterGivesUp(t *testing.T) {
	for _, leaver := range []int{0, 1, 2} {
		w, k, o, _ := oneConnection(t, 64)
		x := w.connected(k, 0)
		p := o.accept()
		queue := []*exchange{w.mustAcquire(k, 0, Queued), w.mustAcquire(k, 0, Queued), w.mustAcquire(k, 0, Queued)}
		queue[leaver].release(Cancelled, false)
		w.wantStats(map[string]int64{"upstream_rq_pending_active": 2, "upstream_rq_active": 3})
		if n := k.shared.pending.Load(); n != 2 {
			t.Errorf("%d are pending, want 2", n)
		}
		for i, next := range queue {
			if i == leaver {
				continue
			}
			x.serve(p)
			x.release(Success, true)
			next.wantGranted()
			x = next
		}
		x.release(Success, false)
		if queue[leaver].woken != 0 || queue[leaver].conn != nil {
			t.Error("the one that left was served")
		}
		w.wantNothingInUse(k)
	}
}

func TestPendingOverflow(t *testing.T) {
	w, k, _, _ := oneConnection(t, 1)
	x := w.connected(k, 0)
	waiting := w.mustAcquire(k, 0, Queued)
	refused := w.mustAcquire(k, 0, Overflow)
	w.wantStats(map[string]int64{
		"upstream_rq_pending_overflow": 1, "upstream_rq_active_overflow": 0, "upstream_rq_pending_total": 1, "upstream_rq_pending_active": 1,
		"upstream_rq_active": 2, "upstream_cx_overflow": 2,
	})
	refused.release(Success, true) // of no effect
	if s := refused.Host().Stats; s.RqSuccess != 0 || s.RqActive != 2 {
		t.Errorf("the host counts %+v", s)
	}
	waiting.release(Cancelled, false)
	x.release(Success, false)
	w.wantNothingInUse(k)
}

func TestRequestOverflow(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	cfg.Breakers.MaxRequests = 1
	k := w.cluster(cfg, newOrigin(t).address, newOrigin(t).address)
	second := k.set.Hosts()[1].Data.(*Host)
	x := w.connected(k, 0)
	x.release(Success, false)
	y := w.connected(k, 0)
	w.do(func() {
		if v := k.Acquire(&x.Lease, second, x.task, Ask{}); v != Overflow {
			t.Errorf("verdict %d, want Overflow", v)
		}
	})
	if x.Host() != second || x.conn != nil || x.Err != nil {
		t.Errorf("a refused lease has host %v, connection %v, error %v, want the host it was asked for alone", x.Host(), x.conn, x.Err)
	}
	x.release(Success, true)
	w.wantStats(map[string]int64{"upstream_rq_active_overflow": 1, "upstream_rq_pending_overflow": 0, "upstream_rq_active": 1, "upstream_rq_total": 2})
	y.release(Success, false)
	w.wantNothingInUse(k)
}

// TestHostWithoutConnection holds that the breaker never keeps a host from its first connection.
func TestHostWithoutConnection(t *testing.T) {
	w, k, _, _ := oneConnection(t, 64)
	x := w.connected(k, 0)
	y := w.connected(k, 1)
	w.wantStats(map[string]int64{"upstream_cx_overflow": 1, "upstream_cx_active": 2})
	second := w.mustAcquire(k, 1, Queued)
	y.release(Success, false)
	second.wantGranted() // the host has none again
	second.waitConnected()
	x.release(Success, false)
	second.release(Success, false)
	w.wantNothingInUse(k)
}

// TestBreakersOfAllWorkers holds that the connections and queues of workers count together.
func TestBreakersOfAllWorkers(t *testing.T) {
	w, o := newWorker(t), newOrigin(t)
	cfg := clusterConfig()
	cfg.Breakers.MaxConnections, cfg.Breakers.MaxPending = 2, 1
	shared := NewShared(2)
	shared.SetLimits(cfg.Breakers)
	one, two := w.clusterOf(shared, cfg, o.address), w.clusterOf(shared, cfg, o.address)
	x, y := w.connected(one, 0), w.connected(two, 0)
	waiting := w.mustAcquire(one, 0, Queued)
	w.mustAcquire(two, 0, Overflow)
	y.release(Success, false) // its place is free, but of another worker
	waiting.wantWaiting()
	x.release(Success, false)
	waiting.wantGranted()
	waiting.waitConnected()
	if n := shared.connections.Load(); n != 1 {
		t.Errorf("%d connections are counted, want 1", n)
	}
	waiting.release(Success, false)
	w.do(two.Retire)
	w.wantNothingInUse(one)
}

func lowered(t config.Thresholds, connections uint32) config.Thresholds {
	t.MaxConnections = connections
	return t
}

func TestLoweredConnectionLimit(t *testing.T) {
	w, o := newWorker(t), newOrigin(t)
	cfg := clusterConfig()
	k := w.cluster(cfg, o.address)
	all := []*exchange{w.connected(k, 0), w.connected(k, 0), w.connected(k, 0)}
	k.shared.SetLimits(lowered(cfg.Breakers, 1))
	waiting := w.mustAcquire(k, 0, Queued)
	all[0].release(Success, false)
	waiting.wantWaiting()
	all[1].release(Success, false)
	waiting.wantWaiting()
	all[2].release(Success, false)
	waiting.wantGranted()
	waiting.waitConnected()
	waiting.release(Success, false)
	w.wantNothingInUse(k)
}

func TestOutcomes(t *testing.T) {
	w, o := newWorker(t), newOrigin(t)
	k := w.cluster(clusterConfig(), o.address)
	for _, outcome := range []Outcome{Success, Success, ServerError, TimedOut, Cancelled} {
		x := w.connected(k, 0)
		x.release(outcome, false)
		x.release(outcome, false) // of no effect
	}
	var got, twice HostStats
	w.do(func() { got = k.set.Hosts()[0].Data.(*Host).Stats })
	want := HostStats{CxTotal: 5, RqTotal: 5, RqSuccess: 2, RqError: 2, RqTimeout: 1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	twice.Add(&got)
	twice.Add(&got)
	if want := (HostStats{CxTotal: 10, RqTotal: 10, RqSuccess: 4, RqError: 4, RqTimeout: 2}); twice != want {
		t.Errorf("added twice %+v, want %+v", twice, want)
	}
	w.wantNothingInUse(k)
}

func TestReleaseOfNothing(t *testing.T) {
	var l Lease
	l.Release(Success, true)
	if l.Waiting() || l.Host() != nil {
		t.Error("the zero lease holds something")
	}
}

// client is an exchange that does requests in random ways until it has done enough.
type client struct {
	lease   Lease
	k       *Cluster
	random  *rand.Rand
	left    int
	done    func()
	task    *eventloop.Task
	refused int
}

// Run implements eventloop.Runner.
func (c *client) Run(t *eventloop.Task) {
	defer c.done()
	c.task = t
	for ; c.left > 0; c.left-- {
		switch c.k.Acquire(&c.lease, c.k.Pick(), t, Ask{}) {
		case Overflow:
			c.refused++
			t.Yield()
			continue
		case Queued:
			for turns := c.random.IntN(200); c.lease.Waiting() && turns > 0; turns-- {
				t.Yield()
			}
		}
		outcome, reuse := c.exchange(t)
		c.lease.Release(outcome, reuse)
	}
}

func (c *client) exchange(t *eventloop.Task) (o Outcome, reuse bool) {
	conn := c.lease.conn
	if conn == nil || c.random.IntN(8) == 0 {
		return Cancelled, false
	}
	for {
		done, err := conn.Connected()
		if err != nil {
			return ServerError, false
		}
		if done {
			break
		}
		t.Park()
	}
	path := []string{"/", "/", "/", "/close"}[c.random.IntN(4)]
	conn.WriteHead(&message.Request{
		Method: []byte("GET"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte(path), EndStream: true,
	})
	if c.random.IntN(8) == 0 {
		return Cancelled, false
	}
	var resp message.Response
	for {
		err := conn.ReadHead(&resp)
		if err == nil {
			break
		}
		if err != eventloop.ErrWouldBlock {
			return ServerError, false
		}
		t.Park()
	}
	for {
		_, done, err := conn.ReadBody()
		switch {
		case err != nil && err != eventloop.ErrWouldBlock:
			return ServerError, false
		case done:
			return Success, true
		case err != nil:
			t.Park()
		}
	}
}

// TestRandomExchanges holds that two workers' clients in random ways, short of connections and places in the queue, all end
// and leave nothing counted, while the configuration changes.
func TestRandomExchanges(t *testing.T) {
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			rw.Header().Set("Connection", "close")
		}
		_, _ = rw.Write([]byte("ok"))
	})
	first, second := httptest.NewServer(handler), httptest.NewServer(handler)
	defer first.Close()
	defer second.Close()
	addresses := []netip.AddrPort{
		netip.MustParseAddrPort(strings.TrimPrefix(first.URL, "http://")),
		netip.MustParseAddrPort(strings.TrimPrefix(second.URL, "http://")),
		refusing(t),
	}
	cfg := clusterConfig()
	cfg.Breakers.MaxConnections, cfg.Breakers.MaxPending, cfg.Breakers.MaxRequests = 6, 12, 24
	shared := NewShared(2)
	shared.SetLimits(cfg.Breakers)
	const clients, requests = 16, 60
	running := make(chan struct{}, 2*clients)
	var workers []*worker
	var clusters []*Cluster
	for id := range 2 {
		w := newWorker(t)
		k := w.clusterOf(shared, cfg, addresses...)
		workers, clusters = append(workers, w), append(clusters, k)
		w.do(func() {
			for i := range clients {
				w.loop.Spawn(&client{
					k: k, random: rand.New(rand.NewPCG(uint64(id), uint64(i))), left: requests,
					done: func() { running <- struct{}{} },
				})
			}
		})
	}
	full, part := clusters[0].state.Assignment, assign(endpoint(addresses[1]))
	for round := 0; len(running) < cap(running); round++ {
		for i, w := range workers {
			next := full
			if round%3 == i {
				next = part
			}
			w.do(func() { clusters[i].Update(state(cfg, next, nil)) })
		}
		if n := shared.pending.Load(); n > int64(cfg.Breakers.MaxPending) {
			t.Fatalf("%d are pending, limit %d", n, cfg.Breakers.MaxPending)
		}
		if n := shared.requests.Load(); n > int64(cfg.Breakers.MaxRequests) {
			t.Fatalf("%d are in flight, limit %d", n, cfg.Breakers.MaxRequests)
		}
	}
	for i, w := range workers {
		w.do(func() { clusters[i].Retire() })
	}
	for i, w := range workers {
		w.wantNothingInUse(clusters[i])
	}
}

// TestPriorities holds that requests of each priority wait for connections of their own, and are counted by breakers of their own.
func TestPriorities(t *testing.T) {
	w, k, o, _ := oneConnection(t, 1)
	high := k.config.Breakers
	high.MaxPending = 2
	k.shared.Of(config.PriorityHigh).SetLimits(high)
	asks := [config.RoutingPriorities]Ask{{}, {Priority: config.PriorityHigh}}
	var held, waiting [config.RoutingPriorities]*exchange
	for i, a := range asks {
		held[i] = w.ask(k, a, Granted)
		held[i].waitConnected()
		o.accept()
		waiting[i] = w.ask(k, a, Queued)
	}
	over := w.ask(k, asks[config.PriorityDefault], Overflow)
	over.release(Success, true) // of no effect
	third := w.ask(k, asks[config.PriorityHigh], Queued)
	for priority, want := range []int64{1, 2} {
		if n := k.shared.Of(config.RoutingPriority(priority)).pending.Load(); n != want {
			t.Errorf("%d requests of priority %d are pending, want %d", n, priority, want)
		}
	}
	held[config.PriorityHigh].release(Success, false)
	waiting[config.PriorityHigh].wantGranted()
	waiting[config.PriorityDefault].wantWaiting()
	waiting[config.PriorityHigh].release(Success, false)
	third.wantGranted()
	third.release(Success, false)
	held[config.PriorityDefault].release(Success, false)
	waiting[config.PriorityDefault].wantGranted()
	waiting[config.PriorityDefault].release(Success, false)
	for i := range config.RoutingPriorities {
		b := k.shared.Of(i)
		if c, n := b.connections.Load(), b.pending.Load(); c != 0 || n != 0 || k.permits[i].inFlight != 0 {
			t.Errorf("priority %d: %d connections, %d pending, %d in flight in the end, want none", i, c, n, k.permits[i].inFlight)
		}
	}
	w.wantNothingInUse(k)
}

// TestQueueServedPast holds that a request that cannot be served for now does not hold up those behind it that can be, which keep
// their order.
func TestQueueServedPast(t *testing.T) {
	w, k, _, _ := oneConnection(t, 64)
	w.speakHTTP2(k, 2)
	stream, alone := Ask{Protocol: HTTP2}, Ask{}
	first, second := w.ask(k, stream, Granted), w.ask(k, stream, Granted)
	blocked := w.ask(k, alone, Queued)
	third, also, fourth := w.ask(k, stream, Queued), w.ask(k, alone, Queued), w.ask(k, stream, Queued)
	first.release(Cancelled, false)
	third.wantStream()
	for _, x := range []*exchange{blocked, also, fourth} {
		x.wantWaiting()
	}
	second.release(Cancelled, false)
	fourth.wantStream()
	blocked.wantWaiting()
	third.release(Cancelled, false)
	fourth.release(Cancelled, false) // now nobody uses the connection, and it makes room
	blocked.wantGranted()
	also.wantWaiting()
	blocked.release(Cancelled, false)
	also.wantGranted()
	also.release(Cancelled, false)
	w.wantNothingInUse(k)
}
