package eventloop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// acceptLog is an AcceptHandler that keeps what it is told.
type acceptLog struct {
	conns    []*Conn
	failures []error
	accepted func(c *Conn)
}

func (a *acceptLog) Accepted(c *Conn) {
	a.conns = append(a.conns, c)
	if a.accepted != nil {
		a.accepted(c)
	}
}

func (a *acceptLog) AcceptFailed(err error) { a.failures = append(a.failures, err) }

// queueClients leaves n connections to be accepted. They stay open until the test ends.
func queueClients(t *testing.T, address netip.AddrPort, n int) {
	t.Helper()
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err := unix.Connect(fd, Sockaddr(address)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAcceptBound takes a bounded number of connections in a turn and forgets none.
func TestAcceptBound(t *testing.T) {
	s := newSteppedLoop(t)
	fd, address := listenSocket(t)
	log := &acceptLog{}
	if _, err := s.Listen(fd, log); err != nil {
		t.Fatal(err)
	}
	const clients = 2*acceptsPerTurn + 5
	queueClients(t, address, clients)
	for _, want := range []int{acceptsPerTurn, 2 * acceptsPerTurn, clients, clients} {
		s.step()
		if len(log.conns) != want {
			t.Fatalf("%d connections accepted, want %d", len(log.conns), want)
		}
	}
}

// TestListenerClosedWhileAccepting stops at once when the handler closes the listener.
func TestListenerClosedWhileAccepting(t *testing.T) {
	s := newSteppedLoop(t)
	fd, address := listenSocket(t)
	var ln *Listener
	log := &acceptLog{accepted: func(*Conn) { ln.Close() }}
	ln, err := s.Listen(fd, log)
	if err != nil {
		t.Fatal(err)
	}
	queueClients(t, address, 3)
	s.step()
	ln.Close()
	s.step()
	if len(log.conns) != 1 || len(log.failures) != 0 {
		t.Errorf("%d connections accepted, failures %v; want 1, none", len(log.conns), log.failures)
	}
	if c, err := net.DialTimeout("tcp", address.String(), guard); err == nil {
		t.Error("a closed listener is connected to")
		_ = c.Close()
	}
}

// TestPanicInAccepted costs the connection, which nobody else could close.
func TestPanicInAccepted(t *testing.T) {
	p := newPanics()
	l := startLoop(t, Options{OnPanic: p.report})
	count := 0
	address := serve(t, l, func(c *Conn) {
		if count++; count == 1 {
			panic("first")
		}
		c.Write([]byte("hello"))
	})
	if first, err := net.Dial("tcp", address.String()); err == nil { // it may be reset as soon as it is established
		_ = first.SetDeadline(time.Now().Add(guard))
		if n, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection of the handler that panicked is open: read %d bytes, %v", n, err)
		}
		_ = first.Close()
	}
	p.expect(t, "first", "TestPanicInAccepted")
	second := dial(t, address)
	if _, err := second.Read(make([]byte, 5)); err != nil {
		t.Error(err)
	}
}

// TestListenerOutOfOrder rests a listener whose socket cannot accept any more, instead of asking it again in every turn.
func TestListenerOutOfOrder(t *testing.T) {
	s := newSteppedLoop(t)
	fd, _ := listenSocket(t)
	log := &acceptLog{}
	ln, err := s.Listen(fd, log)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	for range 3 {
		s.step()
	}
	if len(log.failures) != 1 || !errors.Is(log.failures[0], syscall.EINVAL) {
		t.Errorf("failures %v, want one EINVAL", log.failures)
	}
	s.time += int64(acceptPause) + tickLength
	s.step()
	s.step()
	if len(log.failures) != 2 {
		t.Errorf("%d failures after the pause, want 2", len(log.failures))
	}
	ln.Close()
}

// childVariable tells the re-executed test binary that it is the child.
const childVariable = "EVENTLOOP_TEST_CHILD"

// TestAcceptOutOfDescriptors takes descriptors away, in a process of its own: the listener says so once, rests, and goes on
// when there are some again.
func TestAcceptOutOfDescriptors(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAcceptOutOfDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), childVariable+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestAcceptOutOfDescriptors") {
			t.Fatalf("child: %v\n%s", err, out)
		}
		return
	}
	const clients, allowed = 5, 2
	s := newSteppedLoop(t)
	fd, address := listenSocket(t)
	log := &acceptLog{}
	ln, err := s.Listen(fd, log)
	if err != nil {
		t.Fatal(err)
	}
	queueClients(t, address, clients)
	restore := limitDescriptors(t, allowed)
	for range 3 {
		s.step()
	}
	if len(log.conns) != allowed || len(log.failures) != 1 || !errors.Is(log.failures[0], syscall.EMFILE) {
		t.Fatalf("%d connections, failures %v; want %d, one EMFILE", len(log.conns), log.failures, allowed)
	}
	s.time += int64(acceptPause) + tickLength
	s.step()
	s.step()
	if len(log.conns) != allowed || len(log.failures) != 2 {
		t.Fatalf("%d connections, %d failures after a pause that changed nothing; want %d, 2", len(log.conns), len(log.failures), allowed)
	}
	restore()
	s.step()
	if len(log.conns) != allowed {
		t.Fatal("the listener does not rest")
	}
	s.time += int64(acceptPause) + tickLength
	s.step()
	s.step()
	if len(log.conns) != clients {
		t.Errorf("%d connections accepted, want %d", len(log.conns), clients)
	}
	ln.Close()
}

