package eventloop

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// expectSend writes text to a descriptor.
func expectSend(t *testing.T, fd int, text string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(text)); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
}

// TestWake covers what waking a task does in each of its states.
func TestWake(t *testing.T) {
	s := newSteppedLoop(t)
	ran := 0
	var wakeItself bool
	task := s.Spawn(runnerFunc(func(task *Task) {
		for {
			ran++
			if wakeItself {
				wakeItself = false
				task.Wake()
				task.Wake()
			}
			task.Park()
		}
	}))
	expect := func(what string, want int) {
		t.Helper()
		s.step()
		if ran != want {
			t.Fatalf("%s: ran %d times, want %d", what, ran, want)
		}
	}
	expect("spawned", 1)
	expect("not woken", 1)
	task.Wake()
	expect("woken", 2)
	task.Wake()
	task.Wake()
	expect("woken twice", 3)
	expect("and not again", 3)
	wakeItself = true
	task.Wake()
	expect("woken to wake itself", 4)
	expect("woken while it ran", 5)
	expect("and not again", 5)
}

// TestWakeOfAFinishedTask does nothing, and no harm to who has the coroutine next.
func TestWakeOfAFinishedTask(t *testing.T) {
	s := newSteppedLoop(t)
	runs := map[string]int{}
	first := s.Spawn(runnerFunc(func(*Task) { runs["first"]++ }))
	s.step()
	first.Wake()
	s.step()
	first.Wake()
	second := s.Spawn(runnerFunc(func(task *Task) {
		runs["second"]++
		task.Park()
		runs["second resumed"]++
		task.Park()
	}))
	if first != second {
		t.Fatal("the coroutine is not used again")
	}
	s.step()
	s.step()
	if runs["first"] != 1 || runs["second"] != 1 || runs["second resumed"] != 0 {
		t.Errorf("runs: %v", runs)
	}
	first.Wake() // the pointer is the second's now: Park returns without reason, as it may
	s.step()
	if runs["second resumed"] != 1 {
		t.Errorf("runs: %v", runs)
	}
}

// TestWakeOfATaskThatFinishesInThisTurn covers a task woken by its own last act.
func TestWakeOfATaskThatFinishesInThisTurn(t *testing.T) {
	s := newSteppedLoop(t)
	runs := 0
	s.Spawn(runnerFunc(func(task *Task) {
		runs++
		task.Wake()
	}))
	s.step()
	s.step()
	s.Spawn(runnerFunc(func(*Task) { runs++ }))
	s.step()
	if runs != 2 || len(s.queued) != 0 {
		t.Errorf("%d runs, %d queued; want 2, 0", runs, len(s.queued))
	}
}

// TestSpawnFromATask starts the new task in the next turn.
func TestSpawnFromATask(t *testing.T) {
	s := newSteppedLoop(t)
	depth := 0
	var r runnerFunc
	r = func(*Task) {
		if depth++; depth < 5 {
			s.Spawn(r)
		}
	}
	s.Spawn(r)
	for want := 1; want <= 5; want++ {
		s.step()
		if depth != want {
			t.Fatalf("%d tasks ran in %d turns", depth, want)
		}
	}
}

// TestYieldIsFair resumes tasks that all have more to do in turn, and does not keep events waiting.
func TestYieldIsFair(t *testing.T) {
	s := newSteppedLoop(t)
	const tasks, rounds = 5, 20
	var order []int
	for i := range tasks {
		s.Spawn(runnerFunc(func(task *Task) {
			for range rounds {
				order = append(order, i)
				task.Yield()
			}
		}))
	}
	c, peer := s.pair() // takes a turn
	told := false
	c.SetIdleHandler(readyFunc(func(*Conn) { told = true }))
	expectSend(t, peer, "x")
	s.turnOnce()
	if !told {
		t.Error("an event waits for tasks that yield")
	}
	for range rounds {
		s.step()
	}
	for i, got := range order {
		if got != i%tasks {
			t.Fatalf("step %d is of task %d, want %d", i, got, i%tasks)
		}
	}
	if len(order) != tasks*rounds {
		t.Errorf("%d steps, want %d", len(order), tasks*rounds)
	}
}

