package eventloop

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const tick = time.Duration(tickLength)

// wheelTest drives the timers of a loop that has no thread with virtual time, beside a reference that is too simple to be
// wrong: the time at which each timer is due.
type wheelTest struct {
	*Loop
	timers []Timer
	due    []int64 // by timer, nanoseconds; -1: not set
	fired  int
	last   int64       // tick of the last timer that fired in this advance
	react  func(i int) // called for a timer that fired
	err    error
}

func newWheelTest(count int, now int64) *wheelTest {
	w := &wheelTest{Loop: &Loop{now: now}, timers: make([]Timer, count), due: make([]int64, count)}
	for i := range w.due {
		w.due[i] = -1
	}
	w.Loop.timers.start(now)
	w.Loop.timers.expire = func(owner Expirer, t *Timer) { owner.Expired(t) }
	return w
}

func (w *wheelTest) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *wheelTest) set(i int, d time.Duration) {
	w.SetTimer(&w.timers[i], d, w)
	w.due[i] = w.now + int64(d)
	if !w.timers[i].Set() {
		w.fail("timer %d is not set after SetTimer", i)
	}
}

func (w *wheelTest) stop(i int) {
	w.StopTimer(&w.timers[i])
	w.due[i] = -1
}

// Expired implements Expirer.
func (w *wheelTest) Expired(t *Timer) {
	i := w.indexOf(t)
	due := w.due[i]
	switch {
	case due < 0:
		w.fail("timer %d fired and is not set", i)
	case w.now < due:
		w.fail("timer %d fired %v early", i, time.Duration(due-w.now))
	case t.when < w.last:
		w.fail("timer %d of tick %d fired after one of tick %d", i, t.when, w.last)
	case t.Set():
		w.fail("timer %d is set while it fires", i)
	}
	w.last, w.due[i] = t.when, -1
	w.fired++
	if w.react != nil {
		w.react(i)
	}
}

func (w *wheelTest) indexOf(t *Timer) int {
	for i := range w.timers {
		if t == &w.timers[i] {
			return i
		}
	}
	panic("a timer of nobody's")
}

// advanceTo has a turn at time now, as Loop.turn does.
func (w *wheelTest) advanceTo(now int64) {
	w.now, w.last = now, math.MinInt64
	if w.Loop.timers.due(now) {
		w.Loop.timers.advance(now)
	}
	w.check()
}

// check compares what is set with the reference.
func (w *wheelTest) check() {
	set := false
	for i := range w.timers {
		if w.timers[i].Set() != (w.due[i] >= 0) {
			w.fail("timer %d: Set is %v, due at %d", i, w.timers[i].Set(), w.due[i])
		}
		if w.due[i] < 0 {
			continue
		}
		set = true
		if late := w.now - w.due[i]; late >= tickLength {
			w.fail("timer %d has not fired %v after its time", i, time.Duration(late))
		}
		if latest := w.due[i] + tickLength; w.now+w.Loop.timers.until(w.now) > latest {
			w.fail("the loop would sleep past timer %d by %v", i, time.Duration(w.now+w.Loop.timers.until(w.now)-latest))
		}
	}
	if !set && w.fired >= 0 && w.Loop.timers.nextAttention() != math.MaxInt64 {
		w.fail("nothing is set and the wheel waits for tick %d", w.Loop.timers.nextAttention())
	}
}

// distance returns a random duration, most often near where a level of the wheel begins.
func distance(r *rand.Rand) time.Duration {
	ranges := []time.Duration{0, tick, 3 * tick, 255 * tick, 256 * tick, 257 * tick, 1000 * tick, 65535 * tick, 65536 * tick,
		time.Hour, (1<<24 - 1) * tick, 1 << 24 * tick, 24 * time.Hour, 20 * 24 * time.Hour}
	d := ranges[r.IntN(len(ranges))]
	switch r.IntN(4) {
	case 0:
		return d
	case 1:
		return max(0, d+time.Duration(r.IntN(3)-1))
	case 2:
		return max(0, d+time.Duration(r.Int64N(5*int64(tick))-2*int64(tick)))
	default:
		return time.Duration(r.Int64N(int64(d) + 1))
	}
}

