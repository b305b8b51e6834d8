// Package adstest is an ADS server for tests that says what it is told to and shows what it was asked. It lives in
// memory, so that a test in a testing/synctest bubble controls its time.
package adstest

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
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
	deltas   chan *DeltaStream
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
		deltas:   make(chan *DeltaStream, backlog),
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
	stream := &Stream{rpc: rpc}
	stream.init(s.t, rpc.Context())
	s.streams <- stream
	return stream.serve(rpc.Recv)
}

// DeltaAggregatedResources implements the service.
func (s *Server) DeltaAggregatedResources(rpc discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	stream := &DeltaStream{rpc: rpc}
	stream.init(s.t, rpc.Context())
	s.deltas <- stream
	return stream.serve(rpc.Recv)
}

// Accept waits for the next stream of the state of the world.
func (s *Server) Accept() *Stream {
	s.t.Helper()
	return accept(s.t, s.streams)
}

// AcceptDelta waits for the next stream of the incremental variant.
func (s *Server) AcceptDelta() *DeltaStream {
	s.t.Helper()
	return accept(s.t, s.deltas)
}

func accept[S any](t testing.TB, streams <-chan S) (stream S) {
	t.Helper()
	select {
	case stream = <-streams:
	case <-time.After(patience):
		t.Fatal("no stream was opened")
	}
	return stream
}

// NoStream fails when another stream was opened.
func (s *Server) NoStream() {
	s.t.Helper()
	if len(s.streams)+len(s.deltas) > 0 {
		s.t.Fatal("a stream was opened that should not have been")
	}
}
