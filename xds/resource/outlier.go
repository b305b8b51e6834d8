package resource

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Defaults of OutlierDetection.
const (
	defaultOutlierInterval  = 10 * time.Second
	defaultBaseEjectionTime = 30 * time.Second
	defaultMaxEjectionTime  = 300 * time.Second
)

var outlierFields = fields{
	"consecutive_5xx": decoded, "interval": decoded, "base_ejection_time": decoded, "max_ejection_percent": decoded,
	"enforcing_consecutive_5xx": decoded, "enforcing_success_rate": decoded, "success_rate_minimum_hosts": decoded,
	"success_rate_request_volume": decoded, "success_rate_stdev_factor": decoded, "consecutive_gateway_failure": decoded,
	"enforcing_consecutive_gateway_failure": decoded, "split_external_local_origin_errors": decoded,
	"consecutive_local_origin_failure": decoded, "enforcing_consecutive_local_origin_failure": decoded,
	"enforcing_local_origin_success_rate": decoded, "failure_percentage_threshold": decoded,
	"enforcing_failure_percentage": decoded, "enforcing_failure_percentage_local_origin": decoded,
	"failure_percentage_minimum_hosts": decoded, "failure_percentage_request_volume": decoded, "max_ejection_time": decoded,
	"max_ejection_time_jitter": decoded, "successful_active_health_check_uneject_host": decoded, "always_eject_one_host": decoded,
	"detect_degraded_hosts": onlyFalse,
}

// outlier decodes outlier_detection, nil when there is none.
func (a *at) outlier(o *clusterv3.OutlierDetection) *config.OutlierDetection {
	if o == nil {
		return nil
	}
	a.only(o, outlierFields)
	base := a.positive("base_ejection_time", o.GetBaseEjectionTime(), defaultBaseEjectionTime)
	out := &config.OutlierDetection{
		Interval:           a.positive("interval", o.GetInterval(), defaultOutlierInterval),
		BaseEjectionTime:   base,
		MaxEjectionTime:    a.positive("max_ejection_time", o.GetMaxEjectionTime(), max(defaultMaxEjectionTime, base)),
		MaxEjectionJitter:  a.duration("max_ejection_time_jitter", o.GetMaxEjectionTimeJitter(), 0),
		MaxEjectionPercent: orUint32(o.GetMaxEjectionPercent(), 10),
		AlwaysEjectOne:     o.GetAlwaysEjectOneHost().GetValue(),

		Consecutive5xx:     orUint32(o.GetConsecutive_5Xx(), 5),
		ConsecutiveGateway: orUint32(o.GetConsecutiveGatewayFailure(), 5),
		ConsecutiveLocal:   orUint32(o.GetConsecutiveLocalOriginFailure(), 5),

		Enforcing5xx:                    orUint32(o.GetEnforcingConsecutive_5Xx(), 100),
		EnforcingGateway:                orUint32(o.GetEnforcingConsecutiveGatewayFailure(), 0),
		EnforcingLocal:                  orUint32(o.GetEnforcingConsecutiveLocalOriginFailure(), 100),
		EnforcingSuccessRate:            orUint32(o.GetEnforcingSuccessRate(), 100),
		EnforcingLocalSuccessRate:       orUint32(o.GetEnforcingLocalOriginSuccessRate(), 100),
		EnforcingFailurePercentage:      orUint32(o.GetEnforcingFailurePercentage(), 0),
		EnforcingLocalFailurePercentage: orUint32(o.GetEnforcingFailurePercentageLocalOrigin(), 0),

		SuccessRateMinHosts:       orUint32(o.GetSuccessRateMinimumHosts(), 5),
		SuccessRateVolume:         orUint32(o.GetSuccessRateRequestVolume(), 100),
		SuccessRateStdevFactor:    orUint32(o.GetSuccessRateStdevFactor(), 1900),
		FailurePercentageMinHosts: orUint32(o.GetFailurePercentageMinimumHosts(), 5),
		FailurePercentageVolume:   orUint32(o.GetFailurePercentageRequestVolume(), 50),
		FailureThreshold:          orUint32(o.GetFailurePercentageThreshold(), 85),

		Split:          o.GetSplitExternalLocalOriginErrors(),
		UnejectChecked: orBool(o.GetSuccessfulActiveHealthCheckUnejectHost(), true),
	}
	if out.MaxEjectionTime < base {
		a.in("max_ejection_time").errorf("cannot be smaller than base_ejection_time")
	}
	return out
}
