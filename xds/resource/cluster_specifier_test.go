package resource_test

import (
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	specifierTypes = "'@type': type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3."
	leadsTo        = "{action: {name: x, typed_config: {" + specifierTypes + "ClusterAction, cluster: %}}}"
	byField        = "{matcher_tree: {input: {name: x, typed_config: {'@type': type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-c}}, " +
		"exact_match_map: {map: {a: " + leadsTo + "}}}, on_no_match: " + leadsTo + "}"
)

// specifier returns a plugin of a name with a matcher that leads to two clusters.
func specifier(name, first, second string) string {
	matcher := strings.Replace(strings.Replace(byField, "%", first, 1), "%", second, 1)
	return "{extension: {name: " + name + ", typed_config: {" + specifierTypes + "MatcherClusterSpecifier, cluster_matcher: " + matcher + "}}}"
}

func TestClusterSpecifier(t *testing.T) {
	host := func(routes string) string {
		return "name: rc\nvirtual_hosts: [{name: v, domains: ['*'], routes: [" + routes + "]}]\n"
	}
	tests := map[string]string{
		"inline": host("{match: {prefix: /}, route: {inline_cluster_specifier_plugin: " + specifier("p", "ca", "cb") + "}}"),
		"named":  host("{match: {prefix: /}, route: {cluster_specifier_plugin: q}}") + "cluster_specifier_plugins: [" + specifier("p", "cc", "cd") + ", " + specifier("q", "ca", "cb") + "]",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			rc, err := resource.RouteConfiguration(parse(t, text, &routev3.RouteConfiguration{}))
			if err != nil {
				t.Fatal(err)
			}
			f := rc.VirtualHosts[0].Routes[0].Forward
			checkEqual(t, f.Clusters, []config.WeightedCluster{{Name: "ca", Weight: 1}, {Name: "cb", Weight: 1}}, nil)
			checkEqual(t, f.ClusterMatcher, &config.RouteMatcher{
				Tree:      &config.RouteTree{Header: "x-c", Outcomes: map[string]config.RouteOutcome{"a": {End: 1}}},
				Otherwise: &config.RouteOutcome{First: 1, End: 2},
			}, nil)
		})
	}
}

func TestClusterSpecifierRefused(t *testing.T) {
	const inline = "route.inline_cluster_specifier_plugin.extension"
	tests := map[string]string{
		"cluster_specifier_plugin: q": `route.cluster_specifier_plugin: "q" is not among the cluster_specifier_plugins of the route configuration`,
		"inline_cluster_specifier_plugin: {extension: {name: p, typed_config: {'@type': type.googleapis.com/envoy.config.core.v3.Locality}}}": inline +
			": 'p' with type URL 'type.googleapis.com/envoy.config.core.v3.Locality' is not supported, only type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
		"inline_cluster_specifier_plugin: {is_optional: true, extension: {name: p, typed_config: {" + specifierTypes + "MatcherClusterSpecifier, cluster_matcher: {on_no_match: " +
			strings.Replace(leadsTo, "%", "c", 1) + "}}}}": "route.inline_cluster_specifier_plugin.is_optional: true is not supported, only false",
		"inline_cluster_specifier_plugin: " + specifier("p", "ca", "''"): inline + ".typed_config.cluster_matcher.on_no_match.action.typed_config.cluster: value length must be at least 1 runes",
		"inline_cluster_specifier_plugin: {extension: {name: p, typed_config: {" + specifierTypes + "MatcherClusterSpecifier, cluster_matcher: {on_no_match: {action: {name: a, typed_config: {'@type': type.googleapis.com/envoy.config.core.v3.Locality}}}}}}}": inline +
			".typed_config.cluster_matcher.on_no_match.action: 'a' with type URL 'type.googleapis.com/envoy.config.core.v3.Locality' is not supported, only type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := decodeRoute(t, "match: {prefix: /}\nroute: {"+text+"}")
			checkError(t, err, `route configuration "rc": virtual_hosts[0].routes[0].`+want)
		})
	}
}