// TestWheelAgainstReference plays random sequences of every call, with timers set, moved and stopped as others fire.
func TestWheelAgainstReference(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := newWheelTest(40, r.Int64N(int64(400*24*time.Hour)))
			w.react = func(int) {
				for range r.IntN(3) {
					if i := r.IntN(len(w.timers)); r.IntN(3) == 0 {
						w.stop(i)
					} else {
						w.set(i, max(tick, distance(r)))
					}
				}
			}
			for step := 0; step < 3000 && w.err == nil; step++ {
				w.randomStep(r)
			}
			if w.err != nil {
				t.Fatal(w.err)
			}
			if w.fired < 500 {
				t.Fatalf("only %d timers fired: the sequence proves little", w.fired)
			}
		})
	}
}

func (w *wheelTest) randomStep(r *rand.Rand) {
	i := r.IntN(len(w.timers))
	switch r.IntN(8) {
	case 0, 1, 2:
		w.set(i, distance(r))
	case 3:
		w.stop(i)
	case 4, 5:
		w.advanceTo(w.now + int64(distance(r)))
	default: // as long as the loop would sleep
		if wait := w.Loop.timers.until(w.now); wait != math.MaxInt64 {
			w.advanceTo(w.now + max(wait, 0))
		}
	}
	w.check()
}

// FuzzWheel lets the fuzzer choose the sequence: an operation, a timer and a distance in three bytes and a shift.
func FuzzWheel(f *testing.F) {
	f.Add([]byte{0, 1, 255, 8, 2, 0, 255, 8, 0, 2, 1, 16, 3, 0, 0, 0})
	f.Add([]byte{0, 0, 1, 30, 2, 0, 1, 29, 0, 1, 1, 24, 3, 0, 0, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		w := newWheelTest(8, 0)
		for ; len(script) >= 4 && w.err == nil; script = script[4:] {
			i := int(script[1]) % len(w.timers)
			d := time.Duration(script[2]) << (script[3] % 40) * time.Microsecond
			d = min(d, 40*24*time.Hour)
			switch script[0] % 4 {
			case 0:
				w.set(i, d)
			case 1:
				w.stop(i)
			case 2:
				w.advanceTo(w.now + int64(d))
			case 3:
				if wait := w.Loop.timers.until(w.now); wait != math.MaxInt64 {
					w.advanceTo(w.now + max(wait, 0))
				}
			}
			w.check()
		}
		if w.err != nil {
			t.Fatal(w.err)
		}
	})
}

// TestWheelBoundaries sets one timer at every distance around each level's first slot, from every position around a
// cascade, and sleeps as the loop does.
func TestWheelBoundaries(t *testing.T) {
	edges := []int64{0, 1, 2, 255, 256, 257, 511, 512, 65279, 65280, 65535, 65536, 65537, 1<<24 - 1, 1 << 24, 1<<24 + 1, 1<<32 - 2, 1<<32 - 1}
	for _, start := range edges {
		for _, distance := range edges {
			w := newWheelTest(1, start*tickLength)
			w.set(0, time.Duration(distance)*tick)
			for turns := 0; w.fired == 0; turns++ {
				if turns > 4*levelCount {
					t.Fatalf("from tick %d, %d ahead: not fired after %d turns", start, distance, turns)
				}
				w.advanceTo(w.now + max(1, w.Loop.timers.until(w.now)))
			}
			if w.err != nil {
				t.Fatalf("from tick %d, %d ahead: %v", start, distance, w.err)
			}
		}
	}
}

// TestTimerSetFromItself covers the timer that is set to now whenever it fires: it does not hold up the turn, however late
// that is. It fires for the time that it was set for and once for the turn's own.
func TestTimerSetFromItself(t *testing.T) {
	w := newWheelTest(1, 0)
	w.react = func(i int) { w.set(i, 0) }
	w.set(0, 0)
	for turn := 1; turn <= 10; turn++ {
		w.advanceTo(int64(turn) * int64(time.Second))
		if w.fired < turn || w.fired > 2*turn {
			t.Fatalf("fired %d times in %d turns", w.fired, turn)
		}
	}
	if w.err != nil {
		t.Fatal(w.err)
	}
}

// TestTimersOfOneTickMeddle has every timer of a tick stop the next and move the one after it while they fire.
func TestTimersOfOneTickMeddle(t *testing.T) {
	w := newWheelTest(9, 0)
	w.react = func(i int) {
		if i%3 == 0 {
			w.stop(i + 1)
			w.set(i+2, time.Hour)
		}
	}
	for i := range w.timers {
		w.set(i, 300*tick) // through a cascade
	}
	w.advanceTo(300 * tickLength)
	if w.err != nil {
		t.Fatal(w.err)
	}
	if w.fired != 3 {
		t.Errorf("%d timers fired, want 3", w.fired)
	}
}

