package resource_test

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// FuzzDecode feeds bytes from a control plane to every decoder: either a value or an error comes out.
func FuzzDecode(f *testing.F) {
	typeURLs := []string{resource.ListenerType, resource.RouteType, resource.ClusterType, resource.AssignmentType}
	seed := func(kind uint8, m proto.Message) {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, data)
	}
	seed(0, &listenerv3.Listener{Name: "l", FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{Name: "n"}}}}})
	seed(1, &routev3.RouteConfiguration{Name: "r", VirtualHosts: []*routev3.VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: []*routev3.Route{{
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "c"}}},
	}}}}})
	seed(2, &clusterv3.Cluster{Name: "c", LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: "c"}})
	seed(2, &clusterv3.Cluster{Name: "c", HealthChecks: []*corev3.HealthCheck{{HealthChecker: &corev3.HealthCheck_TcpHealthCheck_{
		TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{Send: &corev3.HealthCheck_Payload{Payload: &corev3.HealthCheck_Payload_Text{Text: "00"}}},
	}}}})
	seed(3, &endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{}}}}})
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		url := typeURLs[int(kind)%len(typeURLs)]
		_, msg, err := resource.Unmarshal(url, &anypb.Any{TypeUrl: url, Value: data})
		if err != nil {
			return
		}
		missing := false
		switch m := msg.(type) {
		case *listenerv3.Listener:
			l, decodeErr := resource.Listener(m)
			missing, err = l == nil, decodeErr
		case *routev3.RouteConfiguration:
			rc, decodeErr := resource.RouteConfiguration(m)
			missing, err = rc == nil, decodeErr
		case *clusterv3.Cluster:
			c, decodeErr := resource.Cluster(m)
			missing, err = c == nil, decodeErr
		case *endpointv3.ClusterLoadAssignment:
			a, decodeErr := resource.Assignment(m)
			missing, err = a == nil, decodeErr
		}
		if missing != (err != nil) {
			t.Fatalf("missing = %v, err = %v", missing, err)
		}
	})
}
