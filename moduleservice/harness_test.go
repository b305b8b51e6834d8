package moduleservice

import (
	"context"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fixture is a Server in this process and a client of it.
type fixture struct {
	marchproxypb.ModuleServiceClient
	connection *grpc.ClientConn
	server     *Server
	store      *config.Store
	stats      *stats.Store
	logs       *observer.ObservedLogs

	mu        sync.Mutex // guards all below
	now       time.Time
	unhealthy string
	healthy   func() (bool, string)
	reload    func(force bool) error
	refuse    error // what install answers
}

// start returns a running fixture with the configuration of delta and what change makes of the options.
func start(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{now: began}
	f.store = config.NewStore(func(_, _ *config.Snapshot, _ *config.Delta) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.refuse
	})
	f.stats = stats.NewStore(stats.Options{Now: f.clock})
	core, logs := observer.New(zap.InfoLevel)
	f.logs = logs
	options := Options{
		ModuleID: "alb-7", Version: "v1.2.3", EnvoyAPIVersion: "1.38",
		XDSServer: "api-server:18000", AdminPort: 9901, ListenPort: 10000,
		Store: f.store, Stats: f.stats, StartTime: began, Now: f.clock,
		Window:  f.stats.NewWindow(func(name string) bool { return name == "http.web.downstream_rq_time" }),
		Healthy: f.health, Reload: func(_ context.Context, force bool) error { return f.doReload(force) },
		Logger: zap.New(core),
	}
	for _, c := range change {
		c(&options)
	}
	server, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	f.server = server
	if err := f.store.Apply(config.SourceXDS, delta()); err != nil {
		t.Fatal(err)
	}
	f.serve(t)
	return f
}

func (f *fixture) serve(t *testing.T) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := f.server.Serve(listener); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	connection, err := grpc.NewClient("passthrough:bufconn",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(2*maxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		connection.Close()
		f.server.grpc.Stop()
		serving.Wait()
	})
	f.connection, f.ModuleServiceClient = connection, marchproxypb.NewModuleServiceClient(connection)
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) health() (bool, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.healthy != nil {
		return f.healthy()
	}
	return f.unhealthy == "", f.unhealthy
}

func (f *fixture) doReload(force bool) error {
	f.mu.Lock()
	reload := f.reload
	f.mu.Unlock()
	return reload(force)
}

// set changes f under its lock.
func (f *fixture) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func forward(clusters ...config.WeightedCluster) *config.Forward {
	return &config.Forward{Clusters: clusters, Timeout: 1500 * time.Millisecond}
}

// delta is a configuration with a route of every kind: inline and by RDS, forwarding and not.
func delta() config.Delta {
	inline := &config.RouteConfiguration{Name: "inline", VirtualHosts: []*config.VirtualHost{{
		Name: "shop", Domains: []string{"shop.example", "*.shop.example"},
		Routes: []*config.Route{
			{
				Name: "cart", Match: config.RouteMatch{Path: "/cart"}, Forward: forward(config.WeightedCluster{Name: "blue", Weight: 1}),
				HeaderMutations: config.HeaderMutations{RequestAdd: []config.HeaderValue{
					{Name: "x-team", Value: "a"}, {Name: "x-team", Value: "b"}, {Name: "x-one", Value: "1"},
					{Name: "x-one", Value: "2", Action: config.AddIfAbsent}, {Name: "x-one", Value: "3", Action: config.OverwriteIfExistsOrAdd},
				}},
			},
			{
				Name:    "split",
				Match:   config.RouteMatch{Kind: config.PathRegex, Path: "/v[0-9]+", Regex: regexp.MustCompile("^(?:/v[0-9]+)$")},
				Forward: forward(config.WeightedCluster{Name: "blue", Weight: 20}, config.WeightedCluster{Name: "green", Weight: 80}, config.WeightedCluster{Name: "idle"}),
			},
			{Name: "moved", Match: config.RouteMatch{Kind: config.PathExact, Path: "/old"}, Redirect: &config.Redirect{Status: 301}},
		},
	}}}
	remote := &config.RouteConfiguration{Name: "remote", VirtualHosts: []*config.VirtualHost{{
		Name: "all", Domains: []string{"*"},
		Routes: []*config.Route{
			{Name: "cart", Match: config.RouteMatch{Path: "/basket"}, Direct: &config.DirectResponse{Status: 200}},
			{Name: "default", Match: config.RouteMatch{Path: "/"}, Forward: &config.Forward{Clusters: []config.WeightedCluster{{Name: "gone", Weight: 1}}}},
		},
	}}}
	return config.Delta{
		Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{
			"a": {Name: "a", Default: &config.FilterChain{HTTP: &config.HTTPConnectionManager{StatPrefix: "web", Routes: inline}}},
			"b": {Name: "b", Default: &config.FilterChain{HTTP: &config.HTTPConnectionManager{StatPrefix: "web", RouteConfigName: "remote"}}},
			"c": {Name: "c", Default: &config.FilterChain{HTTP: &config.HTTPConnectionManager{StatPrefix: "web", RouteConfigName: "remote"}}},
			"d": {Name: "d", Default: &config.FilterChain{HTTP: &config.HTTPConnectionManager{StatPrefix: "web", RouteConfigName: "not here yet"}}},
		}},
		Routes: config.Changes[*config.RouteConfiguration]{Set: map[string]*config.RouteConfiguration{
			"remote": remote,
			"unused": {Name: "unused", VirtualHosts: []*config.VirtualHost{{Name: "x", Routes: []*config.Route{{Name: "hidden"}}}}},
		}},
		Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{
			"blue": {Name: "blue"}, "green": {Name: "green"}, "idle": {Name: "idle"},
		}},
	}
}

// wantText fails unless text has all parts.
func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not have %q", text, part)
		}
	}
}
