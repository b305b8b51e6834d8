package resource

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// The type URLs of the resources that can be subscribed to.
const (
	ListenerType   = "type.googleapis.com/envoy.config.listener.v3.Listener"
	RouteType      = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	ClusterType    = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	AssignmentType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	SecretType     = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

	typePrefix  = "type.googleapis.com/"
	wrapperType = typePrefix + "envoy.service.discovery.v3.Resource"
)

// Unmarshal decodes one entry of DiscoveryResponse.resources of a response of type typeURL, which is one of the
// constants above. An entry wrapped in envoy.service.discovery.v3.Resource is unwrapped; its ttl is not looked at. The
// message is a *Listener, *RouteConfiguration, *Cluster or *ClusterLoadAssignment, and the name is never empty.
func Unmarshal(typeURL string, packed *anypb.Any) (name string, msg proto.Message, err error) {
	wrapped := ""
	if packed.GetTypeUrl() == wrapperType {
		var w discoveryv3.Resource
		if err := proto.Unmarshal(packed.GetValue(), &w); err != nil {
			return "", nil, fmt.Errorf("cannot decode %s: %w", wrapperType, err)
		}
		if w.GetResource() == nil {
			return "", nil, fmt.Errorf("resource %q: %s has no resource in it", w.GetName(), wrapperType)
		}
		wrapped, packed = w.GetName(), w.GetResource()
	}
	if packed.GetTypeUrl() != typeURL {
		return "", nil, fmt.Errorf("resource of type URL %q in a response of type URL %q", packed.GetTypeUrl(), typeURL)
	}
	msg, err = newMessage(typeURL)
	if err != nil {
		return "", nil, err
	}
	if err := proto.Unmarshal(packed.GetValue(), msg); err != nil {
		return "", nil, fmt.Errorf("cannot decode %s: %w", typeURL, err)
	}
	name = Name(msg)
	switch {
	case name == "":
		return "", nil, fmt.Errorf("resource of type URL %q has no name", typeURL)
	case wrapped != "" && wrapped != name:
		return "", nil, fmt.Errorf("resource %q: its wrapper names it %q", name, wrapped)
	}
	return name, msg, nil
}

// newMessage returns an empty message of the type.
func newMessage(typeURL string) (proto.Message, error) {
	switch typeURL {
	case ListenerType:
		return &listenerv3.Listener{}, nil
	case RouteType:
		return &routev3.RouteConfiguration{}, nil
	case ClusterType:
		return &clusterv3.Cluster{}, nil
	case AssignmentType:
		return &endpointv3.ClusterLoadAssignment{}, nil
	default:
		return nil, fmt.Errorf("type URL %q is not supported; supported are listeners, route configurations, clusters and cluster load assignments of the v3 API", typeURL)
	}
}

// Name returns the name under which a resource is subscribed to, empty for a message that is none.
func Name(msg proto.Message) string {
	switch m := msg.(type) {
	case *listenerv3.Listener:
		return m.GetName()
	case *routev3.RouteConfiguration:
		return m.GetName()
	case *clusterv3.Cluster:
		return m.GetName()
	case *endpointv3.ClusterLoadAssignment:
		return m.GetClusterName()
	default:
		return ""
	}
}
