package eventloop

import (
	"math"
	"math/bits"
	"time"
)

// The timing wheel: four levels of 256 slots, each level 256 times coarser than the one below. A timer sits in the level
// that its distance fits and moves down as its time comes near, so that setting and stopping one is O(1) and it still
// fires within a tick of its time. It reaches 2^32 ticks, 49 days.
const (
	tickLength  = int64(time.Millisecond)
	slotBits    = 8
	slotCount   = 1 << slotBits
	slotMask    = slotCount - 1
	levelCount  = 4
	maxDistance = int64(1)<<(slotBits*levelCount) - 1
	bitmapWords = slotCount / 64
)

// Expirer is told when a Timer's time has come, on the loop's thread and outside any task.
type Expirer interface {
	Expired(t *Timer)
}

// Timer calls its owner once at a given time. It is meant to be a field of its owner and must not be copied once set.
type Timer struct {
	next, prev *Timer // neighbours in its slot's ring, nil when not set
	owner      Expirer
	when       int64 // tick
	level      uint8
}

// wheel holds the timers that are set.
type wheel struct {
	current int64 // the tick up to which everything has fired
	soonest int64 // no timer needs attention before this tick; math.MaxInt64 when there is none
	levels  [levelCount]level
	expire  func(owner Expirer, t *Timer)
}

type level struct {
	occupied [bitmapWords]uint64
	slots    [slotCount]Timer // heads of rings
}

func (w *wheel) start(now int64) {
	w.current, w.soonest = now/tickLength, math.MaxInt64
	for i := range w.levels {
		for j := range w.levels[i].slots {
			head := &w.levels[i].slots[j]
			head.next, head.prev = head, head
		}
	}
}

// SetTimer has owner told in d nanoseconds from this turn's time, not earlier and at most a tick and a turn later. A
// timer that is already set is moved. A d below zero counts as zero, one above 49 days as 49 days.
func (l *Loop) SetTimer(t *Timer, d time.Duration, owner Expirer) {
	l.StopTimer(t)
	t.owner = owner
	t.when = (l.now + min(max(int64(d), 0), maxDistance*tickLength) + tickLength - 1) / tickLength
	l.timers.catchUp(l.now / tickLength)
	l.timers.insert(t)
}

// StopTimer forgets t. Stopping a timer that is not set does nothing.
func (l *Loop) StopTimer(t *Timer) {
	if t.next != nil {
		l.timers.remove(t)
	}
}

// Set reports whether the timer is waiting to fire.
func (t *Timer) Set() bool { return t.next != nil }

// catchUp moves the wheel on to tick now, or as far as there is nothing to do. A timer is placed by its distance from
// there: measured from a tick long past it would sit too high, wake the loop for nothing, or not reach its time.
func (w *wheel) catchUp(now int64) { w.current = max(w.current, min(now, w.soonest-1)) }

func (w *wheel) insert(t *Timer) {
	distance := t.when - w.current
	if distance < 1 {
		distance, t.when = 1, w.current+1
	}
	if distance > maxDistance {
		distance, t.when = maxDistance, w.current+maxDistance
	}
	t.level = uint8((bits.Len64(uint64(distance)) - 1) / slotBits)
	lv := &w.levels[t.level]
	index := (t.when >> (slotBits * int64(t.level))) & slotMask
	lv.occupied[index/64] |= 1 << (index % 64)
	head := &lv.slots[index]
	t.next, t.prev = head, head.prev
	t.prev.next, head.prev = t, t
	w.soonest = min(w.soonest, t.attention())
}

// attention returns the tick at which the timer fires or moves down a level.
func (t *Timer) attention() int64 {
	shift := slotBits * int64(t.level)
	return t.when >> shift << shift
}

func (w *wheel) remove(t *Timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	if t.next == t.prev {
		index := (t.when >> (slotBits * int64(t.level))) & slotMask
		w.levels[t.level].occupied[index/64] &^= 1 << (index % 64)
	}
	t.next, t.prev = nil, nil
}

// due reports whether advance has something to do at time now.
func (w *wheel) due(now int64) bool { return now/tickLength >= w.soonest }

// until returns the nanoseconds from now to the next attention.
func (w *wheel) until(now int64) int64 {
	if w.soonest == math.MaxInt64 {
		return math.MaxInt64
	}
	return w.soonest*tickLength - now
}

// advance fires every timer whose time is not after now, in order of their ticks.
func (w *wheel) advance(now int64) {
	target := now / tickLength
	for {
		w.soonest = w.nextAttention()
		if w.soonest > target {
			w.current = max(w.current, target)
			return
		}
		w.current = w.soonest
		w.cascade()
		w.fire()
	}
}

// nextAttention returns the first tick after current at which an occupied slot fires or moves down.
func (w *wheel) nextAttention() int64 {
	soonest := int64(math.MaxInt64)
	for i := range w.levels {
		shift := slotBits * int64(i)
		base := w.current >> shift
		if distance := w.levels[i].distance(base + 1); distance >= 0 {
			soonest = min(soonest, (base+1+distance)<<shift)
		}
	}
	return soonest
}

// distance returns how many slots after the one of position from the next occupied slot lies, -1 when there is none.
func (lv *level) distance(from int64) int64 {
	start := int(from & slotMask)
	word, bit := start/64, start%64
	if v := lv.occupied[word] >> bit; v != 0 {
		return int64(bits.TrailingZeros64(v))
	}
	for i := 1; i <= bitmapWords; i++ {
		if v := lv.occupied[(word+i)%bitmapWords]; v != 0 {
			return int64(i*64 - bit + bits.TrailingZeros64(v))
		}
	}
	return -1
}

// cascade moves the timers of the coarser slots that begin at the current tick down, the coarsest first.
func (w *wheel) cascade() {
	for i := levelCount - 1; i > 0; i-- {
		shift := slotBits * int64(i)
		if w.current&(1<<shift-1) != 0 {
			continue
		}
		head := &w.levels[i].slots[(w.current>>shift)&slotMask]
		for head.next != head {
			t := head.next
			w.remove(t)
			w.insertDown(t)
		}
	}
}

// insertDown is insert for a timer whose tick may be the current one: it still fires in this round.
func (w *wheel) insertDown(t *Timer) {
	if t.when > w.current {
		w.insert(t)
		return
	}
	t.level = 0
	index := w.current & slotMask
	lv := &w.levels[0]
	lv.occupied[index/64] |= 1 << (index % 64)
	head := &lv.slots[index]
	t.next, t.prev = head, head.prev
	t.prev.next, head.prev = t, t
	t.when = w.current
}

// fire expires the timers of the current tick.
func (w *wheel) fire() {
	head := &w.levels[0].slots[w.current&slotMask]
	for head.next != head {
		t := head.next
		w.remove(t)
		w.expire(t.owner, t)
	}
}
