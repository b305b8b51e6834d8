package eventloop

import (
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCloseFlushes sends what was gathered before the connection goes away.
func TestCloseFlushes(t *testing.T) {
	for _, size := range []int{1, 100, directWrite + 1, 2 * directWrite} {
		s := newSteppedLoop(t)
		c, peer := s.pair()
		b := make([]byte, size)
		pattern(b, 0)
		c.Write(b[:size/2])
		c.Commit(append(c.AppendBuffer(), b[size/2:]...))
		c.Close()
		got := make([]byte, size+1)
		if n, err := unix.Read(peer, got); n != size || err != nil || checkPattern(got[:n], 0) != nil {
			t.Errorf("%d bytes: the peer has %d, %v", size, n, err)
		}
		s.step()
	}
}

func TestUseAfterClose(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.pair()
	c.SetIdleHandler(readyFunc(func(*Conn) { t.Error("told of a closed connection") }))
	c.Write([]byte("last"))
	c.Close()
	c.Close()
	c.Abort()
	c.Write(make([]byte, directWrite))
	c.Write([]byte("x"))
	if b := c.AppendBuffer(); b != nil {
		t.Error("a closed connection has room")
	}
	c.Commit([]byte("x"))
	c.NotifyBelow(1)
	c.ShutdownWrite()
	c.Wake()
	s.step()
	s.step()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if _, err := c.Connected(); !errors.Is(err, ErrClosed) {
		t.Errorf("Connected: %v", err)
	}
	if !errors.Is(c.Err(), ErrClosed) || !errors.Is(c.WriteErr(), ErrClosed) || !c.Closed() || !c.PeerGone() || c.Buffered() != 0 {
		t.Errorf("state after Close: %v, %v, %v", c.Err(), c.WriteErr(), c.Closed())
	}
	if c.LocalAddr() != (netip.AddrPort{}) {
		t.Error("a closed connection has the address of another's descriptor")
	}
	expectBytes(t, peer, "last")
}

// TestAbortResets has the peer see a reset and not the end of the stream.
func TestAbortResets(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.connect()
	c.Write([]byte("not sent"))
	c.Abort()
	n, err := peer.Read(make([]byte, 100))
	if n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer read %d bytes, %v; want 0, ECONNRESET", n, err)
	}
}

// TestReset covers what a reset by the peer looks like, also when a send has met it first and taken the error.
func TestReset(t *testing.T) {
	sends := map[string]func(c *Conn){
		"read only":    func(*Conn) {},
		"gathered":     func(c *Conn) { c.Write([]byte("x")) },
		"sent at once": func(c *Conn) { c.Write(make([]byte, directWrite)) },
		"shutdown":     func(c *Conn) { c.ShutdownWrite() },
	}
	for name, send := range sends {
		for _, unread := range []string{"", "half an answer"} {
			t.Run(name+" "+unread, func(t *testing.T) {
				s := newSteppedLoop(t)
				c, peer := s.connect()
				if _, err := peer.Write([]byte(unread)); err != nil {
					t.Fatal(err)
				}
				_ = peer.SetLinger(0)
				_ = peer.Close()
				s.until("the reset is told", c.PeerGone)
				send(c)
				s.step()
				var got []byte
				b := make([]byte, 100)
				for {
					n, err := c.Read(b)
					got = append(got, b[:n]...)
					if errors.Is(err, io.EOF) || errors.Is(err, ErrWouldBlock) {
						t.Fatalf("read %q and then %v: a reset connection looks whole", got, err)
					}
					if err != nil {
						break
					}
				}
				if !errors.Is(c.Err(), syscall.ECONNRESET) {
					t.Errorf("Err is %v, want ECONNRESET", c.Err())
				}
				if string(got) != unread && string(got) != "" {
					t.Errorf("read %q", got)
				}
			})
		}
	}
}

// TestResetWhileBlocked wakes who waits for room in a connection that is gone.
func TestResetWhileBlocked(t *testing.T) {
	s := newSteppedLoop(t)
	c, peer := s.connect()
	woken := 0
	c.SetWaker(s.Spawn(runnerFunc(func(task *Task) {
		c.Write(make([]byte, 32<<20))
		waitBelow(task, c, 1)
		woken++
	})))
	s.step()
	s.step()
	if woken != 0 || c.Buffered() == 0 {
		t.Fatal("the kernel took everything")
	}
	_ = peer.SetLinger(0)
	_ = peer.Close()
	s.until("wake-up", func() bool { return woken == 1 })
	if c.WriteErr() == nil || c.Buffered() != 0 {
		t.Errorf("WriteErr is %v with %d bytes gathered", c.WriteErr(), c.Buffered())
	}
}

// TestStaleEvents closes a connection while an event for it waits in the same turn, and has its descriptor's number used
// again: the new connection must not be told of what happened to the old one.
func TestStaleEvents(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		s := newSteppedLoop(t)
		first, firstPeer := s.pair()
		second, secondPeer := s.pair()
		var fresh *Conn
		first.SetIdleHandler(readyFunc(func(*Conn) {
			number := second.fd
			second.Close()
			if reuse {
				fresh = s.connAt(number)
			}
		}))
		second.SetIdleHandler(readyFunc(func(*Conn) { t.Error("told of a closed connection") }))
		for _, fd := range []int{firstPeer, secondPeer} { // in this order the kernel reports them
			if _, err := unix.Write(fd, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		s.turnOnce()
		if !second.Closed() {
			t.Fatal("the first connection was not told")
		}
		if reuse && fresh.Readable() {
			t.Error("the new connection has got the old one's event")
		}
	}
}

// connAt makes a connection whose descriptor has the given free number.
func (s *steppedLoop) connAt(number int) *Conn {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if ends[0] == number {
		ends[0], ends[1] = ends[1], ends[0]
	}
	if ends[1] != number {
		if err := unix.Dup3(ends[1], number, unix.O_CLOEXEC); err != nil {
			s.t.Fatal(err)
		}
		_ = unix.Close(ends[1])
	}
	s.t.Cleanup(func() { _ = unix.Close(ends[0]) })
	c, err := s.newConn(number, 0, netip.AddrPort{})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestStopClosesConnections leaves neither connections nor listeners behind, resting ones included.
func TestStopClosesConnections(t *testing.T) {
	before := openDescriptors()
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	accepted := make(chan *Conn, 1)
	address := serve(t, l, func(c *Conn) { accepted <- c })
	peer := dial(t, address)
	c := receive(t, accepted)
	onLoop(t, l, func() {
		c.Write([]byte("bye"))
		fd, _ := listenSocket(t)
		resting, err := l.Listen(fd, acceptFunc(nil))
		if err != nil {
			t.Error(err)
		}
		resting.rest()
		l.Stop()
	})
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(peer); err != nil || string(got) != "bye" {
		t.Errorf("the peer read %q, %v", got, err)
	}
	_ = peer.Close()
	if got := openDescriptors(); got != before {
		t.Errorf("%d descriptors are open, %d were before", got, before)
	}
}
