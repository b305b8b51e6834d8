package stats

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func value(t *testing.T, s *Store, name string) uint64 {
	t.Helper()
	v, ok := s.Snapshot(t.Context()).Value(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return v
}

func TestWorkersAreAddedUp(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("cluster.foo.", Cluster)
	for i := range 4 {
		startWorker(t, s).do(func(sh *Shard) {
			b := sh.Block(sc)
			b.Inc(ClusterUpstreamRqTotal)
			b.Add(ClusterUpstreamCxRxBytesTotal, uint64(i))
			b.Set(ClusterMembershipTotal, 7)
			b.Record(ClusterUpstreamRqTime, uint64(1000*(i+1)))
			b.IncStatus(200)
			b.IncStatus(500 + i)
			b.IncStatusOf(ClusterRetryUpstreamRqStatus, 503)
		})
	}
	sc.Inc(ClusterUpstreamRqTotal)
	sc.Record(ClusterUpstreamRqTime, 5000)
	sn := s.Snapshot(t.Context())
	for name, want := range map[string]uint64{
		"cluster.foo.upstream_rq_total":           5,
		"cluster.foo.upstream_cx_rx_bytes_total":  6,
		"cluster.foo.membership_total":            7,
		"cluster.foo.upstream_rq_200":             4,
		"cluster.foo.upstream_rq_503":             1,
		"cluster.foo.upstream_rq_2xx":             4,
		"cluster.foo.upstream_rq_5xx":             4,
		"cluster.foo.upstream_rq_completed":       8,
		"cluster.foo.retry.upstream_rq_503":       4,
		"cluster.foo.retry.upstream_rq_completed": 4,
		"cluster.foo.upstream_cx_active":          0,
	} {
		if v, ok := sn.Value(name); !ok || v != want {
			t.Errorf("%s is %d (%t), want %d", name, v, ok, want)
		}
	}
	for _, name := range []string{"cluster.foo.upstream_rq_4xx", "cluster.foo.upstream_rq_404", "cluster.foo.upstream_rq_unknown"} {
		if _, ok := sn.Value(name); ok {
			t.Errorf("%s is shown before its first use", name)
		}
	}
	d := sn.Of(sc).Distribution(ClusterUpstreamRqTime)
	if d.Count() != 5 || d.Sum() != 15 || d.Mean() != 3 {
		t.Errorf("count %d sum %g mean %g, want 5, 15 and 3 ms", d.Count(), d.Sum(), d.Mean())
	}
}

func TestGaugeTakenAwayByAnotherWorker(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("http.in.", HTTP)
	a, b := startWorker(t, s), startWorker(t, s)
	a.do(func(sh *Shard) { sh.Block(sc).Add(HTTPDownstreamCxActive, 3) })
	b.do(func(sh *Shard) { sh.Block(sc).Dec(HTTPDownstreamCxActive); sh.Block(sc).Sub(HTTPDownstreamCxActive, 1) })
	if v := value(t, s, "http.in.downstream_cx_active"); v != 1 {
		t.Errorf("3 - 1 - 1 is %d", v)
	}
	b.do(func(sh *Shard) { sh.Block(sc).Sub(HTTPDownstreamCxActive, 5) })
	if v := value(t, s, "http.in.downstream_cx_active"); v != 0 {
		t.Errorf("a sum below zero shows as %d", v)
	}
}

func TestUsed(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("http.in.", HTTP)
	w := startWorker(t, s)
	w.do(func(sh *Shard) {
		b := sh.Block(sc)
		b.Inc(HTTPDownstreamCxActive)
		b.Dec(HTTPDownstreamCxActive)
		b.Set(HTTPDownstreamRqActive, 0)
	})
	sc.Set(HTTPDownstreamCxSSLActive, 0)
	used := map[string]bool{}
	for sample := range s.Snapshot(t.Context()).All() {
		if sample.Used {
			used[sample.Name] = true
		}
	}
	for _, name := range []string{"downstream_cx_active", "downstream_rq_active", "downstream_cx_ssl_active"} {
		if !used["http.in."+name] {
			t.Errorf("%s was written and counts as unused", name)
		}
	}
	if len(used) != 3 {
		t.Errorf("used: %v", used)
	}
}

func TestReleasedScopeStartsAgainAtZero(t *testing.T) {
	s := NewStore(Options{})
	w := startWorker(t, s)
	first := s.Scope("cluster.foo.", Cluster)
	again := s.Scope("cluster.foo.", Cluster)
	if first != again {
		t.Fatal("two scopes of one prefix")
	}
	w.do(func(sh *Shard) { sh.Block(first).Inc(ClusterUpstreamRqTotal) })
	first.Release()
	if v := value(t, s, "cluster.foo.upstream_rq_total"); v != 1 {
		t.Fatalf("%d with one reference left, want 1", v)
	}
	again.Release()
	sn := s.Snapshot(t.Context())
	if _, ok := sn.Value("cluster.foo.upstream_rq_total"); ok {
		t.Fatal("a released scope is shown")
	}
	w.do(func(sh *Shard) {
		if len(sh.blocks) != 0 || len(sh.byScope) != 0 {
			t.Error("the worker keeps the block of a released scope")
		}
	})
	s.Scope("cluster.foo.", Cluster)
	if v := value(t, s, "cluster.foo.upstream_rq_total"); v != 0 {
		t.Errorf("a new scope starts at %d", v)
	}
}

func TestHiddenScope(t *testing.T) {
	s := NewStore(Options{})
	sc := s.HiddenScope("route.r1.", Route)
	shown := s.Scope("route.r1.", Route)
	startWorker(t, s).do(func(sh *Shard) {
		sh.Block(sc).Add(RouteRequests, 3)
		sh.Block(sc).Record(RouteTime, 2500)
	})
	sn := s.Snapshot(t.Context())
	if v := sn.Of(sc); v.Value(RouteRequests) != 3 || v.Distribution(RouteTime).Mean() != 2.5 {
		t.Errorf("%d requests, mean %g ms", v.Value(RouteRequests), v.Distribution(RouteTime).Mean())
	}
	if v := sn.Of(shown).Value(RouteRequests); v != 0 {
		t.Errorf("the exposed scope of that prefix has %d", v)
	}
	shown.Release()
	for sample := range s.Snapshot(t.Context()).All() {
		t.Errorf("%s is shown", sample.Name)
	}
}

func TestStatusCodes(t *testing.T) {
	s := NewStore(Options{})
	in, admin := s.Scope("http.in.", HTTP), s.Scope("http.admin.", HTTP)
	startWorker(t, s).do(func(sh *Shard) {
		for _, code := range []int{200, 200, 404, 99, 600, -1} {
			sh.Block(in).IncStatus(code)
		}
		sh.Block(admin).IncStatus(200)
	})
	sn := s.Snapshot(t.Context())
	codes := sn.StatusCodes(func(prefix string) bool { return prefix == "http.in." })
	if len(codes) != 2 || codes[200] != 2 || codes[404] != 1 {
		t.Errorf("codes %v", codes)
	}
	if v := value(t, s, "http.in.downstream_rq_unknown"); v != 3 {
		t.Errorf("%d unknown, want 3", v)
	}
	if v := value(t, s, "http.in.downstream_rq_completed"); v != 6 {
		t.Errorf("%d completed, want 6", v)
	}
	for sample := range sn.All() {
		if sample.Name == "http.in.downstream_rq_200" {
			t.Error("exact codes of a connection manager are shown")
		}
	}
	for code := range sn.Of(in).StatusCodes(HTTPDownstreamRqStatus) {
		if code != 200 {
			t.Errorf("first code is %d", code)
		}
		break
	}
}

func TestClosedWorkerStaysInTotals(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("http.in.", HTTP)
	for range 3 {
		w := startWorker(t, s)
		w.do(func(sh *Shard) {
			sh.Block(sc).Inc(HTTPDownstreamCxTotal)
			sh.Block(sc).Inc(HTTPDownstreamCxActive)
			sh.Block(sc).Record(HTTPDownstreamRqTime, 10)
			sh.Block(sc).IncStatus(200)
		})
		w.stop()
		s.Flush()
	}
	if len(s.shards) != 0 {
		t.Errorf("%d closed shards are kept", len(s.shards))
	}
	sn := s.Snapshot(t.Context())
	v := sn.Of(sc)
	if v.Value(HTTPDownstreamCxTotal) != 3 || v.Value(HTTPDownstreamCxActive) != 0 || v.Distribution(HTTPDownstreamRqTime).Count() != 3 {
		t.Errorf("total %d active %d times %d, want 3, 0 and 3", v.Value(HTTPDownstreamCxTotal),
			v.Value(HTTPDownstreamCxActive), v.Distribution(HTTPDownstreamRqTime).Count())
	}
}

func TestStuckWorkerContributesItsLastCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(Options{})
		sc := s.Scope("http.in.", HTTP)
		w := startWorker(t, s)
		w.do(func(sh *Shard) { sh.Block(sc).Inc(HTTPRqTotal) })
		if v := value(t, s, "http.in.rq_total"); v != 1 {
			t.Fatalf("%d before", v)
		}
		release := make(chan struct{})
		w.post(func() {
			w.shard.Block(sc).Inc(HTTPRqTotal)
			<-release
		})
		synctest.Wait()
		start := time.Now()
		if v := value(t, s, "http.in.rq_total"); v != 1 {
			t.Errorf("%d while stuck, want the last copy's 1", v)
		}
		if waited := time.Since(start); waited != gatherTimeout {
			t.Errorf("waited %v, want %v", waited, gatherTimeout)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if v, _ := s.Snapshot(ctx).Value("http.in.rq_total"); v != 1 || time.Since(start) != gatherTimeout {
			t.Errorf("%d after %v with a context that has ended", v, time.Since(start))
		}
		close(release)
		synctest.Wait()
		if v := value(t, s, "http.in.rq_total"); v != 2 {
			t.Errorf("%d afterwards, want 2", v)
		}
		w.stop()
	})
}

