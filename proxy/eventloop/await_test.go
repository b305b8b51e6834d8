package eventloop

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// TestAwait gives the task the result, on a loop that goes on meanwhile.
func TestAwait(t *testing.T) {
	l := startLoop(t, Options{})
	proceed, result := make(chan int), make(chan int, 1)
	onLoop(t, l, func() {
		l.Spawn(runnerFunc(func(task *Task) {
			got := 0
			task.Await(func() { got = <-proceed })
			result <- got
		}))
	})
	for range 3 { // the loop is responsive
		onLoop(t, l, func() {})
	}
	proceed <- 42
	if got := receive(t, result); got != 42 {
		t.Errorf("got %d, want 42", got)
	}
}

// TestAwaitIsNotEndedByAWakeUp waits for its function whatever else happens to the task.
func TestAwaitIsNotEndedByAWakeUp(t *testing.T) {
	l := startLoop(t, Options{})
	proceed, result := make(chan struct{}), make(chan bool, 1)
	var done atomic.Bool
	var task *Task
	onLoop(t, l, func() {
		task = l.Spawn(runnerFunc(func(task *Task) {
			task.Await(func() {
				<-proceed
				done.Store(true)
			})
			result <- done.Load()
		}))
	})
	for range 10 {
		onLoop(t, l, task.Wake)
	}
	close(proceed)
	if !receive(t, result) {
		t.Error("Await returned before its function")
	}
}

// TestAwaitPassesPanicsOn has the panic of an awaited function be the task's, which may recover from it.
func TestAwaitPassesPanicsOn(t *testing.T) {
	p := newPanics()
	l := startLoop(t, Options{OnPanic: p.report})
	recovered := make(chan any, 1)
	onLoop(t, l, func() {
		l.Spawn(runnerFunc(func(task *Task) {
			defer func() { recovered <- recover() }()
			task.Await(func() { panic("caught") })
		}))
		l.Spawn(runnerFunc(func(task *Task) { task.Await(func() { panic("not caught") }) }))
	})
	if got := receive(t, recovered); got != "caught" {
		t.Errorf("recovered %v", got)
	}
	p.expect(t, "not caught", "Await")
	ended := make(chan struct{})
	onLoop(t, l, func() {
		l.Spawn(runnerFunc(func(task *Task) {
			task.Await(runtime.Goexit) // ends its goroutine, not the task
			if l.awaits.running != 0 {
				t.Errorf("%d awaits run", l.awaits.running)
			}
			close(ended)
		}))
	})
	receive(t, ended)
}

// TestAwaitBound runs a bounded number at a time, and the rest in the order in which they came.
func TestAwaitBound(t *testing.T) {
	const extra = 50
	l := startLoop(t, Options{})
	var running, most atomic.Int64
	started := make(chan int, maxAwaits+extra)
	proceed := make(chan struct{})
	onLoop(t, l, func() {
		for i := range maxAwaits + extra {
			l.Spawn(runnerFunc(func(task *Task) {
				task.Await(func() {
					now := running.Add(1)
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					started <- i
					<-proceed
					running.Add(-1)
				})
			}))
		}
	})
	for range maxAwaits {
		if i := receive(t, started); i >= maxAwaits {
			t.Errorf("await %d runs before its turn", i)
		}
	}
	onLoop(t, l, func() {
		if l.awaits.running != maxAwaits || len(l.awaits.waiting) != extra {
			t.Errorf("%d run, %d wait; want %d, %d", l.awaits.running, len(l.awaits.waiting), maxAwaits, extra)
		}
	})
	for i := range extra { // one place at a time
		proceed <- struct{}{}
		if got := receive(t, started); got != maxAwaits+i {
			t.Errorf("await %d runs, want %d", got, maxAwaits+i)
		}
	}
	close(proceed)
	if got := most.Load(); got > maxAwaits {
		t.Errorf("%d ran at a time, the bound is %d", got, maxAwaits)
	}
}

// TestQueuedAwaitThatIsWoken wakes a task that waits for a place many times: it still stands in line once, and who comes
// after it is not forgotten.
func TestQueuedAwaitThatIsWoken(t *testing.T) {
	l := startLoop(t, Options{})
	proceed := make(chan struct{})
	finished := make(chan string, maxAwaits+2)
	await := func(name string, f func()) *Task {
		return l.Spawn(runnerFunc(func(task *Task) {
			task.Await(f)
			finished <- name
		}))
	}
	var nervous *Task
	onLoop(t, l, func() {
		for range maxAwaits {
			await("first", func() { <-proceed })
		}
		nervous = await("nervous", func() {})
	})
	onLoop(t, l, func() {})
	for range maxAwaits + 10 {
		onLoop(t, l, nervous.Wake)
	}
	onLoop(t, l, func() {
		await("last", func() {})
	})
	onLoop(t, l, func() {
		if n := len(l.awaits.waiting); n != 2 {
			t.Errorf("%d places in line for 2 tasks", n)
		}
	})
	close(proceed)
	count := map[string]int{}
	for range maxAwaits + 2 {
		count[receive(t, finished)]++
	}
	if count["nervous"] != 1 || count["last"] != 1 {
		t.Errorf("finished: %v", count)
	}
}
