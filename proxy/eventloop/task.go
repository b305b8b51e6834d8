package eventloop

import (
	"iter"
	"runtime/debug"
)

// maxIdleTasks bounds the coroutines kept for reuse; each keeps a stack of some KiB.
const maxIdleTasks = 512

// Runner is what a Task runs. Run is called on a coroutine of the loop; the Task is only valid until it returns.
type Runner interface {
	Run(t *Task)
}

// Task is a coroutine of a Loop. It belongs to the Runner it was spawned for until that returns.
type Task struct {
	loop   *Loop
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	runner Runner
	queued bool // waits in loop.queued
	index  int  // in taskPool.all, -1 once it is taken out to be stopped
}

// stopped unwinds the stack of a task whose loop ends.
type stopped struct{}

// taskPool makes and keeps coroutines. Making one takes a goroutine and a stack.
type taskPool struct {
	loop *Loop
	idle []*Task
	all  []*Task
}

// Spawn has r run as a task, in the current turn if tasks have not been resumed yet, in the next otherwise. It must be
// called on the loop's thread, and not before Run has begun: a coroutine resumed on another thread than it was made on ends
// the process. Before that, Post a function that spawns.
func (l *Loop) Spawn(r Runner) *Task {
	t := l.tasks.get()
	t.runner = r
	t.Wake()
	return t
}

func (p *taskPool) get() *Task {
	if n := len(p.idle); n > 0 {
		t := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		return t
	}
	t := &Task{loop: p.loop, index: len(p.all)}
	t.resume, t.stop = iter.Pull(t.body)
	p.all = append(p.all, t)
	return t
}

// put takes back a task whose runner has returned. It reports whether the coroutine is kept.
func (p *taskPool) put(t *Task) bool {
	t.runner = nil
	if t.index < 0 {
		return false
	}
	if len(p.idle) < maxIdleTasks {
		p.idle = append(p.idle, t)
		return true
	}
	last := p.all[len(p.all)-1]
	p.all[t.index], last.index = last, t.index
	p.all[len(p.all)-1] = nil
	p.all = p.all[:len(p.all)-1]
	return false
}

// stopAll unwinds every coroutine, parked or idle.
func (p *taskPool) stopAll() {
	for len(p.all) > 0 {
		t := p.all[len(p.all)-1]
		p.all = p.all[:len(p.all)-1]
		t.index = -1
		t.stop()
	}
	p.idle = nil
}

// body is the coroutine: one runner after the other.
func (t *Task) body(yield func(struct{}) bool) {
	t.yield = yield
	for {
		if t.runOne() || !t.loop.tasks.put(t) || !yield(struct{}{}) {
			return
		}
	}
}

// runOne runs the runner and reports whether the coroutine must end. A panic ends the runner only.
func (t *Task) runOne() (end bool) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case stopped:
			end = true
		default:
			t.loop.onPanic(v, debug.Stack())
		}
	}()
	t.runner.Run(t)
	return false
}

// runOnce runs the task until it parks again. A task that somebody woke after its runner had returned has nothing to run.
func (t *Task) runOnce() {
	t.queued = false
	if t.runner != nil {
		t.resume()
	}
}

// Wake has a parked task resumed. It may be called any number of times, on the loop's thread only; a task that is
// running when it is woken finds its next Park returning in the next turn.
func (t *Task) Wake() {
	if !t.queued {
		t.queued = true
		t.loop.queued = append(t.loop.queued, t)
	}
}

// Park gives the thread back until the task is woken. It may return without reason: callers check what they wait for.
// It must be called on the task's own coroutine.
func (t *Task) Park() {
	if !t.yield(struct{}{}) {
		panic(stopped{})
	}
}

// Yield lets the other tasks run and goes on in the next turn.
func (t *Task) Yield() {
	t.Wake()
	t.Park()
}

// Loop returns the loop the task runs on.
func (t *Task) Loop() *Loop { return t.loop }
