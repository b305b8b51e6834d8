package controlplane

import (
	"fmt"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Resources translates config, which must be valid, to xDS v3 resources by type URL: one listener on address:port, one route configuration, a cluster per
// service, its endpoints unless a host must be resolved by name, and the secrets of the certificates. The same config gives the same resources in the same
// order. The resources share no memory with config that either changes.
func Resources(config Config, address string, port uint16) map[resource.Type][]types.Resource {
	resources := map[resource.Type][]types.Resource{
		resource.ListenerType: {listenerResource(config, address, port)},
		resource.RouteType:    {routeResource(config, port)},
	}
	for i := range config.Services {
		service := &config.Services[i]
		resources[resource.ClusterType] = append(resources[resource.ClusterType], clusterResource(service))
		if service.addressed() {
			resources[resource.EndpointType] = append(resources[resource.EndpointType], loadAssignment(service))
		}
	}
	for i := range config.Certificates {
		resources[resource.SecretType] = append(resources[resource.SecretType], secretResources(&config.Certificates[i])...)
	}
	return resources
}

// overADS says that a resource comes on the stream that referred to it.
func overADS() *core.ConfigSource {
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}
}

func socketAddress(address string, port uint32) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address:       address,
		PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
	}}}
}

// secondsOr returns seconds, or otherwise when seconds is zero.
func secondsOr(seconds int, otherwise time.Duration) *durationpb.Duration {
	if seconds == 0 {
		return durationpb.New(otherwise)
	}
	return durationpb.New(time.Duration(seconds) * time.Second)
}

// typed packs an extension's configuration. It is deterministic, so that an unchanged resource stays byte for byte the same and incremental clients are not
// sent it again.
func typed(config proto.Message) *anypb.Any {
	packed := &anypb.Any{}
	if err := anypb.MarshalFrom(packed, config, proto.MarshalOptions{Deterministic: true}); err != nil {
		// Only a string that is not UTF-8 fails to marshal, and Validate lets none in.
		panic(fmt.Sprintf("BUG: marshal %T: %v", config, err))
	}
	return packed
}
