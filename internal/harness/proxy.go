package harness

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// startOfTime is where the virtual clock begins: not at 0, which timers take for unset.
	startOfTime = time.Hour
	// syncTurns is how many turns Sync waits for. The first may have read the clock and polled before the caller did
	// what it wants to be seen; the second sees it; when the third runs what was posted, the second has ended.
	syncTurns = 3
	// maxOutcomes bounds the outcomes that wait for the test.
	maxOutcomes = 1 << 15
)

// Proxy is a running proxy.
type Proxy struct {
	Server *proxy.Server
	Store  *stats.Store

	t        testing.TB
	clock    atomic.Int64
	outcomes chan Outcome
	missed   atomic.Int64
	canary   *Origin

	mu      sync.Mutex // guards clients
	clients []*Client
}

// Outcome is a proxy.Outcome that may be kept.
type Outcome struct {
	Method, Authority, Path string
	Status                  int
	Flags, Details          string
	Route, Cluster          string
	UpstreamHost            string
	BytesReceived           int64
	BytesSent               int64
	Duration                time.Duration
}

// String returns what most tests compare: status, flags and details.
func (o Outcome) String() string { return fmt.Sprintf("%d %s %s", o.Status, o.Flags, o.Details) }

// Start serves the setup until the test ends. Then it checks that nothing is left: no connection, no stream, no request to
// a cluster.
func (s *Setup) Start(t testing.TB) *Proxy {
	t.Helper()
	p := &Proxy{t: t, canary: NewOrigin(t, Echo)}
	p.run(s)
	s.addCanary(p.canary)
	delta := config.Delta{Overlay: s.Overlay}
	delta.Listeners.Set = map[string]*config.Listener{s.Listener.Name: s.Listener}
	delta.Clusters.Set = make(map[string]*config.Cluster)
	for _, c := range s.Clusters {
		delta.Clusters.Set[c.Name] = c
	}
	p.Apply(delta)
	return p
}

// run starts the server without a configuration.
func (p *Proxy) run(s *Setup) {
	p.t.Helper()
	p.clock.Store(int64(startOfTime))
	p.outcomes = make(chan Outcome, maxOutcomes)
	p.Store = stats.NewStore(stats.Options{})
	options := proxy.Options{
		Workers: s.Workers, Stats: p.Store, Lookup: s.Lookup, Observe: s.Observe, Hostname: "proxy.test",
		LocalAddress: s.LocalAddress, LocalCluster: s.LocalCluster, Bind: s.Bind, Locality: s.Locality, OpenEventLog: s.OpenEventLog,
		Logger: zaptest.NewLogger(p.t, zaptest.Level(zap.ErrorLevel)),
	}
	switch {
	case s.OpenLog != nil:
		options.OpenAccessLog = func(cfg *config.AccessLog, _ func() accesslog.Server) (accesslog.Logger, error) {
			return s.OpenLog(cfg)
		}
	case s.Log != nil:
		options.OpenAccessLog = func(*config.AccessLog, func() accesslog.Server) (accesslog.Logger, error) { return s.Log, nil }
	}
	if s.Quiet {
		options.Logger = zap.NewNop()
	}
	if options.Observe == nil {
		options.Observe = p.observe
	}
	if !s.SystemClock {
		options.Clock = p.clock.Load
	}
	var err error
	if p.Server, err = proxy.NewServer(options); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.stop)
}

// observe keeps the outcome, unless it is a canary's.
func (p *Proxy) observe(o *proxy.Outcome) {
	if string(o.Request.Path) == canaryPath {
		return
	}
	copied := Outcome{
		Method: string(o.Request.Method), Authority: string(o.Request.Authority), Path: string(o.Request.Path),
		Status: o.Status, Flags: o.Flags.String(), Details: o.Details, Route: strings.Clone(o.Route), Cluster: o.Cluster,
		UpstreamHost: o.UpstreamHost, BytesReceived: o.BytesReceived, BytesSent: o.BytesSent, Duration: o.Duration,
	}
	select {
	case p.outcomes <- copied:
	default:
		p.missed.Add(1)
	}
}

// stop closes the clients, checks what is left, and ends the server.
func (p *Proxy) stop() {
	for _, c := range p.clients {
		c.Close()
	}
	p.Sync()
	if !p.t.Failed() {
		p.awaitHosts()
		p.awaitMirrors()
		p.checkNothingLeft()
	}
	p.Server.Close()
}

