package eventloop

import (
	"strings"
	"testing"
)

// stepperFunc makes a function a Stepper.
type stepperFunc func()

func (f stepperFunc) Step() { f() }

// TestJobWake covers what waking a job does in each of its states.
func TestJobWake(t *testing.T) {
	s := newSteppedLoop(t)
	ran := 0
	var wakeItself bool
	var job Job
	job.Wake() // never started: nothing
	expect := func(what string, want int) {
		t.Helper()
		s.step()
		if ran != want {
			t.Fatalf("%s: ran %d times, want %d", what, ran, want)
		}
	}
	expect("not started", 0)
	job.Start(s.Loop, stepperFunc(func() {
		ran++
		if wakeItself {
			wakeItself = false
			job.Wake()
			job.Wake()
		}
	}))
	expect("started", 1)
	expect("not woken", 1)
	job.Wake()
	job.Wake()
	expect("woken twice", 2)
	expect("and not again", 2)
	wakeItself = true
	job.Wake()
	expect("woken to wake itself", 3)
	expect("woken while it ran", 4)
	expect("and not again", 4)
	if s.busy() {
		t.Error("the loop is busy when nothing is left to do")
	}
}

// TestJobStop has a job that was woken do nothing, and start again for somebody else.
func TestJobStop(t *testing.T) {
	s := newSteppedLoop(t)
	var list []string
	named := func(name string) Stepper {
		return stepperFunc(func() { list = append(list, name) })
	}
	var job Job
	job.Start(s.Loop, named("first"))
	job.Stop()
	s.step()
	job.Wake()
	s.step()
	job.Start(s.Loop, named("second"))
	s.step()
	// Stopped and started while it waits to be run: once, for the one that it belongs to now.
	job.Wake()
	job.Stop()
	job.Start(s.Loop, named("third"))
	s.step()
	s.step()
	if got := strings.Join(list, " "); got != "second third" {
		t.Errorf("ran: %q", got)
	}
}

// TestJobStopsItself lets a job that is running end itself: what woke it meanwhile is forgotten.
func TestJobStopsItself(t *testing.T) {
	s := newSteppedLoop(t)
	ran := 0
	var job Job
	job.Start(s.Loop, stepperFunc(func() {
		ran++
		job.Wake()
		job.Stop()
	}))
	s.step()
	s.step()
	s.step()
	if ran != 1 {
		t.Errorf("ran %d times, want once", ran)
	}
}

// TestJobRunsInTheTurnOfItsEvent runs what a connection wakes in the same turn, once, in the order of waking, with tasks and
// jobs mixed, and before the turn ends.
func TestJobRunsInTheTurnOfItsEvent(t *testing.T) {
	s := newSteppedLoop(t)
	var list []string
	add := func(name string) func() { return func() { list = append(list, name) } }
	var first, second Job
	first.Start(s.Loop, stepperFunc(add("first job")))
	second.Start(s.Loop, stepperFunc(add("second job")))
	task := s.Spawn(runnerFunc(func(task *Task) {
		for {
			add("task")()
			task.Park()
		}
	}))
	s.step()
	list = nil
	c, peer := s.pair()
	c.SetIdleHandler(readyFunc(func(*Conn) {
		list = append(list, "event")
		second.Wake()
		task.Wake()
		first.Wake()
		second.Wake()
		s.AtTurnEnd(&recorder{name: "turn end", list: &list})
	}))
	expectSend(t, peer, "x")
	s.turnOnce()
	if got, want := strings.Join(list, ", "), "event, second job, task, first job, turn end"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestJobWokenByAnother runs a job that one before it wakes in the next turn, so that two that wake each other starve nobody.
func TestJobWokenByAnother(t *testing.T) {
	s := newSteppedLoop(t)
	var list []string
	var ping, pong Job
	pong.Start(s.Loop, stepperFunc(func() { list = append(list, "pong"); ping.Wake() }))
	s.step()
	ping.Start(s.Loop, stepperFunc(func() { list = append(list, "ping"); pong.Wake() }))
	list = nil
	for turn := 1; turn <= 6; turn++ {
		s.step()
		if len(list) != turn {
			t.Fatalf("after %d turns: %v", turn, list)
		}
	}
	if got := strings.Join(list, " "); got != "ping pong ping pong ping pong" {
		t.Errorf("ran: %s", got)
	}
}

// TestJobPanic reports a panic and costs nobody else anything; the job may be woken again.
func TestJobPanic(t *testing.T) {
	p := newPanics()
	l := startLoop(t, Options{OnPanic: p.report})
	var bad, good Job
	ran := 0
	onLoop(t, l, func() {
		bad.Start(l, stepperFunc(func() { panic("in a step") }))
		good.Start(l, stepperFunc(func() { ran++ }))
	})
	p.expect(t, "in a step", "TestJobPanic")
	onLoop(t, l, bad.Wake)
	p.expect(t, "in a step", "TestJobPanic")
	onLoop(t, l, func() {
		bad.Stop()
		good.Wake()
	})
	onLoop(t, l, func() {}) // the job has run when the turn after has begun
	onLoop(t, l, func() {
		if ran != 2 {
			t.Errorf("the other job ran %d times, want 2", ran)
		}
	})
}

// TestAllocJob wakes and runs a job without allocating.
func TestAllocJob(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newSteppedLoop(t)
	ran := 0
	var job Job
	job.Start(s.Loop, stepperFunc(func() { ran++ }))
	s.resumeReady()
	if allocs := testing.AllocsPerRun(100, func() { job.Wake(); s.resumeReady() }); allocs != 0 || ran < 100 {
		t.Errorf("%v allocations per step, %d steps", allocs, ran)
	}
}
