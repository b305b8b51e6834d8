package eventloop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// borderSizes are message sizes around everything that the gathering of output decides by size.
func borderSizes() []int {
	sizes := []int{1, 2}
	for _, border := range []int{minHeadRoom, ReadBufferSize, 2 * ReadBufferSize, directWrite, LargeBufferSize, maxVector * ReadBufferSize} {
		sizes = append(sizes, border-1, border, border+1)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// readPattern reads n bytes of the stream that begin at offset.
func readPattern(r io.Reader, offset, n int) error {
	got := make([]byte, n)
	if _, err := io.ReadFull(r, got); err != nil {
		return fmt.Errorf("read %d bytes from %d: %w", n, offset, err)
	}
	return checkPattern(got, offset)
}

func TestEchoOfEverySize(t *testing.T) {
	l := startLoop(t, Options{})
	address := serveTask(t, l, func(task *Task, c *Conn) {
		b := l.AcquireBuffer(LargeBufferSize)
		defer l.ReleaseBuffer(b)
		for {
			n, err := c.Read(b)
			switch {
			case errors.Is(err, ErrWouldBlock):
				task.Park()
			case err != nil:
				return
			}
			c.Write(b[:n])
			waitBelow(task, c, 256<<10)
		}
	})
	peer := dial(t, address)
	offset := 0
	for _, size := range borderSizes() {
		sent := make(chan error, 1)
		go func() {
			b := make([]byte, size)
			pattern(b, offset)
			_, err := peer.Write(b)
			sent <- err
		}()
		if err := readPattern(peer, offset, size); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if err := receive(t, sent); err != nil {
			t.Fatal(err)
		}
		offset += size
	}
}

// TestWritesOfEverySize gathers pairs of writes: the first decides what the second finds.
func TestWritesOfEverySize(t *testing.T) {
	for _, first := range borderSizes() {
		for _, second := range []int{1, minHeadRoom, directWrite - 1, directWrite, ReadBufferSize + 1} {
			s := newSteppedLoop(t)
			c, peer := s.connect()
			b := make([]byte, first+second)
			pattern(b, 0)
			done := make(chan error, 1)
			go func() { done <- readPattern(peer, 0, len(b)) }()
			c.Write(b[:first])
			c.Write(b[first:])
			clear(b) // nothing was kept
			s.until("everything is sent", c.Flushed)
			if err := receive(t, done); err != nil {
				t.Fatalf("%d and %d bytes: %v", first, second, err)
			}
			if got := c.BytesWritten(); got != uint64(first+second) {
				t.Errorf("BytesWritten is %d, want %d", got, first+second)
			}
			c.Close()
			_ = peer.Close()
		}
	}
}

// TestSlowReader sends much more than the kernel takes at once to a reader of odd sizes.
func TestSlowReader(t *testing.T) {
	const total = 8 << 20
	l := startLoop(t, Options{})
	address := serveTask(t, l, func(task *Task, c *Conn) {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10)
		b := make([]byte, 100_003)
		for sent := 0; sent < total; sent += len(b) {
			b = b[:min(len(b), total-sent)]
			pattern(b, sent)
			c.Write(b)
			waitBelow(task, c, 300<<10)
		}
		waitBelow(task, c, 1)
	})
	peer := dial(t, address)
	r := rand.New(rand.NewPCG(5, 5))
	for got := 0; got < total; {
		n := min(1+r.IntN(60_000), total-got)
		if err := readPattern(peer, got, n); err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the stream: %d bytes, %v", n, err)
	}
}

// TestNotifyBelowNeverLosesAWakeUp has many writers wait for random limits while readers of random speed drain them. A lost
// wake-up leaves its writer parked, and its reader without the end of the stream.
func TestNotifyBelowNeverLosesAWakeUp(t *testing.T) {
	const conns, total = 8, 1 << 20
	seed := uint64(0)
	writer := func(task *Task, c *Conn) {
		seed++
		r := rand.New(rand.NewPCG(seed, 9))
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10<<r.IntN(6))
		b := make([]byte, 40_000)
		for sent := 0; sent < total; {
			n := min(1+r.IntN(len(b)), total-sent)
			pattern(b[:n], sent)
			c.Write(b[:n])
			sent += n
			waitBelow(task, c, 1+r.IntN(64<<10))
		}
		c.ShutdownWrite()
		waitBelow(task, c, 1)
		if _, err := readAll(task, c); err != nil {
			t.Error(err)
		}
	}
	l := startLoop(t, Options{})
	address := serveTask(t, l, writer)
	done := make(chan error, 2*conns)
	for i := range conns {
		tcp, local := dial(t, address), startPair(t, l, writer)
		for j, peer := range []net.Conn{tcp, local} {
			go func() { done <- drainRandomly(peer, rand.New(rand.NewPCG(uint64(i), uint64(j))), total) }()
		}
	}
	for range 2 * conns {
		if err := receive(t, done); err != nil {
			t.Error(err)
		}
	}
}

