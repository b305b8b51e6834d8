package eventloop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGatheringNeedsBoth waits only when a connection has asked for it in the turn that ends and events are frequent.
func TestGatheringNeedsBoth(t *testing.T) {
	tests := []struct {
		name   string
		every  time.Duration // a turn
		events int           // in each
		asked  bool
		want   bool
	}{
		{"frequent and asked", 20 * time.Microsecond, 1, true, true},
		{"frequent, not asked", 20 * time.Microsecond, 1, false, false},
		{"rare", 30 * time.Microsecond, 1, true, false},
		{"rare turns of many events", 400 * time.Microsecond, 20, true, true},
		{"rare turns of some events", 400 * time.Microsecond, 10, true, false},
		{"turns without events", 30 * time.Microsecond, 0, true, false},
	}
	for _, test := range tests {
		var g gathering
		now := int64(time.Hour)
		g.start(now)
		for range 200 {
			now += int64(test.every)
			g.begin(now, test.events)
			g.asked = test.asked
		}
		if got := g.worthwhile(); got != test.want {
			t.Errorf("%s: waits: %t, want %t (a mean gap of %v)", test.name, got, test.want, time.Duration(g.gap))
		}
	}
}

// TestGatheringIsSlowToBegin takes more than a burst after a long silence, and one asking is for one turn.
func TestGatheringIsSlowToBegin(t *testing.T) {
	var g gathering
	g.start(0)
	now := int64(time.Hour)
	turns := 0
	for ; !g.worthwhile(); turns++ {
		now += int64(time.Microsecond)
		g.begin(now, 4)
		g.asked = true
		if turns > 1000 {
			t.Fatal("never begins")
		}
	}
	if turns < 2*gatherWeight {
		t.Errorf("waits after %d turns", turns)
	}
	if g.begin(now, 1); g.worthwhile() {
		t.Error("waits though nobody has asked in this turn")
	}
}

// TestGatherServesTogether has what comes in the pause served in the same turn as what came before it, and answered with one
// segment.
func TestGatherServesTogether(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	b := make([]byte, 16)
	c.SetIdleHandler(readyFunc(func(c *Conn) {
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			c.Write(b[:n])
			s.Gather()
		}
	}))
	send := func(text string) {
		if _, err := unix.Write(peer, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	pauses := 0
	s.pause = func(d time.Duration) {
		if d != gatherWait {
			t.Errorf("pauses %v", d)
		}
		pauses++
		send("b")
	}
	for pauses == 0 {
		s.time += int64(time.Microsecond)
		send("a")
		s.turnOnce()
		if n, err := unix.Read(peer, b); err != nil {
			t.Fatal(err)
		} else if got := string(b[:n]); got != "a" && got != "ab" || (got == "ab") != (pauses == 1) {
			t.Fatalf("answered %q after %d pauses", got, pauses)
		}
	}
}

// TestNoPauseWhileBusy does not make what is waiting in the loop wait longer.
func TestNoPauseWhileBusy(t *testing.T) {
	s := newSteppedLoop(t)
	s.pause = func(time.Duration) { t.Error("pauses though a job is queued") }
	s.gap = 0
	s.Gather()
	ran := false
	s.Post(func() { ran = true })
	if s.turnOnce(); !ran {
		t.Error("what was posted did not run")
	}
}

// TestPause comes back, after about the time it was asked for or before.
func TestPause(t *testing.T) {
	before := time.Now()
	pause(gatherWait)
	if d := time.Since(before); d > guard {
		t.Errorf("paused %v", d)
	}
}
