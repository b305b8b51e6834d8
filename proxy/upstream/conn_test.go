package upstream

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// idle returns how many idle connections host i of k has.
func (w *worker) idle(k *Cluster, i int) (n int) {
	w.t.Helper()
	w.do(func() { n = len(k.set.Hosts()[i].Data.(*Host).idle) })
	return n
}

// end closes the idle connections and checks that nothing is left.
func (w *worker) end(k *Cluster) {
	w.t.Helper()
	w.do(func() { k.Hosts((*Host).closeIdle) })
	w.wantNothingInUse(k)
}

// pooled returns a cluster of one origin with n idle connections and the origin's ends of them, the first used first.
func pooled(t *testing.T, cfg *config.Cluster, n int) (*worker, *Cluster, []*peer) {
	t.Helper()
	w, o := newWorker(t), newOrigin(t)
	k := w.cluster(cfg, o.address)
	var all []*exchange
	var peers []*peer
	for range n {
		all = append(all, w.connected(k, 0))
		peers = append(peers, o.accept())
	}
	for i, x := range all {
		x.serve(peers[i])
		x.release(Success, true)
	}
	if got := w.idle(k, 0); got != n {
		t.Fatalf("%d connections are idle, want %d", got, n)
	}
	return w, k, peers
}

func TestReuseLastInFirstOut(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 3)
	for _, p := range slices.Backward(peers) {
		x := w.mustAcquire(k, 0, Granted)
		if done, err := x.conn.Connected(); !done || err != nil {
			t.Errorf("Connected of an idle connection: %v, %v", done, err)
		}
		if !x.conn.Reused() || x.conn.host != x.Host() {
			t.Errorf("reused %v, host %p, want true and %p", x.conn.Reused(), x.conn.host, x.Host())
		}
		x.serve(p) // fails if another connection was taken
		defer x.release(Success, false)
	}
	if x := w.connected(k, 0); x.conn.Reused() {
		t.Error("a new connection is called reused")
	} else {
		x.release(Success, false)
	}
	w.wantStats(map[string]int64{"upstream_cx_total": 4, "upstream_cx_http1_total": 4, "upstream_rq_total": 7})
}

func TestIdleConnectionClosedByPeer(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 2)
	_ = peers[1].Close()
	w.until("the closed connection is discarded", func() bool { return len(k.set.Hosts()[0].Data.(*Host).idle) == 1 })
	w.wantStats(map[string]int64{
		"upstream_cx_destroy": 1, "upstream_cx_destroy_remote": 1, "upstream_cx_destroy_local": 0, "upstream_cx_protocol_error": 0, "upstream_cx_active": 1,
	})
	x := w.mustAcquire(k, 0, Granted)
	x.serve(peers[0])
	x.release(Success, true)
	w.end(k)
}

func TestUnsolicitedBytesDiscardConnection(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 1)
	peers[0].write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
	w.until("the connection is discarded", func() bool { return len(k.set.Hosts()[0].Data.(*Host).idle) == 0 })
	peers[0].wantClosed()
	w.wantStats(map[string]int64{"upstream_cx_protocol_error": 1, "upstream_cx_destroy_local": 1, "upstream_cx_destroy_remote": 0})
	w.end(k)
}

// TestPeerClosedLentConnection holds that a connection which its peer closed is not reused, and counts as closed by the peer.
func TestPeerClosedLentConnection(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 1)
	x := w.mustAcquire(k, 0, Granted)
	x.serve(peers[0])
	_ = peers[0].Close()
	w.until("the end is seen", func() bool { return x.conn.Conn().PeerGone() })
	x.release(Success, true)
	w.wantStats(map[string]int64{"upstream_cx_destroy_local": 0, "upstream_cx_destroy_remote": 1})
	w.end(k)
}

