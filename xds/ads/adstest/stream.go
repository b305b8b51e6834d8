package adstest

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Stream is one stream of a client in the state of the world.
type Stream struct {
	talk[*discoveryv3.DiscoveryRequest]
	rpc   grpc.BidiStreamingServer[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
	rules worldStream
}

// DeltaStream is one stream of a client in the incremental variant.
type DeltaStream struct {
	talk[*discoveryv3.DeltaDiscoveryRequest]
	rpc   grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
	rules deltaStream
}

// request is a request of either variant.
type request interface {
	proto.Message
	GetTypeUrl() string
	GetErrorDetail() *statuspb.Status
}

// talk is what both variants have in common.
type talk[R request] struct {
	t        testing.TB
	requests chan R
	end      chan error
	ended    <-chan struct{}
	metadata metadata.MD
	asked    atomic.Pointer[string] // the type of the first request
	sent     map[string]int         // responses by type, for the nonces
}

func (k *talk[R]) init(t testing.TB, ctx context.Context) {
	k.t = t
	k.requests = make(chan R, backlog)
	k.end = make(chan error, 1)
	k.ended = ctx.Done()
	k.metadata, _ = metadata.FromIncomingContext(ctx)
	k.sent = make(map[string]int)
}

// serve takes requests, and shows them to the rules, until either side ends the stream.
func (k *talk[R]) serve(receive func() (R, error), look func(R)) error {
	go func() {
		for {
			request, err := receive()
			if err != nil {
				return
			}
			url := request.GetTypeUrl()
			k.asked.CompareAndSwap(nil, &url)
			look(request)
			k.requests <- request
		}
	}()
	select {
	case err := <-k.end:
		return err
	case <-k.ended:
		return nil
	}
}

// only returns the type of a response that may not say it, on a stream of one type.
func (k *talk[R]) only(url string) string {
	if first := k.asked.Load(); url == "" && first != nil {
		return *first
	}
	return url
}

// Metadata returns what the client sent when it opened the stream, with :authority.
func (k *talk[R]) Metadata() metadata.MD { return k.metadata }

// Next waits for the next request.
func (k *talk[R]) Next() (request R) {
	k.t.Helper()
	select {
	case request = <-k.requests:
	case <-time.After(patience):
		k.t.Fatal("no request came")
	}
	return request
}

// Expect waits for the next request and compares it with want, the node left out. An error detail is compared by code,
// and by text only when want has one. It returns the request.
func (k *talk[R]) Expect(what string, want R) R {
	k.t.Helper()
	got := k.Next()
	compared := proto.Clone(got).(R)
	fields := compared.ProtoReflect()
	fields.Clear(fields.Descriptor().Fields().ByName("node"))
	if d := compared.GetErrorDetail(); d != nil && want.GetErrorDetail().GetMessage() == "" {
		d.Message = ""
	}
	if !proto.Equal(compared, want) {
		k.t.Fatalf("%s:\n got %v\nwant %v", what, compared, want)
	}
	return got
}

// Drain throws away the requests that wait to be looked at.
func (k *talk[R]) Drain() {
	for {
		select {
		case <-k.requests:
		default:
			return
		}
	}
}

// Silent fails when a request is waiting to be looked at.
func (k *talk[R]) Silent(what string) {
	k.t.Helper()
	select {
	case request := <-k.requests:
		k.t.Fatalf("%s: a request came: %v", what, request)
	default:
	}
}

// Close ends the stream with an UNAVAILABLE status of this text.
func (k *talk[R]) Close(text string) { k.end <- status.Error(codes.Unavailable, text) }

// WaitClosed waits until the client has ended the stream.
func (k *talk[R]) WaitClosed() {
	k.t.Helper()
	select {
	case <-k.ended:
	case <-time.After(patience):
		k.t.Fatal("the client keeps the stream open")
	}
}

func (k *talk[R]) nonce(url string) string {
	k.sent[url]++
	return url[len(url)-3:] + strconv.Itoa(k.sent[url])
}

func (k *talk[R]) pack(m proto.Message) *anypb.Any {
	k.t.Helper()
	if already, ok := m.(*anypb.Any); ok {
		return already
	}
	packed := &anypb.Any{}
	if err := anypb.MarshalFrom(packed, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		k.t.Fatal(err)
	}
	return packed
}

// Send sends resources of type url under version, and returns the nonce.
func (s *Stream) Send(url, version string, resources ...proto.Message) (nonce string) {
	s.t.Helper()
	nonce = s.nonce(url)
	r := &discoveryv3.DiscoveryResponse{VersionInfo: version, TypeUrl: url, Nonce: nonce}
	for _, m := range resources {
		r.Resources = append(r.Resources, s.pack(m))
	}
	s.SendRaw(r)
	return nonce
}

// SendRaw sends a response as it is.
func (s *Stream) SendRaw(r *discoveryv3.DiscoveryResponse) {
	s.t.Helper()
	s.rules.response(s.only(r.GetTypeUrl()), r.GetVersionInfo(), r.GetNonce())
	if err := s.rpc.Send(r); err != nil {
		s.t.Fatal(err)
	}
}

// Changed is a resource of a response in the incremental variant.
type Changed struct {
	Name, Version string
	Message       proto.Message        // nil for a heartbeat
	TTL           *durationpb.Duration // nil for none
}

// Send sends what has changed of type url, and the names of what is gone, and returns the nonce.
func (s *DeltaStream) Send(url, version string, removed []string, resources ...Changed) (nonce string) {
	s.t.Helper()
	nonce = s.nonce(url)
	r := &discoveryv3.DeltaDiscoveryResponse{SystemVersionInfo: version, TypeUrl: url, Nonce: nonce, RemovedResources: removed}
	for _, changed := range resources {
		wrapper := &discoveryv3.Resource{Name: changed.Name, Version: changed.Version, Ttl: changed.TTL}
		if changed.Message != nil {
			wrapper.Resource = s.pack(changed.Message)
		}
		r.Resources = append(r.Resources, wrapper)
	}
	s.SendRaw(r)
	return nonce
}

// SendRaw sends a response as it is.
func (s *DeltaStream) SendRaw(r *discoveryv3.DeltaDiscoveryResponse) {
	s.t.Helper()
	s.rules.response(s.only(r.GetTypeUrl()), r)
	if err := s.rpc.Send(r); err != nil {
		s.t.Fatal(err)
	}
}
