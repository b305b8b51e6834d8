// Package controlplane is a small xDS control plane to try the proxy with, embedded in one process.
//
// It takes a configuration of services, routes and certificates, from [Server.Apply] or as JSON on its HTTP API, turns it into xDS v3 resources (see
// [Resources]) and serves them to every node over one ADS stream, state of the world or incremental as the client prefers. A configuration that is not valid
// changes nothing: what ran before keeps being served.
//
// The HTTP API answers
//
//	POST /v1/config   replaces the configuration; 400 with {"error","field"} when it is not valid
//	GET  /v1/config   the running configuration, private keys left out
//	GET  /healthz     OK
//
// # Limitations
//
// It knows one listener, keeps nothing on disk, and authenticates nobody: it belongs on a loopback address.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	xds "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/valyala/fasthttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// Addresses of the demo, as its documentation and the proxy's defaults name them.
const (
	DefaultADSAddr         = "127.0.0.1:18000"
	DefaultHTTPAddr        = "127.0.0.1:19000"
	DefaultListenerAddress = "0.0.0.0"
	DefaultListenerPort    = 10000
)

const (
	// minPingInterval is how often an ADS client may ping: clients of this stack ping every 10 s, and half of that leaves room for jitter.
	minPingInterval = 5 * time.Second
	// shutdownTimeout bounds how long Close waits for HTTP requests in flight; none of them takes longer than a translation.
	shutdownTimeout = 2 * time.Second
	// anyLoopbackPort is listened on when Options names no address.
	anyLoopbackPort = "127.0.0.1:0"
)

// Options says where a Server listens and what listener it configures. The zero value listens on free loopback ports and configures 0.0.0.0:10000.
type Options struct {
	// ADSAddr is the host:port of the gRPC server. Empty means a free port on 127.0.0.1.
	ADSAddr string
	// HTTPAddr is the host:port of the HTTP API. Empty means a free port on 127.0.0.1.
	HTTPAddr string
	// ListenerAddress is the IP address the proxy is told to listen on. Empty means DefaultListenerAddress.
	ListenerAddress string
	// ListenerPort is the port the proxy is told to listen on. Zero means DefaultListenerPort.
	ListenerPort uint16
	// Logf reports applied configurations and refusals (NACKs) by clients. It is called from several goroutines. Nil drops them.
	Logf func(format string, args ...any)
}

func (o *Options) fill() error {
	if o.ADSAddr == "" {
		o.ADSAddr = anyLoopbackPort
	}
	if o.HTTPAddr == "" {
		o.HTTPAddr = anyLoopbackPort
	}
	if o.ListenerAddress == "" {
		o.ListenerAddress = DefaultListenerAddress
	}
	if _, err := netip.ParseAddr(o.ListenerAddress); err != nil {
		return fmt.Errorf("controlplane: listener address %q is not an IP address", o.ListenerAddress)
	}
	if o.ListenerPort == 0 {
		o.ListenerPort = DefaultListenerPort
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	return nil
}

// Server is a running control plane. Its methods may be called from any goroutine.
type Server struct {
	opts   Options
	caches *caches
	cancel context.CancelFunc // ends the ADS streams

	grpcServer *grpc.Server
	grpcLn     net.Listener
	httpServer *fasthttp.Server
	httpLn     net.Listener
	serving    sync.WaitGroup

	mu      sync.Mutex // guards what follows and orders Apply calls
	config  Config
	version uint64 // of the snapshot being served, see nextVersion
}

// New starts a control plane. It serves nothing until the first Apply: clients that connect before then wait for their first answer.
func New(opts Options) (*Server, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	s := &Server{opts: opts, caches: newCaches()}
	var err error
	if s.grpcLn, err = net.Listen("tcp", opts.ADSAddr); err != nil {
		return nil, fmt.Errorf("controlplane: listen for ADS: %w", err)
	}
	if s.httpLn, err = net.Listen("tcp", opts.HTTPAddr); err != nil {
		return nil, errors.Join(fmt.Errorf("controlplane: listen for the HTTP API: %w", err), s.grpcLn.Close())
	}
	s.startADS()
	s.startHTTP()
	return s, nil
}

func (s *Server) startADS() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.grpcServer = grpc.NewServer(
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
	)
	// Ordered: resources leave in the order in which they were set, so that a cluster reaches the client before the route that names it.
	ads := xds.NewServer(ctx, s.caches.mux(), s.callbacks(), sotw.WithOrderedADS())
	discovery.RegisterAggregatedDiscoveryServiceServer(s.grpcServer, ads)
	s.serving.Go(func() {
		if err := s.grpcServer.Serve(s.grpcLn); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.opts.Logf("control plane: ADS on %s ended: %v", s.ADSAddr(), err)
		}
	})
}

