package eventloop

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// eventsPerTurn bounds the events taken from the kernel at once; more wait for the next turn.
	eventsPerTurn = 256
	// briefWait is how long a loop waits with Go's processor in hand before it gives it away. Giving it away for every gap
	// between two requests costs more than the requests: the runtime's monitor then polls for processors to take back. The
	// collector is not held up, its signal ends the wait.
	briefWait = 4 * time.Millisecond
	// maxSleep bounds how long an idle loop waits, so that a clock that is not the kernel's is looked at again.
	maxSleep = time.Second
)

// ErrStopped is returned for what is asked of a loop that has stopped.
var ErrStopped = errors.New("event loop has stopped")

// Options are the parts of a Loop that its owner may choose.
type Options struct {
	// Clock returns nanoseconds on a monotonic clock. Nil means the system's.
	Clock func() int64
	// OnPanic is told of a panic in a task or posted function, with its stack, on the loop's thread. The task is over, the
	// loop goes on. Nil ignores it.
	OnPanic func(value any, stack []byte)
}

// Loop is an event loop. Only Post, Stop and Done may be called by other goroutines than the one in Run.
type Loop struct {
	epoll   int
	mailbox mailbox
	clock   func() int64
	now     int64
	onPanic func(any, []byte)
	pause   func(time.Duration) // of the thread

	events     [eventsPerTurn]unix.EpollEvent
	slots      []slot // by file descriptor
	generation uint32 // tells the users of a reused descriptor apart

	tasks  taskPool
	ready  []runnable  // to be run in this turn
	queued []runnable  // woken, to be run in the next
	ending []TurnEnder // to be told at the end of this turn
	ended  []TurnEnder // the other of two lists that ending alternates between
	dirty  []*Conn     // with gathered output
	spare  []*Conn     // the other of two lists that dirty alternates between
	timers wheel
	gathering

	buffers bufferPool
	chunks  chunkPool
	costly  costlyQueue
	awaits  awaitQueue

	stopping atomic.Bool
	done     chan struct{}
}

// slot says who listens to the events of a file descriptor.
type slot struct {
	generation uint32
	handler    eventHandler
}

// eventHandler is a Conn or a Listener.
type eventHandler interface {
	handleEvents(events uint32)
}

// New returns a loop that does nothing until Run.
func New(o Options) (*Loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	l := &Loop{epoll: epoll, clock: o.Clock, onPanic: o.OnPanic, done: make(chan struct{})}
	if l.clock == nil {
		l.clock = monotonic(time.Now())
	}
	if l.onPanic == nil {
		l.onPanic = func(any, []byte) {}
	}
	l.tasks.loop = l
	l.now = l.clock()
	l.timers.start(l.now)
	l.gathering.start(l.now)
	l.pause = pause
	l.timers.expire = l.guardExpired
	if err := l.mailbox.open(epoll); err != nil {
		_ = unix.Close(epoll)
		return nil, err
	}
	return l, nil
}

// monotonic returns a clock that counts from base.
func monotonic(base time.Time) func() int64 {
	return func() int64 { return int64(time.Since(base)) }
}

// Now returns the time of this turn in nanoseconds on the loop's clock.
func (l *Loop) Now() int64 { return l.now }

// Run serves the loop on the calling goroutine, which it locks to its thread, until Stop. Connections and listeners that
// are still open then are closed, and parked tasks are unwound.
func (l *Loop) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(l.done)
	defer l.tearDown()
	for !l.stopping.Load() {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

// Stop makes Run return after its current turn. It may be called from any goroutine, more than once.
func (l *Loop) Stop() {
	l.stopping.Store(true)
	l.mailbox.ring()
}

// Done is closed when Run has returned.
func (l *Loop) Done() <-chan struct{} { return l.done }

func (l *Loop) turn() error {
	n, err := l.poll()
	if err != nil {
		return err
	}
	l.now = l.clock()
	l.gathering.begin(l.now, n)
	for i := range l.events[:n] {
		l.dispatch(&l.events[i])
	}
	if l.mailbox.pending() {
		l.runPosted()
	}
	if l.timers.due(l.now) {
		l.timers.advance(l.now)
	}
	l.costly.begin(n)
	l.resumeReady()
	l.endTurn()
	l.flushDirty()
	return nil
}

// poll takes the events that are there, and waits for some only when there is nothing else to do: first for a moment
// without telling Go's scheduler, then telling it, so that an idle worker gives its processor away.
func (l *Loop) poll() (int, error) {
	if l.worthwhile() && !l.busy() {
		l.pause(gatherWait)
	}
	brief := 0
	if !l.busy() {
		brief = l.sleepMillis(l.now, briefWait)
	}
	n, errno := epollPoll(l.epoll, l.events[:], brief)
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("epoll_wait: %w", errno)
	}
	if n > 0 || errno == unix.EINTR || l.busy() {
		return n, nil
	}
	n, errno = epollWait(l.epoll, l.events[:], l.sleepMillis(l.clock(), maxSleep))
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("epoll_wait: %w", errno)
	}
	return n, nil
}

