package route

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// asks is a condition on a field.
func asks(name string, s config.StringMatcher) config.RoutePredicate {
	return config.RoutePredicate{Header: &config.HeaderMatcher{Name: name, Kind: config.HeaderString, String: s}}
}

// leadsTo is an outcome of one route, by its index.
func leadsTo(i int) config.RouteOutcome { return config.RouteOutcome{First: i, End: i + 1} }

// matched compiles a virtual host with the matcher and ten routes that are named "0" to "9", and match every path but for "8", which
// matches none that requests have, and "9", which matches CONNECT.
func matched(t *testing.T, m *config.RouteMatcher) *Table {
	t.Helper()
	vh := &config.VirtualHost{Domains: []string{"*"}, Matcher: m}
	for i := range 10 {
		r := &config.Route{
			Name: string(rune('0' + i)), Direct: &config.DirectResponse{Status: 200},
			Match: config.RouteMatch{Path: "/", Fraction: config.RuntimeFraction{Default: config.FractionAll}},
		}
		switch i {
		case 8:
			r.Match.Path = "/never"
		case 9:
			r.Match.Kind = config.PathConnect
		}
		vh.Routes = append(vh.Routes, r)
	}
	return mustCompile(t, &config.RouteConfiguration{VirtualHosts: []*config.VirtualHost{vh}})
}

