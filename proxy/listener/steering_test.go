package listener

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func repeat(n, times int) []int { return slices.Repeat([]int{n}, times) }

// TestSteerEven gives each worker the same number of connections, and those that a worker lacks to that worker.
func TestSteerEven(t *testing.T) {
	for _, workers := range []int{2, 3, 4, MaxSteered} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			const each = 25
			requireSteering(t, workers)
			hashed := listen(t, workers, false)
			g := listen(t, workers, true)
			for range each * workers {
				hashed.open()
				g.open()
			}
			t.Logf("by the kernel's hash: %v", hashed.counts())
			if got := g.counts(); !slices.Equal(got, repeat(each, workers)) {
				t.Fatalf("the workers have %v connections, want %d each", got, each)
			}
			g.closeAccepted(1)
			for i := range each {
				if got := g.open(); got != 1 {
					t.Fatalf("connection %d goes to worker %d, want the one that has none, 1", i, got)
				}
			}
			for range workers {
				g.open()
			}
			if got := g.counts(); !slices.Equal(got, repeat(each+1, workers)) {
				t.Errorf("the workers have %v connections, want %d each", got, each+1)
			}
		})
	}
}

// TestSteerFourHundred is the case the hash is worst at: few workers, and connections that stay.
func TestSteerFourHundred(t *testing.T) {
	const workers, connections = 4, 400
	requireSteering(t, workers)
	hashed, g := listen(t, workers, false), listen(t, workers, true)
	for range connections {
		hashed.open()
		g.open()
	}
	t.Logf("by the kernel's hash %v, steered %v", hashed.counts(), g.counts())
	if got := g.counts(); !slices.Equal(got, repeat(connections/workers, workers)) {
		t.Errorf("the workers have %v of %d connections, want the same number each", got, connections)
	}
}

// TestSteerTurns has idle workers take turns when connections do not stay.
func TestSteerTurns(t *testing.T) {
	const workers, rounds = 4, 10
	requireSteering(t, workers)
	g := listen(t, workers, true)
	total := make([]int, workers)
	for range workers * rounds {
		worker := g.open()
		g.closeAccepted(worker)
		total[worker]++
	}
	if !slices.Equal(total, repeat(rounds, workers)) {
		t.Errorf("the workers got %v connections one after the other, want %d each", total, rounds)
	}
}

// TestSteerBurst has connections come before any worker accepts one.
func TestSteerBurst(t *testing.T) {
	const workers, clients, connections = 4, 20, 200
	requireSteering(t, workers)
	g := listen(t, workers, true)
	fds := make([][]int, clients)
	var wait sync.WaitGroup
	for client := range fds {
		wait.Go(func() {
			for range connections / clients {
				fds[client] = append(fds[client], g.connect())
			}
		})
	}
	wait.Wait()
	g.clients = slices.Concat(fds...)
	g.acceptAll(connections)
	got := g.counts()
	// Each CPU may be in the program at once with another, and then they choose alike.
	if bound := runtime.NumCPU(); slices.Max(got)-slices.Min(got) > bound {
		t.Errorf("the workers have %v of %d connections that came at once, want them to differ by %d at most", got, connections, bound)
	}
}

// TestSteerResetBeforeAccept counts connections that their clients reset while they wait to be accepted.
func TestSteerResetBeforeAccept(t *testing.T) {
	const workers, each = 2, 10
	requireSteering(t, workers)
	g := listen(t, workers, true)
	for range workers * each {
		g.reset()
	}
	g.acceptAll(workers * each)
	if got := g.counts(); !slices.Equal(got, repeat(each, workers)) {
		t.Fatalf("the workers accepted %v connections, want %d each", got, each)
	}
	for worker, load := range g.loads {
		g.closeAccepted(worker)
		r := load.row
		if open, settled, assigned := r.open.Load(), r.settled.Load(), r.assigned.Load(); open != 0 || settled != each || assigned != each {
			t.Errorf("worker %d: %d are open, %d of %d settled; want 0, %d of %d", worker, open, settled, assigned, each, each)
		}
	}
}

