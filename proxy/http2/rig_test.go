package http2

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// guard bounds every wait of the tests. It is reached only by a test that has failed.
const guard = 30 * time.Second

// TestMain fails the run when the tests leave goroutines behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // the fuzzer leaves its own
	if code == 0 && !fuzzing && !settled(before) {
		fmt.Fprintf(os.Stderr, "%d goroutines after the tests, %d before\n", runtime.NumGoroutine(), before)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// settled waits until no more than want goroutines are left.
func settled(want int) bool {
	for end := time.Now().Add(guard); runtime.NumGoroutine() > want; runtime.Gosched() {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// rig is an event loop whose turns the test takes. Between two steps the loop stands still in the middle of a turn: what the
// kernel had to tell has been told, and jobs, timers and the turn's end are to come. Everything on the loop belongs to the
// test then. Connections are sockets of the kernel's own kind, AF_UNIX: what one end writes is there for the other at once.
type rig struct {
	t    testing.TB
	loop *eventloop.Loop
	env  *Env
	now  int64 // the loop's clock, nanoseconds

	standing chan struct{} // by the loop, when it stands still
	goOn     chan struct{} // by the test

	listener *eventloop.Listener
	address  unix.Sockaddr
	accepted *eventloop.Conn

	store *stats.Store
	block *stats.Block
	check []func() // invariants that hold whenever the loop stands

	panicked func(v any) // is told of panics on the loop; nil: they fail the test
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, now: int64(time.Hour), standing: make(chan struct{}), goOn: make(chan struct{})}
	loop, err := eventloop.New(eventloop.Options{
		Clock: func() int64 { return r.now },
		OnPanic: func(v any, stack []byte) {
			if r.panicked != nil {
				r.panicked(v)
				return
			}
			t.Errorf("panic on the loop: %v\n%s", v, stack)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.loop = loop
	r.env = NewEnv(loop, func(n int64) int64 { return n - 1 })
	r.store = stats.NewStore(stats.Options{})
	// The loop stands whenever a statistic is asked for.
	shard := r.store.NewShard(func(f func()) bool { f(); return true })
	r.block = shard.Block(r.store.Scope("http2.", stats.HTTP2Codec))
	result := make(chan error, 1)
	r.loop.Post(r.stand)
	go func() { result <- loop.Run() }()
	receive(t, r.standing)
	t.Cleanup(func() {
		loop.Stop()
		select {
		case r.goOn <- struct{}{}:
		case <-time.After(guard): // it did not stand: the test has failed
		}
		if err := receive(t, result); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	r.listen()
	return r
}

// receive takes a value from c before the guard is up.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(guard)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		panic("the loop is stuck") // it would not stop either
	}
}

// stand holds the loop until the test has it go on.
func (r *rig) stand() {
	r.standing <- struct{}{}
	<-r.goOn
}

// step ends the turn in which the loop stands and begins the next one.
func (r *rig) step() {
	r.t.Helper()
	r.loop.Post(r.stand)
	r.goOn <- struct{}{}
	receive(r.t, r.standing)
	for _, check := range r.check {
		check()
	}
}

// steps takes n steps. Two are a whole turn with its end, and what it has gathered sent.
func (r *rig) steps(n int) {
	r.t.Helper()
	for range n {
		r.step()
	}
}

// advance moves the clock on by d and has the timers that are due by then fire, and what they gather sent.
func (r *rig) advance(d time.Duration) {
	r.t.Helper()
	r.now += int64(d)
	r.steps(3)
}

// listen makes the socket that connections of the rig are made with, at an address that the kernel chooses.
func (r *rig) listen() {
	r.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{}); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		r.t.Fatal(err)
	}
	if r.address, err = unix.Getsockname(fd); err != nil {
		r.t.Fatal(err)
	}
	if r.listener, err = r.loop.Listen(fd, r); err != nil {
		r.t.Fatal(err)
	}
}

// Accepted implements eventloop.AcceptHandler.
func (r *rig) Accepted(c *eventloop.Conn) { r.accepted = c }

// AcceptFailed implements eventloop.AcceptHandler.
func (r *rig) AcceptFailed(err error) { r.t.Error(err) }

// connect makes a connection. The descriptor is the peer's end, which does not block.
func (r *rig) connect() (c *eventloop.Conn, peer int) {
	r.t.Helper()
	peer, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Connect(peer, r.address); err != nil {
		r.t.Fatal(err)
	}
	for r.accepted = nil; r.accepted == nil; {
		r.step()
	}
	return r.accepted, peer
}

// stat returns a statistic of the codec.
func (r *rig) stat(name string) int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	v, known := r.store.Snapshot(ctx).Value("http2." + name)
	if !known {
		r.t.Errorf("there is no statistic %q", name)
	}
	return int(v)
}

// wantStat compares a statistic of the codec.
func (r *rig) wantStat(name string, want int) {
	r.t.Helper()
	if got := r.stat(name); got != want {
		r.t.Errorf("%s is %d, want %d", name, got, want)
	}
}

// testOptions returns Envoy's defaults.
func testOptions() *Options {
	h := config.DefaultHTTP2()
	o := OptionsOf(&h, 60, 100)
	o.MaxPrematureResets, o.PrematureResetAge = 500, time.Second
	return o
}
