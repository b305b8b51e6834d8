package moduleservice

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// ApplyRateLimit implements marchproxypb.ModuleServiceServer.
func (s *service) ApplyRateLimit(_ context.Context, in *marchproxypb.RateLimitRequest) (*marchproxypb.RateLimitResponse, error) {
	name := in.GetRouteName()
	limit, err := rateLimitOf(in.GetConfig())
	if err == nil {
		err = s.options.Store.Update(config.SourceModuleService, func(snapshot *config.Snapshot) (config.Delta, error) {
			return layRateLimit(snapshot, name, limit)
		})
	}
	if err != nil && !errors.Is(err, errUnchanged) {
		s.options.Logger.Info("rate limit refused", zap.String("route", quote(name)), zap.Error(err))
		return &marchproxypb.RateLimitResponse{Message: validText(err.Error())}, nil
	}
	message := fmt.Sprintf("route %s has no rate limit", quote(name))
	if limit != nil {
		message = fmt.Sprintf("route %s is limited to %d requests per second with bursts of %d",
			quote(name), limit.RequestsPerSecond, limit.BurstSize)
	}
	s.options.Logger.Info(message)
	return &marchproxypb.RateLimitResponse{Success: true, Message: message}, nil
}

// rateLimitOf returns the limit that is asked for, nil to have none.
func rateLimitOf(c *marchproxypb.RateLimitConfig) (*config.RateLimit, error) {
	switch {
	case c == nil:
		return nil, errors.New("config: is missing, want requests_per_second of at least 1 and enabled, or enabled false to have no limit")
	case c.GetRequestsPerSecond() < 0:
		return nil, fmt.Errorf("config.requests_per_second: is %d, want at least 1", c.GetRequestsPerSecond())
	case c.GetBurstSize() < 0:
		return nil, fmt.Errorf("config.burst_size: is %d, want at least 1, or 0 for requests_per_second", c.GetBurstSize())
	case !c.GetEnabled():
		return nil, nil
	case c.GetRequestsPerSecond() == 0:
		return nil, errors.New("config.requests_per_second: is 0, want at least 1, or enabled false to have no limit")
	}
	limit := &config.RateLimit{RequestsPerSecond: c.GetRequestsPerSecond(), BurstSize: c.GetBurstSize()}
	if limit.BurstSize == 0 {
		limit.BurstSize = limit.RequestsPerSecond
	}
	return limit, nil
}

// layRateLimit returns the change that gives a route the limit, or none when it is nil. A limit can be taken from a route
// that is gone.
func layRateLimit(s *config.Snapshot, name string, limit *config.RateLimit) (config.Delta, error) {
	before, limited := s.Overlay.RateLimits[name]
	if !(limited && limit == nil) && !hasRoute(s, name) {
		return config.Delta{}, unknownRoute(s, name)
	}
	switch {
	case limit == nil && !limited, limit != nil && limited && before == *limit:
		return config.Delta{}, errUnchanged
	case limit != nil && !limited && len(s.Overlay.RateLimits) >= maxOverlays:
		return config.Delta{}, fmt.Errorf("route_name: %d routes have a limit already, which is the most", maxOverlays)
	}
	overlay := s.Overlay
	overlay.RateLimits = with(overlay.RateLimits, name, limit)
	return config.Delta{Overlay: &overlay}, nil
}

// with returns a copy of m with value under that name, or nothing under it when value is nil.
func with[T any](m map[string]T, name string, value *T) map[string]T {
	next := make(map[string]T, len(m)+1)
	maps.Copy(next, m)
	delete(next, name)
	if value != nil {
		next[name] = *value
	}
	return next
}

func hasRoute(s *config.Snapshot, name string) bool {
	for _, r := range routes(s) {
		if r.Name == name {
			return true
		}
	}
	return false
}
