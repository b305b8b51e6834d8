package upstream

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// borrowed returns a cluster with an idle connection and a function for the loop's thread that takes it for a request and
// gives it back.
func borrowed(t testing.TB) (w *worker, cycle func()) {
	t.Helper()
	w, o := newWorker(t), newOrigin(t)
	cfg := clusterConfig()
	cfg.Breakers.MaxRequests = 1024
	k := w.cluster(cfg, o.address)
	x := w.connected(k, 0)
	x.serve(o.accept())
	x.release(Success, true)
	return w, func() {
		if k.Acquire(&x.Lease, k.Pick(), x.task, Ask{}) != Granted || !x.conn.Reused() {
			t.Fatal("the idle connection was not granted")
		}
		x.Release(Success, true)
	}
}

func TestIdleConnectionCostsNoAllocation(t *testing.T) {
	w, cycle := borrowed(t)
	w.do(func() {
		if n := testing.AllocsPerRun(1000, cycle); n != 0 {
			t.Errorf("%v allocations for a request on an idle connection, want 0", n)
		}
	})
}

func BenchmarkAcquireIdle(b *testing.B) {
	w, cycle := borrowed(b)
	b.ReportAllocs()
	w.do(func() {
		for b.Loop() {
			cycle()
		}
	})
}

func BenchmarkPermit(b *testing.B) {
	s := NewShared(2)
	s.SetLimits(requestLimit(1024))
	var p requestPermits
	for b.Loop() {
		p.acquire(&s.Breakers)
		p.release(&s.Breakers)
	}
}

// BenchmarkSmallClusters measures what a worker keeps for each of many clusters of one host, without their statistics.
func BenchmarkSmallClusters(b *testing.B) {
	const clusters = 1000
	w := newWorker(b)
	scope := w.store.Scope("cluster.test.", stats.Cluster)
	cfg, a := clusterConfig(), assign(at("192.0.2.1", 1, 0))
	shared := NewShared(1)
	var block *stats.Block
	w.do(func() { block = w.shard.Block(scope) })
	env := Env{Loop: w.loop, Random: rand.NewPCG(1, 2)}
	kept := make([]*Cluster, clusters)
	before := heap()
	for b.Loop() {
		for i := range kept {
			kept[i] = New(cfg, shared, block, env)
			kept[i].Update(state(cfg, a, nil))
		}
	}
	b.ReportMetric(float64(heap()-before)/clusters, "B/cluster")
	runtime.KeepAlive(kept)
}

// BenchmarkUpdateLargeCluster measures an assignment that changes one host of many.
func BenchmarkUpdateLargeCluster(b *testing.B) {
	k := newCluster(b, clusterConfig())
	one, two := assign(), assign()
	for i := range 1000 {
		e := at(fmt.Sprintf("10.0.%d.%d", i/250, i%250), 1, 0)
		one.Localities[0].Endpoints = append(one.Localities[0].Endpoints, e)
		if i > 0 {
			two.Localities[0].Endpoints = append(two.Localities[0].Endpoints, e)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		k.Update(state(k.Config(), one, nil))
		k.Update(state(k.Config(), two, nil))
	}
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