func TestIdleTimeout(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 1)
	w.advance(59 * time.Minute)
	x := w.mustAcquire(k, 0, Granted)
	w.advance(2 * time.Hour) // in use, not idle
	x.serve(peers[0])
	x.release(Success, true)
	w.advance(time.Hour - time.Second)
	if n := w.idle(k, 0); n != 1 {
		t.Errorf("%d idle connections before the timeout, want 1", n)
	}
	w.advance(2 * time.Second)
	peers[0].wantClosed()
	w.wantStats(map[string]int64{"upstream_cx_idle_timeout": 1, "upstream_cx_destroy_local": 1})
	w.wantNothingInUse(k)
}

// TestIdleTimeoutOfLastUse holds that a connection is idle from its last use on, and by what the configuration says then: the
// timer may have been set at an earlier use.
func TestIdleTimeoutOfLastUse(t *testing.T) {
	for name, test := range map[string]struct {
		duration, idle time.Duration // of the connection, from its second use on
		after          time.Duration // that it closes
		closed         string        // what is counted
	}{
		"as before":                {idle: time.Hour, after: time.Hour, closed: "upstream_cx_idle_timeout"},
		"shorter":                  {idle: time.Minute, after: time.Minute, closed: "upstream_cx_idle_timeout"},
		"longer":                   {idle: 3 * time.Hour, after: 3 * time.Hour, closed: "upstream_cx_idle_timeout"},
		"at the end of its time":   {idle: time.Hour, duration: 75 * time.Minute, after: 45 * time.Minute, closed: "upstream_cx_max_duration_reached"},
		"before the end":           {idle: time.Hour, duration: 91 * time.Minute, after: time.Hour, closed: "upstream_cx_idle_timeout"},
		"only its time is limited": {duration: 3 * time.Hour, after: 150 * time.Minute, closed: "upstream_cx_max_duration_reached"},
	} {
		t.Run(name, func(t *testing.T) {
			w, k, peers := pooled(t, clusterConfig(), 1)
			w.advance(30 * time.Minute)
			x := w.mustAcquire(k, 0, Granted)
			x.serve(peers[0])
			cfg := clusterConfig()
			cfg.IdleTimeout, cfg.MaxConnectionDuration = test.idle, test.duration
			w.do(func() { k.Update(state(cfg, k.state.Assignment, nil)) })
			x.release(Success, true)
			for step := test.after / 8; step > time.Second; step /= 8 { // so that a timer that fires early is set again
				w.advance(step)
				test.after -= step
			}
			w.advance(test.after - time.Second)
			if n := w.idle(k, 0); n != 1 {
				t.Fatalf("%d idle connections before the time, want 1", n)
			}
			w.advance(2 * time.Second)
			peers[0].wantClosed()
			w.wantStats(map[string]int64{test.closed: 1, "upstream_cx_destroy_local": 1})
			w.wantNothingInUse(k)
		})
	}
}

func TestNoIdleTimeout(t *testing.T) {
	cfg := clusterConfig()
	cfg.IdleTimeout = 0
	w, k, _ := pooled(t, cfg, 1)
	w.advance(30 * 24 * time.Hour)
	if n := w.idle(k, 0); n != 1 {
		t.Errorf("%d idle connections, want 1", n)
	}
	w.end(k)
}

func TestMaxRequestsPerConnection(t *testing.T) {
	cfg := clusterConfig()
	cfg.MaxRequestsPerConnection = 2
	w, k, peers := pooled(t, cfg, 1)
	x := w.mustAcquire(k, 0, Granted)
	x.serve(peers[0])
	x.release(Success, true)
	peers[0].wantClosed()
	w.wantStats(map[string]int64{"upstream_cx_max_requests": 1, "upstream_cx_destroy_local": 1})
	w.wantNothingInUse(k)
}

