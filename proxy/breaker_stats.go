package proxy

import "github.com/penguintechinc/marchproxy-alb/stats"

// collectBreakers gives the gauges of open circuit breakers when somebody reads. Those of closed ones are zero from the
// start and need nothing.
func (s *Server) collectBreakers(emit func(stats.Sample)) {
	for _, k := range s.serving().clusters {
		open := k.shared.Open()
		for _, gauge := range []struct {
			open bool
			stat int
		}{
			{open.Connections, stats.ClusterCircuitBreakersDefaultCxOpen},
			{open.Pending, stats.ClusterCircuitBreakersDefaultRqPendingOpen},
			{open.Requests, stats.ClusterCircuitBreakersDefaultRqOpen},
			{open.Retries, stats.ClusterCircuitBreakersDefaultRqRetryOpen},
		} {
			if gauge.open {
				emit(stats.Sample{Name: k.scopes.cluster.Prefix() + stats.Cluster.Def(gauge.stat).Name, Kind: stats.Gauge, Value: 1, Used: true})
			}
		}
	}
}
