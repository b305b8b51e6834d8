package eventloop

import (
	"io"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestPostOrder posts from many goroutines at once: everything runs, and what one goroutine posts runs in its order.
func TestPostOrder(t *testing.T) {
	const posters, each = 16, 2000
	l := startLoop(t, Options{})
	var next [posters]int
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := range each {
				l.Post(func() {
					if next[p] != i {
						t.Errorf("poster %d: %d ran, want %d", p, i, next[p])
					}
					next[p] = i + 1
				})
			}
		})
	}
	wg.Wait()
	onLoop(t, l, func() {
		for p, n := range next {
			if n != each {
				t.Errorf("poster %d: %d of %d ran", p, n, each)
			}
		}
	})
}

// TestPostWakesAnIdleLoop posts one at a time, so that the loop goes to sleep in between: a lost wake-up costs a second.
func TestPostWakesAnIdleLoop(t *testing.T) {
	l := startLoop(t, Options{})
	acks := make(chan int)
	for i := range 2000 {
		l.Post(func() { acks <- i })
		if got := receive(t, acks); got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
		if i%100 == 0 {
			runtime.Gosched()
		}
	}
}

// TestStalledPoster runs what is posted though the poster has lost its processor while it wakes the loop, which is where that
// happens: the loop's thread takes it over.
func TestStalledPoster(t *testing.T) {
	s := newSteppedLoop(t)
	ran := false
	s.mailbox.mu.Lock()
	posted := make(chan bool, 1)
	go func() { posted <- s.Post(func() { ran = true }) }()
	for !s.mailbox.pending() {
		runtime.Gosched()
	}
	if s.turnOnce(); !ran {
		t.Error("what was posted did not run")
	}
	s.mailbox.mu.Unlock()
	if !receive(t, posted) {
		t.Error("Post says that the loop has ended")
	}
}

// TestPostFromTheLoop runs in the next turn what is posted by what was posted.
func TestPostFromTheLoop(t *testing.T) {
	s := newSteppedLoop(t)
	ran := 0
	var again func()
	again = func() { ran++; s.Post(again) }
	s.Post(again)
	for want := 1; want <= 3; want++ {
		s.turnOnce()
		if ran != want {
			t.Fatalf("ran %d times in %d turns", ran, want)
		}
	}
}

func TestPostAfterStop(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	onLoop(t, l, func() {})
	select {
	case <-l.Done():
		t.Fatal("Done before Stop")
	default:
	}
	var wg sync.WaitGroup
	for range 4 { // from any goroutine, more than once
		wg.Go(l.Stop)
		wg.Go(func() {
			for l.Post(func() {}) {
				runtime.Gosched()
			}
		})
	}
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
	receive(t, l.Done())
	wg.Wait()
	if l.Post(func() { t.Error("ran after the end") }) {
		t.Error("Post after the end is true")
	}
	l.Stop()
}

func TestStopBeforeRun(t *testing.T) {
	before := openDescriptors()
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Stop()
	if err := l.Run(); err != nil {
		t.Error(err)
	}
	if got := openDescriptors(); got != before {
		t.Errorf("%d descriptors are open, %d were before", got, before)
	}
}

