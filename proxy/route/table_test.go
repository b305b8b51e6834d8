package route

import (
	"regexp"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// newRequest makes a GET request; fields are names and values in turn.
func newRequest(authority, path string, fields ...string) *message.Request {
	r := &message.Request{
		Method:    []byte("GET"),
		Scheme:    []byte("http"),
		Authority: []byte(authority),
		Path:      []byte(path),
	}
	for i := 0; i < len(fields); i += 2 {
		r.Fields.AddRaw([]byte(fields[i]), []byte(fields[i+1]))
	}
	return r
}

func forwardTo(clusters ...string) *config.Forward {
	f := &config.Forward{}
	for _, name := range clusters {
		f.Clusters = append(f.Clusters, config.WeightedCluster{Name: name, Weight: 1})
	}
	return f
}

// prefixMatch is the match of all paths that begin with prefix.
func prefixMatch(prefix string) config.RouteMatch {
	return config.RouteMatch{Kind: config.PathPrefix, Path: prefix, CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
}

func newRoute(name string, match config.RouteMatch) *config.Route {
	return &config.Route{Name: name, Match: match, Forward: forwardTo("c")}
}

// configOf makes a configuration of one virtual host for all domains.
func configOf(routes ...*config.Route) *config.RouteConfiguration {
	return &config.RouteConfiguration{
		Name:         "rc",
		VirtualHosts: []*config.VirtualHost{{Name: "vh", Domains: []string{"*"}, Routes: routes}},
	}
}

func mustCompile(tb testing.TB, rc *config.RouteConfiguration) *Table {
	tb.Helper()
	table, err := Compile(rc, Options{})
	if err != nil {
		tb.Fatalf("Compile: %v", err)
	}
	return table
}

func TestMatchPath(t *testing.T) {
	anchored := regexp.MustCompile(`^(?:/v[0-9]+/.*)$`)
	tests := []struct {
		name       string
		kind       config.PathKind
		value      string
		ignoreCase bool
		match      []string
		noMatch    []string
	}{
		{"prefix", config.PathPrefix, "/foo", false,
			[]string{"/foo", "/foobar", "/foo/bar", "/foo?x", "/foo#x"}, []string{"/fo", "/Foo", "/", "/a/foo", "/fo?o", "/fo#o"}},
		{"prefix without case", config.PathPrefix, "/Foo", true,
			[]string{"/foo", "/FOObar"}, []string{"/fo", "/bar"}},
		{"empty prefix", config.PathPrefix, "", false, []string{"/", "*", "/x"}, nil},
		{"exact", config.PathExact, "/foo", false,
			[]string{"/foo", "/foo?a=b", "/foo#frag", "/foo#a?b"}, []string{"/foo/", "/Foo", "/fo", "/foo%20"}},
		{"exact without case", config.PathExact, "/foo", true, []string{"/FOO?x"}, []string{"/foo/"}},
		{"asterisk", config.PathExact, "*", false, []string{"*"}, []string{"/"}},
		{"separated prefix", config.PathSeparatedPrefix, "/foo", false,
			[]string{"/foo", "/foo/", "/foo/bar", "/foo?x=/"}, []string{"/foobar", "/fo", "/Foo/"}},
		{"separated prefix without case", config.PathSeparatedPrefix, "/foo", true, []string{"/FOO/x"}, []string{"/FOOx"}},
		{"regex is of the whole path", config.PathRegex, "", false,
			[]string{"/v1/", "/v22/x?q=1"}, []string{"/v/", "/a/v1/", "/x?/v1/"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			match := config.RouteMatch{Kind: test.kind, Path: test.value, CaseSensitive: !test.ignoreCase, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
			if test.kind == config.PathRegex {
				match.Regex = anchored
			}
			few := mustCompile(t, configOf(newRoute("r", match)))
			many := mustCompile(t, configOf(append(unmatched(minIndexedRoutes), newRoute("r", match))...))
			for _, table := range []*Table{few, many} {
				for _, path := range test.match {
					if table.Match(newRequest("h", path), 0, Client{}).Route == nil {
						t.Errorf("%q does not match", path)
					}
				}
				for _, path := range test.noMatch {
					if table.Match(newRequest("h", path), 0, Client{}).Route != nil {
						t.Errorf("%q matches", path)
					}
				}
			}
		})
	}
}

// unmatched makes routes that match no path of the tests.
func unmatched(n int) []*config.Route {
	routes := make([]*config.Route, n)
	for i := range routes {
		routes[i] = newRoute("unmatched", prefixMatch("/unmatched"+strings.Repeat("x", i)))
	}
	return routes
}

func TestConnectMatchesNoRoute(t *testing.T) {
	table := mustCompile(t, configOf(newRoute("all", prefixMatch(""))))
	r := newRequest("h:443", "")
	r.Method = []byte("CONNECT")
	if got := table.Match(r, 0, Client{}); got.Route != nil || got.VirtualHost == nil {
		t.Errorf("got %+v, want a virtual host and no route", got)
	}
}

func TestNoDomainIsNoVirtualHost(t *testing.T) {
	rc := configOf(newRoute("all", prefixMatch("/")))
	rc.VirtualHosts[0].Domains = []string{"a.example"}
	if got := mustCompile(t, rc).Match(newRequest("b.example", "/"), 0, Client{}); got != (Result{}) {
		t.Errorf("got %+v, want the zero Result", got)
	}
}

func TestFirstRouteAsWrittenWins(t *testing.T) {
	exact := config.RouteMatch{Kind: config.PathExact, Path: "/a/b", CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
	conditional := exact
	conditional.Headers = []config.HeaderMatcher{{Name: "x", Kind: config.HeaderPresent, Present: true}}
	routes := []*config.Route{
		newRoute("conditional", conditional), newRoute("prefix", prefixMatch("/a")), newRoute("exact", exact), newRoute("rest", prefixMatch("/")),
	}
	few := mustCompile(t, configOf(routes...))
	many := mustCompile(t, configOf(append(unmatched(minIndexedRoutes), routes...)...))
	for _, table := range []*Table{few, many} {
		for _, test := range []struct {
			request *message.Request
			want    string
		}{
			{newRequest("h", "/a/b", "x", "1"), "conditional"},
			{newRequest("h", "/a/b"), "prefix"},
			{newRequest("h", "/b"), "rest"},
		} {
			result := table.Match(test.request, 0, Client{})
			if result.Route == nil || result.Route.Name != test.want {
				t.Errorf("%s: got %+v, want %s", test.request.Path, result.Route, test.want)
			} else if table.Routes()[result.Route.Index] != result.Route {
				t.Errorf("route %s does not stand at its index %d", test.want, result.Route.Index)
			}
		}
	}
}

func TestRequireTLS(t *testing.T) {
	tests := []struct {
		name     string
		require  config.TLSRequirement
		secure   bool
		internal bool
		want     bool
	}{
		{"none", config.TLSNone, false, false, false},
		{"all, plain", config.TLSAll, false, false, true},
		{"all, plain and internal", config.TLSAll, false, true, true},
		{"all, secure", config.TLSAll, true, false, false},
		{"external, plain", config.TLSExternalOnly, false, false, true},
		{"external, internal", config.TLSExternalOnly, false, true, false},
		{"external, secure", config.TLSExternalOnly, true, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rc := configOf(newRoute("all", prefixMatch("/")))
			rc.VirtualHosts[0].RequireTLS = test.require
			r := newRequest("h", "/")
			if test.internal {
				r.Fields.Add(message.NameXEnvoyInternal, []byte("true"))
			}
			got := mustCompile(t, rc).Match(r, 0, Client{TLS: test.secure})
			if got.RedirectTLS != test.want || (got.Route == nil) != test.want {
				t.Errorf("got %+v, want RedirectTLS %v", got, test.want)
			}
		})
	}
}

func TestStripInternalOnly(t *testing.T) {
	rc := configOf()
	rc.InternalOnlyHeaders = []string{"X-Secret", "via"}
	r := newRequest("h", "/", "x-secret", "1", "via", "a", "x-open", "2", "x-secret", "3")
	mustCompile(t, rc).StripInternalOnly(&r.Fields)
	if got := dump(&r.Fields); got != "x-open=2;" {
		t.Errorf("left %q, want only x-open", got)
	}
}

func dump(f *message.Fields) string {
	var b strings.Builder
	for _, field := range f.All() {
		b.WriteString(string(field.Name) + "=" + string(field.Value) + ";")
	}
	return b.String()
}

func TestCompileErrors(t *testing.T) {
	regexRoute := newRoute("r", config.RouteMatch{Kind: config.PathRegex})
	tests := []struct {
		name string
		rc   *config.RouteConfiguration
		want []string
	}{
		{"no action", configOf(&config.Route{Name: "r", Match: prefixMatch("/")}), []string{`"rc"`, `"vh"`, `"r"`, "0 actions"}},
		{"two actions", configOf(&config.Route{Name: "r", Forward: forwardTo("c"), Direct: &config.DirectResponse{}}), []string{"2 actions"}},
		{"no regex", configOf(regexRoute), []string{"match", "safe_regex"}},
		{"no weight", configOf(&config.Route{Name: "r", Forward: &config.Forward{Clusters: []config.WeightedCluster{{Name: "c"}}}}), []string{"add up to 0"}},
		{"no cluster", configOf(&config.Route{Name: "r", Forward: &config.Forward{}}), []string{"add up to 0"}},
		{"header regex", configOf(newRoute("r", config.RouteMatch{Headers: []config.HeaderMatcher{
			{Name: "x-h", Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringRegex}}}})), []string{`header "x-h"`, "safe_regex"}},
		{"query regex", configOf(newRoute("r", config.RouteMatch{Query: []config.QueryMatcher{
			{Name: "q", String: config.StringMatcher{Kind: config.StringRegex}}}})), []string{`query parameter "q"`}},
		{"two rewrites", configOf(&config.Route{Name: "r", Forward: &config.Forward{Clusters: forwardTo("c").Clusters, PrefixRewrite: "/",
			RegexRewrite: &config.Rewrite{Pattern: regexp.MustCompile("a")}}}), []string{"prefix_rewrite", "regex_rewrite"}},
		{"rewrite with a line break", configOf(&config.Route{Name: "r", Forward: &config.Forward{Clusters: forwardTo("c").Clusters,
			PrefixRewrite: "/ HTTP/1.1\r\nx: y"}}), []string{"not allowed in a path"}},
		{"redirect with a line break", configOf(&config.Route{Name: "r", Redirect: &config.Redirect{Host: "a\r\nx: y"}}), []string{"redirect to"}},
		{"host with a space", configOf(&config.Route{Name: "r", Forward: &config.Forward{Clusters: forwardTo("c").Clusters,
			HostRewrite: "a b"}}), []string{"host_rewrite_literal"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Compile(test.rc, Options{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %q", err, want)
				}
			}
		})
	}
}
