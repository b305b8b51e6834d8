package eventloop

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// pingPong is a client that costs no allocation: a blocking socket with nothing between.
type pingPong struct {
	fd      int
	out, in []byte
}

func newPingPong(t testing.TB, l *Loop, size int, run func(task *Task, c *Conn, size int)) *pingPong {
	t.Helper()
	address := serveTask(t, l, func(task *Task, c *Conn) { run(task, c, size) })
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		t.Fatal(err)
	}
	limit := unix.NsecToTimeval(int64(guard))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, Sockaddr(address)); err != nil {
		t.Fatal(err)
	}
	return &pingPong{fd: fd, out: make([]byte, size), in: make([]byte, size)}
}

// trip sends a message and waits for as many bytes.
func (p *pingPong) trip() error {
	for sent := 0; sent < len(p.out); {
		n, err := unix.Write(p.fd, p.out[sent:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		sent += n
	}
	for got := 0; got < len(p.in); {
		n, err := unix.Read(p.fd, p.in[got:])
		if err == unix.EINTR { // the collector's signal
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("closed")
		}
		got += n
	}
	return nil
}

// Ways for a server to answer.
var echoes = map[string]func(task *Task, c *Conn, size int){
	"write": func(task *Task, c *Conn, size int) {
		b := make([]byte, size)
		for readFull(task, c, b) == nil {
			c.Write(b)
		}
	},
	"append in place": func(task *Task, c *Conn, size int) {
		b := make([]byte, size)
		for readFull(task, c, b) == nil {
			for part := b; len(part) > 0; {
				n := min(len(part), minHeadRoom)
				c.Commit(append(c.AppendBuffer(), part[:n]...))
				part = part[n:]
			}
		}
	},
	"pooled buffer, timer and a new task": func(task *Task, c *Conn, size int) {
		l := task.Loop()
		var timer Timer
		var owner wakeOnExpiry
		one := &oneEcho{conn: c, parent: task}
		for {
			l.SetTimer(&timer, guard, &owner)
			one.buffer = l.AcquireBuffer(size)[:size]
			if err := readFull(task, c, one.buffer); err != nil {
				l.StopTimer(&timer)
				return
			}
			l.StopTimer(&timer)
			one.done = false
			l.Spawn(one)
			for !one.done {
				task.Park()
			}
			l.ReleaseBuffer(one.buffer)
			waitBelow(task, c, 1)
		}
	},
}

type wakeOnExpiry struct{}

func (*wakeOnExpiry) Expired(*Timer) {}

// oneEcho is a task that writes one answer.
type oneEcho struct {
	conn   *Conn
	parent *Task
	buffer []byte
	done   bool
}

func (o *oneEcho) Run(*Task) {
	o.conn.Write(o.buffer)
	o.done = true
	o.parent.Wake()
}

// TestRoundTripsDoNotAllocate counts the allocations of the whole process over many round trips on a running loop.
func TestRoundTripsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, echo := range echoes {
		for _, size := range []int{16, 10_000, 100_000} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				if size > LargeBufferSize && name == "pooled buffer, timer and a new task" {
					t.Skip("no pool has buffers of that size")
				}
				trips := 10_000
				if size == 100_000 {
					trips = 2_000
				}
				p := newPingPong(t, startLoop(t, Options{}), size, echo)
				per, err := allocationsPerTrip(p, trips)
				if err != nil {
					t.Fatal(err)
				}
				if per > 0.02 { // a collection on the way has a few of its own
					t.Errorf("%.3f allocations per round trip, want none", per)
				}
			})
		}
	}
}

func allocationsPerTrip(p *pingPong, trips int) (float64, error) {
	for range 200 { // what grows once has grown
		if err := p.trip(); err != nil {
			return 0, err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range trips {
		if err := p.trip(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(trips), nil
}

// TestIdleConnectionHoldsNothing leaves a connection that waits with its struct only.
func TestIdleConnectionHoldsNothing(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	c.SetIdleHandler(readyFunc(func(c *Conn) {
		b := s.AcquireBuffer(1)
		n, _ := c.Read(b)
		c.Commit(append(c.AppendBuffer(), b[:n]...))
		s.ReleaseBuffer(b)
	}))
	expectSend(t, peer, "hello")
	s.turnOnce()
	expectBytes(t, peer, "hello")
	if c.out.head != nil || c.out.tail != nil || len(s.buffers.small) != 1 || len(s.chunks.idle) != 1 || len(s.dirty) != 0 {
		t.Error("an idle connection holds a buffer")
	}
}

// TestTasksDoNotAllocate covers spawning, parking, waking and yielding once coroutines are there.
func TestTasksDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newSteppedLoop(t)
	r := &yielder{}
	allocs := testing.AllocsPerRun(1000, func() {
		for range 10 {
			s.Spawn(r)
		}
		s.resumeReady()
		s.resumeReady()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// yielder is a task that gives way once.
type yielder struct{ runs int }

func (y *yielder) Run(t *Task) {
	y.runs++
	t.Yield()
}
