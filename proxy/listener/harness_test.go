package listener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// guard bounds every wait of the tests. It is reached only by a test that has failed.
const guard = 30 * time.Second

// TestMain fails the run when the tests leave descriptors or mapped memory behind.
func TestMain(m *testing.M) {
	descriptors := openDescriptors()
	code := m.Run()
	if got := openDescriptors(); code == 0 && got > descriptors {
		fmt.Fprintf(os.Stderr, "%d descriptors open after the tests, %d before\n", got, descriptors)
		code = 1
	}
	if got := mappedLoads(); code == 0 && got > 0 {
		fmt.Fprintf(os.Stderr, "%d maps are mapped after the tests\n", got)
		code = 1
	}
	os.Exit(code)
}

func openDescriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// mappedLoads returns how many mappings of BPF maps the process has.
func mappedLoads() int {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0
	}
	return strings.Count(string(maps), "bpf-map")
}

// requireSteering skips the test where the kernel does not let it steer.
func requireSteering(t testing.TB, workers int) {
	t.Helper()
	err := CheckSteering(workers)
	if errors.Is(err, unix.EPERM) || errors.Is(err, ebpf.ErrNotSupported) {
		t.Skipf("the kernel lets this process not steer connections: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// group is an address with a socket per worker, and the connections that each has accepted.
type group struct {
	testing.TB
	sockets  *Sockets
	fds      []int
	loads    []*Load
	accepted [][]int
	clients  []int
}

// listen binds a free port. Everything is closed when the test ends.
func listen(t testing.TB, workers int, steer bool) *group {
	t.Helper()
	return listenOn(t, config.Address{IP: "127.0.0.1"}, workers, steer)
}

func listenOn(t testing.TB, a config.Address, workers int, steer bool) *group {
	t.Helper()
	s, err := Bind(config.ListenAddress{Address: a}, workers, true)
	if err != nil {
		t.Fatal(err)
	}
	g := &group{TB: t, sockets: s, accepted: make([][]int, workers)}
	t.Cleanup(g.close)
	if steer {
		if err := s.Steer(); err != nil {
			t.Fatal(err)
		}
	}
	for worker := range workers {
		fd, load := s.Take(worker)
		g.fds, g.loads = append(g.fds, fd), append(g.loads, load)
	}
	return g
}

func (g *group) close() {
	for worker := range g.fds {
		g.end(worker)
		g.closeAccepted(worker)
	}
	for _, fd := range g.clients {
		_ = unix.Close(fd)
	}
	g.clients = nil
	g.sockets.Close()
}

// end closes the worker's socket and gives its load up, as a listener that goes does.
func (g *group) end(worker int) {
	if g.fds[worker] >= 0 {
		_ = unix.Close(g.fds[worker])
		g.loads[worker].Release()
		g.fds[worker] = -1
	}
}

// connect opens a connection.
func (g *group) connect() (fd int) {
	g.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		g.Fatal(err)
	}
	if err := unix.Connect(fd, eventloop.Sockaddr(g.sockets.Address())); err != nil {
		g.Fatal(err)
	}
	return fd
}

// reset opens a connection and resets it.
func (g *group) reset() {
	g.Helper()
	fd := g.connect()
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		g.Fatal(err)
	}
	_ = unix.Close(fd)
}

// halfOpen sends a SYN that no handshake follows: the SYN-ACK goes to a port where nobody is, and is answered by a RST.
func (g *group) halfOpen() {
	g.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		g.Skipf("no raw socket: %v", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, synTo(g.sockets.Address()), 0, eventloop.Sockaddr(g.sockets.Address())); err != nil {
		g.Fatal(err)
	}
}

// synTo returns a SYN from port 1 of 127.0.0.1 (RFC 9293 section 3.1).
func synTo(to netip.AddrPort) []byte {
	const headerSize = 20
	segment := []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, headerSize / 4 << 4, tcpSYN, 0xff, 0xff, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(segment[2:], to.Port())
	binary.BigEndian.PutUint32(segment[4:], rand.Uint32())
	summed := append([]byte{127, 0, 0, 1, 127, 0, 0, 1, 0, unix.IPPROTO_TCP, 0, headerSize}, segment...)
	var sum uint32
	for i := 0; i < len(summed); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(summed[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(segment[16:], ^uint16(sum))
	return segment
}

// open opens a connection and returns the worker that accepts it.
func (g *group) open() (worker int) {
	g.Helper()
	g.clients = append(g.clients, g.connect())
	return g.waitAccept()
}

// waitAccept waits for one connection and accepts it.
func (g *group) waitAccept() (worker int) {
	g.Helper()
	polled := make([]unix.PollFd, len(g.fds))
	for worker, fd := range g.fds {
		polled[worker] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	for {
		_, err := unix.Poll(polled, int(guard/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		for worker := range polled {
			if err == nil && polled[worker].Revents != 0 && g.accept(worker) {
				return worker
			}
		}
		g.Fatalf("no connection came: %v", err)
	}
}

// accept accepts a connection if there is one.
func (g *group) accept(worker int) bool {
	g.Helper()
	for {
		fd, _, err := unix.Accept4(g.fds[worker], unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			g.accepted[worker] = append(g.accepted[worker], fd)
			g.loads[worker].Opened()
			return true
		case unix.EAGAIN:
			return false
		case unix.ECONNABORTED, unix.EINTR:
		default:
			g.Fatal(err)
		}
	}
}

// acceptAll accepts n connections.
func (g *group) acceptAll(n int) {
	g.Helper()
	for range n {
		g.waitAccept()
	}
}

// closeAccepted closes what the worker has accepted.
func (g *group) closeAccepted(worker int) {
	for _, fd := range g.accepted[worker] {
		_ = unix.Close(fd)
		g.loads[worker].Closed()
	}
	g.accepted[worker] = nil
}

// counts returns how many connections each worker has.
func (g *group) counts() []int {
	counts := make([]int, len(g.accepted))
	for worker, list := range g.accepted {
		counts[worker] = len(list)
	}
	return counts
}

// setMarkAge has the program take its last mark for that old. A negative age keeps time from passing.
func (g *group) setMarkAge(d time.Duration) {
	g.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		g.Fatal(err)
	}
	g.sockets.loads[0].of.head().markedAt.Store(uint64(now.Nano() - int64(d)))
}
