package moduleservice

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Where the data plane counts. What it writes under routePrefix is in hidden scopes of schema stats.Route.
const (
	httpPrefix  = "http."
	adminPrefix = "http.admin." // the admin interface is no traffic
	routePrefix = "alb.route."
)

// GetMetrics implements marchproxypb.ModuleServiceServer.
func (s *service) GetMetrics(ctx context.Context, _ *marchproxypb.MetricsRequest) (*marchproxypb.MetricsResponse, error) {
	scopes := s.routeScopes(s.options.Store.Current())
	snapshot := s.options.Stats.Snapshot(ctx)
	times, span := s.options.Window.Last()
	response := &marchproxypb.MetricsResponse{
		Timestamp:   s.options.Now().Unix(),
		Latency:     latencies(times),
		StatusCodes: statusCodes(snapshot),
		Routes:      routeMetrics(snapshot, scopes),
	}
	if span > 0 {
		response.RequestsPerSecond = int64(math.Round(float64(times.Count()) / span.Seconds()))
	}
	addTotals(snapshot, response)
	return response, nil
}

// isTraffic reports whether a name or prefix is of a connection manager of a listener.
func isTraffic(name string) bool {
	return strings.HasPrefix(name, httpPrefix) && !strings.HasPrefix(name, adminPrefix)
}

// addTotals adds up the connection managers.
func addTotals(snapshot *stats.Snapshot, response *marchproxypb.MetricsResponse) {
	for sample := range snapshot.All() {
		if !isTraffic(sample.Name) {
			continue
		}
		switch sample.Name[strings.LastIndexByte(sample.Name, '.')+1:] {
		case "downstream_cx_total":
			response.TotalConnections += int64(sample.Value)
		case "downstream_cx_active":
			response.ActiveConnections += int64(sample.Value)
		case "downstream_rq_total":
			response.TotalRequests += int64(sample.Value)
		}
	}
}

// latencies are 0 as long as there was no request.
func latencies(times stats.Distribution) *marchproxypb.LatencyMetrics {
	if times.Count() == 0 {
		return &marchproxypb.LatencyMetrics{}
	}
	return &marchproxypb.LatencyMetrics{
		P50Ms: times.Quantile(0.50),
		P90Ms: times.Quantile(0.90),
		P95Ms: times.Quantile(0.95),
		P99Ms: times.Quantile(0.99),
		AvgMs: times.Mean(),
	}
}

func statusCodes(snapshot *stats.Snapshot) map[string]int64 {
	codes := make(map[string]int64)
	for code, n := range snapshot.StatusCodes(isTraffic) {
		codes[strconv.Itoa(code)] = int64(n)
	}
	return codes
}

// routeScopes returns the scope of each running route by name. The caller releases them, by way of routeMetrics.
func (s *service) routeScopes(snapshot *config.Snapshot) map[string]*stats.Scope {
	scopes := make(map[string]*stats.Scope)
	for _, r := range routes(snapshot) {
		if scopes[r.Name] == nil {
			scopes[r.Name] = s.options.Stats.HiddenScope(routePrefix+r.Name+".", stats.Route)
		}
	}
	return scopes
}

// routeMetrics reads the scopes and releases them.
func routeMetrics(snapshot *stats.Snapshot, scopes map[string]*stats.Scope) map[string]*marchproxypb.RouteMetrics {
	all := make(map[string]*marchproxypb.RouteMetrics, len(scopes))
	for name, scope := range scopes {
		view := snapshot.Of(scope)
		all[name] = &marchproxypb.RouteMetrics{
			Requests:     int64(view.Value(stats.RouteRequests)),
			Errors:       int64(view.Value(stats.RouteErrors)),
			AvgLatencyMs: view.Distribution(stats.RouteTime).Mean(),
		}
		scope.Release()
	}
	return all
}
