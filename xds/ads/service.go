package ads

import (
	"context"
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// service is a discovery service: its methods by their full names, empty where there is none.
type service struct {
	stateOfTheWorld, incremental string
}

// aggregated is the service for all types at once.
var aggregated = service{
	"/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
	"/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
}

// ownServices has the service of each type that has one to itself, by type URL, as "API flow" of
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-types lists them.
var ownServices = map[string]service{
	"type.googleapis.com/envoy.config.listener.v3.Listener": {
		"/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
		"/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners",
	},
	"type.googleapis.com/envoy.config.route.v3.RouteConfiguration": {
		"/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes",
		"/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes",
	},
	"type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration": {
		"/envoy.service.route.v3.ScopedRoutesDiscoveryService/StreamScopedRoutes",
		"/envoy.service.route.v3.ScopedRoutesDiscoveryService/DeltaScopedRoutes",
	},
	"type.googleapis.com/envoy.config.route.v3.VirtualHost": {
		incremental: "/envoy.service.route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts",
	},
	"type.googleapis.com/envoy.config.cluster.v3.Cluster": {
		"/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
		"/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
	},
	"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment": {
		"/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
		"/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
	},
	"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret": {
		"/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
		"/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
	},
	"type.googleapis.com/envoy.service.runtime.v3.Runtime": {
		"/envoy.service.runtime.v3.RuntimeDiscoveryService/StreamRuntime",
		"/envoy.service.runtime.v3.RuntimeDiscoveryService/DeltaRuntime",
	},
	"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig": {
		"/envoy.service.extension.v3.ExtensionConfigDiscoveryService/StreamExtensionConfigs",
		"/envoy.service.extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs",
	},
}

// methodFor returns the full name of the method that opts asks for.
func methodFor(opts *Options) (string, error) {
	s := aggregated
	if opts.OwnService {
		if len(opts.Types) != 1 {
			return "", fmt.Errorf("ads: %d types on a discovery service of their own, want exactly one", len(opts.Types))
		}
		var ok bool
		if s, ok = ownServices[opts.Types[0].URL]; !ok {
			return "", fmt.Errorf("ads: type %s has no discovery service of its own, only the aggregated one", opts.Types[0].URL)
		}
	}
	if opts.Incremental {
		return s.incremental, nil
	}
	if s.stateOfTheWorld == "" {
		return "", fmt.Errorf("ads: the discovery service of type %s has the incremental variant only", opts.Types[0].URL)
	}
	return s.stateOfTheWorld, nil
}

// openStream opens a stream of the service and the variant that is asked for.
func (c *Client) openStream(ctx context.Context, conn *grpc.ClientConn) (stream, error) {
	rpc, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, c.method)
	if err != nil {
		return nil, err
	}
	implied := ""
	if c.opts.OwnService {
		implied = c.opts.Types[0].URL
	}
	if c.opts.Incremental {
		return incremental{rpc: &grpc.GenericClientStream[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]{ClientStream: rpc}, implied: implied}, nil
	}
	return stateOfTheWorld{rpc: &grpc.GenericClientStream[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]{ClientStream: rpc}, implied: implied}, nil
}