// TestSteerHalfOpen has a worker not be blamed for ever for connections that it never gets to see.
func TestSteerHalfOpen(t *testing.T) {
	const workers, lost = 2, 20
	requireSteering(t, workers)
	g := listen(t, workers, true)
	for range lost + 1 {
		g.loads[1].Opened()
	}
	g.setMarkAge(-time.Hour)
	for range lost {
		g.halfOpen()
	}
	row := g.loads[0].row
	if got := row.assigned.Load(); got != lost {
		t.Fatalf("%d connections were given to the idle worker, want %d", got, lost)
	}
	for range lost {
		g.loads[1].Closed()
	}
	for range 3 {
		if got := g.open(); got != 1 {
			t.Fatalf("a connection goes to worker %d, want 1: the other one waits for more", got)
		}
	}
	g.setMarkAge(2 * reservationSpan)
	for range 3 {
		if got := g.open(); got != 0 {
			t.Fatal("a worker gets no connections long after some that it was given were lost")
		}
	}
	if open, settled, assigned := row.open.Load(), row.settled.Load(), row.assigned.Load(); open != 3 || settled != assigned {
		t.Errorf("the worker has %d open, %d of %d settled, want 3 and all", open, settled, assigned)
	}
}

// TestSteerSpans keeps a reservation for one span at the least, and for two at the most.
func TestSteerSpans(t *testing.T) {
	const workers = 2
	requireSteering(t, workers)
	g := listen(t, workers, true)
	for range 10 {
		g.loads[1].Opened()
	}
	expired := func() uint64 { return g.loads[0].row.expired.Load() }
	g.setMarkAge(-time.Hour)
	g.halfOpen()
	g.halfOpen()
	for i, step := range []struct {
		spans time.Duration
		want  uint64
	}{{1, 0}, {1, 2}, {1, 3}, {2, 5}, {9, 6}} {
		g.setMarkAge(step.spans * reservationSpan)
		g.halfOpen()
		if got := expired(); got != step.want {
			t.Fatalf("step %d: %d reservations have expired, want %d", i, got, step.want)
		}
	}
}

// TestSteerWorkerGone steers among those that are left when a worker's socket is closed.
func TestSteerWorkerGone(t *testing.T) {
	const workers = 4
	requireSteering(t, workers)
	g := listen(t, workers, true)
	rows := make([]*loadRow, workers)
	for worker := range rows {
		rows[worker] = g.loads[worker].row
	}
	g.end(2)
	for range workers { // one of them finds out, and is hashed
		g.open()
	}
	if rows[2].gone.Load() != 1 {
		t.Error("the worker is not known to have gone")
	}
	for range 3*20 - workers {
		g.open()
	}
	got := g.counts()
	if got[2] != 0 || max(got[0], got[1], got[3])-min(got[0], got[1], got[3]) > 1 {
		t.Errorf("the workers have %v connections, want all but worker 2 the same", got)
	}
	for _, worker := range []int{0, 1} {
		g.end(worker)
	}
	for range 20 {
		if got := g.open(); got != 3 {
			t.Fatalf("a connection goes to worker %d, want the only one left, 3", got)
		}
	}
}

// TestSteerReplaced steers to the newer one of two listeners on the same address, and hashes when that has gone again.
func TestSteerReplaced(t *testing.T) {
	const workers = 2
	requireSteering(t, workers)
	old := listen(t, workers, true)
	a := old.sockets.Address()
	replacement := listenOn(t, config.Address{IP: a.Addr().String(), Port: uint32(a.Port())}, workers, true)
	for range 10 {
		replacement.open()
	}
	if got := replacement.counts(); !slices.Equal(got, repeat(5, workers)) {
		t.Errorf("the workers have %v connections of the newer listener, want 5 each", got)
	}
	replacement.close()
	for range 10 {
		old.open()
	}
}

