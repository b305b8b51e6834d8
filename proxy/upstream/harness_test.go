package upstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// guard bounds every wait of the tests. It is reached only by a test that has failed.
const guard = 30 * time.Second

// TestMain fails the run when the tests leave goroutines behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !settled(before) {
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

// worker is a running loop with a clock that the test sets.
type worker struct {
	t     testing.TB
	loop  *eventloop.Loop
	clock atomic.Int64
	store *stats.Store
	shard *stats.Shard
}

func newWorker(t testing.TB) *worker {
	t.Helper()
	w := &worker{t: t, store: stats.NewStore(stats.Options{})}
	w.clock.Store(int64(time.Hour))
	loop, err := eventloop.New(eventloop.Options{
		Clock:   w.clock.Load,
		OnPanic: func(v any, stack []byte) { t.Errorf("panic on the loop: %v\n%s", v, stack) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.loop = loop
	w.shard = w.store.NewShard(loop.Post)
	result := make(chan error, 1)
	go func() { result <- loop.Run() }()
	t.Cleanup(func() {
		loop.Stop()
		if err := <-result; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

// do runs f on the loop's thread and waits for it.
func (w *worker) do(f func()) {
	w.t.Helper()
	done := make(chan struct{})
	if !w.loop.Post(func() { defer close(done); f() }) {
		w.t.Fatal("the loop has ended")
	}
	timer := time.NewTimer(guard)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		w.t.Fatal("the loop is stuck")
	}
}

// until waits for cond, which is asked on the loop's thread once a turn.
func (w *worker) until(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(guard); ; runtime.Gosched() {
		ok := false
		w.do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("never happened: %s", what)
		}
	}
}

// advance moves the clock on by d and has the timers that are due by then fire.
func (w *worker) advance(d time.Duration) {
	w.t.Helper()
	w.clock.Add(int64(d))
	w.do(func() {})
	w.do(func() {}) // posted functions run before timers
}

// clusterConfig returns a STATIC cluster with limits that no test reaches by accident.
func clusterConfig() *config.Cluster {
	return &config.Cluster{
		Name:           "test",
		ConnectTimeout: 5 * time.Second,
		BufferLimit:    64 << 10,
		MaxHeaderKB:    config.DefaultMaxResponseKB,
		MaxHeaderCount: config.DefaultMaxResponseHdrs,
		PanicThreshold: config.DefaultPanicThreshold,
		IdleTimeout:    time.Hour,
		Breakers:       config.Thresholds{MaxConnections: 64, MaxPending: 64, MaxRequests: 64},
	}
}

// endpoint returns the endpoint at address.
func endpoint(address netip.AddrPort) config.Endpoint {
	return config.Endpoint{Address: config.Address{IP: address.Addr().String(), Port: uint32(address.Port())}, Weight: 1}
}

// assign returns an assignment of one locality with these endpoints.
func assign(endpoints ...config.Endpoint) *config.ClusterLoadAssignment {
	return &config.ClusterLoadAssignment{
		Overprovision: config.DefaultOverprovision,
		Localities:    []config.LocalityEndpoints{{Endpoints: endpoints}},
	}
}

// state returns the state of a cluster that does not hash.
func state(cfg *config.Cluster, a *config.ClusterLoadAssignment, health *config.ClusterHealth) State {
	return State{Config: cfg, Assignment: a, Health: health}
}

// cluster returns a cluster of the worker with hosts at addresses.
func (w *worker) cluster(cfg *config.Cluster, addresses ...netip.AddrPort) *Cluster {
	w.t.Helper()
	shared := NewShared(1)
	shared.SetLimits(cfg.Breakers)
	return w.clusterOf(shared, cfg, addresses...)
}

// clusterOf is cluster with breakers that other workers may share.
func (w *worker) clusterOf(shared *Shared, cfg *config.Cluster, addresses ...netip.AddrPort) *Cluster {
	w.t.Helper()
	scope := w.store.Scope("cluster."+cfg.Name+".", stats.Cluster)
	var endpoints []config.Endpoint
	for _, a := range addresses {
		endpoints = append(endpoints, endpoint(a))
	}
	var k *Cluster
	w.do(func() {
		k = New(cfg, shared, w.shard.Block(scope), Env{Loop: w.loop, Random: rand.NewPCG(1, 2)})
		k.Update(state(cfg, assign(endpoints...), nil))
	})
	return k
}

// stat returns a statistic of the cluster "test".
func (w *worker) stat(name string) int64 {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	v, _ := w.store.Snapshot(ctx).Value("cluster.test." + name)
	return int64(v)
}

// wantStats compares statistics of the cluster "test" with pairs of name=value.
func (w *worker) wantStats(want map[string]int64) {
	w.t.Helper()
	for name, v := range want {
		if got := w.stat(name); got != v {
			w.t.Errorf("%s is %d, want %d", name, got, v)
		}
	}
}

// wantNothingInUse reports what is still counted when no exchange and no connection is left.
func (w *worker) wantNothingInUse(k *Cluster) {
	w.t.Helper()
	w.do(func() {
		if n := k.shared.connections.Load(); n != 0 {
			w.t.Errorf("%d connections are counted against the breaker, want 0", n)
		}
		if n := k.shared.pending.Load(); n != 0 {
			w.t.Errorf("%d pending requests are counted against the breaker, want 0", n)
		}
		if n, unused := k.shared.requests.Load(), k.permits[0].unused; n != unused || k.permits[0].inFlight != 0 {
			w.t.Errorf("%d permits are taken, %d unused, %d in flight, want the first two equal and none in flight", n, unused, k.permits[0].inFlight)
		}
		k.Hosts(func(h *Host) {
			if h.Active != 0 || h.connections != 0 || len(h.idle) != 0 || len(h.waiting) != 0 || h.Stats.CxActive != 0 || h.Stats.RqActive != 0 {
				w.t.Errorf("host %s is in use: %d requests, %d connections, %d idle, %d waiting, %+v",
					h.Address, h.Active, h.connections, len(h.idle), len(h.waiting), h.Stats)
			}
		})
	})
	w.wantStats(map[string]int64{
		"upstream_cx_active": 0, "upstream_rq_active": 0, "upstream_rq_pending_active": 0,
		"upstream_cx_destroy": w.stat("upstream_cx_total"),
	})
	local, remote := w.stat("upstream_cx_destroy_local"), w.stat("upstream_cx_destroy_remote")
	if all := w.stat("upstream_cx_destroy"); local+remote != all {
		w.t.Errorf("upstream_cx_destroy is %d, want the sum of %d local and %d remote", all, local, remote)
	}
}

// exchange is what holds a lease: a task that counts how often it is woken.
type exchange struct {
	Lease
	w     *worker
	task  *eventloop.Task
	woken int
}

// Run implements eventloop.Runner. It ends with the loop.
func (x *exchange) Run(t *eventloop.Task) {
	for {
		t.Park()
		x.woken++
	}
}

// acquire asks for a connection to host i of k.
func (w *worker) acquire(k *Cluster, i int) (x *exchange, v Verdict) {
	w.t.Helper()
	x = &exchange{w: w}
	w.do(func() {
		x.task = w.loop.Spawn(x)
		v = k.Acquire(&x.Lease, k.set.Hosts()[i].Data.(*Host), x.task, Ask{})
	})
	return x, v
}

// mustAcquire is acquire that must end with want.
func (w *worker) mustAcquire(k *Cluster, i int, want Verdict) *exchange {
	w.t.Helper()
	x, v := w.acquire(k, i)
	if v != want {
		w.t.Fatalf("verdict %d, want %d", v, want)
	}
	return x
}

// connected asks for a connection to host i of k and waits until it is established.
func (w *worker) connected(k *Cluster, i int) *exchange {
	w.t.Helper()
	x := w.mustAcquire(k, i, Granted)
	x.waitConnected()
	return x
}

func (x *exchange) waitConnected() {
	x.w.t.Helper()
	x.w.until("connection established", func() bool {
		done, err := x.conn.Connected()
		if err != nil {
			x.w.t.Errorf("Connected: %v", err)
		}
		return done || err != nil
	})
}

// release ends the request with the given outcome.
func (x *exchange) release(o Outcome, reuse bool) {
	x.w.t.Helper()
	x.w.do(func() { x.Release(o, reuse) })
}

// send writes a request without a body.
func (x *exchange) send() {
	x.w.t.Helper()
	x.w.do(func() {
		x.conn.WriteHead(&message.Request{
			Method: []byte("GET"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/"), EndStream: true,
		})
	})
}

// receive reads a response to its end.
func (x *exchange) receive() {
	x.w.t.Helper()
	var resp message.Response
	head := false
	x.w.until("response", func() bool {
		if !head {
			switch err := x.conn.ReadHead(&resp); err {
			case nil:
				head = true
			case eventloop.ErrWouldBlock:
				return false
			default:
				x.w.t.Errorf("ReadHead: %v", err)
				return true
			}
		}
		_, done, err := x.conn.ReadBody()
		if err != nil && err != eventloop.ErrWouldBlock {
			x.w.t.Errorf("ReadBody: %v", err)
			return true
		}
		return done
	})
}

// okAnswer is a response that keeps the connection.
const okAnswer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

// serve has p answer the request of x.
func (x *exchange) serve(p *peer) {
	x.w.t.Helper()
	x.send()
	p.readHead()
	p.write(okAnswer)
	x.receive()
}

// origin is a listening socket and the connections made to it.
type origin struct {
	t        testing.TB
	address  netip.AddrPort
	accepted chan net.Conn
}

func newOrigin(t testing.TB) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{t: t, address: ln.Addr().(*net.TCPAddr).AddrPort(), accepted: make(chan net.Conn, 256)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.accepted <- c
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
		for len(o.accepted) > 0 {
			_ = (<-o.accepted).Close()
		}
	})
	return o
}

// accept returns the next connection in the order in which they were made.
func (o *origin) accept() *peer {
	o.t.Helper()
	timer := time.NewTimer(guard)
	defer timer.Stop()
	select {
	case c := <-o.accepted:
		o.t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(guard))
		return &peer{t: o.t, Conn: c, r: bufio.NewReader(c)}
	case <-timer.C:
		o.t.Fatal("nobody connected")
		return nil
	}
}

// peer is the origin's end of a connection.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// readHead reads a request head.
func (p *peer) readHead() string {
	p.t.Helper()
	var head strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			p.t.Fatalf("after %q: %v", head.String(), err)
		}
		if line == "\r\n" {
			return head.String()
		}
	}
}

func (p *peer) write(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Fatal(err)
	}
}

// wantClosed waits for the end of what the proxy sends.
func (p *peer) wantClosed() {
	p.t.Helper()
	if b, err := p.r.ReadByte(); err == nil {
		p.t.Errorf("got byte %q, want the end", b)
	} else if err != io.EOF && !strings.Contains(err.Error(), "reset") {
		p.t.Errorf("got %v, want the end", err)
	}
}

// refusing returns an address at which nobody listens.
func refusing(t testing.TB) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// unreachable is an address that connect refuses at once: TCP has no broadcast.
var unreachable = netip.MustParseAddrPort("255.255.255.255:80")

// silent returns an address at which connections are not answered: the queue of its listener is full.
func silent(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port))
	c, err := net.Dial("tcp", address.String()) // a backlog of 0 has room for one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return address
}
