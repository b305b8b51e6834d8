package resource_test

import (
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

func TestMirrorPolicies(t *testing.T) {
	everything := config.RuntimeFraction{Default: config.FractionAll}
	for text, want := range map[string]config.MirrorPolicy{
		"{cluster: m}":                       {Cluster: "m", Fraction: everything},
		"{cluster: m, trace_sampled: false}": {Cluster: "m", Fraction: everything},
		"{cluster_header: X-M}":              {ClusterHeader: "x-m", Fraction: everything},
		"{cluster_header: host}":             {ClusterHeader: ":authority", Fraction: everything},
		"{cluster: m, runtime_fraction: {default_value: {numerator: 5}, runtime_key: k}}":         {Cluster: "m", Fraction: config.RuntimeFraction{Default: 50_000, Key: "k"}},
		"{cluster: m, disable_shadow_host_suffix_append: true, host_rewrite_literal: 'a.test:8'}": {Cluster: "m", Fraction: everything, KeepHost: true, HostRewrite: "a.test:8"},
		"{cluster: m, request_headers_mutations: [{remove: X-A}, {append: {header: {key: X-B, value: '%PROTOCOL%'}, append_action: ADD_IF_ABSENT}}]}": {
			Cluster: "m", Fraction: everything, Mutations: []config.HeaderMutations{
				{RequestRemove: []string{"x-a"}}, {RequestAdd: []config.HeaderValue{{Name: "x-b", Value: "%PROTOCOL%", Action: config.AddIfAbsent}}},
			},
		},
	} {
		got, err := decodeRoute(t, all+"route: {cluster: c, request_mirror_policies: ["+text+"]}")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		checkEqual(t, got.Forward.Mirrors, []config.MirrorPolicy{want}, nil)
	}
}

// TestMirrorLevels holds that virtual hosts and route configurations have mirror policies too.
func TestMirrorLevels(t *testing.T) {
	const text = "{name: rc, request_mirror_policies: [{cluster: a}], virtual_hosts: [{name: h, domains: ['*'], request_mirror_policies: [{cluster: b}]}]}"
	rc, err := resource.RouteConfiguration(parse(t, text, &routev3.RouteConfiguration{}))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := rc.Mirrors, rc.VirtualHosts[0].Mirrors; len(a) != 1 || a[0].Cluster != "a" || len(b) != 1 || b[0].Cluster != "b" {
		t.Errorf("got %v and %v", a, b)
	}
}

func TestMirrorPoliciesRefused(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                              "[0]: must have a cluster or a cluster_header",
		"{cluster: m, cluster_header: x}": "[0].cluster: cannot be set together with cluster_header",
		"{cluster_header: ':status'}":     `[0].cluster_header: ":status" is not known, only :authority, :method, :path and :scheme`,
		"{cluster: m, host_rewrite_literal: 'a b'}":                                               `[0].host_rewrite_literal: "a b" must not contain spaces or control characters`,
		"{cluster: m, request_headers_mutations: [{remove: host}]}":                               `[0].request_headers_mutations[0].remove: "host": :-prefixed or host headers may not be modified`,
		"{cluster: m, request_headers_mutations: [{remove_on_match: {key_matcher: {exact: x}}}]}": `[0].request_headers_mutations[0].remove_on_match: is not supported`,
		strings.Repeat("{cluster: m}, ", 17):                                                      ": has 17 entries, at most 16 are allowed",
	} {
		_, err := decodeRoute(t, all+"route: {cluster: c, request_mirror_policies: ["+text+"]}")
		checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].route.request_mirror_policies`+want)
	}
}
