package eventloop

// maxAwaits bounds the goroutines that tasks of one loop wait for at a time; further tasks queue.
const maxAwaits = 256

// awaitQueue counts running awaits and holds the tasks that wait for a place, first come first served.
type awaitQueue struct {
	running int
	waiting []*awaitPlace
}

// awaitPlace is a task's place in line. It is in the queue once, however often the task is woken meanwhile.
type awaitPlace struct {
	task  *Task
	taken bool // the task has got the place of one that finished
}

// Await runs f on an ordinary goroutine and parks the task until f has returned. f must not touch what the loop owns. A
// panic in f is passed on to the task. f must return in bounded time: the task cannot be taken from it.
func (t *Task) Await(f func()) {
	q := &t.loop.awaits
	q.acquire(t)
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

// acquire takes a place for t, when there is one.
func (q *awaitQueue) acquire(t *Task) {
	if q.running < maxAwaits {
		q.running++
		return
	}
	place := &awaitPlace{task: t}
	q.waiting = append(q.waiting, place)
	for !place.taken {
		t.Park()
	}
}

// release gives the place of a finished await to the next task in line.
func (q *awaitQueue) release() {
	if len(q.waiting) == 0 {
		q.running--
		return
	}
	next := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	next.taken = true
	next.task.Wake()
}
