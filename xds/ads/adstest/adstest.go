// Package adstest is a control plane for tests, with the aggregated discovery service and all others, that says what it is told to and shows what it was asked. It lives in
// memory, so that a test in a testing/synctest bubble controls its time.
package adstest

import (
	"context"
	"errors"
	"net"
	"path"
	"strings"
	"sync"
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

// Methods of the aggregated discovery service.
const (
	aggregatedWorld = discoveryv3.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName
	aggregatedDelta = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName
)

// Server is a control plane. Its methods fail the test it was made for.
type Server struct {
	t        testing.TB
	listener *bufconn.Listener
	grpc     *grpc.Server
	dials    chan time.Time
	down     atomic.Bool // connections are refused
	rules    *rules

	mu      sync.Mutex
	streams map[string]chan *Stream      // by method
	deltas  map[string]chan *DeltaStream // by method
}

// New starts a server that ends with the test. The options are for its credentials and the like.
func New(t testing.TB, options ...grpc.ServerOption) *Server {
	s := &Server{
		t:        t,
		listener: bufconn.Listen(pipe),
		dials:    make(chan time.Time, 1024),
		rules:    newRules(),
		streams:  make(map[string]chan *Stream),
		deltas:   make(map[string]chan *DeltaStream),
	}
	s.grpc = grpc.NewServer(append(options, grpc.UnknownServiceHandler(s.serve))...)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.grpc.Serve(s.listener)
	}()
	t.Cleanup(func() {
		s.grpc.Stop()
		<-served
		s.rules.mu.Lock()
		defer s.rules.mu.Unlock()
		for _, breach := range s.rules.found {
			t.Error("a rule of the conversation is broken: " + breach)
		}
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

// serve takes a stream of any discovery service. The variant is known from how methods are named.
func (s *Server) serve(_ any, rpc grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(rpc)
	if strings.HasPrefix(path.Base(method), "Delta") {
		stream := &DeltaStream{rpc: &grpc.GenericServerStream[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]{ServerStream: rpc}}
		stream.init(s.t, rpc.Context())
		stream.rules = deltaStream{rules: s.rules, method: method, types: make(map[string]*deltaTurns)}
		queue(s, s.deltas, method) <- stream
		return stream.serve(stream.rpc.Recv, stream.rules.request)
	}
	stream := &Stream{rpc: &grpc.GenericServerStream[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]{ServerStream: rpc}}
	stream.init(s.t, rpc.Context())
	stream.rules = worldStream{rules: s.rules, method: method, types: make(map[string]*worldTurns)}
	queue(s, s.streams, method) <- stream
	defer stream.rules.ended()
	return stream.serve(stream.rpc.Recv, stream.rules.request)
}

// queue returns the streams of a method that wait to be accepted.
func queue[S any](s *Server, queues map[string]chan S, method string) chan S {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := queues[method]
	if !ok {
		q = make(chan S, backlog)
		queues[method] = q
	}
	return q
}

// Accept waits for the next aggregated stream of the state of the world.
func (s *Server) Accept() *Stream {
	s.t.Helper()
	return s.AcceptMethod(aggregatedWorld)
}

// AcceptDelta waits for the next aggregated stream of the incremental variant.
func (s *Server) AcceptDelta() *DeltaStream {
	s.t.Helper()
	return s.AcceptDeltaMethod(aggregatedDelta)
}

// AcceptMethod waits for the next stream of the state of the world that is opened by a method, which is named as
// "/package.Service/StreamThings".
func (s *Server) AcceptMethod(method string) *Stream {
	s.t.Helper()
	return accept(s.t, queue(s, s.streams, method))
}

// AcceptDeltaMethod waits for the next stream of the incremental variant that is opened by a method, which is named as
// "/package.Service/DeltaThings".
func (s *Server) AcceptDeltaMethod(method string) *DeltaStream {
	s.t.Helper()
	return accept(s.t, queue(s, s.deltas, method))
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

// NoStream fails when a stream waits to be accepted.
func (s *Server) NoStream() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for method, q := range s.streams {
		if len(q) > 0 {
			s.t.Fatalf("a stream was opened that should not have been: %s", method)
		}
	}
	for method, q := range s.deltas {
		if len(q) > 0 {
			s.t.Fatalf("a stream was opened that should not have been: %s", method)
		}
	}
}
