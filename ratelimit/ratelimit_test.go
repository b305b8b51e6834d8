package ratelimit

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// model is a token bucket in whole nano-tokens, to judge the decisions of leases by.
type model struct {
	rate, burst, level int64
	now                time.Time
}

// token is one token of a model.
const token = int64(time.Second)

func newModel(rate, burst int32) *model {
	return &model{rate: int64(rate), burst: int64(burst) * token, level: int64(burst) * token, now: start}
}

func (m *model) advance(now time.Time) {
	m.level = min(m.burst, m.level+int64(now.Sub(m.now))*m.rate)
	m.now = now
}

// slack is what x/time/rate may be early by: it rounds waiting times to whole nanoseconds and counts in float64.
func (m *model) slack() int64 { return 2*m.rate + token/1000 }

// follow makes the decision of a lease its own and reports what is wrong with it. behind are the tokens by which leases
// may fall behind.
func (m *model) follow(now time.Time, allowed bool, behind int) error {
	m.advance(now)
	if allowed {
		m.level -= token
		if m.level < -m.slack() {
			return fmt.Errorf("at %v: allowed with %.6f tokens in the bucket", now.Sub(start), float64(m.level+token)/float64(token))
		}
		return nil
	}
	if m.level >= token*int64(1+behind)+m.slack() {
		return fmt.Errorf("at %v: refused with %.6f tokens in the bucket", now.Sub(start), float64(m.level)/float64(token))
	}
	return nil
}

func leases(b *Bucket, n int) []*Lease {
	all := make([]*Lease, n)
	for i := range all {
		all[i] = b.Lease()
	}
	return all
}

func TestFirstRequestsTakeTheWholeBurst(t *testing.T) {
	for _, burst := range []int32{1, 2, 5, 7, 8, 9, 63, 64, 1000, 100_000} {
		for _, workers := range []int{1, 2, 3, 16} {
			all := leases(NewBucket(5, burst), workers)
			passed := 0
			for i := range int(burst) + 100 {
				if all[i%workers].Allow(start) {
					passed++
				}
			}
			if passed != int(burst) {
				t.Errorf("burst %d, %d workers: %d passed at once", burst, workers, passed)
			}
		}
	}
}

func TestOneTokenPerInterval(t *testing.T) {
	all := leases(NewBucket(5, 5), 3)
	for range 5 {
		if !all[0].Allow(start) {
			t.Fatal("refused within the burst")
		}
	}
	for i := 1; i <= 50; i++ {
		now := start.Add(time.Duration(i) * 200 * time.Millisecond)
		passed := 0
		for j := range 12 {
			if all[(i+j)%3].Allow(now) {
				passed++
			}
		}
		if passed != 1 {
			t.Fatalf("after %d intervals: %d passed, want 1", i, passed)
		}
	}
}

// An idle worker's batch is within reach of the others, without waiting.
func TestIdleLeaseDoesNotStarve(t *testing.T) {
	b := NewBucket(1, 800)
	idle, busy := b.Lease(), b.Lease()
	if !idle.Allow(start) || idle.left.Load() == 0 {
		t.Fatalf("the idle lease holds %d tokens, want a batch", idle.left.Load())
	}
	passed := 0
	for busy.Allow(start) {
		passed++
	}
	if passed != 799 {
		t.Errorf("the busy lease got %d tokens, want 799", passed)
	}
	if idle.Allow(start) {
		t.Error("the idle lease spent a token that was taken back")
	}
}

func TestReturnGivesTokensBack(t *testing.T) {
	b := NewBucket(1, 800)
	first, second := b.Lease(), b.Lease()
	first.Allow(start)
	first.Return()
	first.Return()
	if n := len(b.leases); n != 1 {
		t.Fatalf("%d leases left, want 1", n)
	}
	passed := 0
	for second.Allow(start) {
		passed++
	}
	if passed != 799 {
		t.Errorf("%d tokens after the return, want 799", passed)
	}
	later := start.Add(time.Second)
	if !first.Allow(later) || first.left.Load() > 0 || first.Allow(later) {
		t.Error("a returned lease must take single tokens from the bucket")
	}
}

func TestHeldIsBounded(t *testing.T) {
	for _, burst := range []int32{1, 7, 8, 40, 100, 1 << 20} {
		b := NewBucket(1_000_000, burst)
		for i := range 40 {
			b.Lease().Allow(start.Add(time.Duration(i) * time.Second))
			if held := b.inLeases() + b.spare; held > int(burst)/heldShare {
				t.Errorf("burst %d, %d leases: %d tokens held, want at most %d", burst, i+1, held, burst/heldShare)
			}
		}
	}
}

// A worker whose clock is behind must not make the bucket earn an interval twice, neither when it gets a token nor when
// the burst changes.
func TestClockBehind(t *testing.T) {
	for _, burst := range []int32{4, 80} {
		all := leases(NewBucket(100, burst), 2)
		passed := 0
		for i := range 1000 {
			// The clocks are a second apart and meet a bucket that has room for what it would earn wrongly.
			now := start.Add(time.Duration(i) * 50 * time.Millisecond)
			for _, l := range []struct {
				lease *Lease
				now   time.Time
			}{{all[0], now}, {all[1], now.Add(-time.Second)}} {
				for range 4 {
					if l.lease.Allow(l.now) {
						passed++
					}
				}
			}
		}
		if most := int(burst) + 5*999; passed > most {
			t.Errorf("burst %d: %d passed, want at most %d", burst, passed, most)
		}
	}
}

