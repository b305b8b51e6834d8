package acceptance

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// corsSetup returns a setup with the filter, whose virtual host and route have policies; nil is none.
func corsSetup(t *testing.T, host, route *config.CORSPolicy) (*harness.Setup, *harness.Origin) {
	t.Helper()
	origin := harness.NewOrigin(t, harness.Respond("HTTP/1.1 200 OK\r\ncontent-length: 2\r\naccess-control-allow-origin: of-the-host\r\n\r\nok"))
	s := harness.NewSetup(origin.Addr())
	s.HTTP().Filters = []config.HTTPFilter{{Name: "cors", Config: config.CORS{}}}
	if host != nil {
		s.VirtualHost().Filters = config.FilterConfigs{"cors": {Config: host}}
	}
	if route != nil {
		s.Route(0).Filters = config.FilterConfigs{"cors": {Config: route}}
	}
	return s, origin
}

func corsPolicy(change func(*config.CORSPolicy)) *config.CORSPolicy {
	p := &config.CORSPolicy{
		AllowOrigin: []config.StringMatcher{{Value: "http://a.test"}, {Kind: config.StringSuffix, Value: ".b.test"}},
		Enabled:     config.RuntimeFraction{Default: config.FractionAll},
	}
	if change != nil {
		change(p)
	}
	return p
}

// accessControl returns the fields of the protocol in a response, sorted as they came.
func accessControl(fields harness.Fields) string {
	var lines []string
	for _, f := range fields {
		if name, ok := strings.CutPrefix(f.Name, "access-control-"); ok {
			lines = append(lines, name+": "+f.Value)
		}
	}
	return strings.Join(lines, "; ")
}

func TestCORS(t *testing.T) {
	full := func(p *config.CORSPolicy) {
		p.AllowMethods, p.AllowHeaders, p.ExposeHeaders, p.MaxAge = "GET,PUT", "x-a", "x-b", "60"
		p.AllowCredentials, p.AllowPrivateNetworkAccess = new(true), new(true)
	}
	const (
		fromA, fromB, fromC = "Origin: http://a.test", "Origin: http://x.b.test", "Origin: http://c.test"
		asks                = "Access-Control-Request-Method: DELETE"
		asksHeaders         = "Access-Control-Request-Headers: x-q"
		asksPrivate         = "Access-Control-Request-Private-Network: true"
		passed              = "allow-origin: of-the-host"
	)
	for _, test := range []struct {
		name        string
		host, route *config.CORSPolicy
		method      string
		fields      []string
		want        string
		asked       bool   // the host
		counts      string // of valid and invalid origins
	}{
		{"no policy", nil, nil, "OPTIONS", []string{fromA, asks}, passed, true, "00"},
		{"no origin", nil, corsPolicy(full), "OPTIONS", []string{asks}, passed, true, "00"},
		{"allowed", nil, corsPolicy(nil), "GET", []string{fromA}, "allow-origin: http://a.test", true, "10"},
		{"allowed by suffix", nil, corsPolicy(nil), "GET", []string{fromB}, "allow-origin: http://x.b.test", true, "10"},
		{"not allowed", nil, corsPolicy(full), "GET", []string{fromC}, passed, true, "01"},
		{"everything", nil, corsPolicy(full), "GET", []string{fromA}, "allow-origin: http://a.test; allow-credentials: true; expose-headers: x-b", true, "10"},
		{"OPTIONS, not preflight", nil, corsPolicy(nil), "OPTIONS", []string{fromA}, "allow-origin: http://a.test", true, "10"},
		{"preflight", nil, corsPolicy(full), "OPTIONS", []string{fromA, asks, asksHeaders, asksPrivate},
			"allow-methods: GET,PUT; allow-headers: x-a; max-age: 60; allow-private-network: true; allow-origin: http://a.test; " +
				"allow-credentials: true; expose-headers: x-b", false, "10"},
		{"preflight that asks for little", nil, corsPolicy(nil), "OPTIONS", []string{fromA, asks}, "allow-origin: http://a.test", false, "10"},
		{"preflight of any kind", nil, corsPolicy(func(p *config.CORSPolicy) { p.AllowMethods, p.AllowHeaders = "*", "*" }), "OPTIONS",
			[]string{fromA, asks, asksHeaders}, "allow-methods: DELETE; allow-headers: x-q; allow-origin: http://a.test", false, "10"},
		{"preflight, not allowed", nil, corsPolicy(full), "OPTIONS", []string{fromC, asks}, passed, true, "01"},
		{"preflight, answered all the same", nil, corsPolicy(func(p *config.CORSPolicy) { p.ForwardNotMatchingPreflights = new(false) }),
			"OPTIONS", []string{fromC, asks}, "", false, "01"},
		{"every origin", nil, corsPolicy(func(p *config.CORSPolicy) { p.AllowOrigin = []config.StringMatcher{{Value: "*"}} }), "GET",
			[]string{fromC}, "allow-origin: http://c.test", true, "10"},
		{"settings of the virtual host", corsPolicy(full), &config.CORSPolicy{ExposeHeaders: "x-c", AllowCredentials: new(false),
			Enabled: config.RuntimeFraction{Default: config.FractionAll}}, "GET", []string{fromA},
			"allow-origin: http://a.test; expose-headers: x-c", true, "10"},
		{"off", nil, corsPolicy(func(p *config.CORSPolicy) { p.Enabled.Default = 0 }), "OPTIONS", []string{fromA, asks}, passed, true, "00"},
		{"shadow", nil, corsPolicy(func(p *config.CORSPolicy) { p.Enabled.Default, p.Shadow.Default = 0, config.FractionAll }), "OPTIONS",
			[]string{fromA, asks}, passed, true, "10"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, origin := corsSetup(t, test.host, test.route)
			p := s.Start(t)
			c := p.Dial()
			c.Send(harness.Head(test.method+" /", test.fields...))
			resp := c.ReadResponse(test.method)
			if got := accessControl(resp.Fields); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if got := len(origin.Requests()) == 1; got != test.asked || resp.Status != 200 {
				t.Errorf("the host was asked: %t, want %t; got %q", got, test.asked, resp.Raw)
			}
			want := "200 - via_upstream"
			if !test.asked {
				want = "200 - cors_response"
			}
			if o := p.Outcome(); o.String() != want {
				t.Errorf("outcome %v, want %s", o, want)
			}
			valid, invalid := p.HTTPStat("cors.origin_valid"), p.HTTPStat("cors.origin_invalid")
			if got := string([]byte{'0' + byte(valid), '0' + byte(invalid)}); got != test.counts {
				t.Errorf("counted %s, want %s", got, test.counts)
			}
		})
	}
}

