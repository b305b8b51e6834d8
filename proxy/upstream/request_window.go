package upstream

import (
	"sync/atomic"
	"time"
)

// windowSlots are the parts of a requestWindow's time: requests leave it together that came in the same part, so that they count for up
// to a part longer than the time.
const windowSlots = 16

// requestWindow counts the requests that have begun within the last while, over all workers (RetryBudget.budget_interval). Clocks of
// workers are started together, and may differ by less than a part.
type requestWindow struct {
	interval time.Duration
	width    int64 // of a part, in nanoseconds, at least 1
	last     atomic.Int64
	// Each has the number of a part, in its upper half, and how many requests have begun in it. One more than there are parts, for
	// the part that is not over.
	slots [windowSlots + 1]atomic.Uint64
}

func newRequestWindow(interval time.Duration) *requestWindow {
	return &requestWindow{interval: interval, width: max(int64(interval)/windowSlots, 1)}
}

// add counts a request that begins now.
func (w *requestWindow) add(now int64) {
	part := now / w.width
	slot := &w.slots[part%int64(len(w.slots))]
	for {
		v := slot.Load()
		next := v + 1
		if uint32(v>>32) != uint32(part) {
			next = uint64(uint32(part))<<32 | 1
		}
		if slot.CompareAndSwap(v, next) {
			break
		}
	}
	w.last.Store(now)
}

// count returns how many requests have begun within the interval before now.
func (w *requestWindow) count(now int64) (n int64) {
	part := uint32(now / w.width)
	for i := range w.slots {
		v := w.slots[i].Load()
		if age := int32(part - uint32(v>>32)); -1 <= age && age <= windowSlots { // -1: the clock of another worker is ahead
			n += int64(uint32(v))
		}
	}
	return n
}