func TestMaxConnectionDuration(t *testing.T) {
	cfg := clusterConfig()
	cfg.MaxConnectionDuration = time.Minute
	t.Run("idle", func(t *testing.T) {
		w, k, peers := pooled(t, cfg, 1)
		w.advance(59 * time.Second)
		if n := w.idle(k, 0); n != 1 {
			t.Errorf("%d idle connections before the time, want 1", n)
		}
		w.advance(2 * time.Second)
		w.wantStats(map[string]int64{"upstream_cx_max_duration_reached": 1, "upstream_cx_idle_timeout": 0})
		w.wantNothingInUse(k)
		peers[0].wantClosed()
	})
	t.Run("in use", func(t *testing.T) {
		w, k, peers := pooled(t, cfg, 1)
		x := w.mustAcquire(k, 0, Granted)
		w.advance(2 * time.Minute)
		x.serve(peers[0])
		x.release(Success, true)
		w.wantStats(map[string]int64{"upstream_cx_max_duration_reached": 1, "upstream_cx_idle_timeout": 0})
		w.wantNothingInUse(k)
		peers[0].wantClosed()
	})
	t.Run("idle timeout first", func(t *testing.T) {
		short := *cfg
		short.IdleTimeout = time.Second
		w, k, peers := pooled(t, &short, 1)
		w.advance(2 * time.Second)
		w.wantStats(map[string]int64{"upstream_cx_max_duration_reached": 0, "upstream_cx_idle_timeout": 1})
		w.wantNothingInUse(k)
		peers[0].wantClosed()
	})
}

// TestHostLeaves holds that a host that leaves closes its idle connections and lets requests finish.
func TestHostLeaves(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 2)
	x := w.mustAcquire(k, 0, Granted)
	gone := x.Host()
	before := k.state.Assignment
	w.do(func() { k.Update(state(k.config, assign(), nil)) })
	peers[0].wantClosed()
	x.serve(peers[1])
	w.do(func() { k.Update(state(k.config, before, nil)) }) // the host is back, as a new one
	x.release(Success, true)
	peers[1].wantClosed()
	if gone.connections != 0 || gone.Stats.RqSuccess != 3 {
		t.Errorf("the host that left has %d connections, %+v", gone.connections, gone.Stats)
	}
	y := w.connected(k, 0)
	if y.Host() == gone || y.Host().Stats.CxTotal != 1 {
		t.Error("the host that came back is the one that left")
	}
	y.release(Success, false)
	w.wantNothingInUse(k)
}

func TestRetire(t *testing.T) {
	cfg := clusterConfig()
	cfg.Breakers.MaxRequests = 6400 // permits come in batches
	cfg.Breakers.MaxConnections = 2
	w, k, peers := pooled(t, cfg, 2)
	x, y := w.mustAcquire(k, 0, Granted), w.mustAcquire(k, 0, Granted)
	waiting := w.mustAcquire(k, 0, Queued)
	w.do(k.Retire)
	if n := k.shared.requests.Load(); n != 3 {
		t.Errorf("%d permits are taken, want those of 3 requests", n)
	}
	x.serve(peers[1])
	x.release(Success, true)
	peers[1].wantClosed()
	waiting.waitConnected()
	waiting.release(Success, true)
	y.release(Success, false)
	peers[0].wantClosed()
	w.wantNothingInUse(k)
	if n := k.shared.requests.Load(); n != 0 {
		t.Errorf("%d permits are taken in the end, want 0", n)
	}
	late := w.connected(k, 0) // of an exchange that pinned the cluster before
	late.release(Success, true)
	if n := k.shared.requests.Load(); n != 0 {
		t.Errorf("%d permits are taken after a late request, want 0", n)
	}
	w.wantNothingInUse(k)
}

func TestConnectTimeout(t *testing.T) {
	w := newWorker(t)
	k := w.cluster(clusterConfig(), silent(t))
	x := w.mustAcquire(k, 0, Granted)
	w.advance(4 * time.Second)
	w.do(func() {
		if done, err := x.conn.Connected(); done || err != nil {
			t.Errorf("Connected before the timeout: %v, %v", done, err)
		}
	})
	w.advance(2 * time.Second)
	w.until("the exchange is woken", func() bool { return x.woken > 0 })
	w.do(func() {
		if done, err := x.conn.Connected(); done || err != ErrConnectTimeout {
			t.Errorf("Connected: %v, %v, want false and the timeout", done, err)
		}
	})
	x.release(ServerError, false)
	w.wantStats(map[string]int64{"upstream_cx_connect_timeout": 1, "upstream_cx_destroy_local": 1})
	w.wantNothingInUse(k)
}