// TestSteerIPv6 finds the TCP header behind an IPv6 one as well.
func TestSteerIPv6(t *testing.T) {
	const workers = 2
	requireSteering(t, workers)
	s, err := Bind(config.ListenAddress{Address: config.Address{IP: "::1"}}, workers, false)
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer s.Close()
	if err := s.Steer(); err != nil {
		t.Fatal(err)
	}
	before := s.loads[0].row.assigned.Load() + s.loads[1].row.assigned.Load()
	client := &group{TB: t, sockets: s}
	for range 2 * workers {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
		to := &unix.SockaddrInet6{Port: int(client.sockets.Address().Port()), Addr: client.sockets.Address().Addr().As16()}
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.loads[0].row.assigned.Load() + s.loads[1].row.assigned.Load() - before; got != 2*workers {
		t.Errorf("%d of %d connections were steered", got, 2*workers)
	}
}

// TestSteerHoldsNothing keeps no descriptor of the program or its maps, and unmaps the memory with the last socket.
func TestSteerHoldsNothing(t *testing.T) {
	const workers = 3
	requireSteering(t, workers)
	mapped := mappedLoads()
	s, err := Bind(config.ListenAddress{Address: config.Address{IP: "127.0.0.1"}}, workers, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bound := openDescriptors()
	for range 2 { // the second does nothing
		if err := s.Steer(); err != nil {
			t.Fatal(err)
		}
	}
	if got := openDescriptors(); got != bound {
		t.Errorf("%d descriptors are open after Steer, %d were before", got, bound)
	}
	if got := mappedLoads(); got != mapped+1 {
		t.Errorf("%d maps are mapped after Steer, want %d", got, mapped+1)
	}
	fd, load := s.Take(1)
	if again, none := s.Take(1); again != -1 || none != nil {
		t.Errorf("a socket is handed out twice: %d, %v", again, none)
	}
	s.Close()
	if got := mappedLoads(); got != mapped+1 {
		t.Error("the memory went while a worker still had its load")
	}
	load.Opened()
	_ = unix.Close(fd)
	load.Release()
	if got := mappedLoads(); got != mapped {
		t.Errorf("%d maps are mapped after the last Release, want %d", got, mapped)
	}
	load.Closed() // of a connection that outlives the listener
	load.Release()
}

func TestCheckSteeringWorkers(t *testing.T) {
	for workers, want := range map[int]string{
		1:              "there is one worker only",
		MaxSteered + 1: "there are 65 workers, want at most 64",
	} {
		if err := CheckSteering(workers); err == nil || err.Error() != want {
			t.Errorf("%d workers: %v, want %q", workers, err, want)
		}
	}
	requireSteering(t, 2)
	requireSteering(t, MaxSteered)
}

// childVariable tells the re-executed test binary that it is the child.
const childVariable = "LISTENER_TEST_CHILD"

// inChild runs the test in a process of its own and reports whether this is it.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		t.Skipf("child: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("child: %v\n%s", err, out)
	}
	return false
}

// keepCapabilities gives all capabilities up but those listed.
func keepCapabilities(t *testing.T, kept ...int) {
	t.Helper()
	runtime.LockOSThread() // capabilities are a thread's (capabilities(7)); it ends with the test
	data := make([]unix.CapUserData, 2)
	for _, c := range kept {
		data[c/32].Permitted |= 1 << (c % 32)
		data[c/32].Effective |= 1 << (c % 32)
	}
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		t.Skipf("no capabilities to keep: %v", err)
	}
}

// maxVerifiedPerWorker bounds the instructions that the verifier looks at. It gives up at a million, after many seconds.
const maxVerifiedPerWorker = 500

