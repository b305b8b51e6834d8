package config

import "time"

// OutlierDetection is envoy.config.cluster.v3.OutlierDetection: which hosts are taken out because of what their answers are like,
// and for how long. Enforcing percentages say how often that is done, of the times that it is called for.
type OutlierDetection struct {
	Interval         time.Duration // between two sweeps
	BaseEjectionTime time.Duration // times how often the host was ejected in a row is how long it stays out
	MaxEjectionTime  time.Duration
	// MaxEjectionJitter is up to how much longer, by chance, a host stays out.
	MaxEjectionJitter time.Duration
	// MaxEjectionPercent bounds the hosts that are out: while it is less than that percentage, one more may go.
	MaxEjectionPercent uint32
	// AlwaysEjectOne lets one host go whatever MaxEjectionPercent says.
	AlwaysEjectOne bool

	// Numbers of failures in a row that eject a host; 0 never does.
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocal                 uint32
	Enforcing5xx, EnforcingGateway, EnforcingLocal                       uint32
	EnforcingSuccessRate, EnforcingLocalSuccessRate                      uint32
	EnforcingFailurePercentage, EnforcingLocalFailurePercentage          uint32
	SuccessRateMinHosts, SuccessRateVolume                               uint32
	SuccessRateStdevFactor                                               uint32 // thousandths
	FailurePercentageMinHosts, FailurePercentageVolume, FailureThreshold uint32
	// Split counts failures to connect and the like apart from answers; otherwise they count as answers of 5xx.
	Split bool
	// UnejectChecked takes a host back as soon as it passes its health checks.
	UnejectChecked bool
}