// TestRandomInterleaving drives leases that come and go, in any order and rhythm, against the model.
func TestRandomInterleaving(t *testing.T) {
	seeds := uint64(300)
	if raceEnabled {
		seeds = 30 // one goroutine: there is no race to find
	}
	for seed := range seeds {
		if err := interleave(rand.New(rand.NewPCG(seed, 1))); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func interleave(r *rand.Rand) error {
	perSecond, burst := int32(1+r.IntN(1<<r.IntN(20))), int32(1+r.IntN(1<<r.IntN(14)))
	b, m := NewBucket(perSecond, burst), newModel(perSecond, burst)
	all := leases(b, 1+r.IntN(8))
	// Between a tenth of the rate and ten times the rate.
	gap := time.Duration(2 * float64(time.Second) / float64(perSecond) * (0.1 + 10*r.Float64()*r.Float64()))
	now := start
	for range 4000 {
		switch r.IntN(1000) {
		case 0:
			now = now.Add(time.Duration(r.Int64N(int64(2 * time.Second))))
		case 1:
			i := r.IntN(len(all))
			all[i].Return()
			all[i] = b.Lease()
		case 2, 3, 4, 5:
		default:
			now = now.Add(time.Duration(r.Int64N(int64(gap) + 1)))
		}
		for range r.IntN(4) {
			allowed := all[r.IntN(len(all))].Allow(now)
			if err := m.follow(now, allowed, int(burst)/heldShare); err != nil {
				return fmt.Errorf("%d/s, burst %d, %d leases: %w", perSecond, burst, len(all), err)
			}
		}
	}
	return nil
}

// Under a lasting overload leases let through what the bucket earns, to the token that is on its way.
func TestOverloadGetsTheRate(t *testing.T) {
	const perSecond, burst, seconds = 1000, 400, 20
	all := leases(NewBucket(perSecond, burst), 4)
	passed := 0
	for i := range seconds * 5000 {
		if all[i%4].Allow(start.Add(time.Duration(i) * 200 * time.Microsecond)) {
			passed++
		}
	}
	want := burst + perSecond*seconds
	if passed > want || passed < want-burst/heldShare-1 {
		t.Errorf("%d passed, want %d to %d", passed, want-burst/heldShare-1, want)
	}
}

func TestConcurrentWorkersShareOneBurst(t *testing.T) {
	for _, burst := range []int32{5, 1000, 50_000} {
		b := NewBucket(1, burst)
		var passed atomic.Int64
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				l := b.Lease()
				for range int(burst) {
					if l.Allow(start) {
						passed.Add(1)
					}
				}
				l.Return()
			})
		}
		group.Wait()
		if got := passed.Load(); got != int64(burst) {
			t.Errorf("burst %d: %d passed at one instant", burst, got)
		}
	}
}

// Real time only bounds what may pass, so a slow machine cannot fail this.
func TestConcurrentWorkersInRealTime(t *testing.T) {
	const perSecond, burst = 100_000, 2000
	b := NewBucket(perSecond, burst)
	var passed atomic.Int64
	var group sync.WaitGroup
	begin := time.Now()
	for range 4 {
		group.Go(func() {
			l := b.Lease()
			for i := range 20_000 {
				if l.Allow(time.Now()) {
					passed.Add(1)
				}
				if i%5000 == 4999 {
					l.Return()
					l = b.Lease()
				}
			}
		})
	}
	group.Wait()
	most := burst + int64(float64(perSecond)*time.Since(begin).Seconds()) + 1
	if got := passed.Load(); got > most || got < burst {
		t.Errorf("%d passed, want %d to %d", got, burst, most)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, burst := range []int32{1, 5, 1000} {
		all := leases(NewBucket(1000, burst), 3)
		now, i := start, 0
		n := testing.AllocsPerRun(5000, func() {
			all[i%3].Allow(now)
			now, i = now.Add(300*time.Microsecond), i+1
		})
		if n != 0 {
			t.Errorf("burst %d: %v allocations per Allow", burst, n)
		}
	}
}

func TestSmallArgumentsCountAsOne(t *testing.T) {
	l := NewBucket(0, -3).Lease()
	if !l.Allow(start) || l.Allow(start) || !l.Allow(start.Add(time.Second)) {
		t.Error("want one request per second")
	}
}

func BenchmarkAllow(b *testing.B) {
	l := NewBucket(1<<30, 1<<20).Lease()
	now := start
	for b.Loop() {
		now = now.Add(time.Microsecond)
		l.Allow(now)
	}
}

func BenchmarkRefuse(b *testing.B) {
	l := NewBucket(1, 1).Lease()
	l.Allow(start)
	for b.Loop() {
		l.Allow(start)
	}
}
