package upstream

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// speakHTTP2 has the cluster's hosts be spoken to in HTTP/2, with so many streams at a time.
func (w *worker) speakHTTP2(k *Cluster, streams uint32) {
	w.t.Helper()
	block := w.shard.Block(w.store.Scope("cluster.test.http2.", stats.HTTP2Codec))
	w.do(func() {
		k.http2 = http2.NewEnv(w.loop, func(int64) int64 { return 0 })
		k.CountHTTP2(block)
		k.config.HTTP2 = config.DefaultHTTP2()
		k.config.HTTP2.MaxStreams = streams
		k.configure(k.config)
	})
}

// ask is acquire for something else than an HTTP/1 connection, which must end with want.
func (w *worker) ask(k *Cluster, a Ask, want Verdict) *exchange {
	w.t.Helper()
	x := &exchange{w: w}
	w.do(func() {
		x.task = w.loop.Spawn(x)
		a.Response = &message.Response{}
		if v := k.Acquire(&x.Lease, k.hosts[0].Data.(*Host), x.task, a); v != want {
			w.t.Errorf("verdict %d, want %d", v, want)
		}
	})
	return x
}

// wantStream waits until a queued exchange is woken with a stream.
func (x *exchange) wantStream() {
	x.w.t.Helper()
	x.w.until("woken", func() bool { return x.woken > 0 })
	if x.Waiting() || x.Stream == nil {
		x.w.t.Fatalf("woken without a stream: waiting %v, error %v", x.Waiting(), x.Err)
	}
}

// letGo has a host let go of its connections, as another TLS context and a failed health check do.
var letGo = map[string]func(*Host){
	"another context":     (*Host).outdate,
	"failed health check": (*Host).drain,
}

// TestOutdatedServesWaiting holds that who waits for a connection that is let go of is given another, also when the breaker
// allows no second one: a request on the old one may last, and none is given it any more.
func TestOutdatedServesWaiting(t *testing.T) {
	for name, leave := range letGo {
		t.Run(name, func(t *testing.T) {
			w, k, o, _ := oneConnection(t, 64)
			lasting := w.connected(k, 0)
			o.accept()
			first, second := w.mustAcquire(k, 0, Queued), w.mustAcquire(k, 0, Queued)
			w.do(func() { leave(k.hosts[0].Data.(*Host)) })
			first.wantGranted()
			second.wantWaiting() // the new connection is all that the breaker allows
			first.waitConnected()
			first.serve(o.accept())
			first.release(Success, true)
			second.wantGranted()
			second.release(Success, false)
			lasting.release(Success, true)
			w.wantStats(map[string]int64{"upstream_cx_total": 2})
			w.wantNothingInUse(k)
		})
	}
}

// TestOutdatedServesWaitingStreams is the same for streams: of a connection that has room for some, and of one of which it is
// not known yet.
func TestOutdatedServesWaitingStreams(t *testing.T) {
	for name, leave := range letGo {
		t.Run(name, func(t *testing.T) {
			w, k, _, _ := oneConnection(t, 64)
			w.speakHTTP2(k, 2)
			lasting := []*exchange{w.ask(k, Ask{Protocol: HTTP2}, Granted), w.ask(k, Ask{Protocol: HTTP2}, Granted)}
			waiting := []*exchange{w.ask(k, Ask{Protocol: HTTP2}, Queued), w.ask(k, Ask{Protocol: HTTP2}, Queued), w.ask(k, Ask{Protocol: HTTP2}, Queued)}
			w.do(func() { leave(k.hosts[0].Data.(*Host)) })
			waiting[0].wantStream()
			waiting[1].wantStream()
			waiting[2].wantWaiting()
			if waiting[0].http2.conn != waiting[1].http2.conn || waiting[0].http2.conn == lasting[0].http2.conn {
				t.Error("they are not on one new connection")
			}
			waiting[1].release(Cancelled, false)
			waiting[2].wantStream()
			for _, x := range append(waiting, lasting...) {
				x.release(Cancelled, false)
			}
			w.do(k.Retire)
			w.until("all connections are closed", func() bool { return k.shared.connections.Load() == 0 })
			w.wantNothingInUse(k)
		})
	}
}

// TestIdleMakesRoom holds that a connection nobody uses is closed for one that is asked for and would not be allowed beside it.
func TestIdleMakesRoom(t *testing.T) {
	for name, a := range map[string]Ask{
		"a fresh connection": {Fresh: true}, "one's own": {TCP: true}, "another protocol": {Protocol: HTTP2},
	} {
		t.Run(name, func(t *testing.T) {
			w, k, o, _ := oneConnection(t, 64)
			w.speakHTTP2(k, 100)
			x := w.connected(k, 0)
			x.serve(o.accept())
			x.release(Success, true)
			if n := w.idle(k, 0); n != 1 {
				t.Fatalf("%d idle connections, want 1", n)
			}
			y := w.ask(k, a, Granted)
			if n := w.idle(k, 0); n != 0 {
				t.Errorf("%d idle connections, want none", n)
			}
			w.wantStats(map[string]int64{"upstream_cx_active": 1, "upstream_cx_overflow": 0})
			y.release(Cancelled, false)
			w.do(k.Retire)
			w.until("all connections are closed", func() bool { return k.shared.connections.Load() == 0 })
		})
	}
}

// TestRaisedLimitServesWaiting holds that a breaker that allows more is news for those who wait.
func TestRaisedLimitServesWaiting(t *testing.T) {
	w, k, _, _ := oneConnection(t, 64)
	x := w.connected(k, 0)
	y := w.mustAcquire(k, 0, Queued)
	raised := *k.config
	raised.Breakers.MaxConnections = 2
	k.shared.SetLimits(raised.Breakers)
	w.do(func() { k.Update(state(&raised, k.state.Assignment, nil)) })
	y.wantGranted()
	x.release(Cancelled, false)
	y.release(Cancelled, false)
	w.wantNothingInUse(k)
}
