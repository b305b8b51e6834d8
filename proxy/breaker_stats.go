package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// breakerGauge is a gauge of whether a circuit breaker is open.
type breakerGauge struct {
	stat int
	open func(upstream.Open) bool
}

// breakerGauges are those of each priority. They are never written.
var breakerGauges = [config.RoutingPriorities][]breakerGauge{
	config.PriorityDefault: {
		{stats.ClusterCircuitBreakersDefaultCxOpen, func(o upstream.Open) bool { return o.Connections }},
		{stats.ClusterCircuitBreakersDefaultRqPendingOpen, func(o upstream.Open) bool { return o.Pending }},
		{stats.ClusterCircuitBreakersDefaultRqOpen, func(o upstream.Open) bool { return o.Requests }},
		{stats.ClusterCircuitBreakersDefaultRqRetryOpen, func(o upstream.Open) bool { return o.Retries }},
	},
	config.PriorityHigh: {
		{stats.ClusterCircuitBreakersHighCxOpen, func(o upstream.Open) bool { return o.Connections }},
		{stats.ClusterCircuitBreakersHighRqPendingOpen, func(o upstream.Open) bool { return o.Pending }},
		{stats.ClusterCircuitBreakersHighRqOpen, func(o upstream.Open) bool { return o.Requests }},
		{stats.ClusterCircuitBreakersHighRqRetryOpen, func(o upstream.Open) bool { return o.Retries }},
	},
}

// collectBreakers gives the gauges of open circuit breakers when somebody reads. Those of closed ones are zero from the
// start and need nothing.
func (s *Server) collectBreakers(emit func(stats.Sample)) {
	for _, k := range s.serving().clusters {
		for priority, gauges := range breakerGauges {
			open := k.shared.Of(config.RoutingPriority(priority)).Open()
			if open == (upstream.Open{}) {
				continue
			}
			for _, gauge := range gauges {
				if gauge.open(open) {
					name := k.scopes.cluster.Prefix() + stats.Cluster.Def(gauge.stat).Name
					emit(stats.Sample{Name: name, Kind: stats.Gauge, Value: 1, Used: true})
				}
			}
		}
	}
}
