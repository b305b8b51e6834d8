package route

import (
	"regexp"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func TestAppendPath(t *testing.T) {
	regex := func(pattern, substitution string) *config.Rewrite {
		return &config.Rewrite{Pattern: regexp.MustCompile(pattern), Substitution: substitution}
	}
	path := func(kind config.PathKind, value string) config.RouteMatch {
		m := config.RouteMatch{Kind: kind, Path: value, CaseSensitive: true, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
		if kind == config.PathRegex {
			m.Regex = regexp.MustCompile("^(?:" + value + ")$")
		}
		return m
	}
	anyCase := path(config.PathPrefix, "/Foo")
	anyCase.CaseSensitive = false
	tests := []struct {
		name   string
		match  config.RouteMatch
		prefix string
		regex  *config.Rewrite
		path   string
		want   string // empty: not changed
	}{
		{"nothing", path(config.PathPrefix, "/"), "", nil, "/a", ""},
		{"prefix", path(config.PathPrefix, "/foo"), "/bar", nil, "/foo/x", "/bar/x"},
		{"prefix keeps the query", path(config.PathPrefix, "/foo"), "/bar", nil, "/foo?a=/foo", "/bar?a=/foo"},
		{"prefix with slash to slash", path(config.PathPrefix, "/foo/"), "/", nil, "/foo/x", "/x"},
		{"prefix without slash to slash", path(config.PathPrefix, "/foo"), "/", nil, "/foo/x", "//x"},
		{"prefix alone to slash", path(config.PathPrefix, "/foo"), "/", nil, "/foo?a", "/?a"},
		{"prefix of root", path(config.PathPrefix, "/"), "/v1/", nil, "/x", "/v1/x"},
		{"separated prefix", path(config.PathSeparatedPrefix, "/foo"), "/bar", nil, "/foo/x?y", "/bar/x?y"},
		{"prefix without case", anyCase, "/bar", nil, "/fOO/X", "/bar/X"},
		{"exact", path(config.PathExact, "/foo"), "/bar/baz", nil, "/foo?x", "/bar/baz?x"},
		{"prefix of a regex replaces all", path(config.PathRegex, "/a+"), "/b", nil, "/aaa?x", "/b?x"},
		{"prefix without slash gets one", path(config.PathPrefix, "/foo/"), "bar/", nil, "/foo/x", "/bar/x"},
		{"path no longer matches", path(config.PathPrefix, "/foo"), "/bar", nil, "/fo", ""},
		{"regex", path(config.PathPrefix, "/"), "", regex(`^/service/([^/]+)(/.*)$`, "${2}/instance/${1}"), "/service/foo/v1/api?q=1", "/v1/api/instance/foo?q=1"},
		{"regex, every match", path(config.PathPrefix, "/"), "", regex("one", "two"), "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"},
		{"regex leaves the query", path(config.PathPrefix, "/"), "", regex("one", "two"), "/one?one", "/two?one"},
		{"regex without match", path(config.PathPrefix, "/"), "", regex("one", "two"), "/x?y", "/x?y"},
		{"regex leaves nothing", path(config.PathPrefix, "/"), "", regex(".*", ""), "/x?y", ""},
		{"regex without slash gets one", path(config.PathPrefix, "/"), "", regex("^/", ""), "/x?y", "/x?y"},
		{"regex, dollar sign", path(config.PathPrefix, "/"), "", regex("a", "$$1"), "/a", "/$1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rc := newRoute("r", test.match)
			rc.Forward.PrefixRewrite, rc.Forward.RegexRewrite = test.prefix, test.regex
			r := mustCompile(t, configOf(rc)).Routes()[0]
			got, changed := r.AppendPath([]byte("before"), []byte(test.path))
			if changed != (test.want != "") || string(got) != "before"+test.want {
				t.Errorf("got %q, %v, want %q", got, changed, test.want)
			}
		})
	}
}

func TestAppendHost(t *testing.T) {
	tests := []struct {
		name    string
		literal string
		header  string
		target  string
		want    string
	}{
		{"nothing", "", "", "", ""},
		{"literal", "l.example", "", "", "l.example"},
		{"header", "", "x-host", "", "x.example"},
		{"pseudo-header", "", ":method", "", "GET"},
		{"absent header", "", "x-none", "", ""},
		{"target", "", "", "t.example", "t.example"},
		{"literal before target", "l.example", "", "t.example", "l.example"},
		{"absent header, target", "", "x-none", "t.example", "t.example"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rc := newRoute("r", prefixMatch("/"))
			rc.Forward.HostRewrite, rc.Forward.HostRewriteHeader = test.literal, test.header
			rc.Forward.Clusters[0].HostRewrite = test.target
			r := mustCompile(t, configOf(rc)).Routes()[0]
			request := newRequest("h", "/", "x-host", "x.example")
			got, changed := r.AppendHost(nil, request, r.PickCluster(0))
			if string(got) != test.want || changed != (test.want != "") {
				t.Errorf("got %q, %v, want %q", got, changed, test.want)
			}
			if got, _ := r.AppendHost(nil, request, nil); test.target == "" && string(got) != test.want {
				t.Errorf("without target: got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAppendHostOfPath(t *testing.T) {
	for _, test := range []struct{ pattern, substitution, path, want string }{
		{"^/(.+)/.+$", "$1", "/www.envoyproxy.io/api?x=/y/z", "www.envoyproxy.io"},
		{"^/([^/]+)/.*$", "$1.internal:8080", "/a/b", "a.internal:8080"},
		{"^/only$", "h", "/other", ""}, // the path is no host
		{"^/(.*)$", "$1", "/a b", ""},
		{"^/(.*)$", "$1", "/a/b", ""}, // what comes of it is no host
		{"^/(.*)$", "", "/a", ""},
	} {
		rc := newRoute("r", prefixMatch("/"))
		rc.Forward.HostRewritePath = &config.Rewrite{Pattern: regexp.MustCompile(test.pattern), Substitution: test.substitution}
		r := mustCompile(t, configOf(rc)).Routes()[0]
		got, changed := r.AppendHost(nil, newRequest("h", test.path), r.PickCluster(0))
		if string(got) != test.want || changed != (test.want != "") {
			t.Errorf("%s of %s: got %q, %v, want %q", test.pattern, test.path, got, changed, test.want)
		}
	}
}

func TestRedirectsDoNotRewriteOnTheWayUp(t *testing.T) {
	rc := &config.Route{Name: "r", Match: prefixMatch("/"), Redirect: &config.Redirect{PrefixRewrite: "/x"}}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	if _, changed := r.AppendPath(nil, []byte("/")); changed {
		t.Error("AppendPath rewrites for a redirect")
	}
	if _, changed := r.AppendHost(nil, newRequest("h", "/"), nil); changed {
		t.Error("AppendHost rewrites for a redirect")
	}
	if r.PickCluster(0) != nil {
		t.Error("a redirect has a cluster")
	}
}