// TestCORSOfRedirect holds that only routes that lead to a host have policies.
func TestCORSOfRedirect(t *testing.T) {
	s, _ := corsSetup(t, corsPolicy(nil), nil)
	s.SetRoutes(harness.Direct("/", 200, "direct"))
	resp := s.Start(t).Dial().Get("/", "Origin: http://a.test")
	if got := accessControl(resp.Fields); got != "" || resp.Body != "direct" {
		t.Errorf("got %q", resp.Raw)
	}
}

// corsOnRoute gives the route a policy.
func corsOnRoute(s *harness.Setup) {
	s.HTTP().Filters = []config.HTTPFilter{{Name: "cors", Config: config.CORS{}}}
	s.Route(0).Filters = config.FilterConfigs{"cors": {Config: corsPolicy(func(p *config.CORSPolicy) { p.AllowMethods, p.ExposeHeaders = "*", "x" })}}
}

// TestDeprecatedCORS has policies in the deprecated fields cors: that of the route counts, what it leaves out is as the virtual host
// says, and neither counts where something is said to the filter.
func TestDeprecatedCORS(t *testing.T) {
	exposing := func(field string) *config.CORSPolicy {
		return corsPolicy(func(p *config.CORSPolicy) { p.ExposeHeaders = field })
	}
	ages := corsPolicy(func(p *config.CORSPolicy) { p.AllowCredentials = new(true) })
	for name, test := range map[string]struct {
		host, route, typed *config.CORSPolicy
		want               string
	}{
		"of the virtual host": {exposing("x-h"), nil, nil, "allow-origin: http://a.test; expose-headers: x-h"},
		"of the route":        {exposing("x-h"), exposing("x-r"), nil, "allow-origin: http://a.test; expose-headers: x-r"},
		"of both":             {ages, exposing("x-r"), nil, "allow-origin: http://a.test; allow-credentials: true; expose-headers: x-r"},
		"of neither":          {ages, exposing("x-r"), exposing("x-t"), "allow-origin: http://a.test; expose-headers: x-t"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := corsSetup(t, nil, test.typed)
			s.VirtualHost().CORS, s.Route(0).Forward.CORS = test.host, test.route
			resp := s.Start(t).Dial().Get("/", "Origin: http://a.test")
			if got := accessControl(resp.Fields); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
