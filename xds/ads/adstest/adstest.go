// Package adstest is an ADS server for tests that says what it is told to and shows what it was asked. It lives in
// memory, so that a test in a testing/synctest bubble controls its time.
package adstest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	// Target is what a client dials with DialOptions.
	Target = "passthrough:///control-plane"
	// patience is how long, on the bubble's clock, a test waits for something before it fails.
	patience = 10 * time.Minute
	// backlog is how many streams or requests wait for the test to look at them.
	backlog = 64
	pipe    = 1 << 20
)

// Server is an ADS server. Its methods fail the test it was made for.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	t        testing.TB
	listener *bufconn.Listener
	grpc     *grpc.Server
	streams  chan *Stream
	dials    chan time.Time
	down     atomic.Bool // connections are refused
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{
		t:        t,
		listener: bufconn.Listen(pipe),
		grpc:     grpc.NewServer(),
		streams:  make(chan *Stream, backlog),
		dials:    make(chan time.Time, 1024),
	}
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.grpc.Serve(s.listener)
	}()
	t.Cleanup(func() {
		s.grpc.Stop()
		<-served
	})
	return s
}

// DialOptions lead a client to the server.
func (s *Server) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		s.dials <- time.Now()
		if s.down.Load() {
			return nil, errors.New("connection refused")
		}
		return s.listener.DialContext(ctx)
	})}
}

// Refuse makes connections fail until Admit.
func (s *Server) Refuse() { s.down.Store(true) }

// Admit ends Refuse.
func (s *Server) Admit() { s.down.Store(false) }

// Dial waits for the next attempt to connect, and returns when it was.
func (s *Server) Dial() time.Time {
	s.t.Helper()
	select {
	case at := <-s.dials:
		return at
	case <-time.After(patience):
		s.t.Fatal("no attempt to connect")
		return time.Time{}
	}
}

// StreamAggregatedResources implements the service.
func (s *Server) StreamAggregatedResources(rpc discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	stream := &Stream{
		t:        s.t,
		rpc:      rpc,
		requests: make(chan *discoveryv3.DiscoveryRequest, backlog),
		end:      make(chan error, 1),
		ended:    rpc.Context().Done(),
		sent:     make(map[string]int),
	}
	s.streams <- stream
	go func() {
		for {
			request, err := rpc.Recv()
			if err != nil {
				return
			}
			stream.requests <- request
		}
	}()
	select {
	case err := <-stream.end:
		return err
	case <-rpc.Context().Done():
		return nil
	}
}

// Accept waits for the next stream.
func (s *Server) Accept() *Stream {
	s.t.Helper()
	select {
	case stream := <-s.streams:
		return stream
	case <-time.After(patience):
		s.t.Fatal("no stream was opened")
		return nil
	}
}

// NoStream fails when another stream was opened.
func (s *Server) NoStream() {
	s.t.Helper()
	if len(s.streams) > 0 {
		s.t.Fatal("a stream was opened that should not have been")
	}
}

// Stream is one stream of a client.
type Stream struct {
	t        testing.TB
	rpc      discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer
	requests chan *discoveryv3.DiscoveryRequest
	end      chan error
	ended    <-chan struct{}
	sent     map[string]int // responses by type, for the nonces
}

// Next waits for the next request.
func (s *Stream) Next() *discoveryv3.DiscoveryRequest {
	s.t.Helper()
	select {
	case request := <-s.requests:
		return request
	case <-time.After(patience):
		s.t.Fatal("no request came")
		return nil
	}
}

// Expect waits for the next request and compares it with want, the node left out. An error detail is compared by code,
// and by text only when want has one. It returns the request.
func (s *Stream) Expect(what string, want *discoveryv3.DiscoveryRequest) *discoveryv3.DiscoveryRequest {
	s.t.Helper()
	got := s.Next()
	compared := proto.Clone(got).(*discoveryv3.DiscoveryRequest)
	compared.Node = nil
	if compared.GetErrorDetail() != nil && want.GetErrorDetail().GetMessage() == "" {
		compared.ErrorDetail.Message = ""
	}
	if !proto.Equal(compared, want) {
		s.t.Fatalf("%s:\n got %v\nwant %v", what, compared, want)
	}
	return got
}

// Silent fails when a request is waiting to be looked at.
func (s *Stream) Silent(what string) {
	s.t.Helper()
	select {
	case request := <-s.requests:
		s.t.Fatalf("%s: a request came: %v", what, request)
	default:
	}
}

// Send sends resources of type url under version, and returns the nonce.
func (s *Stream) Send(url, version string, resources ...proto.Message) (nonce string) {
	s.t.Helper()
	packed := make([]*anypb.Any, len(resources))
	for i, r := range resources {
		if already, ok := r.(*anypb.Any); ok {
			packed[i] = already
			continue
		}
		packed[i] = &anypb.Any{}
		if err := anypb.MarshalFrom(packed[i], r, proto.MarshalOptions{Deterministic: true}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.sent[url]++
	nonce = url[len(url)-3:] + strconv.Itoa(s.sent[url])
	err := s.rpc.Send(&discoveryv3.DiscoveryResponse{VersionInfo: version, TypeUrl: url, Nonce: nonce, Resources: packed})
	if err != nil {
		s.t.Fatal(err)
	}
	return nonce
}

// Close ends the stream with an UNAVAILABLE status of this text.
func (s *Stream) Close(text string) { s.end <- status.Error(codes.Unavailable, text) }

// WaitClosed waits until the client has ended the stream.
func (s *Stream) WaitClosed() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("the client keeps the stream open")
	}
}
