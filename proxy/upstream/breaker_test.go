package upstream

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func requestLimit(n uint32) config.Thresholds { return config.Thresholds{MaxRequests: n} }

// permitModel is several workers' permits and what must be true of them.
type permitModel struct {
	t       *testing.T
	shared  *Shared
	workers []requestPermits
	limit   int64
}

func newPermitModel(t *testing.T, workers int, limit uint32) *permitModel {
	m := &permitModel{t: t, shared: NewShared(workers), workers: make([]requestPermits, workers), limit: int64(limit)}
	m.shared.SetLimits(requestLimit(limit))
	return m
}

// inFlight returns the requests of all workers, after checking that the count of the breaker is theirs.
func (m *permitModel) inFlight() int64 {
	m.t.Helper()
	var held, unused int64
	for i := range m.workers {
		held += m.workers[i].inFlight
		unused += m.workers[i].unused
	}
	if n := m.shared.requests.Load(); n != held+unused {
		m.t.Fatalf("the breaker counts %d, the workers hold %d in flight and %d unused", n, held, unused)
	}
	return held
}

// acquire asks for a permit as worker i and checks the answer.
func (m *permitModel) acquire(i int) {
	m.t.Helper()
	before := m.inFlight()
	granted := m.workers[i].acquire(&m.shared.Breakers)
	early := m.limit / 16 // what batchShare promises
	switch {
	case granted && before >= m.limit:
		m.t.Fatalf("granted with %d in flight, limit %d", before, m.limit)
	case !granted && before < m.limit-early:
		m.t.Fatalf("refused with %d in flight, limit %d", before, m.limit)
	}
}

func (m *permitModel) release(i int) {
	if m.workers[i].inFlight > 0 {
		m.workers[i].release(&m.shared.Breakers)
	}
}

// setLimit changes the limit as an update of the configuration does: for all, then worker by worker.
func (m *permitModel) setLimit(limit uint32) {
	m.limit = int64(limit)
	m.shared.SetLimits(requestLimit(limit))
	for i := range m.workers {
		m.workers[i].returnUnused(&m.shared.Breakers)
	}
}

// drain ends all requests.
func (m *permitModel) drain() {
	m.t.Helper()
	for i := range m.workers {
		for m.workers[i].inFlight > 0 {
			m.workers[i].release(&m.shared.Breakers)
		}
		m.workers[i].returnUnused(&m.shared.Breakers)
	}
	if n := m.shared.requests.Load(); n != 0 {
		m.t.Errorf("%d permits are taken when all requests have ended, want 0", n)
	}
}

func TestPermitsInRandomOrder(t *testing.T) {
	for _, limit := range []uint32{0, 1, 2, 3, 5, 31, 32, 64, 100, 127, 128, 129, 1000, 1024, 5000} {
		for _, workers := range []int{1, 2, 3, 8} {
			t.Run(fmt.Sprintf("limit=%d/workers=%d", limit, workers), func(t *testing.T) {
				random := rand.New(rand.NewPCG(uint64(limit), uint64(workers)))
				m := newPermitModel(t, workers, limit)
				for range 20 {
					busy := random.IntN(101) // share of acquires in this phase
					for range 200 {
						if i := random.IntN(workers); random.IntN(100) < busy {
							m.acquire(i)
						} else {
							m.release(i)
						}
					}
				}
				m.drain()
			})
		}
	}
}

// TestPermitsFill holds that one worker alone can use all of the limit but the promised part, however the others came to
// hold what they do not use.
func TestPermitsFill(t *testing.T) {
	const workers, limit = 4, 1024
	m := newPermitModel(t, workers, limit)
	for i := range workers {
		for range limit / workers {
			m.acquire(i)
		}
	}
	for i := range workers {
		for m.workers[i].inFlight > 0 {
			m.release(i)
		}
	}
	for range limit {
		m.acquire(0)
	}
	if n := m.inFlight(); n < limit-limit/16 {
		t.Errorf("%d in flight, want at least %d", n, limit-limit/16)
	}
	m.drain()
}

func TestPermitLimitChanges(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	m := newPermitModel(t, 3, 100)
	for range 400 {
		m.setLimit([]uint32{0, 1, 2, 10, 100, 200, 1024, 4096}[random.IntN(8)])
		for range 50 {
			if i := random.IntN(3); random.IntN(3) > 0 {
				m.acquire(i)
			} else {
				m.release(i)
			}
		}
	}
	m.drain()
}

