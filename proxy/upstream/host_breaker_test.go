package upstream

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// boundHosts returns a configuration with so many connections to each host.
func boundHosts(limit uint32) *config.Cluster {
	cfg := clusterConfig()
	cfg.Breakers.MaxPerHost = &limit
	return cfg
}

// TestHostBreaker holds that connections are bounded host by host, over all workers, and that a worker without any may have one
// beyond that.
func TestHostBreaker(t *testing.T) {
	w, a, b := newWorker(t), newOrigin(t), newOrigin(t)
	cfg := boundHosts(2)
	shared := NewShared(2)
	shared.SetLimits(cfg.Breakers)
	one, two := w.clusterOf(shared, cfg, a.address, b.address), w.clusterOf(shared, cfg, a.address, b.address)
	var all []*exchange
	for _, k := range []*Cluster{one, two} {
		all = append(all, w.connected(k, 0))
	}
	first, second := w.mustAcquire(one, 0, Queued), w.mustAcquire(two, 0, Queued)
	all = append(all, w.connected(one, 1), w.connected(one, 1))
	w.wantStats(map[string]int64{"upstream_cx_overflow": 2, "upstream_cx_active": 4})
	beyond := w.connected(two, 1)
	beyond.release(Success, false)
	all[0].release(Success, false)
	first.wantGranted()
	first.waitConnected()
	second.wantWaiting()
	all[1].release(Success, false)
	second.wantGranted()
	second.waitConnected()
	for _, x := range append(all[2:], first, second) {
		x.release(Success, false)
	}
	for _, h := range shared.hosts {
		if n := h.connections.Load(); n != 0 || h.workers != 2 {
			t.Errorf("%d connections and %d workers are counted of %v, want 0 and 2", n, h.workers, h.at)
		}
	}
	w.do(two.Retire)
	w.do(one.Retire)
	if len(shared.hosts) != 0 {
		t.Errorf("%d hosts are kept when nobody has them", len(shared.hosts))
	}
}

// TestHostBreakerComesAndGoes holds that connections count that were there before the bound, and that nothing is counted after it.
func TestHostBreakerComesAndGoes(t *testing.T) {
	w, o := newWorker(t), newOrigin(t)
	free := clusterConfig()
	k := w.cluster(free, o.address)
	x, y := w.connected(k, 0), w.connected(k, 0)
	change := func(cfg *config.Cluster) {
		k.shared.SetLimits(cfg.Breakers)
		w.do(func() { k.Update(state(cfg, k.state.Assignment, nil)) })
	}
	change(boundHosts(2))
	waiting := w.mustAcquire(k, 0, Queued)
	x.release(Success, false)
	waiting.wantGranted()
	waiting.waitConnected()
	last := w.mustAcquire(k, 0, Queued)
	change(free)
	last.wantGranted()
	last.waitConnected()
	if len(k.shared.hosts) != 0 {
		t.Error("a host is counted that is not bounded")
	}
	for _, x := range []*exchange{y, waiting, last} {
		x.release(Success, false)
	}
	w.wantNothingInUse(k)
}

// TestHostBreakerOfCluster holds that a connection which the breaker of the cluster refuses is not counted for the host.
func TestHostBreakerOfCluster(t *testing.T) {
	w, o := newWorker(t), newOrigin(t)
	cfg := boundHosts(9)
	cfg.Breakers.MaxConnections = 1
	k := w.cluster(cfg, o.address)
	x := w.connected(k, 0)
	waiting := w.mustAcquire(k, 0, Queued)
	for _, h := range k.shared.hosts {
		if n := h.connections.Load(); n != 1 {
			t.Errorf("%d connections are counted, want 1", n)
		}
	}
	x.release(Success, false)
	waiting.wantGranted()
	waiting.waitConnected()
	waiting.release(Success, false)
	w.wantNothingInUse(k)
}
