package resource_test

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const clientSide = "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"

func TestClientSide(t *testing.T) {
	defaults := config.LoadReports{Blackout: 10 * time.Second, Expiration: 3 * time.Minute, Update: time.Second, ErrorPenalty: 1}
	tests := map[string]func(*config.Cluster, *config.LoadReports){
		"": func(*config.Cluster, *config.LoadReports) {},
		", enable_oob_load_report: false, oob_reporting_period: 1s": func(*config.Cluster, *config.LoadReports) {},
		", blackout_period: 0s, weight_expiration_period: 60s, weight_update_period: 0.001s, error_utilization_penalty: 0": func(_ *config.Cluster, r *config.LoadReports) {
			*r = config.LoadReports{Expiration: time.Minute, Update: 100 * time.Millisecond}
		},
		", error_utilization_penalty: 1.5, metric_names_for_computing_utilization: [cpu_utilization, named_metrics.a], slow_start_config: {slow_start_window: 45s}": func(c *config.Cluster, r *config.LoadReports) {
			r.ErrorPenalty, r.Metrics = 1.5, []string{"cpu_utilization", "named_metrics.a"}
			c.SlowStart = config.SlowStart{Window: 45 * time.Second, Aggression: 1, MinWeight: .1}
		},
	}
	for text, change := range tests {
		for _, inLocality := range []bool{false, true} {
			t.Run(text, func(t *testing.T) {
				want, reports := defaultCluster(), defaults
				want.LB, want.LoadReports, want.LocalityWeighted = config.RoundRobin, &reports, inLocality
				change(want, &reports)
				policy := lbPolicy(clientSide, text)
				if inLocality {
					policy = lbPolicy("wrr_locality.v3.WrrLocality", ", endpoint_picking_policy: "+strings.TrimPrefix(policy, "load_balancing_policy: "))
				}
				got, err := resource.Cluster(parse(t, "name: c\n"+policy, &clusterv3.Cluster{}))
				checkEqual(t, got, want, err)
			})
		}
	}
}

func TestClientSideRefused(t *testing.T) {
	for text, want := range map[string]string{
		", enable_oob_load_report: true":                                                "enable_oob_load_report: true is not supported, only false",
		", error_utilization_penalty: -0.5":                                             "error_utilization_penalty: value must be greater than or equal to 0",
		", error_utilization_penalty: NaN":                                              "error_utilization_penalty: NaN must be a number that is not negative",
		", blackout_period: -1s":                                                        "blackout_period: must be from 0s to 87600h0m0s",
		", error_utilization_penalty: Infinity":                                         "error_utilization_penalty: +Inf must be a number that is not negative",
		", metric_names_for_computing_utilization: [" + strings.Repeat("a, ", 65) + "]": "metric_names_for_computing_utilization: has 65 entries, at most 64 are allowed",
	} {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+lbPolicy(clientSide, text), &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": `+entryPath+want)
		})
	}
}
