package eventloop

import "slices"

// eventsPerCostly is how many events of a turn make room for one more task that computes for long, as a request costs about
// that much less: tasks that compute get their share of a busy loop, and no more.
const eventsPerCostly = 32

// costlyQueue holds the tasks that are about to compute for long, first come first served. Of those that come together few do
// so in a turn: each would have every other connection of the loop wait for it.
type costlyQueue struct {
	room    int // for how many there is room in this turn
	waiting []*costlyPlace
	first   int // of waiting
}

// costlyPlace is a task's place in line.
type costlyPlace struct {
	task    *Task
	granted bool
}

// AwaitTurn returns when the task may compute for long, some 0.1 ms and more, up to its next Park: at once, when no other does
// in this turn.
func (t *Task) AwaitTurn() {
	q := &t.loop.costly
	if q.room > 0 && !q.busy() {
		q.room--
		return
	}
	place := &costlyPlace{task: t}
	q.waiting = append(q.waiting, place)
	for !place.granted {
		t.Park()
	}
}

func (q *costlyQueue) busy() bool { return q.first < len(q.waiting) }

// begin makes room for a turn with so many events, and gives it to those who wait.
func (q *costlyQueue) begin(events int) {
	q.room = 1 + events/eventsPerCostly
	for q.room > 0 && q.busy() {
		place := q.waiting[q.first]
		q.waiting[q.first] = nil
		q.first++
		q.room--
		place.granted = true
		place.task.Wake()
	}
	if q.first > len(q.waiting)/2 { // so that the list does not grow when it is never empty
		q.waiting, q.first = slices.Delete(q.waiting, 0, q.first), 0
	}
}
