package moduleservice

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// moduleType is what MarchProxy calls this kind of module.
const moduleType = "ALB"

// service implements marchproxy.ModuleService.
type service struct {
	marchproxypb.UnimplementedModuleServiceServer
	options Options

	reloading  chan struct{} // holds a token while nobody reloads, which guards reloadedAt
	reloadedAt int64         // of the last reload that took effect, in seconds since 1970; 0 before
}

func newService(o Options) *service {
	s := &service{options: o, reloading: make(chan struct{}, 1)}
	s.reloading <- struct{}{}
	return s
}

// GetStatus implements marchproxypb.ModuleServiceServer.
func (s *service) GetStatus(context.Context, *marchproxypb.StatusRequest) (*marchproxypb.StatusResponse, error) {
	metadata := map[string]string{
		"xds_server":  s.options.XDSServer,
		"admin_port":  strconv.Itoa(s.options.AdminPort),
		"listen_port": strconv.Itoa(s.options.ListenPort),
	}
	health := marchproxypb.HealthStatus_HEALTHY
	if ok, reason := s.options.Healthy(); !ok {
		health = marchproxypb.HealthStatus_UNHEALTHY
		metadata["health_reason"] = validText(reason)
	}
	return &marchproxypb.StatusResponse{
		ModuleId:      s.options.ModuleID,
		ModuleType:    moduleType,
		Version:       s.options.Version,
		Health:        health,
		UptimeSeconds: int64(max(0, s.options.Now().Sub(s.options.StartTime)) / time.Second),
		EnvoyVersion:  fmt.Sprintf("proxy-alb (Envoy API %s)", s.options.EnvoyAPIVersion),
		Metadata:      metadata,
	}, nil
}

// Reload implements marchproxypb.ModuleServiceServer.
func (s *service) Reload(ctx context.Context, in *marchproxypb.ReloadRequest) (*marchproxypb.ReloadResponse, error) {
	select {
	case <-s.reloading:
		defer func() { s.reloading <- struct{}{} }()
	case <-ctx.Done():
		return &marchproxypb.ReloadResponse{Message: "another reload is under way"}, nil
	}
	if err := s.options.Reload(ctx, in.GetForce()); err != nil {
		s.options.Logger.Warn("reload changed nothing", zap.Bool("force", in.GetForce()), zap.Error(err))
		return &marchproxypb.ReloadResponse{Message: validText(err.Error()), ReloadTimestamp: s.reloadedAt}, nil
	}
	s.reloadedAt = s.options.Now().Unix()
	message := "configuration reloaded"
	if in.GetForce() {
		message += ", xDS stream restarted"
	}
	s.options.Logger.Info(message)
	return &marchproxypb.ReloadResponse{Success: true, Message: message, ReloadTimestamp: s.reloadedAt}, nil
}
