package managed

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/management"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// world is a random configuration.
type world struct {
	things map[string]*thing // by type URL and name
	order  []*thing
}

func (w *world) get(url, name string) *thing { return w.things[url+" "+name] }

func (w *world) resources() []management.Resource {
	all := make([]management.Resource, len(w.order))
	for i, t := range w.order {
		all[i] = t.Resource
	}
	return all
}

// generator makes worlds, each a change of the one before.
type generator struct {
	t        testing.TB
	r        *rand.Rand
	origins  map[string]netip.AddrPort // by what they answer
	bodies   []string
	mainPort uint16
	now      *world
}

const (
	// names is how many there are of each type beside what is always there.
	names = 6
	// mainName is a listener, and its routes, that is in every world.
	mainName = "main"
	// stableEDS and stableStatic are clusters that are in every world; what is behind them does not change.
	stableEDS, stableStatic = "stable-eds", "stable-static"
)

// next makes a world of which each part is with probability 1/2 as it was before. It is bad in parts with some probability.
func (g *generator) next() *world {
	w := &world{things: make(map[string]*thing)}
	before := g.now
	add := func(url, name string, fresh func() *thing) {
		var t *thing
		if before != nil {
			t = before.get(url, name)
		}
		if t == nil || g.r.IntN(2) == 0 {
			t = fresh()
		}
		w.things[url+" "+name] = t
		w.order = append(w.order, t)
	}
	add(resource.ClusterType, stableEDS, func() *thing { return g.edsCluster(stableEDS, stableEDS) })
	add(resource.ClusterType, stableStatic, func() *thing { return g.staticCluster(stableStatic, g.bodies[0]) })
	add(resource.AssignmentType, stableEDS, func() *thing { return g.endpoints(stableEDS, g.bodies[0]) })
	add(resource.ListenerType, mainName, func() *thing { return g.listener(mainName, g.mainPort, mainName) })
	add(resource.RouteType, mainName, func() *thing { return g.routes(mainName) })
	for i := range names {
		name := string(rune('a' + i))
		if g.r.IntN(4) > 0 {
			add(resource.ClusterType, name, func() *thing { return g.anyCluster(name) })
		}
		add(resource.AssignmentType, name, func() *thing { return g.anyEndpoints(name) })
		if g.r.IntN(4) > 0 {
			add(resource.ListenerType, name, func() *thing { return g.anyListener(name) })
		}
		add(resource.RouteType, name, func() *thing { return g.anyRoutes(name) })
	}
	g.r.Shuffle(len(w.order), func(i, j int) { w.order[i], w.order[j] = w.order[j], w.order[i] })
	g.now = w
	return w
}

func (g *generator) anyName() string { return string(rune('a' + g.r.IntN(names))) }
func (g *generator) anyBody() string { return g.bodies[g.r.IntN(len(g.bodies))] }

// one reports true once in n times.
func (g *generator) one(n int) bool { return g.r.IntN(n) == 0 }

// fault reports true once in n times, and never for the first world, which has to come into force.
func (g *generator) fault(n int) bool { return g.now != nil && g.one(n) }

// undecodable makes t something that is no message.
func (g *generator) undecodable(t *thing) *thing {
	garbage := &anypb.Any{TypeUrl: t.TypeURL, Value: []byte{0xff, byte(g.r.IntN(256)), 0xff}}
	return &thing{Resource: management.Raw(t.TypeURL, t.Name, garbage), undecodable: true}
}

func (g *generator) anyCluster(name string) *thing {
	switch {
	case g.fault(60):
		return g.undecodable(g.staticCluster(name, g.anyBody()))
	case g.fault(8):
		t := g.staticCluster(name, g.anyBody())
		c := g.unpack(t).(*clusterv3.Cluster)
		c.LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress().Address = "not-an-address"
		return &thing{Resource: management.Pack(c), bad: true}
	case g.one(3):
		return g.staticCluster(name, g.anyBody())
	default:
		return g.edsCluster(name, g.anyName())
	}
}

func (g *generator) anyEndpoints(name string) *thing {
	t := g.endpoints(name, g.anyBody())
	switch {
	case g.fault(60):
		return g.undecodable(t)
	case g.fault(8):
		a := g.unpack(t).(*endpointv3.ClusterLoadAssignment)
		a.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress().Address = "not-an-address"
		return &thing{Resource: management.Pack(a), bad: true}
	}
	return t
}

