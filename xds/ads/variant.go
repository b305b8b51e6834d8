package ads

import (
	"cmp"
	"strconv"

	"github.com/cespare/xxhash/v2"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

// stream is a stream in one of the two variants of the protocol.
type stream interface {
	send(request) error
	receive() (*response, error)
}

// request is what there is to say about a type, in either variant.
type request struct {
	typeURL string
	node    *corev3.Node // nil when it was sent before
	nonce   string       // of the response that is answered
	refusal *statuspb.Status

	// Of the state of the world.
	version string // accepted last
	names   []string

	// Of the incremental variant.
	subscribe, unsubscribe []string
	held                   map[string]string // versions by name, in the first request of a stream
}

// response is what came, in either variant.
type response struct {
	typeURL, nonce string
	version        string // of the whole; a server of the incremental variant need not give one
	identifier     string // of the control plane

	world   []*anypb.Any            // of the state of the world
	changed []*discoveryv3.Resource // of the incremental variant, as removed
	removed []string
}

// identity tells whether two responses are the same, and not only of one version: a server that is asked for more names
// sends the version again, with what else there is of it, and one of the incremental variant need not give a version. The
// order of resources means nothing.
func (r *response) identity() string {
	sum := xxhash.Sum64String(r.version)
	for _, packed := range r.world {
		sum += xxhash.Sum64(packed.GetValue())
	}
	for _, changed := range r.changed {
		sum += xxhash.Sum64String(changed.GetName() + "\x00" + changed.GetVersion())
	}
	for _, name := range r.removed {
		sum += xxhash.Sum64String(name)
	}
	return strconv.FormatUint(sum, 16)
}

// stateOfTheWorld is the variant in which a response has all resources that are asked for.
type stateOfTheWorld struct {
	rpc     grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
	implied string // the type of a response that does not say it, on a service of one type
}

func (s stateOfTheWorld) send(r request) error {
	return s.rpc.Send(&discoveryv3.DiscoveryRequest{
		VersionInfo:   r.version,
		Node:          r.node,
		ResourceNames: r.names,
		TypeUrl:       r.typeURL,
		ResponseNonce: r.nonce,
		ErrorDetail:   r.refusal,
	})
}

func (s stateOfTheWorld) receive() (*response, error) {
	r, err := s.rpc.Recv()
	if err != nil {
		return nil, err
	}
	return &response{
		typeURL: cmp.Or(r.GetTypeUrl(), s.implied), nonce: r.GetNonce(), version: r.GetVersionInfo(),
		identifier: r.GetControlPlane().GetIdentifier(), world: r.GetResources(),
	}, nil
}

// incremental is the variant in which a response has what changed, and a request the names that are new and those that are
// not wanted any more.
type incremental struct {
	rpc     grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
	implied string // the type of a response that does not say it, on a service of one type
}

func (s incremental) send(r request) error {
	return s.rpc.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node:                     r.node,
		TypeUrl:                  r.typeURL,
		ResourceNamesSubscribe:   r.subscribe,
		ResourceNamesUnsubscribe: r.unsubscribe,
		InitialResourceVersions:  r.held,
		ResponseNonce:            r.nonce,
		ErrorDetail:              r.refusal,
	})
}

func (s incremental) receive() (*response, error) {
	r, err := s.rpc.Recv()
	if err != nil {
		return nil, err
	}
	return &response{
		typeURL: cmp.Or(r.GetTypeUrl(), s.implied), nonce: r.GetNonce(), version: r.GetSystemVersionInfo(),
		identifier: r.GetControlPlane().GetIdentifier(), changed: r.GetResources(), removed: r.GetRemovedResources(),
	}, nil
}
