package resource_test

import (
	"fmt"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// headerInput returns what has a matcher look at a field.
func headerInput(name string) string {
	return fmt.Sprintf("{name: i, typed_config: {'@type': type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: '%s'}}", name)
}

// toRoute returns an outcome that is a route which answers with a status.
func toRoute(name string, status int) string {
	return fmt.Sprintf("{action: {name: a, typed_config: {'@type': type.googleapis.com/envoy.config.route.v3.Route, name: '%s', match: {prefix: /}, direct_response: {status: %d}}}}", name, status)
}

// isValue returns a predicate on a field.
func isValue(name, match string) string {
	return "{single_predicate: {input: " + headerInput(name) + ", value_match: " + match + "}}"
}

func decodeMatcher(t *testing.T, text string) (*config.VirtualHost, error) {
	t.Helper()
	rc, err := resource.RouteConfiguration(parse(t, "name: rc\nvirtual_hosts: [{name: v, domains: [a], matcher: "+text+"}]", &routev3.RouteConfiguration{}))
	if err != nil {
		return nil, err
	}
	return rc.VirtualHosts[0], nil
}

func TestRouteMatcher(t *testing.T) {
	field := func(name string, s config.StringMatcher) config.RoutePredicate {
		return config.RoutePredicate{Header: &config.HeaderMatcher{Name: name, Kind: config.HeaderString, String: s}}
	}
	one := func(i int) config.RouteOutcome { return config.RouteOutcome{First: i, End: i + 1} }
	tests := map[string]struct {
		text   string
		want   config.RouteMatcher
		routes []string
	}{
		"nothing": {"{}", config.RouteMatcher{}, nil},
		"list": {"{matcher_list: {matchers: [{predicate: " + isValue("X-A", "{exact: V, ignore_case: true}") + ", on_match: " + toRoute("r", 200) + "}]}, on_no_match: " + toRoute("", 404) + "}",
			config.RouteMatcher{
				Branches:  []config.RouteBranch{{When: field("x-a", config.StringMatcher{Value: "v", IgnoreCase: true}), Then: one(0)}},
				Otherwise: new(one(1)),
			}, []string{"r", "v/prefix:/"}},
		"predicates": {"{matcher_list: {matchers: [{predicate: {or_matcher: {predicate: [" + isValue("host", "{prefix: p}") + ", {not_matcher: " + isValue(":path", "{suffix: s}") + "}]}}, on_match: " + toRoute("r", 200) + "}, " +
			"{predicate: {and_matcher: {predicate: [" + isValue("x", "{contains: c}") + ", " + isValue("x", "{safe_regex: {google_re2: {}, regex: a+}}") + "]}}, on_match: " + toRoute("s", 200) + "}]}}",
			config.RouteMatcher{Branches: []config.RouteBranch{
				{When: config.RoutePredicate{Any: []config.RoutePredicate{
					field(":authority", config.StringMatcher{Kind: config.StringPrefix, Value: "p"}), {Not: new(field(":path", config.StringMatcher{Kind: config.StringSuffix, Value: "s"}))},
				}}, Then: one(0)},
				{When: config.RoutePredicate{All: []config.RoutePredicate{
					field("x", config.StringMatcher{Kind: config.StringContains, Value: "c"}), field("x", config.StringMatcher{Kind: config.StringRegex, Regex: anchored("a+")}),
				}}, Then: one(1)},
			}}, []string{"r", "s"}},
		"trees": {"{matcher_tree: {input: " + headerInput("X") + ", exact_match_map: {map: {b: " + toRoute("b", 200) + ", a: {matcher: {matcher_tree: {input: " + headerInput("y") + ", prefix_match_map: {map: {p: " + toRoute("p", 200) + "}}}}}}}}}",
			config.RouteMatcher{Tree: &config.RouteTree{Header: "x", Outcomes: map[string]config.RouteOutcome{
				"a": {Matcher: &config.RouteMatcher{Tree: &config.RouteTree{Header: "y", Prefixes: true, Outcomes: map[string]config.RouteOutcome{"p": one(0)}}}},
				"b": one(1),
			}}}, []string{"p", "b"}},
		"several routes": {"{on_no_match: {action: {name: a, typed_config: {'@type': type.googleapis.com/envoy.config.route.v3.RouteList, routes: [" +
			"{name: x, match: {path: /x}, route: {cluster: c}}, {name: y, match: {prefix: /}, route: {cluster: d}}]}}}}",
			config.RouteMatcher{Otherwise: &config.RouteOutcome{First: 0, End: 2}}, []string{"x", "y"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := decodeMatcher(t, test.text)
			if err != nil {
				t.Fatal(err)
			}
			checkEqual(t, got.Matcher, &test.want, nil)
			var routes []string
			for _, r := range got.Routes {
				routes = append(routes, r.Name)
			}
			checkEqual(t, routes, test.routes, nil)
		})
	}
}

func TestRouteMatcherRefused(t *testing.T) {
	const input = "is not supported, only type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
	const other = "{name: o, typed_config: {'@type': type.googleapis.com/no.Other}}"
	ok := toRoute("r", 200)
	list := func(predicate, outcome string) string {
		return "{matcher_list: {matchers: [{predicate: " + predicate + ", on_match: " + outcome + "}]}}"
	}
	deep := strings.Repeat("{matcher: {on_no_match: ", 16) + ok + strings.Repeat("}}", 16)
	tests := map[string]struct{ text, want string }{
		"input": {list("{single_predicate: {input: "+other+", value_match: {exact: a}}}", ok),
			"matcher_list.matchers[0].predicate.single_predicate.input: 'o' with type URL 'type.googleapis.com/no.Other' " + input},
		"input of a tree": {"{matcher_tree: {input: " + other + ", exact_match_map: {map: {a: " + ok + "}}}}",
			"matcher_tree.input: 'o' with type URL 'type.googleapis.com/no.Other' " + input},
		"field": {list(isValue(":status", "{exact: a}"), ok),
			`matcher_list.matchers[0].predicate.single_predicate.input.typed_config.header_name: ":status" is not known, only :authority, :method, :path and :scheme`},
		"custom match": {list("{single_predicate: {input: "+headerInput("x")+", custom_match: "+other+"}}", ok),
			"matcher_list.matchers[0].predicate.single_predicate.custom_match: 'o' with type URL 'type.googleapis.com/no.Other' is not supported"},
		"custom tree": {"{matcher_tree: {input: " + headerInput("x") + ", custom_match: " + other + "}}",
			"matcher_tree.custom_match: 'o' with type URL 'type.googleapis.com/no.Other' is not supported"},
		"regex": {list(isValue("x", "{safe_regex: {google_re2: {}, regex: '*'}}"), ok),
			"matcher_list.matchers[0].predicate.single_predicate.value_match.safe_regex.regex: error parsing regexp: missing argument to repetition operator: `*`"},
		"action": {"{on_no_match: {action: " + other + "}}",
			"on_no_match.action: 'o' with type URL 'type.googleapis.com/no.Other' is not supported, only type.googleapis.com/envoy.config.route.v3.Route, type.googleapis.com/envoy.config.route.v3.RouteList"},
		"keep matching": {"{on_no_match: {keep_matching: true, " + ok[1:] + "}", "on_no_match.keep_matching: true is not supported, only false"},
		"route":         {"{on_no_match: {action: {name: a, typed_config: {'@type': type.googleapis.com/envoy.config.route.v3.Route, match: {prefix: /}}}}}", "on_no_match.action.typed_config.action: value is required"},
		"part of a route": {"{on_no_match: {action: {name: a, typed_config: {'@type': type.googleapis.com/envoy.config.route.v3.Route, match: {prefix: /}, route: {cluster: c, path_rewrite: a}}}}}",
			"on_no_match.action.typed_config.route.path_rewrite: is not supported"},
		"too deep": {"{on_no_match: " + deep + "}", strings.Repeat("on_no_match.matcher.", 16) + "on_no_match: is 17 deep in the matcher, at most 16 are allowed"},
		"too many": {"{matcher_tree: {input: " + headerInput("x") + ", exact_match_map: {map: {" + manyOutcomes(4097, ok) + "}}}}",
			`matcher_tree.exact_match_map.map["4096"]: is one of more than 4096 conditions and outcomes in the matcher, which is the most that are allowed`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decodeMatcher(t, test.text)
			checkError(t, err, `route configuration "rc": virtual_hosts[0].matcher.`+test.want)
		})
	}
	_, err := resource.RouteConfiguration(parse(t, "name: rc\nvirtual_hosts: [{name: v, domains: [a], routes: [{match: {prefix: /}, direct_response: {status: 200}}], matcher: {}}]", &routev3.RouteConfiguration{}))
	checkError(t, err, `route configuration "rc": virtual_hosts[0].matcher: cannot be set together with routes`)
}

// manyOutcomes returns n entries of a map, with keys in order.
func manyOutcomes(n int, outcome string) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf("'%04d': %s", i, outcome)
	}
	return strings.Join(entries, ", ")
}
