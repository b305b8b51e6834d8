package upstream

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestRequestWindow compares a window with a list of all requests: those within the interval count, and of those before only ones
// that are in the part in which it ends.
func TestRequestWindow(t *testing.T) {
	for _, interval := range []time.Duration{windowSlots, 100 * time.Millisecond, time.Hour} {
		w, random := newRequestWindow(interval), rand.New(rand.NewPCG(1, uint64(interval)))
		now, begun := int64(time.Second), []int64(nil)
		for range 5000 {
			now += random.Int64N(int64(interval)/4 + 1)
			if random.IntN(50) == 0 {
				now += int64(interval) * 3
			}
			w.add(now)
			begun = append(begun, now)
			within := func(d int64) (n int64) {
				for i := len(begun) - 1; i >= 0 && now-begun[i] <= d; i-- {
					n++
				}
				return n
			}
			least, most := within(int64(interval)-1), within(int64(interval)+w.width)
			if got := w.count(now); got < least || got > most {
				t.Fatalf("%v: %d of %d requests count, want %d to %d", interval, got, len(begun), least, most)
			}
		}
		if got := w.count(now + 2*int64(interval) + w.width); got != 0 {
			t.Errorf("%v: %d requests count for ever", interval, got)
		}
	}
}

// TestRequestWindowAtOnce holds that no request of several workers is lost, and that counting costs no memory.
func TestRequestWindowAtOnce(t *testing.T) {
	const workers, requests = 4, 5000
	w := newRequestWindow(time.Hour)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := range requests {
				w.add(int64(i))
			}
		})
	}
	wait.Wait()
	if n := w.count(requests); n != workers*requests {
		t.Errorf("%d requests count, want %d", n, workers*requests)
	}
	if n := testing.AllocsPerRun(100, func() { w.add(1); w.count(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRequestWindowGoesOn holds that a change of other thresholds does not empty the window, and that of the interval does.
func TestRequestWindowGoesOn(t *testing.T) {
	b := &NewShared(1).Breakers
	limit := func(interval time.Duration, requests uint32) *requestWindow {
		b.SetLimits(config.Thresholds{MaxRequests: requests, RetryBudget: &config.RetryBudget{Interval: interval}})
		return b.limits.Load().window
	}
	first := limit(time.Second, 1)
	if first == nil || limit(time.Second, 2) != first || limit(time.Minute, 2) == first || limit(0, 2) != nil {
		t.Error("the window is not as the thresholds say")
	}
}
