package eventloop

// maxAwaits bounds the goroutines that tasks of one loop wait for at a time; further tasks queue.
const maxAwaits = 256

// awaitQueue counts running awaits and holds the tasks that wait for a place.
type awaitQueue struct {
	running int
	waiting []*Task
}

// Await runs f on an ordinary goroutine and parks the task until f has returned. f must not touch what the loop owns. A
// panic in f is passed on to the task. f must return in bounded time: the task cannot be taken from it.
func (t *Task) Await(f func()) {
	q := &t.loop.awaits
	for q.running >= maxAwaits {
		q.waiting = append(q.waiting, t)
		t.Park()
	}
	q.running++
	done, panicked := false, any(nil)
	go func() {
		defer func() {
			v := recover()
			t.loop.Post(func() {
				done, panicked = true, v
				q.release()
				t.Wake()
			})
		}()
		f()
	}()
	for !done {
		t.Park()
	}
	if panicked != nil {
		panic(panicked)
	}
}

// release gives the place of a finished await to the next task in line.
func (q *awaitQueue) release() {
	q.running--
	if len(q.waiting) > 0 {
		next := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		next.Wake()
	}
}
