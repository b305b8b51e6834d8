package controlplane

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/envoyproxy/go-control-plane/pkg/wellknown"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Names of the one listener, of its route configuration and of its statistics.
const (
	ListenerName   = "marchproxy_listener"
	RouteName      = "marchproxy_routes"
	ingressPrefix  = "ingress_http"
	webSocketToken = "websocket"
)

func listenerResource(config Config, address string, port uint16) *listener.Listener {
	return &listener.Listener{
		Name:    ListenerName,
		Address: socketAddress(address, uint32(port)),
		FilterChains: []*listener.FilterChain{{
			Filters: []*listener.Filter{{
				Name:       wellknown.HTTPConnectionManager,
				ConfigType: &listener.Filter_TypedConfig{TypedConfig: typed(connectionManager(config))},
			}},
			TransportSocket: downstreamTLS(config.Certificates),
		}},
	}
}

func connectionManager(config Config) *hcm.HttpConnectionManager {
	manager := &hcm.HttpConnectionManager{
		CodecType:  hcm.HttpConnectionManager_AUTO,
		StatPrefix: ingressPrefix,
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{
			ConfigSource:    overADS(),
			RouteConfigName: RouteName,
		}},
		HttpFilters: []*hcm.HttpFilter{{
			Name:       wellknown.Router,
			ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: typed(&router.Router{})},
		}},
		// The listener is the edge: what a client says of its own address is not believed.
		UseRemoteAddress: wrapperspb.Bool(true),
	}
	for i := range config.Services {
		if config.Services[i].usesWebSocket() {
			// Lets WebSockets in over HTTP/2 too, as extended CONNECT, RFC 8441 section 3. Which routes take them is the routes' to say.
			manager.Http2ProtocolOptions = &core.Http2ProtocolOptions{AllowConnect: true}
			break
		}
	}
	return manager
}
