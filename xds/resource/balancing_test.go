package resource_test

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	roundRobin   = "round_robin.v3.RoundRobin"
	overrideHost = "override_host.v3.OverrideHost"
	entryPath    = "load_balancing_policy.policies[0].typed_extension_config.typed_config."
)

func TestSlowStart(t *testing.T) {
	const slow = "slow_start_config: {slow_start_window: 10s}"
	ramp := config.SlowStart{Window: 10 * time.Second, Aggression: 1, MinWeight: .1}
	tests := map[string]struct {
		lb   config.LBPolicy
		slow config.SlowStart
	}{
		lbPolicy(roundRobin, ", "+slow): {config.RoundRobin, ramp},
		lbPolicy("least_request.v3.LeastRequest", ", slow_start_config: {slow_start_window: 2s, aggression: {default_value: 0.5, runtime_key: k}, min_weight_percent: {value: 25}}"): {
			config.LeastRequest, config.SlowStart{Window: 2 * time.Second, Aggression: .5, MinWeight: .25}},
		lbPolicy(roundRobin, ", slow_start_config: {}"):                     {config.RoundRobin, config.SlowStart{}},
		"round_robin_lb_config: {" + slow + "}":                             {config.RoundRobin, ramp},
		"lb_policy: LEAST_REQUEST\nleast_request_lb_config: {" + slow + "}": {config.LeastRequest, ramp},
		"lb_policy: RANDOM\nround_robin_lb_config: {" + slow + "}":          {config.Random, config.SlowStart{}},
		"lb_policy: RANDOM\nleast_request_lb_config: {" + slow + "}":        {config.Random, config.SlowStart{}},
	}
	for text, test := range tests {
		t.Run(text, func(t *testing.T) {
			want := defaultCluster()
			want.LB, want.SlowStart = test.lb, test.slow
			got, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestOverrideHost(t *testing.T) {
	fallback := func(message string) string {
		return ", override_host_sources: [{header: X-Host}, {header: x-other}], fallback_policy: " +
			strings.TrimPrefix(lbPolicy(message, ""), "load_balancing_policy: ")
	}
	tests := map[string]func(*config.Cluster){
		fallback("random.v3.Random"): func(c *config.Cluster) { c.LB = config.Random },
		fallback(maglev): func(c *config.Cluster) {
			c.LB, c.Hashing.TableSize = config.Maglev, 65537
		},
	}
	for text, change := range tests {
		t.Run(text, func(t *testing.T) {
			want := defaultCluster()
			want.OverrideHeaders = []string{"x-host", "x-other"}
			change(want)
			got, err := resource.Cluster(parse(t, "name: c\n"+lbPolicy(overrideHost, text), &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestBalancingRefused(t *testing.T) {
	slow := func(text string) string { return lbPolicy(roundRobin, ", slow_start_config: {"+text+"}") }
	override := func(sources string) string {
		return lbPolicy(overrideHost, ", override_host_sources: ["+sources+"], fallback_policy: "+
			strings.TrimPrefix(lbPolicy(roundRobin, ""), "load_balancing_policy: "))
	}
	tests := map[string]string{
		slow("slow_start_window: 1s, aggression: {default_value: 0, runtime_key: k}"): entryPath + "slow_start_config.aggression.default_value: 0 must be a number above 0",
		slow("slow_start_window: -1s"):                                   entryPath + "slow_start_config.slow_start_window: must be from 0s to 87600h0m0s",
		slow("min_weight_percent: {value: 101}"):                         entryPath + "slow_start_config.min_weight_percent.value: value must be inside range [0, 100]",
		override("{}"):                                                   entryPath + "override_host_sources[0].header: must be set",
		override("{metadata: {key: k, path: [{key: p}]}}"):               entryPath + "override_host_sources[0].metadata: is not supported",
		override("{header: 'a b'}"):                                      entryPath + `override_host_sources[0].header: "a b" is not a field name`,
		override(strings.Repeat("{header: a}, ", 17)):                    entryPath + "override_host_sources: has 17 entries, at most 16 are allowed",
		lbPolicy(overrideHost, ", override_host_sources: [{header: a}]"): entryPath + "fallback_policy: value is required",
		lbPolicy(overrideHost, ", override_host_sources: [{header: a}], fallback_policy: {policies: [{typed_extension_config: {name: f, typed_config: {'@type': type.googleapis.com/no.Such}}}]}"): entryPath +
			"fallback_policy.policies: cluster: didn't find a registered load balancer factory implementation for cluster: 'c' with names from [f]; their type URLs are 'type.googleapis.com/no.Such', supported are round_robin, least_request, random, client_side_weighted_round_robin, wrr_locality over one of them, ring_hash, maglev, override_host and subset",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": `+want)
		})
	}
}