func TestWorkerThatIsGone(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("http.in.", HTTP)
	alive := true
	sh := s.NewShard(func(f func()) bool {
		if alive {
			f()
		}
		return alive
	})
	sh.Block(sc).Inc(HTTPRqTotal)
	if v := value(t, s, "http.in.rq_total"); v != 1 {
		t.Fatalf("%d while alive", v)
	}
	alive = false
	if v := value(t, s, "http.in.rq_total"); v != 1 {
		t.Errorf("%d after it died, want its last copy's 1", v)
	}
	sh.Close()
	sh.Close()
	if v := value(t, s, "http.in.rq_total"); v != 1 {
		t.Errorf("%d after Close", v)
	}
}

func TestLargeShardIsCopiedInSteps(t *testing.T) {
	s := NewStore(Options{})
	w := startWorker(t, s)
	var scopes []*Scope
	for i := range 300 {
		scopes = append(scopes, s.Scope(fmt.Sprintf("cluster.c%d.", i), Cluster))
	}
	w.do(func(sh *Shard) {
		for _, sc := range scopes {
			sh.Block(sc).Inc(ClusterUpstreamRqTotal)
		}
	})
	steps := 0
	post := w.shard.post
	w.shard.post = func(f func()) bool { steps++; return post(f) }
	sn := s.Snapshot(t.Context())
	for _, sc := range scopes {
		if sn.Of(sc).Value(ClusterUpstreamRqTotal) != 1 {
			t.Fatalf("%s was not copied", sc.Prefix())
		}
	}
	if want := 300 * Cluster.Len() / passBudget; steps <= want {
		t.Errorf("%d steps for %d words", steps, 300*Cluster.Len())
	}
}