// startPair has one end of a socket pair served by a task and returns the other. Its buffers are as small as the sender
// wants: there is no window that would have to open wide first, as TCP's.
func startPair(t *testing.T, l *Loop, run func(task *Task, c *Conn)) net.Conn {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	onLoop(t, l, func() {
		c, err := l.newConn(ends[0], 0, netip.AddrPort{})
		if err != nil {
			t.Error(err)
			return
		}
		c.SetWaker(l.Spawn(runnerFunc(func(task *Task) {
			defer c.Close()
			run(task, c)
		})))
	})
	f := os.NewFile(uintptr(ends[1]), "socketpair")
	defer f.Close()
	peer, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	_ = peer.SetDeadline(time.Now().Add(guard))
	return peer
}

func drainRandomly(peer net.Conn, r *rand.Rand, total int) error {
	for got := 0; got < total; {
		n := min(1+r.IntN(1<<(1+r.IntN(17))), total-got)
		if err := readPattern(peer, got, n); err != nil {
			return err
		}
		got += n
	}
	if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("after the stream: %d bytes, %v", n, err)
	}
	return peer.Close()
}

// TestNotifyBelowTellsOnce covers when exactly the waiting task is woken.
func TestNotifyBelowTellsOnce(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	told := 0
	c.SetIdleHandler(readyFunc(func(*Conn) { told++ }))

	c.Write(make([]byte, 4<<20)) // much more than the kernel takes
	s.step()
	left := c.Buffered()
	if left < 1<<20 {
		t.Fatalf("only %d bytes are gathered", left)
	}
	c.NotifyBelow(left / 2)
	b := make([]byte, 64<<10)
	for told == 0 {
		if _, err := unix.Read(peer, b); err != nil {
			t.Fatal(err)
		}
		before := c.Buffered()
		s.step()
		if (told > 0) != (c.Buffered() < left/2) {
			t.Fatalf("told %d times at %d bytes, %d before, asked below %d", told, c.Buffered(), before, left/2)
		}
	}
	for c.Buffered() > 0 {
		if _, err := unix.Read(peer, b); err != nil {
			t.Fatal(err)
		}
		s.step()
	}
	if told != 1 {
		t.Errorf("told %d times, asked once", told)
	}
}

// TestNotifyBelowWhatIsAlreadyTrue demands the wake-up also when nothing will be sent any more.
func TestNotifyBelowWhatIsAlreadyTrue(t *testing.T) {
	tests := map[string]func(c *Conn, peer int){
		"nothing gathered": func(*Conn, int) {},
		"write failed": func(c *Conn, peer int) {
			_ = unix.Shutdown(peer, unix.SHUT_RD)
			c.Write(make([]byte, directWrite))
		},
		"fin was sent": func(c *Conn, _ int) {
			c.ShutdownWrite()
			c.loop.flushDirty()
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSteppedLoop(t)
			c, peer := s.pair()
			prepare(c, peer)
			s.step()
			told := false
			c.SetIdleHandler(readyFunc(func(*Conn) { told = true }))
			c.NotifyBelow(1)
			s.step()
			if !told {
				t.Error("not told")
			}
		})
	}
}

// TestWriteWhileFlushing has the one who is told after a flush write more: it must go out in the next turn, not after the
// longest sleep.
func TestWriteWhileFlushing(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	c.SetIdleHandler(readyFunc(func(c *Conn) { c.Write([]byte("more")) }))
	c.Write([]byte("some"))
	c.NotifyBelow(1)
	s.step()
	if !s.busy() {
		t.Error("the loop would sleep with output to send")
	}
	s.turnOnce()
	expectBytes(t, peer, "somemore")
}

// TestPanicOfWhoIsToldAfterAFlush costs no more than that call.
func TestPanicOfWhoIsToldAfterAFlush(t *testing.T) {
	p := newPanics()
	l := startLoop(t, Options{OnPanic: p.report})
	closed := make(chan struct{})
	address := serve(t, l, func(c *Conn) {
		c.SetIdleHandler(readyFunc(func(c *Conn) {
			if c.EOF() || c.PeerGone() {
				c.Close()
				close(closed)
				return
			}
			panic("after flush")
		}))
		c.Write([]byte("x"))
		c.NotifyBelow(1)
	})
	peer := dial(t, address)
	p.expect(t, "after flush", "flushAndTell")
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	_ = peer.Close()
	receive(t, closed)
}

