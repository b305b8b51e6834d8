package eventloop

// Waker is who is told that something has happened: a Task or a Job. It may be woken any number of times, on the loop's
// thread only.
type Waker interface{ Wake() }

// runnable is a Task or a Job that was woken.
type runnable interface{ runOnce() }

// Stepper is what a Job runs. Step does what can be done without waiting and returns; it is called again when the Job is
// woken, and may be called without reason.
type Stepper interface{ Step() }

// Job is work done in steps, on the loop's own stack. Unlike a Task it has no stack to keep while it waits, and switching to
// it costs no more than a call: it is for what is there in great numbers and waits in few places. It is meant to be a field of
// its owner, and the zero value does nothing when it is woken.
type Job struct {
	loop    *Loop
	stepper Stepper
	queued  bool // waits in loop.queued
}

// Start has s run when the job is woken, which it is now: in the current turn if tasks and jobs have not run yet, in the next
// otherwise.
func (j *Job) Start(l *Loop, s Stepper) {
	j.loop, j.stepper = l, s
	j.Wake()
}

// Stop has the job do nothing any more.
func (j *Job) Stop() { j.stepper = nil }

// Wake has the job run a step. One that is running when it is woken runs again in the next turn.
func (j *Job) Wake() {
	if !j.queued && j.stepper != nil {
		j.queued = true
		j.loop.queued = append(j.loop.queued, j)
	}
}

// runOnce runs a step. A panic in it is reported, and costs nobody else anything.
func (j *Job) runOnce() {
	j.queued = false
	if s := j.stepper; s != nil {
		j.loop.guardStep(s)
	}
}

func (l *Loop) guardStep(s Stepper) {
	defer l.recovered()
	s.Step()
}