func TestManyTimers(t *testing.T) {
	const count = 100_000
	r := rand.New(rand.NewPCG(7, 7))
	l := newWheelTest(0, 0).Loop
	timers, due := make([]Timer, count), make([]int64, count)
	fired := 0
	var last int64
	l.timers.expire = func(_ Expirer, timer *Timer) {
		fired++
		if timer.when < last {
			t.Fatalf("tick %d fired after tick %d", timer.when, last)
		}
		last = timer.when
	}
	for i := range timers {
		due[i] = r.Int64N(int64(time.Hour))
		l.SetTimer(&timers[i], time.Duration(due[i]), nil)
	}
	for now := int64(0); now <= int64(time.Hour+tick); now += int64(time.Second) + 12345 {
		l.now = now
		l.timers.advance(now)
		for i := range timers {
			if timers[i].Set() != (due[i] > now) && (due[i]+tickLength <= now || timers[i].Set() == false) {
				t.Fatalf("at %v timer %d due at %v: Set is %v", time.Duration(now), i, time.Duration(due[i]), timers[i].Set())
			}
		}
		if now > int64(10*time.Minute) { // the slow check has seen enough
			break
		}
	}
	l.timers.advance(int64(time.Hour + tick))
	if fired != count {
		t.Errorf("%d timers fired of %d", fired, count)
	}
}

// TestTimerAfterIdleTime sets timers on a wheel that has had nothing to do for long.
func TestTimerAfterIdleTime(t *testing.T) {
	for _, idle := range []time.Duration{time.Second, time.Hour, 48 * 24 * time.Hour, 60 * 24 * time.Hour, 400 * 24 * time.Hour} {
		t.Run(idle.String(), func(t *testing.T) {
			w := newWheelTest(1, 0)
			w.advanceTo(int64(idle))
			w.set(0, 2*24*time.Hour)
			for w.fired == 0 && w.err == nil {
				w.advanceTo(w.now + max(1, w.Loop.timers.until(w.now)))
			}
			if w.err != nil {
				t.Error(w.err)
			}
		})
	}
}

// TestTimerSoonAfterIdleTime demands that a wheel that has idled wakes the loop for a timer only when it is due.
func TestTimerSoonAfterIdleTime(t *testing.T) {
	w := newWheelTest(1, 0)
	w.advanceTo(int64(time.Hour))
	w.set(0, 5*tick)
	if wait := time.Duration(w.Loop.timers.until(w.now)); wait != 5*tick {
		t.Errorf("the loop would sleep %v for a timer in %v", wait, 5*tick)
	}
}

// TestTimerExtremes covers durations that no deadline can be computed from.
func TestTimerExtremes(t *testing.T) {
	w := newWheelTest(3, int64(time.Hour))
	w.SetTimer(&w.timers[0], math.MaxInt64, w)
	w.SetTimer(&w.timers[1], math.MinInt64, w)
	w.SetTimer(&w.timers[2], -time.Second, w)
	w.due[1], w.due[2] = w.now, w.now
	w.now += tickLength
	w.Loop.timers.advance(w.now)
	if w.fired != 2 || !w.timers[0].Set() {
		t.Errorf("%d timers fired, the endless one is set: %v; want 2, true (%v)", w.fired, w.timers[0].Set(), w.err)
	}
	w.now += int64(40 * 24 * time.Hour)
	w.Loop.timers.advance(w.now)
	if !w.timers[0].Set() {
		t.Error("the endless timer fired within 40 days")
	}
}

func TestStopTimerTwice(t *testing.T) {
	w := newWheelTest(2, 0)
	w.stop(0)
	w.set(0, tick)
	w.set(1, tick)
	w.stop(0)
	w.stop(0)
	w.advanceTo(int64(time.Second))
	if w.err != nil || w.fired != 1 {
		t.Error(w.fired, w.err)
	}
}

func TestTimersDoNotAllocate(t *testing.T) {
	w := newWheelTest(64, 0)
	r := rand.New(rand.NewPCG(3, 3))
	allocs := testing.AllocsPerRun(1000, func() {
		for i := range w.timers {
			w.SetTimer(&w.timers[i], time.Duration(r.Int64N(int64(time.Hour))), w)
		}
		for i := range w.timers[:32] {
			w.StopTimer(&w.timers[i])
		}
		w.now += int64(time.Second)
		w.Loop.timers.expire = func(Expirer, *Timer) {}
		w.Loop.timers.advance(w.now)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