// busy reports whether there is something to do whatever the kernel says.
func (l *Loop) busy() bool {
	return len(l.queued) > 0 || l.costly.busy() || len(l.ending) > 0 || len(l.dirty) > 0 || l.mailbox.pending() || l.stopping.Load()
}

// sleepMillis returns how long the loop may wait at time now, at most limit, rounded up to whole milliseconds.
func (l *Loop) sleepMillis(now int64, limit time.Duration) int {
	wait := min(l.timers.until(now), int64(limit))
	if wait <= 0 {
		return 0
	}
	return int((wait + int64(time.Millisecond) - 1) / int64(time.Millisecond))
}

// dispatch hands an event to who registered the descriptor. An event for a descriptor that was closed, and maybe reused,
// earlier in the same turn is dropped.
func (l *Loop) dispatch(ev *unix.EpollEvent) {
	if ev.Fd == l.mailbox.fd {
		l.mailbox.drain()
		return
	}
	if s := &l.slots[ev.Fd]; s.handler != nil && s.generation == uint32(ev.Pad) {
		l.guardEvents(s.handler, ev.Events)
	}
}

func (l *Loop) guardEvents(h eventHandler, events uint32) {
	defer l.recovered()
	h.handleEvents(events)
}

func (l *Loop) guardWake(c *Conn) {
	defer l.recovered()
	c.wake()
}

func (l *Loop) guardTurnEnd(h TurnEnder) {
	defer l.recovered()
	h.TurnEnded()
}

func (l *Loop) guardExpired(owner Expirer, t *Timer) {
	defer l.recovered()
	owner.Expired(t)
}

// resumeReady runs every task and job that was woken before it was called, once. One woken meanwhile waits for the next turn.
func (l *Loop) resumeReady() {
	l.ready, l.queued = l.queued, l.ready[:0]
	for i, r := range l.ready {
		l.ready[i] = nil
		r.runOnce()
	}
	l.ready = l.ready[:0]
}

// TurnEnder does what is best done once a turn, for all that has come together in it.
type TurnEnder interface {
	// TurnEnded is called on the loop's thread, outside any task, after all tasks of the turn have run and before what was
	// gathered is sent.
	TurnEnded()
}

// AtTurnEnd has h told when this turn ends, once for each call. What is asked for at the end of a turn, or while output is
// sent, is for the next.
func (l *Loop) AtTurnEnd(h TurnEnder) { l.ending = append(l.ending, h) }

func (l *Loop) endTurn() {
	list := l.ending
	l.ending = l.ended[:0]
	for i, h := range list {
		list[i] = nil
		l.guardTurnEnd(h)
	}
	l.ended = list[:0]
}

// register starts the delivery of fd's events to h.
func (l *Loop) register(fd int, h eventHandler, events uint32) (generation uint32, err error) {
	l.generation++
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(l.generation)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return 0, fmt.Errorf("epoll_ctl: %w", err)
	}
	for fd >= len(l.slots) {
		l.slots = append(l.slots, slot{})
	}
	l.slots[fd] = slot{generation: l.generation, handler: h}
	return l.generation, nil
}

// forget stops the delivery of fd's events. Closing fd removes it from the epoll instance.
func (l *Loop) forget(fd int) { l.slots[fd] = slot{} }

// tearDown releases everything when the loop ends.
func (l *Loop) tearDown() {
	l.mailbox.close()
	l.tasks.stopAll()
	for i := range l.slots {
		switch h := l.slots[i].handler.(type) {
		case *Conn:
			h.Close()
		case *Listener:
			h.Close()
		}
	}
	_ = unix.Close(l.epoll)
}
