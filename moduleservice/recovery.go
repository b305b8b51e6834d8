package moduleservice

import (
	"context"
	"fmt"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// recovery makes a panic in a handler the failure of its call.
type recovery struct{ logger *zap.Logger }

func (r *recovery) unary(ctx context.Context, in any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (_ any, err error) {
	defer r.recover(info.FullMethod, &err)
	return handle(ctx, in)
}

func (r *recovery) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer r.recover(info.FullMethod, &err)
	return handle(server, stream)
}

// recover is deferred by the interceptors.
func (r *recovery) recover(method string, err *error) {
	if cause := recover(); cause != nil {
		r.logger.Error("panic in a call", zap.String("method", method), zap.String("cause", fmt.Sprint(cause)), zap.Stack("stack"))
		*err = status.Errorf(codes.Internal, "%s failed: its log has the cause", method)
	}
}
