package ads_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	extensionservice "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

const clusterURL = "type.googleapis.com/envoy.config.cluster.v3.Cluster"

// ownServices are the services of single types by the constants that are generated from their .proto files.
var ownServices = []struct {
	url, world, delta string
}{
	{"type.googleapis.com/envoy.config.listener.v3.Listener",
		listenerservice.ListenerDiscoveryService_StreamListeners_FullMethodName,
		listenerservice.ListenerDiscoveryService_DeltaListeners_FullMethodName},
	{"type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
		routeservice.RouteDiscoveryService_StreamRoutes_FullMethodName,
		routeservice.RouteDiscoveryService_DeltaRoutes_FullMethodName},
	{"type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration",
		routeservice.ScopedRoutesDiscoveryService_StreamScopedRoutes_FullMethodName,
		routeservice.ScopedRoutesDiscoveryService_DeltaScopedRoutes_FullMethodName},
	{"type.googleapis.com/envoy.config.route.v3.VirtualHost", "",
		routeservice.VirtualHostDiscoveryService_DeltaVirtualHosts_FullMethodName},
	{clusterURL,
		clusterservice.ClusterDiscoveryService_StreamClusters_FullMethodName,
		clusterservice.ClusterDiscoveryService_DeltaClusters_FullMethodName},
	{"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
		endpointservice.EndpointDiscoveryService_StreamEndpoints_FullMethodName,
		endpointservice.EndpointDiscoveryService_DeltaEndpoints_FullMethodName},
	{"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
		secretservice.SecretDiscoveryService_StreamSecrets_FullMethodName,
		secretservice.SecretDiscoveryService_DeltaSecrets_FullMethodName},
	{"type.googleapis.com/envoy.service.runtime.v3.Runtime",
		runtimeservice.RuntimeDiscoveryService_StreamRuntime_FullMethodName,
		runtimeservice.RuntimeDiscoveryService_DeltaRuntime_FullMethodName},
	{"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
		extensionservice.ExtensionConfigDiscoveryService_StreamExtensionConfigs_FullMethodName,
		extensionservice.ExtensionConfigDiscoveryService_DeltaExtensionConfigs_FullMethodName},
}

// own makes the client one of the service that a type has to itself.
func own(url string, delta bool) func(*talk, *ads.Options) {
	return func(c *talk, o *ads.Options) {
		o.OwnService, o.Incremental = true, delta
		o.Types = []ads.Type{c.typ(url, true)}
	}
}

func TestEachTypeHasItsOwnService(t *testing.T) {
	for _, tt := range ownServices {
		for _, delta := range []bool{false, true} {
			method := tt.world
			if delta {
				method = tt.delta
			}
			t.Run(fmt.Sprintf("%s delta %v", tt.url[strings.LastIndexByte(tt.url, '.')+1:], delta), func(t *testing.T) {
				if method == "" {
					opts := ads.Options{Servers: []ads.Server{{Targets: []string{"t"}}}, Node: &corev3.Node{Id: "n", Cluster: "c"}, Logger: zap.NewNop(),
						OwnService: true, Incremental: delta, Types: []ads.Type{{URL: tt.url}}}
					if _, err := ads.New(opts); err == nil || !strings.Contains(err.Error(), "incremental variant only") {
						t.Errorf("error %v, want one about the variant", err)
					}
					return
				}
				converse(t, own(tt.url, delta), func(t *testing.T, c *talk) {
					c.Subscribe(tt.url, nil)
					if delta {
						s := c.server.AcceptDeltaMethod(method)
						s.Expect("first request", &discoveryv3.DeltaDiscoveryRequest{TypeUrl: tt.url})
					} else {
						s := c.server.AcceptMethod(method)
						s.Expect("first request", &discoveryv3.DiscoveryRequest{TypeUrl: tt.url})
					}
					synctest.Wait()
					c.server.NoStream()
				})
			})
		}
	}
}

func TestOwnServiceConversation(t *testing.T) {
	change := func(c *talk, o *ads.Options) {
		own(clusterURL, false)(c, o)
		o.Types[0].Decode = decodeCluster
	}
	converse(t, change, func(t *testing.T, c *talk) {
		var handled []string
		c.handle = func(_ string, r ads.Response) error {
			handled = append(handled, r.Version)
			return nil
		}
		c.Subscribe(clusterURL, nil)
		s := c.server.AcceptMethod(clusterservice.ClusterDiscoveryService_StreamClusters_FullMethodName)
		s.Expect("first request", request(clusterURL, "", ""))
		n := s.Send(clusterURL, "v1", &clusterv3.Cluster{Name: "a"})
		s.Expect("answer", request(clusterURL, "v1", n))
		s.SendRaw(&discoveryv3.DiscoveryResponse{VersionInfo: "v2", Nonce: "untyped"})
		s.Expect("the type is implied", request(clusterURL, "v2", "untyped"))
		n = s.Send(clusterURL, "v3", text("a"))
		s.Expect("another type is refused", refusal(clusterURL, "v2", n))
		s.Close("down")
		s = c.server.AcceptMethod(clusterservice.ClusterDiscoveryService_StreamClusters_FullMethodName)
		s.Expect("version kept", request(clusterURL, "v2", ""))
		if got := strings.Join(handled, " "); got != "v1 v2" {
			t.Errorf("handled %s", got)
		}
	})
}

func TestOwnServiceDeltaConversation(t *testing.T) {
	change := func(c *talk, o *ads.Options) {
		own(clusterURL, true)(c, o)
		o.Types[0].Decode = decodeCluster
	}
	const method = clusterservice.ClusterDiscoveryService_DeltaClusters_FullMethodName
	converse(t, change, func(t *testing.T, c *talk) {
		c.Subscribe(clusterURL, nil)
		s := c.server.AcceptDeltaMethod(method)
		s.Expect("first request", delta(clusterURL, ""))
		wrapper := &discoveryv3.Resource{Name: "a", Version: "1", Resource: packed(t, &clusterv3.Cluster{Name: "a"})}
		s.SendRaw(&discoveryv3.DeltaDiscoveryResponse{Nonce: "untyped", Resources: []*discoveryv3.Resource{wrapper}})
		s.Expect("the type is implied", delta(clusterURL, "untyped"))
		s.Close("down")
		s = c.server.AcceptDeltaMethod(method)
		s.Expect("versions are told", holding(delta(clusterURL, ""), map[string]string{"a": "1"}))
	})
}

func decodeCluster(packed *anypb.Any) (string, proto.Message, error) {
	c := &clusterv3.Cluster{}
	if err := packed.UnmarshalTo(c); err != nil {
		return "", nil, err
	}
	return c.GetName(), c, nil
}