func (g *generator) anyListener(name string) *thing {
	routes := g.anyName()
	if g.one(3) {
		routes = ""
	}
	t := g.listener(name, 0, routes)
	switch {
	case g.fault(60):
		return g.undecodable(t)
	case g.fault(8):
		l := g.unpack(t).(*listenerv3.Listener)
		l.FilterChains[0].Filters[0].GetTypedConfig().TypeUrl = "type.googleapis.com/google.protobuf.StringValue"
		return &thing{Resource: management.Pack(l), bad: true}
	}
	return t
}

func (g *generator) anyRoutes(name string) *thing {
	t := g.routes(name)
	switch {
	case g.fault(60):
		return g.undecodable(t)
	case g.fault(8):
		r := g.unpack(t).(*routev3.RouteConfiguration)
		r.VirtualHosts = append(r.VirtualHosts, proto.Clone(r.VirtualHosts[0]).(*routev3.VirtualHost)) // a domain twice
		r.VirtualHosts[1].Name = "again"
		return &thing{Resource: management.Pack(r), bad: true}
	}
	return t
}

func (g *generator) unpack(t *thing) proto.Message {
	m, err := t.Body.UnmarshalNew()
	if err != nil {
		g.t.Fatal(err)
	}
	return m
}

func (g *generator) edsCluster(name, endpoints string) *thing {
	c := harness.Resource[clusterv3.Cluster](g.t, fmt.Sprintf(
		"{name: %s, type: EDS, connect_timeout: %ds, eds_cluster_config: {service_name: %s, eds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}}}",
		name, 5+g.r.IntN(3), endpoints))
	return &thing{Resource: management.Pack(c), child: endpoints}
}

func (g *generator) staticCluster(name, body string) *thing {
	c := harness.Resource[clusterv3.Cluster](g.t, fmt.Sprintf("{name: %s, type: STATIC, connect_timeout: %ds}", name, 5+g.r.IntN(3)))
	c.LoadAssignment = g.assignment(name, body)
	return &thing{Resource: management.Pack(c), answers: body}
}

func (g *generator) endpoints(name, body string) *thing {
	return &thing{Resource: management.Pack(g.assignment(name, body)), answers: body}
}

func (g *generator) assignment(name, body string) *endpointv3.ClusterLoadAssignment {
	at := g.origins[body]
	return harness.Resource[endpointv3.ClusterLoadAssignment](g.t, fmt.Sprintf(
		"{cluster_name: %s, endpoints: [{lb_endpoints: [{load_balancing_weight: %d, endpoint: {address: {socket_address: {address: %s, port_value: %d}}}}]}]}",
		name, 1+g.r.IntN(3), at.Addr(), at.Port()))
}

// listener makes a listener that gets its routes by that name, or has its own when that is empty.
func (g *generator) listener(name string, port uint16, routes string) *thing {
	t := &thing{child: routes}
	specifier := fmt.Sprintf("rds: {route_config_name: %s, config_source: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}}", routes)
	if routes == "" {
		t.routes = g.anyRouting()
		specifier = "route_config:\n" + strings.ReplaceAll(routeList(name, t.routes), "\n", "\n        ")
	}
	l := harness.Resource[listenerv3.Listener](g.t, fmt.Sprintf(`
name: %s
address: {socket_address: {address: 127.0.0.1, port_value: %d}}
per_connection_buffer_limit_bytes: %d
filter_chains:
- filters:
  - name: http
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: managed
      http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
      %s
`, name, port, 32<<10<<g.r.IntN(2), specifier))
	t.Resource = management.Pack(l)
	return t
}

func (g *generator) routes(name string) *thing { return g.routesTo(name, g.anyRouting()) }

// routesTo makes routes that lead from prefixes to clusters.
func (g *generator) routesTo(name string, routing map[string]string) *thing {
	text := routeList(name, routing)
	return &thing{Resource: management.Pack(harness.Resource[routev3.RouteConfiguration](g.t, text)), routes: routing}
}

// anyRouting says where prefixes lead to. Those that are always there lead to the same always.
func (g *generator) anyRouting() map[string]string {
	routing := map[string]string{"/" + stableEDS: stableEDS, "/" + stableStatic: stableStatic}
	for range 1 + g.r.IntN(3) {
		routing["/"+g.anyName()] = g.anyName()
	}
	return routing
}

// routeList is a route configuration in YAML.
func routeList(name string, routing map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nname: %s\nvirtual_hosts:\n- name: all\n  domains: [\"*\"]\n  routes:", name)
	for _, prefix := range slices.Sorted(maps.Keys(routing)) {
		fmt.Fprintf(&b, "\n  - {match: {path_separated_prefix: %s}, route: {cluster: %s}}", prefix, routing[prefix])
	}
	return b.String()
}
