package moduleservice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// Server is the gRPC server with marchproxy.ModuleService, grpc.health.v1 and reflection.
type Server struct {
	grpc  *grpc.Server
	close func() // ends what would otherwise last as long as the client wants
}

// New returns a Server that does not listen yet.
func New(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	closing := make(chan struct{})
	s := &Server{grpc: grpc.NewServer(serverOptions(&o)...), close: sync.OnceFunc(func() { close(closing) })}
	marchproxypb.RegisterModuleServiceServer(s.grpc, newService(o))
	grpc_health_v1.RegisterHealthServer(s.grpc, &health{healthy: o.Healthy, closing: closing})
	reflection.Register(s.grpc) // both v1 and v1alpha
	return s, nil
}

func serverOptions(o *Options) []grpc.ServerOption {
	recovery := &recovery{logger: o.Logger}
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalivePolicy()),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      o.MaxConnectionAge,
			MaxConnectionAgeGrace: maxConnectionAgeGrace,
			Time:                  idlePing,
			Timeout:               pingTimeout,
		}),
		grpc.UnaryInterceptor(recovery.unary),
		grpc.StreamInterceptor(recovery.stream),
	}
	if o.Credentials != nil {
		options = append(options, grpc.Creds(o.Credentials))
	}
	return options
}

// keepalivePolicy tolerates clients that ping connections on which they call nothing.
func keepalivePolicy() keepalive.EnforcementPolicy {
	return keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}
}

// Serve accepts connections from l until Shutdown, closes l, and returns why it ended: nil after Shutdown.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(netutil.LimitListener(l, maxConnections))
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Shutdown stops accepting and lets calls end. When ctx ends first, connections are cut and the error says so; a handler
// that is still at work, as Options.Reload may be, is not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.close()
	ended := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		return fmt.Errorf("moduleservice: calls were cut: %w", context.Cause(ctx))
	}
}
