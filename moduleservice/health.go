package moduleservice

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// health is grpc.health.v1 for the server as a whole, "", and for the service. Both are what Options.Healthy says now.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	healthy func() (ok bool, reason string)
	closing <-chan struct{}
}

// healthServices are the names that health knows.
var healthServices = [...]string{"", marchproxypb.ModuleService_ServiceDesc.ServiceName}

// status returns the health of a service.
func (h *health) status(service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	if service != healthServices[0] && service != healthServices[1] {
		return grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
	}
	select {
	case <-h.closing:
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	default:
	}
	if ok, _ := h.healthy(); !ok {
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_SERVING
}

func (h *health) Check(_ context.Context, in *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	now := h.status(in.GetService())
	if now == grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, "service: %s is unknown, want %q or %q", quote(in.GetService()), healthServices[0], healthServices[1])
	}
	return &grpc_health_v1.HealthCheckResponse{Status: now}, nil
}

func (h *health) List(context.Context, *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	all := make(map[string]*grpc_health_v1.HealthCheckResponse, len(healthServices))
	for _, service := range healthServices {
		all[service] = &grpc_health_v1.HealthCheckResponse{Status: h.status(service)}
	}
	return &grpc_health_v1.HealthListResponse{Statuses: all}, nil
}

// Watch sends the health now and whenever it has changed, until the client or the server ends.
func (h *health) Watch(in *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	ticker := time.NewTicker(healthPoll)
	defer ticker.Stop()
	sent := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		if now := h.status(in.GetService()); now != sent {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			sent = now
		}
		select {
		case <-ticker.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-h.closing:
			return status.Error(codes.Unavailable, "the server is shutting down")
		}
	}
}
