package management

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// Request is a request of either variant.
type Request struct {
	TypeURL, Nonce string
	Node           *corev3.Node
	Refusal        *statuspb.Status

	// Of the state of the world.
	Version string
	Names   []string

	// Of the incremental variant.
	Subscribe, Unsubscribe []string
	Held                   map[string]string // initial_resource_versions
}

// Response is a response of either variant.
type Response struct {
	TypeURL, Nonce, Version string
	Resources               []Resource
	Removed                 []string // of the incremental variant
}

// wire sends and receives in one of the variants.
type wire struct {
	incremental bool
	receive     func() (Request, error)
	send        func(*Response) error
}

func stateOfTheWorld(rpc discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) wire {
	return wire{
		receive: func() (Request, error) {
			r, err := rpc.Recv()
			return Request{
				TypeURL: r.GetTypeUrl(), Nonce: r.GetResponseNonce(), Node: r.GetNode(), Refusal: r.GetErrorDetail(),
				Version: r.GetVersionInfo(), Names: r.GetResourceNames(),
			}, err
		},
		send: func(r *Response) error {
			bodies := make([]*anypb.Any, len(r.Resources))
			for i := range r.Resources {
				bodies[i] = r.Resources[i].Body
			}
			return rpc.Send(&discoveryv3.DiscoveryResponse{
				TypeUrl: r.TypeURL, Nonce: r.Nonce, VersionInfo: r.Version, Resources: bodies,
			})
		},
	}
}

func incremental(rpc discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) wire {
	return wire{
		incremental: true,
		receive: func() (Request, error) {
			r, err := rpc.Recv()
			return Request{
				TypeURL: r.GetTypeUrl(), Nonce: r.GetResponseNonce(), Node: r.GetNode(), Refusal: r.GetErrorDetail(),
				Subscribe: r.GetResourceNamesSubscribe(), Unsubscribe: r.GetResourceNamesUnsubscribe(),
				Held: r.GetInitialResourceVersions(),
			}, err
		},
		send: func(r *Response) error {
			wrapped := make([]*discoveryv3.Resource, len(r.Resources))
			for i := range r.Resources {
				wrapped[i] = &discoveryv3.Resource{Name: r.Resources[i].Name, Version: r.Resources[i].version, Resource: r.Resources[i].Body}
			}
			return rpc.Send(&discoveryv3.DeltaDiscoveryResponse{
				TypeUrl: r.TypeURL, Nonce: r.Nonce, SystemVersionInfo: r.Version, Resources: wrapped, RemovedResources: r.Removed,
			})
		},
	}
}
