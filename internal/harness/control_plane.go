package harness

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// NodeID is the node that a ControlPlane serves and a bootstrap must name.
const NodeID = "harness"

// ControlPlane is go-control-plane's ADS server with its snapshot cache.
type ControlPlane struct {
	t        testing.TB
	listener net.Listener
	cache    cache.SnapshotCache
	version  int

	refused atomic.Int64
	mu      sync.Mutex
	acked   map[string]string // version by type
	changed *sync.Cond
}

// NewControlPlane starts a control plane that ends with the test. Its server runs until the proxies that were started later
// have ended.
func NewControlPlane(t testing.TB) *ControlPlane {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &ControlPlane{t: t, listener: l, cache: cache.NewSnapshotCache(true, cache.IDHash{}, nil), acked: make(map[string]string)}
	c.changed = sync.NewCond(&c.mu)
	ctx, cancel := context.WithCancel(context.Background())
	g := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, server.NewServer(ctx, c.cache, server.CallbackFuncs{StreamRequestFunc: c.requested}))
	var serving sync.WaitGroup
	serving.Go(func() { _ = g.Serve(l) })
	t.Cleanup(func() {
		cancel()
		g.Stop()
		serving.Wait()
	})
	return c
}

func (c *ControlPlane) requested(_ int64, r *discoveryv3.DiscoveryRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.GetErrorDetail() != nil {
		c.refused.Add(1)
		c.t.Errorf("the proxy refused %s: %s", r.GetTypeUrl(), r.GetErrorDetail().GetMessage())
	} else if r.GetResponseNonce() != "" {
		c.acked[r.GetTypeUrl()] = r.GetVersionInfo()
	}
	c.changed.Broadcast()
	return nil
}

// Address returns "ip:port" of the ADS server.
func (c *ControlPlane) Address() string { return c.listener.Addr().String() }

// Set serves clusters, the assignments of those that ask for them, and route configurations, and waits until the proxy has
// acknowledged the clusters and routes. They are protobuf resources, from Resource for instance.
func (c *ControlPlane) Set(clusters []*clusterv3.Cluster, assignments []*endpointv3.ClusterLoadAssignment, routes []*routev3.RouteConfiguration) {
	c.t.Helper()
	c.version++
	version := strconv.Itoa(c.version)
	snapshot, err := cache.NewSnapshot(version, map[string][]types.Resource{
		resourcev3.ClusterType: asResources(clusters), resourcev3.EndpointType: asResources(assignments), resourcev3.RouteType: asResources(routes),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.cache.SetSnapshot(context.Background(), NodeID, snapshot); err != nil {
		c.t.Fatal(err)
	}
	c.waitAcked(version, resourcev3.ClusterType, resourcev3.RouteType)
}

func asResources[T types.Resource](list []T) []types.Resource {
	all := make([]types.Resource, len(list))
	for i, r := range list {
		all[i] = r
	}
	return all
}

func (c *ControlPlane) waitAcked(version string, urls ...string) {
	c.t.Helper()
	guard := time.AfterFunc(Guard, c.changed.Broadcast)
	defer guard.Stop()
	deadline := time.Now().Add(Guard)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, url := range urls {
		for c.acked[url] != version {
			if time.Now().After(deadline) {
				c.t.Fatalf("the proxy has %s in version %q, want %q", url, c.acked[url], version)
			}
			c.changed.Wait()
		}
	}
}

// Resource reads a resource from YAML.
func Resource[T any, P interface {
	*T
	proto.Message
}](t testing.TB, yaml string) P {
	t.Helper()
	r := P(new(T))
	if _, err := protofile.Unmarshal([]byte(yaml), protofile.YAML, r, protofile.Options{}); err != nil {
		t.Fatalf("%v in\n%s", err, yaml)
	}
	return r
}

// ADSBootstrap returns a bootstrap in YAML that names the node and has clusters come from c. The listeners are YAML list
// entries, indented by two; they may ask for their routes over ADS.
func (c *ControlPlane) ADSBootstrap(listeners string) string {
	host, port, _ := net.SplitHostPort(c.Address())
	return strings.NewReplacer("%HOST%", host, "%PORT%", port, "%NODE%", NodeID).Replace(`
node: {id: %NODE%, cluster: test}
dynamic_resources:
  ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: ads}}]}
  cds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: ads
    type: STATIC
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: ads
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %HOST%, port_value: %PORT%}}}}]}]
`) + "  listeners:\n" + listeners
}

// StartBootstrap serves a bootstrap in YAML as the program does, until the test ends.
func StartBootstrap(t testing.TB, workers int, yaml string) *Proxy {
	t.Helper()
	return (&Setup{Workers: workers}).StartBootstrap(t, yaml)
}

// StartBootstrap is the function of that name with all that the setup says beside resources.
func (s *Setup) StartBootstrap(t testing.TB, yaml string) *Proxy {
	t.Helper()
	b, err := bootstrap.Parse("test", []byte(yaml), protofile.YAML, bootstrap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t}
	p.run(s)
	log := zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
	o := xds.Options{
		Bootstrap: b, Store: p.Server.Store(), Logger: log, WaitWarm: p.Server.WaitWarm, Draining: p.Server.Draining,
		Outbound:    p.Server.Outbound,
		GoogleGRPC:  func(prefix string) *stats.Scope { return p.Store.Scope("grpc."+prefix+".", stats.GoogleGRPC) },
		CheckSecret: func(s *config.Secret) error { return tls.CheckSecret(s, time.Now) },
	}
	if s.NoWarmup {
		o.WaitWarm = nil
	}
	m, err := xds.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Static(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return p
}
