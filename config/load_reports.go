package config

import "time"

// Defaults of envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.
const (
	DefaultLoadBlackout     = 10 * time.Second
	DefaultLoadExpiration   = 3 * time.Minute
	DefaultLoadUpdate       = time.Second
	DefaultLoadErrorPenalty = 1
)

// LoadReports is envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin: how
// weights are made of the load that hosts report with their answers.
type LoadReports struct {
	// Blackout is how long a host must have reported before it goes by that.
	Blackout time.Duration
	// Expiration is how long after its last report a host goes by it.
	Expiration time.Duration
	// Update is how often weights are made anew, more than 0.
	Update time.Duration
	// ErrorPenalty is what an error per request adds to the utilization, not negative.
	ErrorPenalty float64
	// Metrics are the names of those whose largest is the utilization, like "cpu_utilization" and "named_metrics.queue". Where
	// none of them says anything it is the utilization of the application, then that of the CPU.
	Metrics []string
}