// TestCoroutinePool keeps coroutines for reuse, and no more than its bound.
func TestCoroutinePool(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newSteppedLoop(t)
	for round := range 3 {
		const many = maxIdleTasks + 100
		ran := 0
		for range many {
			s.Spawn(runnerFunc(func(task *Task) {
				task.Yield()
				ran++
			}))
		}
		s.step()
		if got := len(s.tasks.all); got != many {
			t.Fatalf("round %d: %d coroutines for %d tasks", round, got, many)
		}
		s.step()
		if ran != many || len(s.tasks.idle) != maxIdleTasks || len(s.tasks.all) != maxIdleTasks {
			t.Fatalf("round %d: %d ran, %d coroutines idle of %d; want %d, %d", round, ran, len(s.tasks.idle), len(s.tasks.all), many, maxIdleTasks)
		}
		for i, task := range s.tasks.all {
			if task.index != i {
				t.Fatalf("round %d: coroutine %d believes to be %d", round, i, task.index)
			}
		}
	}
	if !settled(before + maxIdleTasks) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	}
}

// TestStopUnwindsTasks runs the deferred functions of every parked task, wherever it is parked, and leaves no goroutine.
func TestStopUnwindsTasks(t *testing.T) {
	before := runtime.NumGoroutine()
	l, err := New(Options{OnPanic: func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	var unwound []string
	release := make(chan struct{})
	spawn := func(name string, body func(task *Task)) {
		l.Spawn(runnerFunc(func(task *Task) {
			defer func() { unwound = append(unwound, name) }()
			body(task)
			t.Errorf("%s: went on after the end", name)
		}))
	}
	onLoop(t, l, func() {
		spawn("park", (*Task).Park)
		spawn("yield", func(task *Task) {
			for {
				task.Yield()
			}
		})
		spawn("await", func(task *Task) { task.Await(func() { <-release }) })
		spawn("parks again while it unwinds", func(task *Task) {
			defer task.Park()
			task.Park()
		})
		for i := range maxAwaits {
			spawn(fmt.Sprint("await ", i), func(task *Task) { task.Await(func() { <-release }) })
		}
	})
	onLoop(t, l, l.Stop)
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
	close(release)
	if len(unwound) != 4+maxAwaits {
		t.Errorf("%d tasks unwound, want %d", len(unwound), 4+maxAwaits)
	}
	for _, name := range []string{"park", "yield", "await", "parks again while it unwinds"} {
		if !slices.Contains(unwound, name) {
			t.Errorf("%s: not unwound", name)
		}
	}
	if !settled(before) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	}
}

// TestStopWithStubbornTasks ends a loop whose tasks swallow the unwinding, panic on their own or spawn more.
func TestStopWithStubbornTasks(t *testing.T) {
	before := runtime.NumGoroutine()
	reported := 0
	l, err := New(Options{OnPanic: func(any, []byte) { reported++ }})
	if err != nil {
		t.Fatal(err)
	}
	const each = maxIdleTasks
	for range each {
		l.Spawn(runnerFunc(func(task *Task) {
			defer func() { _ = recover() }()
			task.Park()
		}))
		l.Spawn(runnerFunc(func(task *Task) {
			defer panic("while unwinding")
			task.Park()
		}))
		l.Spawn(runnerFunc(func(task *Task) {
			defer l.Spawn(runnerFunc(func(*Task) { t.Error("ran after the end") }))
			task.Park()
		}))
	}
	l.Post(func() {})
	if err := l.turn(); err != nil {
		t.Fatal(err)
	}
	l.tearDown()
	if reported != each {
		t.Errorf("%d panics reported, want %d", reported, each)
	}
	if !settled(before) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	}
}
