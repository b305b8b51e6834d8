package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter"
	"github.com/penguintechinc/marchproxy-alb/proxy/health"
	"github.com/penguintechinc/marchproxy-alb/proxy/orca"
	"github.com/penguintechinc/marchproxy-alb/proxy/outlier"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// MaxWorkers bounds the worker threads; more than any machine has cores is a mistake in the configuration.
const MaxWorkers = 1024

// EventLog is a file of events of health checks.
type EventLog = health.EventLog

// Options are what a Server needs from outside.
type Options struct {
	Workers int // 1 to MaxWorkers
	Logger  *zap.Logger
	Stats   *stats.Store

	// Observe is told of every stream that ended, on the worker's thread, and must not block or keep the Outcome. Nil
	// is told nothing.
	Observe func(*Outcome)
	// OpenAccessLog opens the log that is configured so. server returns where the log server is, with cfg.GRPC, and may differ from
	// call to call. It is required where connection managers have access logs.
	OpenAccessLog func(cfg *config.AccessLog, server func() accesslog.Server) (accesslog.Logger, error)
	// OpenEventLog opens a file for events of health checks; nil opens none.
	OpenEventLog func(path string) (EventLog, error)
	// Clock returns monotonic nanoseconds; nil means the system's. It must be safe for concurrent use.
	Clock func() int64
	// Lookup resolves the names of STRICT_DNS and LOGICAL_DNS clusters; nil means the system's resolver.
	Lookup upstream.Lookup
	// ServiceCluster is the name of the cluster that this proxy is of (node.cluster).
	ServiceCluster string
	// Bind is where connections to hosts of clusters begin that do not say, nil for anywhere.
	Bind *config.Bind
	// LocalCluster is the name of the cluster whose hosts are this proxy and its like, empty where there is none, and Locality is
	// where this proxy runs: what zone aware routing goes by (local_cluster_name, node.locality).
	LocalCluster string
	Locality     config.Locality
	// Hostname is what %HOSTNAME% stands for.
	Hostname string
	// LocalAddress is this machine's address, which x-forwarded-for has in place of a loopback address. The zero value
	// leaves loopback addresses as they are.
	LocalAddress netip.Addr
	// MaxConnections bounds the connections of clients, of all listeners together; 0 leaves it to the runtime, which has no bound by
	// default.
	MaxConnections uint64
	// NoAcceptSteering leaves it to the kernel's hash which worker gets a connection, even where it could be the one with
	// the fewest.
	NoAcceptSteering bool
	// DrainTime is how long connections of a listener or filter chain that was changed or removed may go on; 0 means
	// DefaultDrainTime.
	DrainTime time.Duration
}

// Server is the data plane: its workers, and the configuration they serve. Its methods may be called from any goroutine.
type Server struct {
	options  Options
	log      *zap.Logger
	stats    *stats.Store
	store    *config.Store
	workers  []*worker
	resolver *upstream.Resolver
	checker  *health.Checker
	outliers *outlier.Detector
	weigher  *orca.Weigher
	draining atomic.Bool // nothing is accepted any more
	// inboundStopped tells that nothing is accepted any more for listeners with traffic_direction INBOUND.
	inboundStopped atomic.Bool
	open           atomic.Int64 // connections of clients
	panics         *stats.AtomicCounter

	manager *stats.Scope   // listener_manager.
	process filter.Process // what filters know of it

	http2Stats *stats.Scope // of the codec on the side of clients

	localAddress []byte // text of Options.LocalAddress, nil when there is none
	steers       bool   // connections go to the worker with the fewest

	// What follows is touched by install only, whose calls the store keeps apart.
	changedFiles []string // of TLS, in the install that takes them over

	mu      sync.Mutex // guards current for readers
	current *compiled

	accessLogs accessLogs
	outbound   outbound.Clusters // that the process itself connects to

	endWatch context.CancelFunc // of files
	watching sync.WaitGroup
	closing  sync.Once
}