// TestConnectedInTime holds that a connection which was established in time is not failed by a turn that comes late.
func TestConnectedInTime(t *testing.T) {
	w, o := newWorker(t), newOrigin(t)
	k := w.cluster(clusterConfig(), o.address)
	x := &exchange{w: w}
	w.do(func() {
		x.task = w.loop.Spawn(x)
		if v := k.Acquire(&x.Lease, k.Pick(), x.task, Ask{}); v != Granted {
			t.Errorf("verdict %d", v)
		}
		o.accept() // the kernel has established it; this turn ends after the timeout
		w.clock.Add(int64(time.Minute))
	})
	w.until("news", func() bool { return x.woken > 0 })
	x.waitConnected()
	x.release(Success, false)
	w.wantStats(map[string]int64{"upstream_cx_connect_timeout": 0})
	w.wantNothingInUse(k)
}

func TestConnectRefused(t *testing.T) {
	w := newWorker(t)
	k := w.cluster(clusterConfig(), refusing(t))
	x := w.mustAcquire(k, 0, Granted)
	w.until("the failure", func() bool {
		done, err := x.conn.Connected()
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) || done {
			t.Errorf("Connected: %v, %v", done, err)
		}
		return err != nil
	})
	x.release(ServerError, false)
	w.wantStats(map[string]int64{"upstream_cx_connect_timeout": 0, "upstream_cx_total": 1, "upstream_cx_destroy": 1})
	w.wantNothingInUse(k)
}

// TestConnectFailsAtOnce holds that a connection that cannot be begun is counted as failed once and never as opened.
func TestConnectFailsAtOnce(t *testing.T) {
	w := newWorker(t)
	k := w.cluster(clusterConfig(), unreachable)
	x := w.mustAcquire(k, 0, Failed)
	if x.Err == nil || x.conn != nil || !strings.Contains(x.Err.Error(), unreachable.String()) {
		t.Errorf("error %v, connection %v, want an error that names %s", x.Err, x.conn, unreachable)
	}
	x.release(ServerError, false)
	w.wantStats(map[string]int64{"upstream_cx_connect_fail": 1, "upstream_cx_total": 0, "upstream_rq_total": 1})
	if n := x.Host().Stats.CxConnectFail; n != 1 {
		t.Errorf("the host counts %d failures, want 1", n)
	}
	w.wantNothingInUse(k)
}

// TestOutputOfIdleConnection holds that an idle connection is kept when what it still had to send goes out, whatever the
// exchange before had asked to be told.
func TestOutputOfIdleConnection(t *testing.T) {
	w, o := newWorker(t), newOrigin(t)
	k := w.cluster(clusterConfig(), o.address)
	x := w.connected(k, 0)
	p := o.accept()
	body := []byte(strings.Repeat("x", 16<<20)) // more than the kernel's buffers take
	w.do(func() {
		x.conn.WriteHead(&message.Request{
			Method: []byte("POST"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/"), ContentLength: int64(len(body)),
		})
		x.conn.WriteBody(body, false)
		x.conn.WriteEnd(nil)
		x.conn.Conn().NotifyBelow(1)
	})
	p.write(okAnswer)
	x.receive()
	x.release(Success, true)
	if n := w.idle(k, 0); n != 1 {
		t.Fatalf("%d idle connections, want 1", n)
	}
	if head := p.readHead(); !strings.Contains(head, strconv.Itoa(len(body))) {
		t.Errorf("got head %q", head)
	}
	for n := 0; n < len(body); {
		m, err := p.r.Discard(min(len(body)-n, 64<<10))
		if n += m; err != nil {
			t.Fatal(err)
		}
	}
	w.do(func() {})
	if n := w.idle(k, 0); n != 1 {
		t.Errorf("%d idle connections when the output has gone, want 1", n)
	}
	w.wantStats(map[string]int64{"upstream_cx_protocol_error": 0})
	w.end(k)
}

func TestBytesAreCounted(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 1)
	x := w.mustAcquire(k, 0, Granted)
	x.send()
	sent := len(peers[0].readHead())
	peers[0].write(okAnswer)
	x.receive()
	x.release(Success, true)
	w.wantStats(map[string]int64{"upstream_cx_rx_bytes_total": 2 * int64(len(okAnswer)), "upstream_cx_tx_bytes_total": 2 * int64(sent)})
	w.end(k)
	w.wantStats(map[string]int64{"upstream_cx_rx_bytes_total": 2 * int64(len(okAnswer)), "upstream_cx_tx_bytes_total": 2 * int64(sent)})
}