// TestVerifierEffort has what the verifier does grow with the number of workers, not with a power of it, also in a process
// that has CAP_BPF alone, which it trusts less.
func TestVerifierEffort(t *testing.T) {
	requireSteering(t, MaxSteered)
	if !inChild(t) {
		return
	}
	processed := regexp.MustCompile(`processed (\d+) insns`)
	check := func(who string) {
		for _, workers := range []int{2, 8, MaxSteered} {
			s, err := loadSteering(workers)
			if err != nil {
				t.Fatalf("%s: %d workers: %v", who, workers, err)
			}
			program, err := ebpf.NewProgramWithOptions(s.spec(), ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats})
			s.close()
			if err != nil {
				t.Fatalf("%s: %d workers: %v", who, workers, err)
			}
			_ = program.Close()
			m := processed.FindStringSubmatch(program.VerifierLog)
			if m == nil {
				t.Skipf("the verifier does not say what it did: %q", program.VerifierLog)
			}
			if n, _ := strconv.Atoi(m[1]); n > maxVerifiedPerWorker*workers {
				t.Errorf("%s: %d workers: %d instructions verified, want at most %d", who, workers, n, maxVerifiedPerWorker*workers)
			}
			t.Logf("%s: %d workers: %s", who, workers, m[0])
		}
	}
	check("with all capabilities")
	keepCapabilities(t, unix.CAP_BPF)
	check("with CAP_BPF alone")
}

// TestSteerWithoutPrivileges serves all the same when the process may not use BPF. It gives capabilities up, in a process
// of its own.
func TestSteerWithoutPrivileges(t *testing.T) {
	if !inChild(t) {
		return
	}
	keepCapabilities(t)
	if err := CheckSteering(2); !errors.Is(err, unix.EPERM) {
		t.Errorf("CheckSteering: %v, want EPERM", err)
	}
	g := listen(t, 2, false)
	s, err := Bind(config.ListenAddress{Address: config.Address{IP: "127.0.0.1"}}, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	g.sockets.Close()
	defer s.Close()
	before := openDescriptors()
	if err := s.Steer(); !errors.Is(err, unix.EPERM) || !strings.HasPrefix(err.Error(), "steer connections to 127.0.0.1:") {
		t.Errorf("Steer: %v, want EPERM and the address", err)
	}
	if got := openDescriptors(); got != before {
		t.Errorf("%d descriptors are open after Steer has failed, %d were before", got, before)
	}
	for worker := range 2 {
		fd, load := s.Take(worker)
		if load != nil {
			t.Error("there is a load where nothing is steered")
		}
		g.end(worker)
		g.fds[worker], g.loads[worker] = fd, load
	}
	g.sockets = s
	for range 10 {
		g.open()
	}
}

// BenchmarkAccept opens, accepts and closes connections, one after the other.
func BenchmarkAccept(b *testing.B) {
	for _, workers := range []int{2, 4, 16, MaxSteered} {
		for _, steer := range []bool{false, true} {
			b.Run(fmt.Sprintf("workers=%d/steered=%v", workers, steer), func(b *testing.B) {
				if steer {
					requireSteering(b, workers)
				}
				g := listen(b, workers, steer)
				for b.Loop() {
					fd := g.connect()
					worker := g.waitAccept()
					g.closeAccepted(worker)
					// The client's end last, and reset, so that no port waits for stray segments.
					_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
					_ = unix.Close(fd)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "connections/s")
			})
		}
	}
}

// BenchmarkProgram has the kernel measure its runs of the program, of which there is one for each connection.
func BenchmarkProgram(b *testing.B) {
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Skipf("the kernel does not measure programs: %v", err)
	}
	defer func() { _ = stats.Close() }()
	for _, workers := range []int{2, 4, 16, MaxSteered} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			requireSteering(b, workers)
			g := listen(b, workers, false)
			steering, err := loadSteering(workers)
			if err != nil {
				b.Fatal(err)
			}
			defer steering.close()
			shared, err := steering.attach(g.fds)
			if err != nil {
				b.Fatal(err)
			}
			defer shared.unmap()
			for b.Loop() {
				g.reset()
				g.closeAccepted(g.waitAccept())
			}
			measured, err := steering.program.Stats()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(measured.Runtime)/float64(measured.RunCount), "program-ns/run")
			b.ReportMetric(float64(measured.RunCount)/float64(b.N), "runs/connection")
		})
	}
}