// callbacks reports refusals: a client that cannot use a resource says so only in its next request, and the reader of the terminal should see why.
func (s *Server) callbacks() xds.Callbacks {
	return xds.CallbackFuncs{
		StreamRequestFunc: func(_ int64, req *discovery.DiscoveryRequest) error {
			if detail := req.GetErrorDetail(); detail != nil {
				s.opts.Logf("control plane: node %q refuses %s: %s", req.GetNode().GetId(), req.GetTypeUrl(), detail.GetMessage())
			}
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, req *discovery.DeltaDiscoveryRequest) error {
			if detail := req.GetErrorDetail(); detail != nil {
				s.opts.Logf("control plane: node %q refuses %s: %s", req.GetNode().GetId(), req.GetTypeUrl(), detail.GetMessage())
			}
			return nil
		},
	}
}

// Apply validates config, translates it and serves the result to all clients. After an error what was served before is still served; the error is a
// *FieldError when config is not valid. Apply keeps config: the caller must not change it afterwards.
func (s *Server) Apply(config Config) error {
	_, err := s.apply(config)
	return err
}

// apply returns the version the configuration is served under.
func (s *Server) apply(config Config) (string, error) {
	if err := config.Validate(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := nextVersion(s.version, time.Now())
	version := strconv.FormatUint(next, 10)
	snapshot, err := newSnapshot(version, Resources(config, s.opts.ListenerAddress, s.opts.ListenerPort))
	if err != nil {
		return "", err
	}
	if err := s.caches.set(snapshot); err != nil {
		return "", fmt.Errorf("controlplane: serve version %s: %w", version, err)
	}
	s.version, s.config = next, config
	s.opts.Logf("control plane: serving version %s: services=%d routes=%d certificates=%d",
		version, len(config.Services), len(config.Routes), len(config.Certificates))
	return version, nil
}

// nextVersion returns a version above last that is also above those of an earlier process: a client that reconnects to a restarted control plane announces
// the version it had, and must not find it reused for something else. It is the Unix time in milliseconds unless calls come faster than that.
func nextVersion(last uint64, now time.Time) uint64 {
	return max(last+1, uint64(max(now.UnixMilli(), 0)))
}

// Config returns the running configuration, which is the zero Config before the first Apply. The caller must not change its slices.
func (s *Server) Config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

// ADSAddr returns the host:port of the gRPC server.
func (s *Server) ADSAddr() string { return s.grpcLn.Addr().String() }

// HTTPAddr returns the host:port of the HTTP API.
func (s *Server) HTTPAddr() string { return s.httpLn.Addr().String() }

// Close ends all streams and listeners and waits until nothing of the server runs. It must be called once.
func (s *Server) Close() error {
	s.cancel()
	s.grpcServer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := s.httpServer.ShutdownWithContext(ctx)
	// A server that has not yet come to accept does not know its listener and leaves it open.
	if closeErr := s.httpLn.Close(); !errors.Is(closeErr, net.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	s.serving.Wait()
	if err != nil {
		return fmt.Errorf("controlplane: close the HTTP API: %w", err)
	}
	return nil
}
