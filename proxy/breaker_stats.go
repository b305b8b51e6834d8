package proxy

import (
	"math"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// breakerGauge is a gauge of a circuit breaker: whether it is open, or what remains before it is.
type breakerGauge[State any] struct {
	stat  int
	value func(State) uint64
}

// openGauges are those of each priority that are 1 while a breaker is open. They are never written.
var openGauges = [config.RoutingPriorities][]breakerGauge[upstream.Open]{
	config.PriorityDefault: {
		{stats.ClusterCircuitBreakersDefaultCxOpen, func(o upstream.Open) uint64 { return flag(o.Connections) }},
		{stats.ClusterCircuitBreakersDefaultRqPendingOpen, func(o upstream.Open) uint64 { return flag(o.Pending) }},
		{stats.ClusterCircuitBreakersDefaultRqOpen, func(o upstream.Open) uint64 { return flag(o.Requests) }},
		{stats.ClusterCircuitBreakersDefaultRqRetryOpen, func(o upstream.Open) uint64 { return flag(o.Retries) }},
	},
	config.PriorityHigh: {
		{stats.ClusterCircuitBreakersHighCxOpen, func(o upstream.Open) uint64 { return flag(o.Connections) }},
		{stats.ClusterCircuitBreakersHighRqPendingOpen, func(o upstream.Open) uint64 { return flag(o.Pending) }},
		{stats.ClusterCircuitBreakersHighRqOpen, func(o upstream.Open) uint64 { return flag(o.Requests) }},
		{stats.ClusterCircuitBreakersHighRqRetryOpen, func(o upstream.Open) uint64 { return flag(o.Retries) }},
	},
}

// remainingGauges are those of each priority with track_remaining. They are never written. Pools are not bounded.
var remainingGauges = [config.RoutingPriorities][]breakerGauge[upstream.Remaining]{
	config.PriorityDefault: {
		{stats.ClusterCircuitBreakersDefaultRemainingCx, func(r upstream.Remaining) uint64 { return r.Connections }},
		{stats.ClusterCircuitBreakersDefaultRemainingPending, func(r upstream.Remaining) uint64 { return r.Pending }},
		{stats.ClusterCircuitBreakersDefaultRemainingRq, func(r upstream.Remaining) uint64 { return r.Requests }},
		{stats.ClusterCircuitBreakersDefaultRemainingRetries, func(r upstream.Remaining) uint64 { return r.Retries }},
		{stats.ClusterCircuitBreakersDefaultRemainingCxPools, func(upstream.Remaining) uint64 { return math.MaxUint32 }},
	},
	config.PriorityHigh: {
		{stats.ClusterCircuitBreakersHighRemainingCx, func(r upstream.Remaining) uint64 { return r.Connections }},
		{stats.ClusterCircuitBreakersHighRemainingPending, func(r upstream.Remaining) uint64 { return r.Pending }},
		{stats.ClusterCircuitBreakersHighRemainingRq, func(r upstream.Remaining) uint64 { return r.Requests }},
		{stats.ClusterCircuitBreakersHighRemainingRetries, func(r upstream.Remaining) uint64 { return r.Retries }},
		{stats.ClusterCircuitBreakersHighRemainingCxPools, func(upstream.Remaining) uint64 { return math.MaxUint32 }},
	},
}

func flag(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

// collectBreakers gives the gauges of circuit breakers when somebody reads: of those that are open, as those of closed ones are zero
// from the start and need nothing, and of what remains where that is tracked.
func (s *Server) collectBreakers(emit func(stats.Sample)) {
	for _, k := range s.serving().clusters {
		for priority := range config.RoutingPriorities {
			breakers := k.shared.Of(priority)
			if open := breakers.Open(); open != (upstream.Open{}) {
				emitGauges(k, openGauges[priority], open, emit)
			}
			if remaining, tracked := breakers.Remaining(); tracked {
				emitGauges(k, remainingGauges[priority], remaining, emit)
			}
		}
	}
}

// emitGauges gives the gauges of a cluster in a state.
func emitGauges[State any](k *compiledCluster, gauges []breakerGauge[State], state State, emit func(stats.Sample)) {
	for _, gauge := range gauges {
		name := k.scopes.cluster.Prefix() + stats.Cluster.Def(gauge.stat).Name
		emit(stats.Sample{Name: name, Kind: stats.Gauge, Value: gauge.value(state), Used: true})
	}
}
