package admin

import (
	"errors"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/layeredruntime"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Options are what the servers show and what their commands do. Stats and State are required; of the others, a nil one
// leaves out what needs it. All functions may be called from any goroutine, several at a time.
type Options struct {
	Stats *stats.Store
	// State returns the state of the server and, unless that is LIVE, the reason for people.
	State func() (state adminv3.ServerInfo_State, reason string)
	// Alive returns why the process should be restarted, or nil: the answer of /healthz.
	Alive func() error

	// Window is of the request times of the traffic, "http.*.downstream_rq_time" but for those of "http.admin.", for the
	// rate and latencies of /metrics.
	Window *stats.Window
	// Clusters returns the clusters by name; Listeners the listeners by name.
	Clusters  func() []proxy.ClusterStatus
	Listeners func() []proxy.ListenerStatus
	// ConfigDump returns the configurations in the order in which they are shown. They are read only.
	ConfigDump func(includeEDS bool) (*adminv3.ConfigDump, error)
	// Unready returns what waits for other resources, for /init_dump.
	Unready func() []Unready
	// AllowPaths tells which paths are served, with their parameters as they came (admin.allow_paths); nil serves all.
	AllowPaths func(path string) bool
	// ReadOnly has every mutating command refused.
	ReadOnly bool
	// ProfilePath is the file of /cpuprofiler and /heapprofiler; empty means DefaultProfilePath.
	ProfilePath string
	// MutexTracing tells that the process counts contention, for /contention.
	MutexTracing bool
	// Certificates returns the certificates of every TLS context for /certs, which lists none without it.
	Certificates func() []*adminv3.Certificate
	Info         Info
	// Runtime is shown by /runtime and changed by /runtime_modify.
	Runtime *layeredruntime.Loader

	// The mutating commands. Quit, Drain and FailHealthChecks begin what they do and return at once.

	// Level is read and set by /logging.
	Level *zap.AtomicLevel
	// Quit begins the end of the process, for /quitquitquit.
	Quit func()
	// Drain begins to drain listeners, for /drain_listeners.
	Drain func(Drain)
	// FailHealthChecks makes the server report itself as DRAINING until it is called with false, for /healthcheck/fail
	// and /healthcheck/ok.
	FailHealthChecks func(fail bool)
	// ReopenLogs opens all log files again by their names, for /reopen_logs.
	ReopenLogs func() error

	// Logger is told what goes wrong here; nil means nobody is.
	Logger *zap.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Info is what /server_info shows and does not change. Messages are read only.
type Info struct {
	Version     string // ServerInfo.version
	Node        *corev3.Node
	CommandLine *adminv3.CommandLineOptions
	Start       time.Time
}

// Drain is what POST /drain_listeners asks for.
type Drain struct {
	// Graceful discourages connections for the drain time before listeners stop; without it they stop at once.
	Graceful bool
	// SkipExit leaves listeners accepting at the end of the drain time. It comes with Graceful only.
	SkipExit bool
	// InboundOnly leaves listeners alone whose traffic direction is not INBOUND.
	InboundOnly bool
}

// complete returns o with defaults, or what is missing.
func (o Options) complete() (Options, error) {
	if o.Stats == nil || o.State == nil {
		return o, errors.New("admin: Options.Stats and Options.State must both be given")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ProfilePath == "" {
		o.ProfilePath = DefaultProfilePath
	}
	if o.Alive == nil {
		o.Alive = func() error { return nil }
	}
	return o, nil
}
