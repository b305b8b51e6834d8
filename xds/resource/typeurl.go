package resource

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
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
	RuntimeType    = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
	ScopeType      = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
	HostType       = "type.googleapis.com/envoy.config.route.v3.VirtualHost"
	ExtensionType  = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"

	typePrefix  = "type.googleapis.com/"
	wrapperType = typePrefix + "envoy.service.discovery.v3.Resource"
)

// Unmarshal decodes one entry of DiscoveryResponse.resources of a response of type typeURL, which is one of the
// constants above. An entry wrapped in envoy.service.discovery.v3.Resource is unwrapped; its ttl is not looked at. The
// message is of that type, and the name is never empty.
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

// types has an empty message of each type.
var types = map[string]proto.Message{
	ListenerType:   &listenerv3.Listener{},
	RouteType:      &routev3.RouteConfiguration{},
	ClusterType:    &clusterv3.Cluster{},
	AssignmentType: &endpointv3.ClusterLoadAssignment{},
	SecretType:     &tlsv3.Secret{},
	RuntimeType:    &runtimev3.Runtime{},
	ScopeType:      &routev3.ScopedRouteConfiguration{},
	HostType:       &routev3.VirtualHost{},
	ExtensionType:  &corev3.TypedExtensionConfig{},
}

// newMessage returns an empty message of the type.
func newMessage(typeURL string) (proto.Message, error) {
	m, ok := types[typeURL]
	if !ok {
		return nil, fmt.Errorf("type URL %q is not of a resource of the v3 API that can be asked for", typeURL)
	}
	return m.ProtoReflect().New().Interface(), nil
}

// Name returns the name under which a resource is subscribed to, empty for a message that is none.
func Name(msg proto.Message) string {
	if _, ok := types[typePrefix+string(msg.ProtoReflect().Descriptor().FullName())]; !ok {
		return ""
	}
	switch m := msg.(type) {
	case *endpointv3.ClusterLoadAssignment:
		return m.GetClusterName()
	case interface{ GetName() string }:
		return m.GetName()
	default:
		return ""
	}
}
