package route

import (
	"regexp"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func TestAppendRedirect(t *testing.T) {
	tests := []struct {
		name      string
		redirect  config.Redirect
		scheme    string
		authority string
		path      string
		want      string
	}{
		{"nothing set", config.Redirect{}, "http", "h.example", "/a?b", "http://h.example/a?b"},
		{"nothing set keeps the port", config.Redirect{}, "http", "h.example:80", "/", "http://h.example:80/"},
		{"https", config.Redirect{HTTPSRedirect: true}, "http", "h.example", "/a?b", "https://h.example/a?b"},
		{"https drops 80", config.Redirect{HTTPSRedirect: true}, "http", "h.example:80", "/", "https://h.example/"},
		{"https keeps another port", config.Redirect{HTTPSRedirect: true}, "http", "h.example:8080", "/", "https://h.example:8080/"},
		{"https from https keeps 443", config.Redirect{HTTPSRedirect: true}, "https", "h.example:443", "/", "https://h.example:443/"},
		{"https keeps 443 over http", config.Redirect{HTTPSRedirect: true}, "http", "h.example:443", "/", "https://h.example:443/"},
		{"http drops 443", config.Redirect{Scheme: "http"}, "https", "h.example:443", "/", "http://h.example/"},
		{"scheme before https_redirect", config.Redirect{Scheme: "ws", HTTPSRedirect: true}, "http", "h.example:80", "/", "ws://h.example/"},
		{"port", config.Redirect{Port: 8443}, "http", "h.example:80", "/", "http://h.example:8443/"},
		{"https and port", config.Redirect{HTTPSRedirect: true, Port: 8443}, "http", "h.example:8080", "/a", "https://h.example:8443/a"},
		{"host", config.Redirect{Host: "n.example"}, "http", "h.example:8080", "/a", "http://n.example/a"},
		{"host and port", config.Redirect{Host: "n.example", Port: 81}, "http", "h.example", "/a", "http://n.example:81/a"},
		{"IPv6", config.Redirect{Port: 81}, "http", "[::1]:80", "/", "http://[::1]:81/"},
		{"IPv6 without port", config.Redirect{HTTPSRedirect: true}, "http", "[::1]", "/", "https://[::1]/"},
		{"IPv6, default port", config.Redirect{HTTPSRedirect: true}, "http", "[::1]:80", "/", "https://[::1]/"},
		{"path", config.Redirect{Path: "/new"}, "http", "h", "/old?q=1", "http://h/new?q=1"},
		{"path, query stripped", config.Redirect{Path: "/new", StripQuery: true}, "http", "h", "/old?q=1", "http://h/new"},
		{"path with query", config.Redirect{Path: "/new?a=b"}, "http", "h", "/old?q=1", "http://h/new?a=b"},
		{"path with query is not stripped", config.Redirect{Path: "/new?a=b", StripQuery: true}, "http", "h", "/old?q=1", "http://h/new?a=b"},
		{"path without slash", config.Redirect{Path: "new"}, "http", "h", "/old", "http://h/new"},
		{"query stripped", config.Redirect{StripQuery: true}, "http", "h", "/a?q=1", "http://h/a"},
		{"prefix", config.Redirect{PrefixRewrite: "/new"}, "http", "h", "/old/x?q=1", "http://h/new/x?q=1"},
		{"prefix, query stripped", config.Redirect{PrefixRewrite: "/new", StripQuery: true}, "http", "h", "/old/x?q=1", "http://h/new/x"},
		{"prefix with query, stripped", config.Redirect{PrefixRewrite: "/new?a=", StripQuery: true}, "http", "h", "/old/x", "http://h/new"},
		{"regex", config.Redirect{RegexRewrite: &config.Rewrite{Pattern: regexp.MustCompile("^/old/(.*)$"), Substitution: "/$1"}}, "http", "h", "/old/x?q", "http://h/x?q"},
		{"regex leaves nothing", config.Redirect{RegexRewrite: &config.Rewrite{Pattern: regexp.MustCompile(".*")}}, "http", "h", "/old?q", "http://h/old?q"},
		{"fragment is dropped", config.Redirect{}, "http", "h", "/old#f?q", "http://h/old"},
		{"empty query is kept", config.Redirect{}, "http", "h", "/old?", "http://h/old?"},
		{"two slashes stay a path", config.Redirect{HTTPSRedirect: true}, "http", "h", "//evil.example/", "https://h//evil.example/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			match := prefixMatch("/old")
			if test.redirect.PrefixRewrite == "" {
				match = prefixMatch("/")
			}
			rc := &config.Route{Name: "r", Match: match, Redirect: &test.redirect}
			table := mustCompile(t, configOf(rc))
			request := newRequest(test.authority, test.path)
			request.Scheme = []byte(test.scheme)
			r := table.Match(request, 0, Client{}).Route
			if r == nil {
				t.Fatal("no route")
			}
			if got := r.AppendRedirect([]byte("before "), request); string(got) != "before "+test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRedirectGoesByForwardedProto(t *testing.T) {
	rc := &config.Route{Name: "r", Match: prefixMatch("/"), Redirect: &config.Redirect{HTTPSRedirect: true}}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	// A URL of http that came over TLS: the port is not the default one of what the client spoke.
	request := newRequest("h:80", "/", "x-forwarded-proto", "https")
	if got := string(r.AppendRedirect(nil, request)); got != "https://h:80/" {
		t.Errorf("got %q, want the port kept", got)
	}
}

func TestAppendTLSRedirect(t *testing.T) {
	for _, test := range []struct{ path, want string }{
		{"/a?b", "https://h:80/a?b"}, {"*", "https://h:80/*"}, {"", "https://h:80/"},
	} {
		if got := string(AppendTLSRedirect(nil, newRequest("h:80", test.path))); got != test.want {
			t.Errorf("%q: got %q, want %q", test.path, got, test.want)
		}
	}
}

func TestForwardsDoNotRedirect(t *testing.T) {
	r := mustCompile(t, configOf(newRoute("r", prefixMatch("/")))).Routes()[0]
	if got := r.AppendRedirect(nil, &message.Request{}); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
}
