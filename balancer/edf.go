package balancer

import "math/bits"

// instant is a point of a schedule's own time, whole + frac/2^64. Differences of less than 2^63 are ordered correctly
// also when whole wraps around, so a schedule never has to be rebased.
//
// A fraction k/w with w < 2^32 is represented by its floor. Two different fractions of that kind are at least
// 1/(2^32-1)^2 > 2^-64 apart, so that they keep their order, and equal ones are equal: unlike with floating point, no
// error adds up and hosts of equal weight stay in step for ever.
type instant struct {
	whole, frac uint64
}

func (t instant) before(u instant) bool {
	if t.whole != u.whole {
		return int64(t.whole-u.whole) < 0
	}
	return t.frac < u.frac
}

func (t instant) add(u instant) instant {
	frac, carry := bits.Add64(t.frac, u.frac, 0)
	return instant{whole: t.whole + u.whole + carry, frac: frac}
}

// scale returns t * share/2^64.
func (t instant) scale(share uint64) instant {
	whole, frac := bits.Mul64(t.whole, share)
	low, _ := bits.Mul64(t.frac, share)
	return instant{whole: whole}.add(instant{frac: frac}).add(instant{frac: low})
}

// ratio returns a/b; b must not be 0.
func ratio(a uint64, b uint32) instant {
	frac, _ := bits.Div64(a%uint64(b), 0, uint64(b))
	return instant{whole: a / uint64(b), frac: frac}
}

// entry is one participant of a schedule, kept at 32 bytes: two to a cache line.
type entry struct {
	deadline instant
	// turn is k in deadline = whole + k/weight, 0 <= k < weight. Schedules with changing weights do not use it.
	turn uint32
	// weight is fixed for the life of the schedule.
	weight uint32
	// order puts entries of one deadline first in, first out. It wraps: of two that were put back 2^31 picks apart the
	// later goes first, which changes no proportion.
	order uint32
	// index is what the entry stands for.
	index uint32
}

func (e *entry) before(f *entry) bool {
	if e.deadline == f.deadline {
		return int32(e.order-f.order) < 0
	}
	return e.deadline.before(f.deadline)
}

// edf is an earliest deadline first schedule: the entry with the earliest deadline is taken and put back with a deadline
// 1/weight later. Each entry is taken in proportion to its weight, and spread as evenly as that allows. In each unit of
// time an entry of constant weight w is taken exactly w times.
//
// The entries are a binary heap of a size fixed at construction. A pick takes O(log n) and allocates nothing.
type edf struct {
	heap  []entry
	order uint32
}

// newEDF returns the schedule of weights as it is at time start/2^64 when it began at 0, so that workers that begin at
// random times do not all send their first requests to the same host. All weights must be at least 1.
func newEDF(weights []uint32, start uint64) *edf {
	e := &edf{heap: make([]entry, len(weights))}
	for i, w := range weights {
		passed, _ := bits.Mul64(start, uint64(w))
		e.heap[i] = entry{
			deadline: ratio(passed+1, w),
			turn:     uint32((passed + 1) % uint64(w)),
			weight:   w,
			order:    e.nextOrder(),
			index:    uint32(i),
		}
	}
	e.heapify()
	return e
}

// pick takes the first entry, puts it back by its own weight and returns its index. The schedule must not be empty.
func (e *edf) pick() uint32 {
	first := &e.heap[0]
	index := first.index
	if first.turn++; first.turn >= first.weight {
		first.turn = 0
		first.deadline.whole++
	}
	first.deadline.frac, _ = bits.Div64(uint64(first.turn), 0, uint64(first.weight))
	e.putBack()
	return index
}

// delay puts the first entry back with a deadline that is step later.
func (e *edf) delay(step instant) {
	first := &e.heap[0]
	first.deadline = first.deadline.add(step)
	e.putBack()
}

// putBack restores the heap after the deadline of the first entry was moved on.
func (e *edf) putBack() {
	e.heap[0].order = e.nextOrder()
	e.siftDown(0)
}

func (e *edf) nextOrder() uint32 {
	e.order++
	return e.order
}

func (e *edf) heapify() {
	for i := len(e.heap)/2 - 1; i >= 0; i-- {
		e.siftDown(i)
	}
}

func (e *edf) siftDown(i int) {
	heap := e.heap
	moved := heap[i]
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if right := child + 1; right < len(heap) && heap[right].before(&heap[child]) {
			child = right
		}
		if !heap[child].before(&moved) {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = moved
}

// hostWeights returns the weights of hosts, and whether they are all the same.
func hostWeights(hosts []*Host) (weights []uint32, equal bool) {
	equal = true
	for _, h := range hosts {
		equal = equal && h.weight() == hosts[0].weight()
	}
	if equal {
		return nil, true
	}
	return eachWeight(hosts), false
}