// TestPanicsCostOnlyThemselves has everything that the loop calls panic, and the loop go on.
func TestPanicsCostOnlyThemselves(t *testing.T) {
	p := newPanics()
	l := startLoop(t, Options{OnPanic: p.report})

	l.Post(func() { panic("posted") })
	after := make(chan string, 10)
	l.Post(func() { after <- "posted after" })
	p.expect(t, "posted", "TestPanicsCostOnlyThemselves")
	receive(t, after)

	var first, second Timer
	onLoop(t, l, func() {
		l.SetTimer(&first, 0, expiredFunc(func(*Timer) { panic("timer") }))
		l.SetTimer(&second, 0, expiredFunc(func(*Timer) { after <- "timer of the same tick" }))
	})
	p.expect(t, "timer", "TestPanicsCostOnlyThemselves")
	receive(t, after)

	var broken *Task
	onLoop(t, l, func() {
		broken = l.Spawn(runnerFunc(func(*Task) { panic("task") }))
		l.Spawn(runnerFunc(func(*Task) { after <- "task of the same turn" }))
	})
	p.expect(t, "task", "TestPanicsCostOnlyThemselves")
	receive(t, after)
	onLoop(t, l, func() {
		broken.Wake() // of a task that is over
		l.Spawn(runnerFunc(func(*Task) { after <- "the coroutine serves the next" }))
	})
	receive(t, after)

	address := serve(t, l, func(c *Conn) {
		c.SetIdleHandler(readyFunc(func(c *Conn) {
			if c.PeerGone() {
				c.Close()
				after <- "closed"
				return
			}
			panic("idle handler")
		}))
	})
	peer := dial(t, address)
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "idle handler", "TestPanicsCostOnlyThemselves")
	_ = peer.CloseWrite()
	receive(t, after)
	if _, err := io.ReadAll(peer); err != nil {
		t.Logf("the peer: %v", err) // a reset: unread bytes
	}
}

// TestOnPanicMayBeNil ignores what nobody wants to know.
func TestOnPanicMayBeNil(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	l.Post(func() { panic("ignored") })
	onLoop(t, l, l.Stop)
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

// TestVirtualTime has timers follow the clock that was injected, which is read once per turn.
func TestVirtualTime(t *testing.T) {
	s := newSteppedLoop(t)
	var timer Timer
	fired := 0
	s.SetTimer(&timer, time.Hour, expiredFunc(func(got *Timer) {
		if got != &timer || timer.Set() {
			t.Error("another timer, or one that is still set")
		}
		fired++
	}))
	start := s.Now()
	s.time += int64(time.Hour) - 1
	s.step()
	if fired != 0 || s.Now() != start+int64(time.Hour)-1 {
		t.Errorf("fired %d times after %v", fired, time.Duration(s.Now()-start))
	}
	s.time++
	s.turnOnce() // does not sleep, for the timer is due
	s.step()
	if fired != 1 || timer.Set() {
		t.Errorf("fired %d times, set: %v; want 1, false", fired, timer.Set())
	}
}

// TestClockIsReadBeforeSleeping looks at the clock again when a brief wait has passed and before a long one: a timer may
// have come due meanwhile.
func TestClockIsReadBeforeSleeping(t *testing.T) {
	reads := 0
	now := int64(time.Hour)
	l, err := New(Options{Clock: func() int64 {
		if reads++; reads > 2 { // after that of New and that of the first turn
			now = int64(2 * time.Hour)
		}
		return now
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.tearDown)
	l.Post(func() {})
	if err := l.turn(); err != nil {
		t.Fatal(err)
	}
	var timer Timer
	l.SetTimer(&timer, time.Hour, expiredFunc(func(*Timer) {}))
	before := reads
	for range 10 { // a signal of the runtime's may end the brief wait, and then there is no long one
		if _, err := l.poll(); err != nil {
			t.Fatal(err)
		}
		if reads != before {
			break
		}
	}
	if reads == before {
		t.Error("the loop went to sleep by the time of a turn that is over")
	}
}

// TestTurnOrder runs what a turn has to do in the documented order.
func TestTurnOrder(t *testing.T) {
	s := newSteppedLoop(t)
	var order []string
	note := func(what string) { order = append(order, what) }
	c, peer := s.pair()
	c.SetIdleHandler(readyFunc(func(*Conn) { note("event"); c.SetIdleHandler(readyFunc(func(*Conn) { note("flush") })) }))
	var timer Timer
	s.SetTimer(&timer, 0, expiredFunc(func(*Timer) { note("timer") }))
	s.Spawn(runnerFunc(func(*Task) { note("task"); c.Write([]byte("x")); c.NotifyBelow(1) }))
	s.Post(func() { note("posted") })
	expectSend(t, peer, "x")
	s.time += tickLength
	s.turnOnce()
	want := []string{"event", "posted", "timer", "task", "flush"}
	for i := range want {
		if i >= len(order) || order[i] != want[i] {
			t.Fatalf("order is %v, want %v", order, want)
		}
	}
}
