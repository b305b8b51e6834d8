package eventloop

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// guard bounds every wait of the tests. It is reached only by a test that has failed.
const guard = 30 * time.Second

// TestMain fails the run when the tests leave goroutines or descriptors behind.
func TestMain(m *testing.M) {
	wakeNetpoller()
	descriptors, goroutines := openDescriptors(), runtime.NumGoroutine()
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz").Value.String() != ""; code == 0 && !fuzzing { // the fuzzer leaves its own
		code = reportLeaks(descriptors, goroutines)
	}
	os.Exit(code)
}

// wakeNetpoller has the descriptors that package net keeps for the life of the process opened.
func wakeNetpoller() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_ = ln.Close()
}

func reportLeaks(descriptors, goroutines int) int {
	if got := openDescriptors(); got > descriptors {
		fmt.Fprintf(os.Stderr, "%d descriptors open after the tests, %d before\n", got, descriptors)
		return 1
	}
	if !settled(goroutines) {
		fmt.Fprintf(os.Stderr, "%d goroutines after the tests, %d before\n", runtime.NumGoroutine(), goroutines)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		return 1
	}
	return 0
}

// settled waits until no more than want goroutines are left: those that have done their work end on their own account.
func settled(want int) bool {
	for end := time.Now().Add(guard); runtime.NumGoroutine() > want; runtime.Gosched() {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func openDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// panics collects what a loop reports through OnPanic.
type panics struct{ reports chan panicReport }

type panicReport struct {
	value any
	stack string
}

func newPanics() *panics { return &panics{reports: make(chan panicReport, 64)} }

func (p *panics) report(value any, stack []byte) {
	p.reports <- panicReport{value: value, stack: string(stack)}
}

// expect takes the next report, which must be of value and have a stack that names the function where.
func (p *panics) expect(t *testing.T, value any, where string) {
	t.Helper()
	r := receive(t, p.reports)
	if r.value != value {
		t.Errorf("OnPanic got %v, want %v", r.value, value)
	}
	if !strings.Contains(r.stack, where) {
		t.Errorf("the stack of panic %v does not name %s:\n%s", value, where, r.stack)
	}
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
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// startLoop runs a loop until the test ends.
func startLoop(t testing.TB, o Options) *Loop {
	t.Helper()
	if o.OnPanic == nil {
		o.OnPanic = func(v any, stack []byte) { t.Errorf("panic on the loop: %v\n%s", v, stack) }
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- l.Run() }()
	t.Cleanup(func() {
		l.Stop()
		if err := receive(t, result); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return l
}

// onLoop runs f on the thread of a running loop and waits for it.
func onLoop(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); f() }) {
		t.Fatal("Post on a loop that has ended")
	}
	receive(t, done)
}

// steppedLoop is a loop whose turns the test takes itself, on its own goroutine, with a clock that it sets.
type steppedLoop struct {
	*Loop
	t     testing.TB
	time  int64
	fatal []string // panics reported
}

func newSteppedLoop(t testing.TB) *steppedLoop {
	t.Helper()
	s := &steppedLoop{t: t, time: int64(time.Hour)}
	l, err := New(Options{
		Clock:   func() int64 { return s.time },
		OnPanic: func(v any, stack []byte) { s.fatal = append(s.fatal, fmt.Sprintf("%v\n%s", v, stack)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Loop = l
	t.Cleanup(func() {
		l.tearDown()
		for _, p := range s.fatal {
			t.Errorf("panic on the loop: %s", p)
		}
	})
	return s
}

// step takes one turn, which does not sleep.
func (s *steppedLoop) step() {
	s.t.Helper()
	s.mailbox.ring()
	s.turnOnce()
}

// turnOnce takes one turn, which may sleep as long as the loop sees fit.
func (s *steppedLoop) turnOnce() {
	s.t.Helper()
	if err := s.turn(); err != nil {
		s.t.Fatal(err)
	}
}

// until takes turns until cond holds.
func (s *steppedLoop) until(what string, cond func() bool) {
	s.t.Helper()
	for end := time.Now().Add(guard); !cond(); s.step() {
		if time.Now().After(end) {
			s.t.Fatalf("never happened: %s", what)
		}
		runtime.Gosched()
	}
}

// runnerFunc makes a function a Runner.
type runnerFunc func(t *Task)

func (f runnerFunc) Run(t *Task) { f(t) }

// readyFunc makes a function an IdleHandler.
type readyFunc func(c *Conn)

func (f readyFunc) Ready(c *Conn) { f(c) }

// expiredFunc makes a function an Expirer.
type expiredFunc func(t *Timer)

func (f expiredFunc) Expired(t *Timer) { f(t) }

// acceptFunc makes a function an AcceptHandler that does not expect failures.
type acceptFunc func(c *Conn)

func (f acceptFunc) Accepted(c *Conn)   { f(c) }
func (f acceptFunc) AcceptFailed(error) { panic("accept failed") }

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// listenSocket returns a listening socket on loopback and its address.
func listenSocket(t testing.TB) (fd int, address netip.AddrPort) {
	t.Helper()
	fd, err := ListenSocket(anyPort, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return fd, SocketAddress(fd)
}

// serve has every connection to the returned address handed to accepted, on a running loop.
func serve(t testing.TB, l *Loop, accepted func(c *Conn)) netip.AddrPort {
	t.Helper()
	fd, address := listenSocket(t)
	onLoop(t, l, func() {
		if _, err := l.Listen(fd, acceptFunc(accepted)); err != nil {
			t.Error(err)
		}
	})
	return address
}

// serveTask has every connection to the returned address served by a task that closes it when it returns.
func serveTask(t testing.TB, l *Loop, run func(task *Task, c *Conn)) netip.AddrPort {
	t.Helper()
	return serve(t, l, func(c *Conn) {
		c.SetWaker(l.Spawn(runnerFunc(func(task *Task) {
			defer c.Close()
			run(task, c)
		})))
	})
}

// dial connects a client that fails the test rather than wait for ever.
func dial(t testing.TB, address netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(guard)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// connect makes a connection between a stepped loop and a client. Its first events have been delivered.
func (s *steppedLoop) connect() (*Conn, *net.TCPConn) {
	s.t.Helper()
	fd, address := listenSocket(s.t)
	var c *Conn
	ln, err := s.Listen(fd, acceptFunc(func(accepted *Conn) { c = accepted }))
	if err != nil {
		s.t.Fatal(err)
	}
	peer := dial(s.t, address)
	s.until("accept", func() bool { return c != nil })
	ln.Close()
	s.step()
	return c, peer
}

// pair makes a connection between a stepped loop and a descriptor that stays with the test.
func (s *steppedLoop) pair() (c *Conn, peer int) {
	s.t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = unix.Close(ends[1]) })
	if err := unix.SetNonblock(ends[0], true); err != nil {
		s.t.Fatal(err)
	}
	c, err = s.newConn(ends[0], 0, netip.AddrPort{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.step()
	return c, ends[1]
}

// readFull is Read for a task that waits for all of b.
func readFull(t *Task, c *Conn, b []byte) error {
	for len(b) > 0 {
		n, err := c.Read(b)
		switch {
		case errors.Is(err, ErrWouldBlock):
			t.Park()
		case err != nil:
			return err
		}
		b = b[n:]
	}
	return nil
}

// readAll is Read for a task that waits for the end of input.
func readAll(t *Task, c *Conn) ([]byte, error) {
	var all []byte
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		all = append(all, b[:n]...)
		switch {
		case errors.Is(err, ErrWouldBlock):
			t.Park()
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return all, err
		}
	}
}

// waitBelow parks the task until fewer than n bytes are gathered.
func waitBelow(t *Task, c *Conn, n int) {
	for c.Buffered() >= n && c.WriteErr() == nil {
		c.NotifyBelow(n)
		t.Park()
	}
}

// pattern fills b with the bytes of an endless stream that begin at offset. The stream repeats only after 16 MiB, so that
// lost, doubled and swapped pieces show.
func pattern(b []byte, offset int) {
	for i := range b {
		x := uint32(offset+i) >> 2 * 2654435761
		b[i] = byte(x >> (8 * (uint32(offset+i) & 3)))
	}
}

// checkPattern reports the first byte of b that is not the stream's.
func checkPattern(b []byte, offset int) error {
	want := make([]byte, len(b))
	pattern(want, offset)
	for i := range b {
		if b[i] != want[i] {
			return fmt.Errorf("byte %d of the stream is %#x, want %#x", offset+i, b[i], want[i])
		}
	}
	return nil
}