// TestMatcher holds where matchers lead, by their lists, trees and what they say otherwise.
func TestMatcher(t *testing.T) {
	a, b := asks("x", exactly("a")), asks("x", exactly("b"))
	branch := func(when config.RoutePredicate, then config.RouteOutcome) config.RouteBranch {
		return config.RouteBranch{When: when, Then: then}
	}
	list := func(branches ...config.RouteBranch) *config.RouteMatcher {
		return &config.RouteMatcher{Branches: branches}
	}
	within := func(m *config.RouteMatcher) config.RouteOutcome { return config.RouteOutcome{Matcher: m} }
	otherwise := func(m *config.RouteMatcher, o config.RouteOutcome) *config.RouteMatcher {
		m.Otherwise = &o
		return m
	}
	tree := func(prefixes bool, outcomes map[string]config.RouteOutcome) *config.RouteMatcher {
		return &config.RouteMatcher{Tree: &config.RouteTree{Header: "x", Prefixes: prefixes, Outcomes: outcomes}}
	}
	tests := []struct {
		name    string
		matcher *config.RouteMatcher
		fields  []string
		want    string // the route, empty for none
	}{
		{"nothing", &config.RouteMatcher{}, nil, ""},
		{"otherwise alone", otherwise(&config.RouteMatcher{}, leadsTo(1)), nil, "1"},
		{"first that holds", list(branch(b, leadsTo(0)), branch(a, leadsTo(1)), branch(a, leadsTo(2))), []string{"x", "a"}, "1"},
		{"none holds", list(branch(b, leadsTo(0))), []string{"x", "a"}, ""},
		{"none holds, otherwise", otherwise(list(branch(b, leadsTo(0))), leadsTo(3)), []string{"x", "a"}, "3"},
		{"absent", list(branch(a, leadsTo(0))), nil, ""},
		{"not", list(branch(config.RoutePredicate{Not: &a}, leadsTo(0))), []string{"x", "b"}, "0"},
		{"not, absent", list(branch(config.RoutePredicate{Not: &a}, leadsTo(0))), nil, "0"},
		{"not, but it is", list(branch(config.RoutePredicate{Not: &a}, leadsTo(0))), []string{"x", "a"}, ""},
		{"any", list(branch(config.RoutePredicate{Any: []config.RoutePredicate{a, b}}, leadsTo(0))), []string{"x", "b"}, "0"},
		{"any, none", list(branch(config.RoutePredicate{Any: []config.RoutePredicate{a, b}}, leadsTo(0))), []string{"x", "c"}, ""},
		{"all", list(branch(config.RoutePredicate{All: []config.RoutePredicate{a, asks(":method", exactly("GET"))}}, leadsTo(0))), []string{"x", "a"}, "0"},
		{"all, but one", list(branch(config.RoutePredicate{All: []config.RoutePredicate{a, asks(":method", exactly("PUT"))}}, leadsTo(0))), []string{"x", "a"}, ""},
		{"path with its query", list(branch(asks(":path", exactly("/p?q")), leadsTo(0))), nil, "0"},
		{"joined lines", list(branch(asks("x", exactly("a,b")), leadsTo(0))), []string{"x", "a", "x", "b"}, "0"},

		{"several routes, the first that matches", list(branch(a, config.RouteOutcome{First: 8, End: 10})), []string{"x", "a"}, ""},
		{"several routes, the second", list(branch(a, config.RouteOutcome{First: 4, End: 8})), []string{"x", "a"}, "4"},
		{"a route that does not match is the end", otherwise(list(branch(a, leadsTo(8)), branch(a, leadsTo(0))), leadsTo(1)), []string{"x", "a"}, ""},
		{"no routes are the end", otherwise(list(branch(a, config.RouteOutcome{}), branch(a, leadsTo(0))), leadsTo(1)), []string{"x", "a"}, ""},

		{"a matcher within", list(branch(a, within(list(branch(asks("y", exactly("1")), leadsTo(5)))))), []string{"x", "a", "y", "1"}, "5"},
		{"a matcher within that leads nowhere", list(branch(a, within(list(branch(b, leadsTo(5))))), branch(a, leadsTo(6))), []string{"x", "a"}, "6"},
		{"otherwise of the matcher within", list(branch(a, within(otherwise(&config.RouteMatcher{}, leadsTo(7)))), branch(a, leadsTo(6))), []string{"x", "a"}, "7"},
		{"otherwise after a matcher within", otherwise(list(branch(a, within(list()))), leadsTo(2)), []string{"x", "a"}, "2"},

		{"exact", tree(false, map[string]config.RouteOutcome{"a": leadsTo(0), "ab": leadsTo(1)}), []string{"x", "ab"}, "1"},
		{"exact, other", tree(false, map[string]config.RouteOutcome{"a": leadsTo(0)}), []string{"x", "ab"}, ""},
		{"exact, joined", tree(false, map[string]config.RouteOutcome{"a,b": leadsTo(0)}), []string{"x", "a", "x", "b"}, "0"},
		{"exact, absent", otherwise(tree(false, map[string]config.RouteOutcome{"": leadsTo(0)}), leadsTo(1)), nil, "1"},
		{"exact, empty", otherwise(tree(false, map[string]config.RouteOutcome{"": leadsTo(0)}), leadsTo(1)), []string{"x", ""}, "0"},
		{"exact, nowhere", otherwise(tree(false, map[string]config.RouteOutcome{"a": within(list())}), leadsTo(1)), []string{"x", "a"}, "1"},
		{"prefix, longest", tree(true, map[string]config.RouteOutcome{"a": leadsTo(0), "abc": leadsTo(1), "abcde": leadsTo(2)}), []string{"x", "abcd"}, "1"},
		{"prefix, empty", tree(true, map[string]config.RouteOutcome{"": leadsTo(0), "b": leadsTo(1)}), []string{"x", "a"}, "0"},
		{"prefix, none", otherwise(tree(true, map[string]config.RouteOutcome{"b": leadsTo(0)}), leadsTo(1)), []string{"x", "a"}, "1"},
		{"prefix, absent", otherwise(tree(true, map[string]config.RouteOutcome{"": leadsTo(0)}), leadsTo(1)), nil, "1"},
		{"prefix, a shorter one when the longest leads nowhere", tree(true, map[string]config.RouteOutcome{"a": leadsTo(0), "ab": within(list())}), []string{"x", "abc"}, "0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table := matched(t, test.matcher)
			request := newRequest("h", "/p?q", test.fields...)
			got := ""
			if r := table.Match(request, 0, Client{}).Route; r != nil {
				got = r.Name
			}
			if got != test.want {
				t.Errorf("got route %q, want %q", got, test.want)
			}
			requireNoAllocations(t, test.name, func() { table.Match(request, 0, Client{}) })
		})
	}
}

// TestMatcherConnect holds that a matcher leads CONNECT to routes for it, and to no others.
func TestMatcherConnect(t *testing.T) {
	request := newRequest("h:443", "")
	request.Method = []byte("CONNECT")
	routes := config.RouteOutcome{First: 7, End: 10}
	if r := matched(t, &config.RouteMatcher{Otherwise: &routes}).Match(request, 0, Client{}).Route; r == nil || r.Name != "9" {
		t.Errorf("got %v", r)
	}
}