// TestLoweredLimitUnderLoad holds that a lowered limit is reached although a new request takes the place of every one that
// ends.
func TestLoweredLimitUnderLoad(t *testing.T) {
	m := newPermitModel(t, 1, 4096)
	for range 4096 {
		m.acquire(0)
	}
	m.setLimit(1024)
	for range 4096 {
		m.release(0)
		m.workers[0].acquire(&m.shared.Breakers)
	}
	if n := m.inFlight(); n > 1024 {
		t.Errorf("%d in flight, limit 1024", n)
	}
	m.drain()
}

// TestUpdateReturnsPermits holds that a lowered limit is in force on a worker as soon as it has taken the update over.
func TestUpdateReturnsPermits(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	cfg.Breakers.MaxRequests = 6400
	k := w.cluster(cfg, newOrigin(t).address)
	w.connected(k, 0).release(Success, false)
	lowered := *cfg
	lowered.Breakers.MaxRequests = 0
	k.shared.SetLimits(lowered.Breakers)
	w.do(func() { k.Update(state(&lowered, k.state.Assignment, nil)) })
	if _, v := w.acquire(k, 0); v != Overflow {
		t.Errorf("verdict %d with max_requests 0, want Overflow", v)
	}
	w.wantNothingInUse(k)
}

// TestSmallLimitsExact holds that workers at once never have more permits than a small limit, and never are refused one
// that is free.
func TestSmallLimitsExact(t *testing.T) {
	for _, limit := range []int64{1, 2, 3} {
		shared := NewShared(4)
		shared.SetLimits(requestLimit(uint32(limit)))
		var inFlight atomic.Int64
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				var p requestPermits
				for range 2000 {
					if !p.acquire(&shared.Breakers) {
						runtime.Gosched()
						continue
					}
					if n := inFlight.Add(1); n > limit {
						t.Errorf("%d in flight, limit %d", n, limit)
					}
					inFlight.Add(-1)
					p.release(&shared.Breakers)
				}
				if p.unused != 0 {
					t.Errorf("%d unused permits of a limit of %d", p.unused, limit)
				}
			})
		}
		wait.Wait()
		if n := shared.requests.Load(); n != 0 {
			t.Errorf("limit %d: %d permits are taken in the end, want 0", limit, n)
		}
	}
}

func TestPermitsAtOnce(t *testing.T) {
	const workers, limit = 4, 256
	shared := NewShared(workers)
	shared.SetLimits(requestLimit(limit))
	var inFlight atomic.Int64
	var wait sync.WaitGroup
	for id := range workers {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(uint64(id), 5))
			var p requestPermits
			for range 4000 {
				if random.IntN(2) == 0 {
					if p.acquire(&shared.Breakers) && inFlight.Add(1) > limit {
						t.Errorf("more than %d in flight", limit)
					}
				} else if p.inFlight > 0 {
					inFlight.Add(-1)
					p.release(&shared.Breakers)
				}
			}
			for p.inFlight > 0 {
				inFlight.Add(-1)
				p.release(&shared.Breakers)
			}
			p.returnUnused(&shared.Breakers)
		})
	}
	wait.Wait()
	if n := shared.requests.Load(); n != 0 {
		t.Errorf("%d permits are taken in the end, want 0", n)
	}
}

// TestTakeAtOnce holds that max_connections and max_pending_requests are never exceeded.
func TestTakeAtOnce(t *testing.T) {
	for _, limit := range []int64{1, 2, 3, 7} {
		var count, held atomic.Int64
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for range 2000 {
					if !take(&count, 1, limit) {
						continue
					}
					if n := held.Add(1); n > limit {
						t.Errorf("%d are held, limit %d", n, limit)
					}
					held.Add(-1)
					count.Add(-1)
				}
			})
		}
		wait.Wait()
		if n := count.Load(); n != 0 {
			t.Errorf("limit %d: %d are counted in the end, want 0", limit, n)
		}
	}
}

// TestRefusedTakeUnseen holds that an attempt that is refused does not have another one refused that there is room for.
func TestRefusedTakeUnseen(t *testing.T) {
	var count atomic.Int64
	var stop atomic.Bool
	var wait sync.WaitGroup
	wait.Go(func() {
		for !stop.Load() {
			if take(&count, 1, 0) {
				t.Error("took one of none")
			}
		}
	})
	for range 50_000 {
		if !take(&count, 1, 1) {
			t.Error("refused the only place although it was free")
			break
		}
		count.Add(-1)
	}
	stop.Store(true)
	wait.Wait()
}