func TestResetCounters(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("http.in.", HTTP)
	w, closed := startWorker(t, s), startWorker(t, s)
	for _, w := range []*worker{w, closed} {
		w.do(func(sh *Shard) {
			sh.Block(sc).Inc(HTTPRqTotal)
			sh.Block(sc).Inc(HTTPDownstreamRqActive)
			sh.Block(sc).IncStatus(200)
		})
	}
	closed.stop()
	s.Snapshot(t.Context())
	sc.Inc(HTTPRqTotal)
	sc.IncStatus(204)
	s.Counter("server.x").Inc()
	s.ResetCounters(t.Context())
	for name, want := range map[string]uint64{
		"http.in.rq_total": 0, "http.in.downstream_rq_active": 1, "http.in.downstream_rq_2xx": 0, "server.x": 0,
	} {
		if v := value(t, s, name); v != want {
			t.Errorf("%s is %d, want %d", name, v, want)
		}
	}
	w.do(func(sh *Shard) { sh.Block(sc).IncStatus(204) })
	if v := value(t, s, "http.in.downstream_rq_2xx"); v != 1 {
		t.Errorf("%d counted after the reset, want 1", v)
	}
}

func TestControlPlaneStatistics(t *testing.T) {
	s := NewStore(Options{})
	s.Counter("a.count").Add(2)
	s.Counter("a.count").Inc()
	s.Gauge("a.gauge").Set(5)
	s.Gauge("a.gauge").Dec()
	s.GaugeFunc("a.func", func() uint64 { return 9 })
	s.Text("a.text", func() string { return "hello" })
	sc := s.Scope("cluster.foo.", Cluster)
	sc.Inc(ClusterUpdateAttempt)
	remove := s.Collect(func(emit func(Sample)) {
		emit(Sample{Name: "cluster.foo.update_attempt", Kind: Counter, Value: 4})
		emit(Sample{Name: "cluster.foo:1.x", Kind: Gauge, Value: 1})
	})
	for name, want := range map[string]uint64{
		"a.count": 3, "a.gauge": 4, "a.func": 9, "cluster.foo.update_attempt": 5, "cluster.foo_1.x": 1,
	} {
		if v := value(t, s, name); v != want {
			t.Errorf("%s is %d, want %d", name, v, want)
		}
	}
	names := map[string]int{}
	for sample := range s.Snapshot(t.Context()).All() {
		names[sample.Name]++
	}
	if names["cluster.foo.update_attempt"] != 1 {
		t.Errorf("a name that two give is shown %d times", names["cluster.foo.update_attempt"])
	}
	remove()
	if v := value(t, s, "cluster.foo.update_attempt"); v != 1 {
		t.Errorf("%d after the hook is gone", v)
	}
	defer func() {
		if recover() == nil {
			t.Error("a gauge is given out as a counter")
		}
	}()
	s.Counter("a.gauge")
}