// expectBytes reads from a blocking descriptor what must be there already.
func expectBytes(t *testing.T, fd int, want string) {
	t.Helper()
	b := make([]byte, len(want)+1)
	n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
	if err != nil || string(b[:max(n, 0)]) != want {
		t.Errorf("the peer has %.60q, %v; want %.60q", b[:max(n, 0)], err, want)
	}
}

// TestCommit covers what can become of a buffer that is appended to.
func TestCommit(t *testing.T) {
	fill := func(b []byte, n int) []byte { return append(b, bytes.Repeat([]byte{'x'}, n)...) }
	steps := map[string]func(c *Conn, b []byte) []byte{
		"nothing":     func(_ *Conn, b []byte) []byte { return b },
		"a byte":      func(_ *Conn, b []byte) []byte { return fill(b, 1) },
		"all of it":   func(_ *Conn, b []byte) []byte { return fill(b, cap(b)) },
		"all but one": func(_ *Conn, b []byte) []byte { return fill(b, cap(b)-1) },
		"outgrown":    func(_ *Conn, b []byte) []byte { return fill(b, cap(b)+1) },
		"outgrown by far": func(_ *Conn, b []byte) []byte {
			return fill(b, 5*ReadBufferSize)
		},
		"another array of the same capacity": func(_ *Conn, b []byte) []byte { return fill(make([]byte, 0, cap(b)), 9) },
	}
	for before := range steps {
		for then := range steps {
			t.Run(before+", then "+then, func(t *testing.T) {
				s := newSteppedLoop(t)
				c, peer := s.pair()
				first, second := steps[before](c, c.AppendBuffer()), 0
				want := len(first)
				c.Commit(first)
				b := steps[then](c, c.AppendBuffer())
				second = len(b)
				c.Commit(b)
				if got := c.Buffered() + int(c.BytesWritten()); got != want+second {
					t.Errorf("%d bytes gathered or sent, want %d", got, want+second)
				}
				c.Close()
				got, err := drain(peer)
				if err != nil || got != want+second {
					t.Errorf("the peer has %d bytes, %v; want %d", got, err, want+second)
				}
			})
		}
	}
}

// drain counts the bytes up to the end of a stream.
func drain(fd int) (total int, err error) {
	b := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, b)
		if err != nil || n == 0 {
			return total, err
		}
		total += n
	}
}

func TestAppendBufferHasRoom(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	sent := 0
	for _, n := range []int{1, 3000, 9000, ReadBufferSize - minHeadRoom, minHeadRoom, minHeadRoom + 1, 1} {
		b := c.AppendBuffer()
		if len(b) != 0 || cap(b) < minHeadRoom {
			t.Fatalf("a buffer of %d bytes with room for %d, want 0 and at least %d", len(b), cap(b), minHeadRoom)
		}
		b = append(b, make([]byte, n)...)
		pattern(b, sent)
		c.Commit(b)
		sent += n
	}
	s.step()
	got := make([]byte, sent)
	if n, err := unix.Read(peer, got); n != sent || err != nil {
		t.Fatal(n, err)
	}
	if err := checkPattern(got, 0); err != nil {
		t.Error(err)
	}
}

// TestUnusedAppendBuffer asks for a buffer and then does something else, as who fails in the middle of encoding does. The
// loop must survive that, and the buffer must not stay with the connection.
func TestUnusedAppendBuffer(t *testing.T) {
	tests := map[string]func(c *Conn){
		"close":                func(c *Conn) { c.Close() },
		"abort":                func(c *Conn) { c.Abort() },
		"shutdown":             func(c *Conn) { c.ShutdownWrite() },
		"nothing":              func(*Conn) {},
		"commit of nothing":    func(c *Conn) { c.Commit(nil) },
		"commit of a big one":  func(c *Conn) { c.Commit(make([]byte, 20<<10)) },
		"write of a big piece": func(c *Conn) { c.Write(make([]byte, 20<<10)) },
	}
	for name, then := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSteppedLoop(t)
			c, _ := s.pair()
			c.AppendBuffer()
			then(c)
			s.step()
			if c.out.head != nil || c.out.tail != nil || c.Buffered() != 0 {
				t.Errorf("the connection holds a buffer, with %d bytes", c.Buffered())
			}
			if len(s.chunks.idle) != 1 {
				t.Errorf("%d chunks are in the pool, want the one", len(s.chunks.idle))
			}
		})
	}
}

