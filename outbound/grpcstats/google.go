package grpcstats

import (
	"context"

	"google.golang.org/grpc"
	grpcevents "google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// GoogleOptions returns options of a client whose streams count in scope, of stats.GoogleGRPC.
func GoogleOptions(scope *stats.Scope) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStatsHandler(googleHandler{scope: scope}), grpc.WithChainStreamInterceptor(commit)}
}

// googleHandler is told of everything that a client does which google_grpc describes.
type googleHandler struct {
	handler // of connections
	scope   *stats.Scope
}

// TagRPC implements stats.Handler.
func (googleHandler) TagRPC(ctx context.Context, _ *grpcevents.RPCTagInfo) context.Context {
	return ctx
}

// TagConn implements stats.Handler.
func (googleHandler) TagConn(ctx context.Context, _ *grpcevents.ConnTagInfo) context.Context {
	return ctx
}

// HandleRPC implements stats.Handler.
func (h googleHandler) HandleRPC(_ context.Context, event grpcevents.RPCStats) {
	switch e := event.(type) {
	case *grpcevents.Begin:
		h.scope.Inc(stats.GoogleGRPCStreamsTotal)
	case *grpcevents.End:
		h.scope.Inc(stats.GoogleGRPCClosed(uint32(status.Code(e.Error))))
	}
}
