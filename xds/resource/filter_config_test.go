package resource_test

import (
	"testing"

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