// TestDirectWrite sends large pieces past the gathering, but never past what is gathered.
func TestDirectWrite(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	b := make([]byte, directWrite)
	pattern(b, 0)
	c.Write(b)
	if c.Buffered() != 0 || c.BytesWritten() != directWrite || c.out.head != nil {
		t.Errorf("%d bytes gathered, %d sent at once; want 0, %d", c.Buffered(), c.BytesWritten(), directWrite)
	}
	c.Write([]byte("small"))
	c.Write(b)
	if c.Buffered() != 5+directWrite {
		t.Errorf("%d bytes gathered, want %d: order is lost", c.Buffered(), 5+directWrite)
	}
	s.step()
	got := make([]byte, 2*directWrite+5)
	if n, err := unix.Read(peer, got); n != len(got) || err != nil {
		t.Fatal(n, err)
	}
	if checkPattern(got[:directWrite], 0) != nil || string(got[directWrite:directWrite+5]) != "small" || checkPattern(got[directWrite+5:], 0) != nil {
		t.Error("the bytes have changed")
	}
}

// TestShutdownWriteAfterGathered sends FIN after the last byte, however long that takes.
func TestShutdownWriteAfterGathered(t *testing.T) {
	for _, size := range []int{0, 1, directWrite, 4 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newSteppedLoop(t)
			c, peer := s.connect()
			b := make([]byte, size)
			pattern(b, 0)
			c.Write(b)
			c.ShutdownWrite()
			c.ShutdownWrite()
			if c.Flushed() {
				t.Error("Flushed before the turn has ended")
			}
			done := make(chan error, 1)
			go func() {
				got, err := io.ReadAll(peer)
				if err == nil && len(got) != size {
					err = fmt.Errorf("%d bytes", len(got))
				}
				if err == nil {
					err = checkPattern(got, 0)
				}
				done <- err
			}()
			s.until("FIN is sent", c.Flushed)
			if err := receive(t, done); err != nil {
				t.Error(err)
			}
			if _, err := peer.Write([]byte("still")); err != nil { // our read side is open
				t.Error(err)
			}
			got := make([]byte, 10)
			s.until("bytes after our FIN", func() bool { n, err := c.Read(got); return err == nil && string(got[:n]) == "still" })
		})
	}
}

// TestWriteFailureLeavesInput keeps what the peer had sent before it stopped to take our bytes.
func TestWriteFailureLeavesInput(t *testing.T) {
	for _, size := range []int{1, directWrite, 3 * directWrite} {
		s := newSteppedLoop(t)
		c, peer := s.pair()
		if _, err := unix.Write(peer, []byte("answer")); err != nil {
			t.Fatal(err)
		}
		_ = unix.Shutdown(peer, unix.SHUT_RD)
		c.Write(make([]byte, size))
		s.step()
		if !errors.Is(c.WriteErr(), syscall.EPIPE) || c.Err() != nil || c.Buffered() != 0 {
			t.Fatalf("%d bytes: WriteErr %v, Err %v, %d gathered; want EPIPE, nil, 0", size, c.WriteErr(), c.Err(), c.Buffered())
		}
		c.Write([]byte("more"))
		c.Commit(append(c.AppendBuffer(), 'x'))
		c.ShutdownWrite()
		got := make([]byte, 100)
		if n, err := c.Read(got); err != nil || string(got[:n]) != "answer" {
			t.Errorf("%d bytes: read %q, %v", size, got[:n], err)
		}
	}
}

// TestManyChunks gathers more than one system call sends.
func TestManyChunks(t *testing.T) {
	const size = 3*maxVector*ReadBufferSize + 77
	s := newSteppedLoop(t)
	c, peer := s.connect()
	c.Write([]byte{0})
	b := make([]byte, size)
	pattern(b, 0)
	c.Write(b)
	done := make(chan error, 1)
	go func() {
		_, _ = peer.Read(make([]byte, 1))
		done <- readPattern(peer, 0, size)
	}()
	s.until("everything is sent", c.Flushed)
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
	if c.out.head != nil || c.out.tail != nil {
		t.Error("a connection with nothing gathered holds chunks")
	}
}

// TestFlush sends without waiting for the end of the turn, and does not take the wake-up that was asked for.
func TestFlush(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	told := 0
	c.SetIdleHandler(readyFunc(func(*Conn) { told++ }))
	c.Write([]byte("now"))
	c.NotifyBelow(1)
	if !c.Flush() || c.Buffered() != 0 {
		t.Errorf("%d bytes are left", c.Buffered())
	}
	expectBytes(t, peer, "now")
	s.step()
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
	c.Write(make([]byte, 4<<20))
	if c.Flush() || c.Buffered() == 0 {
		t.Error("the kernel took everything")
	}
	c.Abort()
	c.Flush()
}
