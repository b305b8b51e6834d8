package eventloop

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listening returns an address that accepts connections.
func listening(t *testing.T) (netip.AddrPort, net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort(), l
}

// silent returns an address that answers nothing: the queue of its listener is full. Once closed it refuses.
func silent(t *testing.T) (at netip.AddrPort, closeListener func()) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	open := true
	closeListener = func() {
		if open {
			open = false
			_ = unix.Close(fd)
		}
	}
	t.Cleanup(closeListener)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	at = SocketAddress(fd)
	c, err := net.Dial("tcp", at.String()) // there is room for one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return at, closeListener
}

// refusing returns an address that refuses connections.
func refusing(t *testing.T) netip.AddrPort {
	t.Helper()
	at, l := listening(t)
	_ = l.Close()
	return at
}

func candidates(at ...netip.AddrPort) (list []Candidate) {
	for _, a := range at {
		list = append(list, Candidate{Address: a})
	}
	return list
}

// dialFirst begins a connection to one of the addresses, which writes as soon as it can.
func dialFirst(t *testing.T, s *steppedLoop, at ...netip.AddrPort) *Conn {
	t.Helper()
	c, err := s.DialFirst(candidates(at...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Write([]byte("hello"))
	return c
}

// connected takes turns until c is connected, and requires the peer to be the one at the address, who gets what was written.
func connected(t *testing.T, s *steppedLoop, c *Conn, at netip.AddrPort, l net.Listener) {
	t.Helper()
	s.until("the connection is there", func() bool { done, err := c.Connected(); return done || err != nil })
	if _, err := c.Connected(); err != nil {
		t.Fatal(err)
	}
	if c.RemoteAddr() != at || c.race != nil {
		t.Errorf("connected to %s, want %s; race %v", c.RemoteAddr(), at, c.race)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if got, want := peer.RemoteAddr().String(), c.LocalAddr().String(); got != want {
		t.Errorf("the peer sees %s, want %s", got, want)
	}
	s.step()
	buf := make([]byte, 5)
	_ = peer.SetReadDeadline(time.Now().Add(guard))
	if n, err := peer.Read(buf); string(buf[:n]) != "hello" {
		t.Errorf("the peer got %q, %v", buf[:n], err)
	}
	if _, err := c.Read(buf); !errors.Is(err, ErrWouldBlock) {
		t.Errorf("read: %v", err)
	}
}

// TestDialFirst has the first address answer, so that no other is tried.
func TestDialFirst(t *testing.T) {
	s := newSteppedLoop(t)
	at, l := listening(t)
	c := dialFirst(t, s, at, refusing(t))
	connected(t, s, c, at, l)
}

// TestDialFirstRefused has addresses refuse: the next one is tried at once.
func TestDialFirstRefused(t *testing.T) {
	s := newSteppedLoop(t)
	at, l := listening(t)
	c := dialFirst(t, s, refusing(t), refusing(t), at)
	connected(t, s, c, at, l)
}

// TestDialFirstSilent has an address not answer: the next one is tried beside it when that has lasted for long enough.
func TestDialFirstSilent(t *testing.T) {
	s := newSteppedLoop(t)
	first, _ := silent(t)
	at, l := listening(t)
	c := dialFirst(t, s, first, refusing(t), at)
	s.step()
	s.time += int64(attemptDelay) - int64(2*time.Millisecond)
	for range 5 {
		s.step()
	}
	if done, err := c.Connected(); done || err != nil || len(c.race.rivals) != 0 {
		t.Fatalf("connected %v, %v, %d rivals before the time", done, err, len(c.race.rivals))
	}
	s.time += int64(4 * time.Millisecond)
	connected(t, s, c, at, l) // the one in between refuses, and the third is tried at once
}

// TestDialFirstOwnFails has the attempt whose socket the connection has fail while another is under way.
func TestDialFirstOwnFails(t *testing.T) {
	s := newSteppedLoop(t)
	first, refuse := silent(t)
	second, _ := silent(t)
	at, l := listening(t)
	c := dialFirst(t, s, first, second, at)
	s.step()
	s.time += int64(attemptDelay + 2*time.Millisecond)
	s.until("the second is tried", func() bool { return len(c.race.rivals) == 1 })
	refuse() // which the first one learns when the kernel asks again
	connected(t, s, c, at, l)
}

// TestDialFirstFails has every address refuse.
func TestDialFirstFails(t *testing.T) {
	s := newSteppedLoop(t)
	last := refusing(t)
	c := dialFirst(t, s, refusing(t), last)
	s.until("it has failed", func() bool { _, err := c.Connected(); return err != nil })
	if err := c.Err(); !errors.Is(err, unix.ECONNREFUSED) || !strings.Contains(err.Error(), last.String()) {
		t.Errorf("failed with %v, want refused by %s", err, last)
	}
	if _, err := s.DialFirst([]Candidate{{Address: last, From: &DialSource{Address: netip.MustParseAddrPort("192.0.2.1:0")}}}); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("an address that cannot be bound to: %v", err)
	}
}

// TestDialFirstClosed closes a connection while several attempts are under way. That none is left TestMain sees.
func TestDialFirstClosed(t *testing.T) {
	s := newSteppedLoop(t)
	first, _ := silent(t)
	second, _ := silent(t)
	third, _ := silent(t)
	c := dialFirst(t, s, first, second, third)
	s.step()
	for i := range 2 {
		s.time += int64(attemptDelay + 2*time.Millisecond)
		s.until("another is tried", func() bool { return len(c.race.rivals) == i+1 })
	}
	c.Close()
	s.time += int64(time.Minute)
	s.step()
}
