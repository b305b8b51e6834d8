package acceptance

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

const (
	swaps = 200
	// requestsPerSwap is how many requests must have been answered between two swaps, so that each meets traffic.
	requestsPerSwap = 5
	loadClients     = 4
	// requestsPerConnection is after how many requests a client comes again on a new connection.
	requestsPerConnection = 25
)

// load runs clients that ask for one thing after the other until stopped.
type load struct {
	answered, failed atomic.Int64
	stop             chan struct{}
	running          sync.WaitGroup
}

// startLoad has each answer checked by good. A request that fails in any way counts as failed.
func startLoad(t *testing.T, p *harness.Proxy, good func(harness.Response) bool) *load {
	l := &load{stop: make(chan struct{})}
	address := p.Address()
	for range loadClients {
		l.running.Go(func() {
			for {
				c, err := p.TryDial(address)
				if err != nil {
					l.failed.Add(1)
					t.Error(err)
					return
				}
				for range requestsPerConnection {
					select {
					case <-l.stop:
						c.Close()
						return
					default:
					}
					err = c.Write(harness.Head("POST /", "Content-Length: 4") + "body")
					resp, readErr := c.TryResponse("POST")
					if err != nil || readErr != nil || !good(resp) {
						l.failed.Add(1)
						t.Errorf("%v, %v: got %q", err, readErr, resp.Raw)
						return
					}
					l.answered.Add(1)
					if resp.Fields.Get("connection") == "close" {
						break
					}
				}
				c.Close()
			}
		})
	}
	return l
}

// meet waits until some more requests were answered.
func (l *load) meet(p *harness.Proxy) {
	for seen := l.answered.Load(); l.answered.Load() < seen+requestsPerSwap && l.failed.Load() == 0; {
		p.Sync()
	}
}

func (l *load) end(t *testing.T) {
	close(l.stop)
	l.running.Wait()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed", n, n+l.answered.Load())
	}
	t.Logf("%d requests", l.answered.Load())
}

// TestSwapsUnderLoad changes routes, clusters, endpoints and the listener's settings again and again while clients run
// requests: none may fail (figure F1).
func TestSwapsUnderLoad(t *testing.T) {
	first, second := harness.NewOrigin(t, harness.Echo), harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(first.Addr())
	s.Workers = 2
	p := s.Start(t)
	l := startLoad(t, p, func(r harness.Response) bool { return r.Status == 200 && strings.HasSuffix(r.Body, "body") })
	for i := range swaps {
		origin := []*harness.Origin{first, second}[i/2%2]
		name := fmt.Sprintf("swap-%d", i%3)
		changed := *s.Listener
		manager := *s.HTTP()
		manager.Routes = harness.Routes(harness.Forward("/unused", "nowhere"), harness.Forward("/", name))
		manager.NormalizePath = i%2 == 0
		manager.MaxHeaderKB = uint32(50 + i%10)
		changed.Default = &config.FilterChain{HTTP: &manager}
		// The cluster comes with its route; those no route leads to any more go.
		p.Apply(config.Delta{
			Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{changed.Name: &changed}},
			Clusters:  config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{name: harness.Cluster(name, origin.Addr())}, Replace: true},
		})
		l.meet(p)
	}
	l.end(t)
	for _, o := range []*harness.Origin{first, second} {
		o.Requests()
	}
}

// rdsListener is a listener whose routes come from the control plane.
const rdsListener = `
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          rds: {route_config_name: r, config_source: {ads: {}, resource_api_version: V3}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`

// TestXDSSwapsUnderLoad does the same through a control plane: every update moves the route to another cluster, changes
// endpoints, and takes a cluster away once nothing leads to it.
func TestXDSSwapsUnderLoad(t *testing.T) {
	first, second := harness.NewOrigin(t, harness.Echo), harness.NewOrigin(t, harness.Echo)
	control := harness.NewControlPlane(t)
	p := harness.StartBootstrap(t, 2, control.ADSBootstrap(rdsListener))
	route := func(cluster string) []*routev3.RouteConfiguration {
		return []*routev3.RouteConfiguration{harness.Resource[routev3.RouteConfiguration](t, `
name: r
virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: `+cluster+`}}]}]`)}
	}
	world := func(name string, o *harness.Origin) (*clusterv3.Cluster, *endpointv3.ClusterLoadAssignment) {
		host, port, _ := net.SplitHostPort(o.Addr().String())
		return harness.Resource[clusterv3.Cluster](t, `
name: `+name+`
type: EDS
connect_timeout: 5s
eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}`), harness.Resource[endpointv3.ClusterLoadAssignment](t, `
cluster_name: `+name+`
endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: `+host+`, port_value: `+port+`}}}}]}]`)
	}
	set := func(route []*routev3.RouteConfiguration, names []string, origins []*harness.Origin) {
		var clusters []*clusterv3.Cluster
		var assignments []*endpointv3.ClusterLoadAssignment
		for i, name := range names {
			c, a := world(name, origins[i])
			clusters, assignments = append(clusters, c), append(assignments, a)
		}
		control.Set(clusters, assignments, route)
	}
	set(route("a"), []string{"a"}, []*harness.Origin{first})
	l := startLoad(t, p, func(r harness.Response) bool { return r.Status == 200 && strings.HasSuffix(r.Body, "body") })
	origins := []*harness.Origin{first, second}
	for range swaps/6 + 1 {
		// Make before break: the new cluster, then the route, then the old cluster's end.
		set(route("a"), []string{"a", "b"}, origins)
		l.meet(p)
		set(route("b"), []string{"a", "b"}, origins)
		l.meet(p)
		set(route("b"), []string{"b"}, origins[1:])
		l.meet(p)
		slices.Reverse(origins) // the endpoint of b changes
		set(route("b"), []string{"a", "b"}, origins)
		set(route("a"), []string{"a", "b"}, origins)
		l.meet(p)
		set(route("a"), []string{"a"}, origins[:1])
	}
	l.end(t)
}