func TestNewLimitsForLiveConnections(t *testing.T) {
	w, k, peers := pooled(t, clusterConfig(), 1)
	next := *k.config
	next.MaxRequestsPerConnection = 1
	w.do(func() { k.Update(state(&next, k.state.Assignment, nil)) })
	if k.set.Hosts()[0].Health != balancer.Healthy || w.idle(k, 0) != 1 {
		t.Error("an update cost the host its connection")
	}
	x := w.mustAcquire(k, 0, Granted)
	x.serve(peers[0])
	x.release(Success, true)
	peers[0].wantClosed()
	w.wantNothingInUse(k)
}

// TestHostSetChange holds that the connections to all hosts are let go of when one comes or leaves, where the cluster says so, and not
// when something else of them changes.
func TestHostSetChange(t *testing.T) {
	other := endpoint(netip.MustParseAddrPort("192.0.2.1:80"))
	for name, tc := range map[string]struct {
		off    bool
		before []config.Endpoint // beside the host that stays
		change func(stays config.Endpoint) *config.ClusterLoadAssignment
		closed bool
	}{
		"one comes":        {change: func(e config.Endpoint) *config.ClusterLoadAssignment { return assign(e, other) }, closed: true},
		"one leaves":       {before: []config.Endpoint{other}, change: func(e config.Endpoint) *config.ClusterLoadAssignment { return assign(e) }, closed: true},
		"another weight":   {change: func(e config.Endpoint) *config.ClusterLoadAssignment { e.Weight = 7; return assign(e) }},
		"not asked for":    {off: true, change: func(e config.Endpoint) *config.ClusterLoadAssignment { return assign(e, other) }},
		"listed twice":     {change: func(e config.Endpoint) *config.ClusterLoadAssignment { return assign(e, e) }},
		"in another order": {before: []config.Endpoint{other}, change: func(e config.Endpoint) *config.ClusterLoadAssignment { return assign(other, e) }},
	} {
		t.Run(name, func(t *testing.T) {
			w, o := newWorker(t), newOrigin(t)
			cfg := clusterConfig()
			cfg.CloseOnHostSetChange = !tc.off
			k, stays := w.cluster(cfg), endpoint(o.address)
			w.do(func() { k.Update(state(cfg, assign(append([]config.Endpoint{stays}, tc.before...)...), nil)) })
			idle, busy := w.connected(k, 0), w.connected(k, 0)
			peers := []*peer{o.accept(), o.accept()}
			idle.serve(peers[0])
			idle.release(Success, true)
			w.do(func() { k.Update(state(cfg, tc.change(stays), nil)) })
			if tc.closed {
				peers[0].wantClosed()
			}
			busy.serve(peers[1]) // a request goes on to its end in any case
			busy.release(Success, true)
			if tc.closed {
				peers[1].wantClosed()
			}
			left := 0
			w.do(func() { k.Hosts(func(h *Host) { left += len(h.idle) }) })
			if want := map[bool]int{true: 0, false: 2}[tc.closed]; left != want {
				t.Errorf("%d connections are kept, want %d", left, want)
			}
			w.do(k.Retire)
			w.until("all connections are closed", func() bool { return k.shared.connections.Load() == 0 })
		})
	}
}
