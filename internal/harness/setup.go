package harness

import (
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// Names in a Setup as NewSetup makes it.
const (
	ListenerName = "l"
	ClusterName  = "c"
	StatPrefix   = "in"
)

// Setup is what a test has served. NewSetup fills it with Envoy's defaults; tests change what they are about.
type Setup struct {
	Listener *config.Listener
	Clusters []*config.Cluster
	Overlay  *config.Overlay

	Workers int // 1 unless set, so that all connections meet
	Lookup  upstream.Lookup
	// Bind is where connections to hosts of clusters begin that do not say, nil for anywhere.
	Bind *config.Bind
	// LocalCluster is the name of the cluster that the proxy is one of, and Locality is where it runs.
	LocalCluster string
	Locality     config.Locality
	// LocalAddress is what the proxy takes for this machine's address; unset, loopback addresses stay as they are.
	LocalAddress netip.Addr
	// Observe is called instead of recording outcomes.
	Observe func(*proxy.Outcome)
	// NoWarmup has clusters not wait for name lookups and health checks, which would take their time where hosts are made up.
	NoWarmup bool
	// Log is told by the access logs of connection managers.
	Log accesslog.Logger
	// OpenLog opens access logs, where one is not enough.
	OpenLog func(*config.AccessLog) (accesslog.Logger, error)
	// OpenEventLog opens the files of events of health checks.
	OpenEventLog func(path string) (proxy.EventLog, error)
	// Quiet keeps errors that the proxy logs out of the test's output, where they are expected.
	Quiet bool
	// SystemClock lets time pass by itself.
	SystemClock bool
}

// NewSetup returns one listener on a free port, whose only route sends everything to a cluster of the given hosts.
func NewSetup(hosts ...netip.AddrPort) *Setup {
	return &Setup{
		Workers:  1,
		Listener: Listener(Forward("/", ClusterName)),
		Clusters: []*config.Cluster{Cluster(ClusterName, hosts...)},
	}
}

// HTTP returns the connection manager of the default filter chain, nil when there is none.
func (s *Setup) HTTP() *config.HTTPConnectionManager {
	if s.Listener.Default == nil {
		return nil
	}
	return s.Listener.Default.HTTP
}

// TCP returns the TCP proxy of the default filter chain, nil when there is none.
func (s *Setup) TCP() *config.TCPProxy {
	if s.Listener.Default == nil {
		return nil
	}
	return s.Listener.Default.TCP
}

// VirtualHost returns the only virtual host.
func (s *Setup) VirtualHost() *config.VirtualHost { return s.HTTP().Routes.VirtualHosts[0] }

// Route returns the route at index i.
func (s *Setup) Route(i int) *config.Route { return s.VirtualHost().Routes[i] }

// SetRoutes replaces the routes.
func (s *Setup) SetRoutes(routes ...*config.Route) { s.VirtualHost().Routes = routes }

// Listener returns a listener on a free port with Envoy's defaults and the routes.
func Listener(routes ...*config.Route) *config.Listener {
	return &config.Listener{
		Name: ListenerName, Address: config.Address{IP: "127.0.0.1"}, BufferLimit: config.DefaultBufferLimit,
		FiltersTimeout: config.DefaultListenerFiltersTimeout,
		Default: &config.FilterChain{HTTP: &config.HTTPConnectionManager{
			HTTP2:      config.DefaultHTTP2(),
			StatPrefix: StatPrefix, ServerName: config.DefaultServerName, UseRemoteAddress: true, GenerateRequestID: true,
			MaxHeaderKB: config.DefaultMaxHeaderKB, MaxHeaderCount: config.DefaultMaxHeaderCount,
			ConnectionIdle: config.DefaultConnectionIdle, StreamIdle: config.DefaultStreamIdle,
			DrainTimeout: config.DefaultDrainTimeout, DelayedClose: config.DefaultDelayedClose,
			Routes: Routes(routes...),
		}},
	}
}

// Routes returns a route configuration of one virtual host for all domains.
func Routes(routes ...*config.Route) *config.RouteConfiguration {
	return &config.RouteConfiguration{Name: "routes", VirtualHosts: []*config.VirtualHost{
		{Name: "all", Domains: []string{"*"}, Routes: routes},
	}}
}

// Match returns a route, with nothing to do yet, for paths that begin with the prefix.
func Match(prefix string) *config.Route {
	return &config.Route{
		Name:  "all " + prefix,
		Match: config.RouteMatch{Path: prefix, CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}},
	}
}

// Forward returns a route of paths that begin with the prefix to a cluster.
func Forward(prefix, cluster string) *config.Route {
	r := Match(prefix)
	r.Forward = &config.Forward{
		Clusters: []config.WeightedCluster{{Name: cluster, Weight: 1}}, Timeout: config.DefaultRouteTimeout,
	}
	return r
}

// Direct returns a route of paths that begin with the prefix to an answer of the proxy's own.
func Direct(prefix string, status int, body string) *config.Route {
	r := Match(prefix)
	r.Direct = &config.DirectResponse{Status: status, Body: []byte(body)}
	return r
}

// Cluster returns a STATIC cluster with Envoy's defaults.
func Cluster(name string, hosts ...netip.AddrPort) *config.Cluster {
	a := &config.ClusterLoadAssignment{Name: name, Overprovision: config.DefaultOverprovision, Localities: []config.LocalityEndpoints{{}}}
	for _, h := range hosts {
		a.Localities[0].Endpoints = append(a.Localities[0].Endpoints,
			config.Endpoint{Address: config.Address{IP: h.Addr().String(), Port: uint32(h.Port())}, Weight: 1})
	}
	limits := config.Thresholds{
		MaxConnections: config.DefaultMaxConnections, MaxPending: config.DefaultMaxPending,
		MaxRequests: config.DefaultMaxRequests, MaxRetries: config.DefaultMaxRetries,
	}
	return &config.Cluster{
		Name: name, Assignment: a, ConnectTimeout: config.DefaultConnectTimeout, BufferLimit: config.DefaultBufferLimit,
		MaxHeaderKB: config.DefaultMaxResponseKB, MaxHeaderCount: config.DefaultMaxResponseHdrs,
		PanicThreshold: config.DefaultPanicThreshold, ChoiceCount: config.DefaultLeastRqChoices,
		Breakers: limits, HighBreakers: limits, IdleTimeout: config.DefaultUpstreamIdle,
	}
}
