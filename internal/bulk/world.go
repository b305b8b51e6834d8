// Package bulk is a control plane with one large configuration, for measurements: what a push of all of it costs a proxy, and
// one change among it, or many. It speaks the incremental variant of ADS with one proxy at a time.
package bulk

import (
	"fmt"
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Size is how large the configuration is.
type Size struct {
	Clusters  int `json:"clusters"`  // and routes, one to each
	Endpoints int `json:"endpoints"` // of each cluster
	Routes    int `json:"routes"`    // of each virtual host
}

// connectTimeout is Envoy's default.
const connectTimeout = 5 * time.Second

// Path is what is asked for to reach the cluster at an index, on the Host of that index.
func (s Size) Path(cluster int) string { return fmt.Sprintf("/%d/", cluster) }

// Host is the virtual host with the route to the cluster at an index.
func (s Size) Host(cluster int) string { return fmt.Sprintf("host-%d.test", cluster/s.Routes) }

func clusterName(i int) string { return fmt.Sprintf("cluster-%d", i) }

// endpoint is the address of an endpoint. The loopback network has 2^24 of them.
func (s Size) endpoint(cluster, i int) netip.Addr {
	n := cluster*s.Endpoints + i
	return netip.AddrFrom4([4]byte{127, byte(1 + n>>16), byte(n >> 8), byte(n)})
}

// moved is where the last cluster moves to.
func (s Size) moved() netip.Addr { return netip.AddrFrom4([4]byte{127, 255, 0, 1}) }

func clusters(n int) (all []proto.Message) {
	ads := &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
	for i := range n {
		all = append(all, &clusterv3.Cluster{
			Name: clusterName(i), ConnectTimeout: durationpb.New(connectTimeout),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
			EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: ads},
		})
	}
	return all
}

func address(ip netip.Addr, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip.String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// assignment has a cluster at these addresses, all with the port.
func assignment(cluster int, port uint16, at ...netip.Addr) *endpointv3.ClusterLoadAssignment {
	l := &endpointv3.LocalityLbEndpoints{}
	for _, ip := range at {
		l.LbEndpoints = append(l.LbEndpoints, &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: address(ip, port)},
		}})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: clusterName(cluster), Endpoints: []*endpointv3.LocalityLbEndpoints{l}}
}

// addresses are those of a cluster.
func (s Size) addresses(cluster int) []netip.Addr {
	all := make([]netip.Addr, s.Endpoints)
	for i := range all {
		all[i] = s.endpoint(cluster, i)
	}
	return all
}

func (s Size) assignments(n int, port uint16) (all []proto.Message) {
	for i := range n {
		all = append(all, assignment(i, port, s.addresses(i)...))
	}
	return all
}

// routesName is the route configuration of the listener.
const routesName = "routes"

func (s Size) routes(n int) proto.Message {
	rc := &routev3.RouteConfiguration{Name: routesName}
	for i := range n {
		if i%s.Routes == 0 {
			rc.VirtualHosts = append(rc.VirtualHosts, &routev3.VirtualHost{Name: s.Host(i), Domains: []string{s.Host(i)}})
			if i == 0 {
				rc.VirtualHosts[0].Domains = append(rc.VirtualHosts[0].Domains, "*") // for who knows no names
			}
		}
		vhost := rc.VirtualHosts[len(rc.VirtualHosts)-1]
		vhost.Routes = append(vhost.Routes, &routev3.Route{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: s.Path(i)}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: clusterName(i)}}},
		})
	}
	return rc
}

func listener(at netip.AddrPort) proto.Message {
	ads := &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix:     "bulk",
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: routesName, ConfigSource: ads}},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})},
		}},
	}
	return &listenerv3.Listener{
		Name: "listener", Address: address(at.Addr(), at.Port()),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(manager)},
		}}}},
	}
}

func pack(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		panic(fmt.Sprintf("BUG: a message that cannot be encoded: %v", err))
	}
	return packed
}

// wrap makes resources of messages, all in one version.
func wrap(version string, name func(proto.Message) string, messages ...proto.Message) []*discoveryv3.Resource {
	all := make([]*discoveryv3.Resource, len(messages))
	for i, m := range messages {
		all[i] = &discoveryv3.Resource{Name: name(m), Version: version, Resource: pack(m)}
	}
	return all
}