// limitDescriptors lets the process open only n more, until restore is called.
func limitDescriptors(t *testing.T, n int) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	var taken []int
	for range n + 1 {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, fd)
	}
	for _, fd := range taken {
		_ = unix.Close(fd)
	}
	limited := unix.Rlimit{Cur: uint64(taken[n]), Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limited); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReusePort has several loops listen on one address: each gets some of the connections.
func TestReusePort(t *testing.T) {
	const loops, clients = 3, 200
	fd, address := listenSocket(t)
	owner := make(chan int, clients)
	for i := range loops {
		l := startLoop(t, Options{})
		if i > 0 {
			var err error
			if fd, err = ListenSocket(address, ListenOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		own := fd
		onLoop(t, l, func() {
			_, err := l.Listen(own, acceptFunc(func(c *Conn) {
				owner <- i
				c.Close()
			}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	queueClients(t, address, clients)
	var count [loops]int
	for range clients {
		count[receive(t, owner)]++
	}
	for i, n := range count {
		if n == 0 {
			t.Errorf("loop %d got none of %d connections: %v", i, clients, count)
		}
	}
}

func TestListenSocketErrors(t *testing.T) {
	before := openDescriptors()
	taken, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, address := range []netip.AddrPort{
		netip.MustParseAddrPort(taken.Addr().String()),
		netip.MustParseAddrPort("192.0.2.1:0"), // not ours (RFC 5737)
	} {
		fd, err := ListenSocket(address, ListenOptions{})
		if err == nil {
			_ = unix.Close(fd)
			t.Errorf("%v: no error", address)
			continue
		}
		if !strings.HasPrefix(err.Error(), fmt.Sprintf("listen on %s: bind: ", address)) {
			t.Errorf("%v: the error does not say what failed: %v", address, err)
		}
	}
	if got := openDescriptors(); got != before+1 {
		t.Errorf("%d descriptors are open, %d were before", got, before)
	}
}

// TestListenBothFamilies accepts IPv4 on an IPv6 socket unless told otherwise, and reports it as IPv4.
func TestListenBothFamilies(t *testing.T) {
	for _, only := range []bool{false, true} {
		s := newSteppedLoop(t)
		fd, err := ListenSocket(netip.MustParseAddrPort("[::]:0"), ListenOptions{IPv6Only: only})
		if errors.Is(err, syscall.EAFNOSUPPORT) {
			t.Skip("no IPv6 here")
		}
		if err != nil {
			t.Fatal(err)
		}
		log := &acceptLog{}
		port := SocketAddress(fd).Port()
		if _, err := s.Listen(fd, log); err != nil {
			t.Fatal(err)
		}
		peer, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), guard)
		if (err == nil) == only {
			t.Errorf("ipv6Only %v: connect over IPv4: %v", only, err)
		}
		if err != nil {
			continue
		}
		s.until("accept", func() bool { return len(log.conns) == 1 })
		c := log.conns[0]
		if got, want := c.RemoteAddr().String(), peer.LocalAddr().String(); got != want {
			t.Errorf("the peer is %s, want %s", got, want)
		}
		if got, want := c.LocalAddr().String(), peer.RemoteAddr().String(); got != want {
			t.Errorf("our end is %s, want %s", got, want)
		}
		_ = peer.Close()
	}
}

// TestSocketAddressOfOthers returns nothing for what is no TCP socket.
func TestSocketAddressOfOthers(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if a := SocketAddress(ends[0]); a.IsValid() {
		t.Errorf("a socket pair has the address %v", a)
	}
	_ = unix.Close(ends[0])
	_ = unix.Close(ends[1])
	if a := SocketAddress(-1); a.IsValid() {
		t.Errorf("no descriptor has the address %v", a)
	}
}