// NewServer starts the workers, which listen on nothing until the Store is given listeners.
func NewServer(o Options) (*Server, error) {
	if o.Workers < 1 || o.Workers > MaxWorkers {
		return nil, fmt.Errorf("%d workers, want 1 to %d", o.Workers, MaxWorkers)
	}
	if o.DrainTime == 0 {
		o.DrainTime = DefaultDrainTime
	}
	s := &Server{
		options: o, log: o.Logger, stats: o.Stats,
		accessLogs: accessLogs{open: make(map[*config.AccessLog]*openLog)},
		current:    &compiled{snapshot: &config.Snapshot{}},
	}
	s.process.ServiceCluster = []byte(o.ServiceCluster)
	if o.LocalAddress.IsValid() {
		s.localAddress = o.LocalAddress.AppendTo(nil)
	}
	s.store = config.NewStore(s.install)
	s.manager = s.stats.Scope("listener_manager.", stats.ListenerManager)
	s.stats.Scope("cluster_manager.", stats.ClusterManager)
	s.manager.Set(stats.ListenerManagerWorkersStarted, 1)
	s.panics = s.stats.Counter("server.worker_panics")
	s.http2Stats = s.stats.Scope("http2.", stats.HTTP2Codec)
	s.stats.Collect(s.collectBreakers)
	s.stats.Collect(s.collectCertificates)
	s.checkSteering()
	s.resolver = upstream.NewResolver(o.Lookup, upstream.ResolverEvents{
		Publish: s.publishResolved, Failed: s.resolveFailed, Count: s.countLookup,
	})
	s.outliers = outlier.New(s.sampleHosts, s.publishEjected)
	s.weigher = orca.New(s.sampleLoads, s.publishWeights)
	s.checker = health.New(o.Logger, s.publishHealth, o.OpenEventLog)
	for id := range o.Workers {
		w, err := newWorker(s, id)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("worker %d: %w", id, err)
		}
		s.workers = append(s.workers, w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.endWatch = cancel
	s.watching.Go(func() { tls.WatchFiles(ctx, s.tlsFiles, s.ReloadTLS) })
	return s, nil
}

// Store is the door for all changes of what the server serves.
func (s *Server) Store() *config.Store { return s.store }

// Workers returns the number of worker threads.
func (s *Server) Workers() int { return len(s.workers) }

// clustersPerTurn bounds the clusters that a worker makes or changes between two turns: some 0.2 ms of work. Traffic must not wait
// for a large update: with 128, turns took longer than a thousand requests a second let them, which then queued.
const clustersPerTurn = 16

// install makes next what the workers serve: it is compiled, which may fail and then has changed nothing, the workers make the
// clusters that are new or changed, some at a time, and then take the routes and listeners over at once, between two turns. When
// it returns, no worker serves the one before, but for exchanges that began with it.
func (s *Server) install(_, next *config.Snapshot, d *config.Delta) error {
	prev := s.serving()
	c, err := s.compile(prev, next, d)
	s.changedFiles = nil
	if err != nil {
		s.keepAccessLogs(prev)
		return err
	}
	c.commitClusters()
	for batch := range slices.Chunk(c.changed, clustersPerTurn) {
		s.onEveryWorker(func(w *worker) { w.stageClusters(c, batch) })
	}
	s.steer(c)
	s.settle(c)
	s.beginDrains(prev, c)
	s.onEveryWorker(func(w *worker) { w.install(c) })
	s.mu.Lock()
	s.current = c
	s.mu.Unlock()
	for _, l := range c.listeners {
		for _, sockets := range l.sockets {
			sockets.Close() // those of workers that have gone
		}
	}
	prev.showWarming(c)
	prev.release(c)
	s.keepAccessLogs(c)
	if d.Clusters.Any() {
		s.outbound.Keep(func(name string) bool { return next.Clusters[name] != nil })
	}
	if d.Clusters.Any() || d.Warming.Any() {
		s.resolver.Update(c.resolveTargets())
	}
	s.checker.Update(c.checkTargets(s.options.Bind))
	s.outliers.Update(c.outlierTargets())
	s.weigher.Update(c.loadTargets())
	return nil
}

func (s *Server) serving() *compiled {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// onEveryWorker runs f on every worker's thread and waits until all have.
func (s *Server) onEveryWorker(f func(*worker)) {
	var wait sync.WaitGroup
	for _, w := range s.workers {
		done := make(chan struct{})
		if !w.loop.Post(func() { defer close(done); f(w) }) {
			continue
		}
		wait.Go(func() {
			select {
			case <-done:
			case <-w.loop.Done():
			}
		})
	}
	wait.Wait()
}

// publishResolved takes the answer of the resolver for a cluster.
func (s *Server) publishResolved(cluster *config.Cluster, a *config.ClusterLoadAssignment) {
	news := map[*config.Cluster]*config.ClusterLoadAssignment{cluster: a}
	if err := s.store.Apply(config.SourceDNS, config.Delta{Resolved: news}); err != nil {
		s.log.Error("resolved addresses could not be used", zap.String("cluster", cluster.Name), zap.Error(err))
	}
}

func (s *Server) resolveFailed(cluster *config.Cluster, err error) {
	s.log.Warn("name lookup failed, the last addresses stay in use", zap.String("cluster", cluster.Name), zap.Error(err))
}

// countLookup counts in the statistics of a cluster what has become of the lookup of a name.
func (s *Server) countLookup(cluster *config.Cluster, statistic int) {
	c := s.serving()
	if k := c.warming[cluster]; k != nil {
		k.scopes.cluster.Inc(statistic)
	} else if i, ok := c.clusterIndex(cluster.Name); ok {
		c.clusters[i].scopes.cluster.Inc(statistic)
	}
}

// FailHealthChecks has the filter health_check answer that this proxy is not healthy, or is again.
func (s *Server) FailHealthChecks(fail bool) { s.process.HealthCheckFailed.Store(fail) }

// Alive returns an error when a worker thread has ended, which only a restart of the process mends.
func (s *Server) Alive() error {
	for _, w := range s.workers {
		select {
		case <-w.loop.Done():
			return fmt.Errorf("worker %d has ended", w.id)
		default:
		}
	}
	return nil
}

// StopListening closes all listening sockets and lets connections go as they become idle. It is the first half of a
// graceful end.
func (s *Server) StopListening() {
	s.draining.Store(true)
	s.onEveryWorker((*worker).stopListening)
}

// Connections returns the number of downstream connections that are open.
func (s *Server) Connections() int {
	var total atomic.Int64
	s.onEveryWorker(func(w *worker) { total.Add(int64(w.connections)) })
	return int(total.Load())
}

// drainPoll is how often Drain looks whether the last connection has gone.
const drainPoll = 20 * time.Millisecond

// Drain stops listening and waits until no connection is left or ctx ends.
func (s *Server) Drain(ctx context.Context) error {
	s.StopListening()
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		left := s.Connections()
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d connections left: %w", left, ctx.Err())
		case <-ticker.C:
		}
	}
}

// Close ends the workers and everything they hold.
func (s *Server) Close() {
	s.closing.Do(func() {
		if s.endWatch != nil {
			s.endWatch()
			s.watching.Wait()
		}
		s.resolver.Close()
		s.outliers.Close()
		s.weigher.Close()
		s.checker.Close()
		for _, w := range s.workers {
			w.loop.Stop()
		}
		for _, w := range s.workers {
			<-w.ended
		}
		s.accessLogs.closeAll()
	})
}