func TestReject(t *testing.T) {
	want := []string{"cluster.foo.upstream_rq_204", "http.in.rq_total"}
	s := NewStore(Options{Reject: func(name string) bool { return !slices.Contains(want, name) }})
	s.Scope("http.in.", HTTP)
	s.Scope("cluster.foo.", Cluster).IncStatus(200)
	s.Scope("cluster.foo.", Cluster).IncStatus(204)
	s.Counter("x").Inc()
	s.Text("y", func() string { return "" })
	var got []string
	for sample := range s.Snapshot(t.Context()).All() {
		got = append(got, sample.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("shown: %q", got)
	}
}

func TestWindow(t *testing.T) {
	now := time.Unix(0, 0)
	s := NewStore(Options{Now: func() time.Time { return now }})
	w := s.NewWindow(func(name string) bool { return name == "http.in.downstream_rq_time" })
	in, other := s.Scope("http.in.", HTTP), s.Scope("http.other.", HTTP)
	if w.PerSecond() != 0 {
		t.Error("a rate before the first flush")
	}
	flush := func(values int, micros uint64) {
		for range values {
			in.Record(HTTPDownstreamRqTime, micros)
			other.Record(HTTPDownstreamRqTime, 1)
		}
		now = now.Add(FlushInterval)
		s.Flush()
	}
	flush(10, 1000)
	if d, span := w.Last(); d.Count() != 10 || span != FlushInterval || d.Mean() != 1 || w.PerSecond() != 2 {
		t.Errorf("%d values in %v, mean %g ms, %g per second", d.Count(), span, d.Mean(), w.PerSecond())
	}
	for range windowSlots - 1 {
		flush(20, 3000)
	}
	if d, span := w.Last(); d.Count() != 230 || span != time.Minute || d.Quantile(0) != 1 || d.Quantile(0.9) < 2.9 {
		t.Errorf("%d values in %v from %g ms", d.Count(), span, d.Quantile(0))
	}
	flush(0, 0)
	if d, span := w.Last(); d.Count() != 220 || span != time.Minute || d.Quantile(0) < 2.9 {
		t.Errorf("after a minute: %d values in %v from %g ms", d.Count(), span, d.Quantile(0))
	}
	in.Release()
	for range windowSlots {
		flush(0, 0)
	}
	if d, _ := w.Last(); d.Count() != 0 {
		t.Errorf("%d values left", d.Count())
	}
}

func TestReadersAndWritersTogether(t *testing.T) {
	s := NewStore(Options{Tags: []TagRule{FixedTag("module_type", "ALB")}})
	const workers, scopes, rounds = 4, 40, 200
	var list []*Scope
	for i := range scopes {
		list = append(list, s.Scope(fmt.Sprintf("cluster.c%d.", i), Cluster))
	}
	var all sync.WaitGroup
	for range workers {
		w := startWorker(t, s)
		all.Go(func() {
			for r := range rounds {
				w.do(func(sh *Shard) {
					for _, sc := range list {
						b := sh.Block(sc)
						b.Inc(ClusterUpstreamRqTotal)
						b.Inc(ClusterUpstreamRqActive)
						b.Record(ClusterUpstreamRqTime, uint64(r*r))
						b.IncStatus(200 + r%7)
						b.Dec(ClusterUpstreamRqActive)
					}
				})
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				sn := s.Snapshot(t.Context())
				if i == 0 {
					_ = sn.WriteText(io.Discard, WriteOptions{})
				} else {
					_ = sn.WritePrometheus(io.Discard, WriteOptions{})
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			s.Flush()
			s.Scope("cluster.passing.", Cluster).Release()
		}
	})
	all.Wait()
	close(stop)
	readers.Wait()
	sn := s.Snapshot(t.Context())
	for _, sc := range list {
		v := sn.Of(sc)
		if v.Value(ClusterUpstreamRqTotal) != workers*rounds || v.Value(ClusterUpstreamRqActive) != 0 ||
			v.Distribution(ClusterUpstreamRqTime).Count() != workers*rounds {
			t.Fatalf("%s: total %d active %d", sc.Prefix(), v.Value(ClusterUpstreamRqTotal), v.Value(ClusterUpstreamRqActive))
		}
	}
}

func TestRequestPathDoesNotAllocate(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("cluster.foo.", Cluster)
	b := s.NewShard(func(func()) bool { return false }).Block(sc)
	use := func() {
		b.Inc(ClusterUpstreamRqTotal)
		b.Add(ClusterUpstreamCxTxBytesTotal, 100)
		b.Inc(ClusterUpstreamRqActive)
		b.Dec(ClusterUpstreamRqActive)
		b.Set(ClusterMembershipTotal, 3)
		for v := uint64(1); v < 1e13; v *= 3 {
			b.Record(ClusterUpstreamRqTime, v)
		}
		for _, code := range []int{200, 304, 503, 999} {
			b.IncStatus(code)
			b.IncStatusOf(ClusterRetryUpstreamRqStatus, code)
		}
	}
	use() // the first use allocates
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestCopyDoesNotAllocateInTheSteadyState(t *testing.T) {
	s := NewStore(Options{})
	sc := s.Scope("cluster.foo.", Cluster)
	sh := s.NewShard(func(func()) bool { return false })
	b := sh.Block(sc)
	copyAll := func() {
		b.Record(ClusterUpstreamRqTime, 1234)
		b.IncStatus(200)
		sh.copyBlock(b, passAll)
	}
	copyAll()
	if n := testing.AllocsPerRun(100, copyAll); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