// awaitHosts waits until no connection is left: of a TCP proxy or a tunnel, a host ends its side after the client has.
func (p *Proxy) awaitHosts() {
	for end := time.Now().Add(Guard); p.Server.Connections() != 0 && time.Now().Before(end); {
		p.Sync()
	}
}

// awaitMirrors waits until no copy of a request is under way, which outlives the request.
func (p *Proxy) awaitMirrors() {
	active := func() bool {
		for sample := range p.snapshot().All() {
			if strings.HasSuffix(sample.Name, ".upstream_rq_active") && sample.Value != 0 {
				return true
			}
		}
		return false
	}
	for end := time.Now().Add(Guard); active() && time.Now().Before(end); {
		p.Sync()
	}
}

// leftover are the gauges that are 0 when no client is there.
var leftover = []string{
	"downstream_rq_active", "downstream_cx_active", "downstream_cx_http1_active", "downstream_cx_http2_active",
	"upstream_rq_active", "upstream_rq_pending_active", "streams_active", "pending_send_bytes",
}

func (p *Proxy) checkNothingLeft() {
	p.t.Helper()
	for sample := range p.snapshot().All() {
		for _, name := range leftover {
			if strings.HasSuffix(sample.Name, "."+name) && sample.Value != 0 {
				p.t.Errorf("%s is %d when all clients have gone, want 0", sample.Name, int64(sample.Value))
			}
		}
	}
	if n := p.Server.Connections(); n != 0 {
		p.t.Errorf("%d connections are open when all clients have gone, want none", n)
	}
}

// For has failures reported to a subtest until that ends.
func (p *Proxy) For(t testing.TB) *Proxy {
	before := p.t
	p.t = t
	t.Cleanup(func() { p.t = before })
	return p
}

// Address returns where the listener listens.
func (p *Proxy) Address() string {
	p.t.Helper()
	listeners := p.Server.Listeners()
	if len(listeners) == 0 {
		p.t.Fatal("the proxy has no listener")
	}
	return listeners[0].Address.String()
}

// Apply changes the configuration.
func (p *Proxy) Apply(d config.Delta) {
	p.t.Helper()
	if err := p.Server.Store().Apply(config.SourceFile, d); err != nil {
		p.t.Fatal(err)
	}
}

// Sync returns when every worker has seen what happened before it was called, and has done what follows from that without
// waiting for anybody.
func (p *Proxy) Sync() {
	for range syncTurns {
		p.Server.Connections()
	}
}

// Advance moves the virtual clock and returns when everything that is due has happened.
func (p *Proxy) Advance(d time.Duration) {
	p.Sync()
	p.clock.Add(int64(d))
	p.Sync()
}

// Outcome returns the next stream that ended.
func (p *Proxy) Outcome() Outcome {
	p.t.Helper()
	if n := p.missed.Load(); n > 0 {
		p.t.Fatalf("%d outcomes did not fit into the queue", n)
	}
	select {
	case o := <-p.outcomes:
		return o
	case <-time.After(Guard):
		p.t.Fatal("no stream has ended")
		return Outcome{}
	}
}

// NoOutcome fails when another stream has ended.
func (p *Proxy) NoOutcome() {
	p.t.Helper()
	p.Sync()
	select {
	case o := <-p.outcomes:
		p.t.Fatalf("a stream has ended: %+v", o)
	default:
	}
}

func (p *Proxy) snapshot() *stats.Snapshot {
	ctx, cancel := context.WithTimeout(context.Background(), Guard)
	defer cancel()
	return p.Store.Snapshot(ctx)
}

// Stat returns the value of a counter or gauge.
func (p *Proxy) Stat(name string) uint64 {
	p.t.Helper()
	value, ok := p.snapshot().Value(name)
	if !ok {
		p.t.Fatalf("there is no statistic %q", name)
	}
	return value
}

// HTTPStat returns the value of a statistic of the connection manager.
func (p *Proxy) HTTPStat(name string) uint64 {
	p.t.Helper()
	return p.Stat("http." + StatPrefix + "." + name)
}

// ListenerStat returns the value of a statistic of the listener of NewSetup.
func (p *Proxy) ListenerStat(name string) uint64 {
	p.t.Helper()
	return p.Stat("listener." + strings.ReplaceAll(p.Address(), ":", "_") + "." + name)
}

// ClusterStat returns the value of a statistic of the cluster of NewSetup.
func (p *Proxy) ClusterStat(name string) uint64 {
	p.t.Helper()
	return p.Stat("cluster." + ClusterName + "." + name)
}
