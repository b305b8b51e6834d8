package resource_test

import (
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

func TestOutlier(t *testing.T) {
	defaults := config.OutlierDetection{
		Interval: 10 * time.Second, BaseEjectionTime: 30 * time.Second, MaxEjectionTime: 300 * time.Second, MaxEjectionPercent: 10,
		Consecutive5xx: 5, ConsecutiveGateway: 5, ConsecutiveLocal: 5, Enforcing5xx: 100, EnforcingLocal: 100,
		EnforcingSuccessRate: 100, EnforcingLocalSuccessRate: 100, SuccessRateMinHosts: 5, SuccessRateVolume: 100,
		SuccessRateStdevFactor: 1900, FailurePercentageMinHosts: 5, FailurePercentageVolume: 50, FailureThreshold: 85,
		UnejectChecked: true,
	}
	longBase := defaults
	longBase.BaseEjectionTime, longBase.MaxEjectionTime = 400*time.Second, 400*time.Second
	tests := map[string]config.OutlierDetection{
		"{}":                         defaults,
		"{base_ejection_time: 400s}": longBase,
		`{consecutive_5xx: 1, interval: 2s, base_ejection_time: 3s, max_ejection_percent: 4, enforcing_consecutive_5xx: 5,
  enforcing_success_rate: 6, success_rate_minimum_hosts: 7, success_rate_request_volume: 8, success_rate_stdev_factor: 9,
  consecutive_gateway_failure: 10, enforcing_consecutive_gateway_failure: 11, split_external_local_origin_errors: true,
  consecutive_local_origin_failure: 13, enforcing_consecutive_local_origin_failure: 14, enforcing_local_origin_success_rate: 15,
  failure_percentage_threshold: 16, enforcing_failure_percentage: 17, enforcing_failure_percentage_local_origin: 18,
  failure_percentage_minimum_hosts: 19, failure_percentage_request_volume: 20, max_ejection_time: 21s,
  max_ejection_time_jitter: 22s, successful_active_health_check_uneject_host: false, always_eject_one_host: true}`: {
			Consecutive5xx: 1, Interval: 2 * time.Second, BaseEjectionTime: 3 * time.Second, MaxEjectionPercent: 4, Enforcing5xx: 5,
			EnforcingSuccessRate: 6, SuccessRateMinHosts: 7, SuccessRateVolume: 8, SuccessRateStdevFactor: 9,
			ConsecutiveGateway: 10, EnforcingGateway: 11, Split: true, ConsecutiveLocal: 13, EnforcingLocal: 14,
			EnforcingLocalSuccessRate: 15, FailureThreshold: 16, EnforcingFailurePercentage: 17, EnforcingLocalFailurePercentage: 18,
			FailurePercentageMinHosts: 19, FailurePercentageVolume: 20, MaxEjectionTime: 21 * time.Second,
			MaxEjectionJitter: 22 * time.Second, AlwaysEjectOne: true,
		},
	}
	for text, detection := range tests {
		t.Run(text, func(t *testing.T) {
			want := defaultCluster()
			want.Outlier = &detection
			got, err := resource.Cluster(parse(t, "name: c\noutlier_detection: "+text, &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestOutlierRefused(t *testing.T) {
	for text, want := range map[string]string{
		"{max_ejection_time: 10s}":      "max_ejection_time: cannot be smaller than base_ejection_time",
		"{interval: 0s}":                "interval: value must be greater than 0s",
		"{max_ejection_percent: 101}":   "max_ejection_percent: value must be less than or equal to 100",
		"{detect_degraded_hosts: true}": "detect_degraded_hosts: true is not supported, only false",
		"{monitors: [{name: m, typed_config: {'@type': t/no.Monitor}}]}": "monitors[0]: 'm' with type URL 't/no.Monitor' is not supported",
	} {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\noutlier_detection: "+text, &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": outlier_detection.`+want)
		})
	}
}
