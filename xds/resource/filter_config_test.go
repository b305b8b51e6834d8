package resource_test

import (
	"math"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const corsType = "'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"

func TestFilterConfigs(t *testing.T) {
	all100 := config.RuntimeFraction{Default: config.FractionAll}
	const filterConfig = "'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig"
	for text, want := range map[string]config.FilterConfigs{
		"{}": nil,
		"{c: {" + corsType + ", allow_origin_string_match: [{exact: a}, {suffix: B, ignore_case: true}], allow_methods: GET, allow_headers: x, expose_headers: x-y, max_age: '5'," +
			"allow_credentials: true, allow_private_network_access: false, forward_not_matching_preflights: false," +
			"filter_enabled: {default_value: {numerator: 5}, runtime_key: e}, shadow_enabled: {default_value: {numerator: 7}}}}": {"c": {Config: &config.CORSPolicy{
			AllowOrigin:  []config.StringMatcher{{Value: "a"}, {Kind: config.StringSuffix, Value: "b", IgnoreCase: true}},
			AllowMethods: "GET", AllowHeaders: "x", ExposeHeaders: "x-y", MaxAge: "5",
			AllowCredentials: new(true), AllowPrivateNetworkAccess: new(false), ForwardNotMatchingPreflights: new(false),
			Enabled: config.RuntimeFraction{Default: 50_000, Key: "e"}, Shadow: config.RuntimeFraction{Default: 70_000},
		}}},
		"{c: {" + filterConfig + ", config: {" + corsType + "}}}": {"c": {Config: &config.CORSPolicy{Enabled: all100}}},
		"{c: {" + filterConfig + ", config: {}}}":                 {"c": {}},
		"{c: {" + filterConfig + ", disabled: true}}":             {"c": {Disabled: true}},
		"{c: {" + filterConfig + ", is_optional: true, config: {'@type': type.googleapis.com/xds.type.v3.TypedStruct, type_url: x/no.F}}}": {},
	} {
		got, err := decodeRoute(t, all+toC+"typed_per_filter_config: "+text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		checkEqual(t, got.Filters, want, nil)
	}
	for text, want := range map[string]string{
		"{c: {" + filterConfig + ", config: {'@type': type.googleapis.com/xds.type.v3.TypedStruct, type_url: x/no.F}}}": `typed_per_filter_config["c"].config: type URL 'x/no.F' is not supported`,
		"{c: {" + corsType + ", max_age: \"a\\nb\"}}":                                                                   `typed_per_filter_config["c"].max_age: "a\nb" must not contain control characters`,
		"{c: {" + corsType + ", allow_origin_string_match: [{safe_regex: {regex: '*.a'}}]}}":                            "typed_per_filter_config[\"c\"].allow_origin_string_match[0].safe_regex.regex: error parsing regexp: missing argument to repetition operator: `*`",
	} {
		_, err := decodeRoute(t, all+toC+"typed_per_filter_config: "+text)
		checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].`+want)
	}
}

func TestFault(t *testing.T) {
	const fault = "{f: {'@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, "
	for text, want := range map[string]*config.Fault{
		"headers: [{name: x}]": {MaxActive: math.MaxUint64, Headers: []config.HeaderMatcher{{Name: "x", Present: true}}},
		"max_active_faults: 3, disable_downstream_cluster_stats: true, delay: {fixed_delay: 5.4s, percentage: {numerator: 8, denominator: MILLION}}": {
			MaxActive: 3, Delay: 5400 * time.Millisecond, DelayShare: config.RuntimeFraction{Default: 8, Key: "fault.http.delay.fixed_delay_percent"},
		},
		"abort: {http_status: 503, percentage: {numerator: 1}}, abort_percent_runtime: mine": {
			MaxActive: math.MaxUint64, Status: 503, AbortShare: config.RuntimeFraction{Default: 10_000, Key: "mine"},
		},
		"abort: {grpc_status: 14}": {
			MaxActive: math.MaxUint64, Status: 200, GRPCStatus: 14, AbortShare: config.RuntimeFraction{Key: "fault.http.abort.abort_percent"},
		},
	} {
		got, err := decodeRoute(t, all+toC+"typed_per_filter_config: "+fault+text+"}}")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		checkEqual(t, got.Filters, config.FilterConfigs{"f": {Config: want}}, nil)
	}
	for text, want := range map[string]string{
		"delay: {header_delay: {}}":      "delay.header_delay: is not supported",
		"abort: {header_abort: {}}":      "abort.header_abort: is not supported",
		"abort: {grpc_status: 17}":       "abort.grpc_status: is 17, it must be from 1 to 16",
		"upstream_cluster: c":            "upstream_cluster: is not supported",
		"max_active_faults_runtime: key": "max_active_faults_runtime: is not supported",
	} {
		_, err := decodeRoute(t, all+toC+"typed_per_filter_config: "+fault+text+"}}")
		checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].typed_per_filter_config["f"].`+want)
	}
}

// TestFilterConfigsOfCluster holds that the clusters of a split may say the same to filters as a route.
func TestFilterConfigsOfCluster(t *testing.T) {
	const split = "route: {weighted_clusters: {clusters: [{name: a, weight: 1, typed_per_filter_config: {c: "
	got, err := decodeRoute(t, all+split+"{"+corsType+"}}}]}}")
	want := config.FilterConfigs{"c": {Config: &config.CORSPolicy{Enabled: config.RuntimeFraction{Default: config.FractionAll}}}}
	if err == nil {
		checkEqual(t, got.Forward.Clusters[0].Filters, want, nil)
	} else {
		t.Error(err)
	}
	_, err = decodeRoute(t, all+split+"{'@type': type.googleapis.com/no.F}}}]}}")
	checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].route.weighted_clusters.clusters[0].typed_per_filter_config["c"]: `+
		`type URL 'type.googleapis.com/no.F' is not supported`)
}
