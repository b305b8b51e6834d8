package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// loopback makes the test's own client internal.
func loopback(s *harness.Setup) { s.HTTP().InternalAddresses = []string{"10.0.0.0/8", "127.0.0.0/8"} }

func behind(s *harness.Setup) { s.HTTP().UseRemoteAddress = false }

// mutations are exchanges: what the client sends beside Host, and the exact bytes that the origin and the client get.
var mutations = []struct {
	name     string
	setup    []func(*harness.Setup)
	path     string
	fields   []string
	answer   []string // field lines of the origin's answer
	request  []string
	response []string // beside content-length
}{
	{
		name:     "edge",
		request:  []string{"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-envoy-external-address: 127.0.0.1", "x-request-id: UUID", "x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "edge, spoofed",
		fields: []string{
			"X-Envoy-Internal: true", "X-Envoy-Retry-On: 5xx", "X-Envoy-Retry-Grpc-On: cancelled", "X-Envoy-Max-Retries: 9", "X-Envoy-Retriable-Status-Codes: 500",
			"X-Envoy-Retriable-Header-Names: x", "X-Envoy-Upstream-Rq-Timeout-Ms: 1", "X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms: 1",
			"X-Envoy-Upstream-Rq-Timeout-Alt-Response: 1", "X-Envoy-Expected-Rq-Timeout-Ms: 1", "X-Envoy-Upstream-Alt-Stat-Name: x", "X-Envoy-Force-Trace: true",
			"X-Envoy-Ip-Tags: x", "X-Envoy-Original-Url: x", "X-Envoy-Original-Path: /x", "X-Envoy-Hedge-On-Per-Try-Timeout: true", "X-Envoy-Downstream-Service-Cluster: x",
			"X-Envoy-Downstream-Service-Node: x", "X-Envoy-Decorator-Operation: x", "X-Envoy-External-Address: 10.0.0.1", "X-Forwarded-Proto: https",
			"X-Request-Id: mine", "X-Forwarded-Client-Cert: x", "X-Other: kept",
		},
		request: []string{"x-envoy-external-address: 127.0.0.1", "x-forwarded-proto: http", "x-request-id: UUID",
			"x-other: kept", "x-forwarded-for: 127.0.0.1", "x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "edge, behind others", fields: []string{"X-Forwarded-For: 1.2.3.4", "X-B: 1", "X-Forwarded-For: 5.6.7.8"},
		request: []string{"x-forwarded-for: 1.2.3.4,5.6.7.8,127.0.0.1", "x-b: 1", "x-forwarded-proto: http", "x-envoy-external-address: 127.0.0.1",
			"x-request-id: UUID", "x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "internal", setup: []func(*harness.Setup){loopback},
		fields: []string{"X-Envoy-Internal: false", "X-Envoy-Ip-Tags: x", "X-Envoy-Decorator-Operation: op", "X-Request-Id: mine"},
		request: []string{"x-envoy-ip-tags: x", "x-envoy-decorator-operation: op", "x-request-id: mine", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http",
			"x-envoy-internal: true", "x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "internal address that passed a proxy is external", setup: []func(*harness.Setup){loopback},
		fields: []string{"X-Forwarded-For: 10.0.0.1", "X-Envoy-Ip-Tags: x"},
		request: []string{"x-forwarded-for: 10.0.0.1,127.0.0.1", "x-forwarded-proto: http", "x-envoy-external-address: 127.0.0.1", "x-request-id: UUID",
			"x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "not edge", setup: []func(*harness.Setup){behind},
		fields: []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Request-Id: mine", "X-Envoy-Ip-Tags: x", "X-Envoy-Decorator-Operation: op"},
		request: []string{"x-forwarded-for: 1.2.3.4", "x-forwarded-proto: https", "x-request-id: mine", "x-envoy-decorator-operation: op",
			"x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "not edge, internal by x-forwarded-for", setup: []func(*harness.Setup){behind, loopback},
		fields: []string{"X-Forwarded-For: 10.1.2.3", "X-Envoy-Ip-Tags: x"},
		request: []string{"x-forwarded-for: 10.1.2.3", "x-envoy-ip-tags: x", "x-forwarded-proto: http", "x-envoy-internal: true", "x-request-id: UUID",
			"x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "not edge, two internal addresses are external", setup: []func(*harness.Setup){behind, loopback},
		fields:   []string{"X-Forwarded-For: 10.1.2.3, 10.1.2.4", "X-Envoy-Ip-Tags: x"},
		request:  []string{"x-forwarded-for: 10.1.2.3, 10.1.2.4", "x-forwarded-proto: http", "x-request-id: UUID", "x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "edge behind a trusted proxy", setup: []func(*harness.Setup){func(s *harness.Setup) { s.HTTP().XFFNumTrustedHops = 1 }},
		fields: []string{"X-Forwarded-For: 6.6.6.6, 1.2.3.4", "X-Forwarded-Proto: https"},
		request: []string{"x-forwarded-for: 6.6.6.6, 1.2.3.4,127.0.0.1", "x-forwarded-proto: https", "x-envoy-external-address: 1.2.3.4", "x-request-id: UUID",
			"x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE", "server: envoy"},
	},
	{
		name: "every switch",
		setup: []func(*harness.Setup){func(s *harness.Setup) {
			m := s.HTTP()
			m.SkipXFFAppend, m.PreserveExternalRequestID, m.AlwaysSetRequestID, m.Via = true, true, true, "1.1 proxy"
			m.ServerName, m.ServerHeader = "mine", config.ServerAppendIfAbsent
			m.Router.SuppressEnvoyHeaders = true
		}},
		fields: []string{"X-Request-Id: mine", "Via: 1.0 other"}, answer: []string{"Server: theirs", "Date: yesterday", "Via: 1.1 origin"},
		request:  []string{"x-request-id: mine", "via: 1.0 other,1.1 proxy", "x-forwarded-proto: http", "x-envoy-external-address: 127.0.0.1"},
		response: []string{"server: theirs", "date: yesterday", "via: 1.1 origin", "via: 1.1 proxy", "x-request-id: mine"},
	},
	{
		name: "no request id, server passed through",
		setup: []func(*harness.Setup){func(s *harness.Setup) {
			s.HTTP().GenerateRequestID = false
			s.HTTP().ServerHeader = config.ServerPassThrough
		}},
		request:  []string{"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-envoy-external-address: 127.0.0.1", "x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-envoy-upstream-service-time: 0", "date: DATE"},
	},
	{
		name: "response", answer: []string{"Connection: x-hop, keep-alive", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: close", "X-CaSe: Kept", "Server: theirs",
			"X-Envoy-Upstream-Service-Time: 9", "Set-Cookie: a", "Set-Cookie: b"},
		request:  []string{"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-envoy-external-address: 127.0.0.1", "x-request-id: UUID", "x-envoy-expected-rq-timeout-ms: 15000"},
		response: []string{"x-case: Kept", "server: envoy", "x-envoy-upstream-service-time: 0", "set-cookie: a", "set-cookie: b", "date: DATE"},
	},
	{
		name: "route's mutations", path: "/api/v1?q",
		setup: []func(*harness.Setup){func(s *harness.Setup) {
			r := harness.Forward("/api/", "c")
			r.Forward.PrefixRewrite, r.Forward.HostRewrite, r.Forward.AppendForwardedHost = "/", "b.test", true
			r.RequestAdd = []config.HeaderValue{{Name: "x-route", Value: "%PROTOCOL% %REQ(x-a)% 100%%"}}
			r.RequestRemove = []string{"x-b"}
			r.ResponseAdd = []config.HeaderValue{{Name: "x-route", Value: "%RESPONSE_CODE%"}, {Name: "server", Value: "route", Action: config.OverwriteIfExistsOrAdd}}
			r.ResponseRemove = []string{"x-secret"}
			s.SetRoutes(r)
		}},
		fields: []string{"X-A: 1", "X-B: 2"}, answer: []string{"X-Secret: 1"},
		request: []string{"x-a: 1", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-envoy-external-address: 127.0.0.1", "x-request-id: UUID",
			"x-envoy-expected-rq-timeout-ms: 15000", "x-route: HTTP/1.1 1 100%", "x-forwarded-host: a", "x-envoy-original-path: /api/v1?q"},
		response: []string{"x-envoy-upstream-service-time: 0", "server: envoy", "x-route: 200", "date: DATE"},
	},
}

// TestHeaderMutation holds exactly what origins and clients see, for each way to configure what is changed.
func TestHeaderMutation(t *testing.T) {
	for _, test := range mutations {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Respond(lines(append([]string{"HTTP/1.1 200 OK", "Content-Length: 0"}, test.answer...)...)))
			s := harness.NewSetup(origin.Addr())
			for _, setup := range test.setup {
				setup(s)
			}
			p := s.Start(t)
			path, target, host := "/", "/", "a"
			if test.path != "" {
				path, target, host = test.path, "/v1?q", "b.test"
			}
			resp := p.Dial().Get(path, test.fields...)
			want := lines(append([]string{"GET " + target + " HTTP/1.1", "host: " + host}, test.request...)...)
			if got := normal(origin.Requests()[0].Raw); got != want {
				t.Errorf("the origin got\n%q\nwant\n%q", got, want)
			}
			want = lines(append(append([]string{"HTTP/1.1 200 OK"}, test.response...), "content-length: 0")...)
			if got := normal(resp.Raw); got != want {
				t.Errorf("the client got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

// TestRequestIDsDiffer holds that every request has an id of its own.
func TestRequestIDsDiffer(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.Workers = 2
	p := s.Start(t)
	for range 20 {
		c := p.Dial()
		for range 20 {
			c.Get("/")
		}
	}
	seen := make(map[string]bool)
	for _, req := range origin.Requests() {
		id := req.Fields.Get("x-request-id")
		if !uuid.MatchString(id) || seen[id] {
			t.Fatalf("request id %q", id)
		}
		seen[id] = true
	}
}

// TestAutoHostRewrite holds that the host name of the chosen endpoint becomes the authority, also of a second attempt.
func TestAutoHostRewrite(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.Route(0).Forward.AutoHostRewrite = true
	s.Route(0).Forward.AppendForwardedHost = true
	s.Clusters[0].Assignment.Localities[0].Endpoints[0].Hostname = "host.test"
	p := s.Start(t)
	p.Dial().Get("/")
	if f := origin.Requests()[0].Fields; f.Get("host") != "host.test" || f.Get("x-forwarded-host") != "a" {
		t.Errorf("the origin got %q", f)
	}
}

// TestPathNormalization holds that origins see the one form of a path.
func TestPathNormalization(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	m := s.HTTP()
	m.NormalizePath, m.MergeSlashes, m.EscapedSlashes = true, true, config.EscapedSlashesUnescapeAndForward
	p := s.Start(t)
	c := p.Dial()
	for path, want := range map[string]string{
		"/a/../b":             "/b",
		"/a/./b/":             "/a/b/",
		"/a//b///c":           "/a/b/c",
		"/a/%2e%2E/b":         "/b",
		"/a%2Fb%5cc":          "/a/b/c",
		"/a%2f..%2Fb":         "/b",
		"/../../x":            "/x",
		"/a/..":               "/",
		"/..":                 "/",
		`/a\b`:                "/a/b",
		"/a/b?x=/../%2F//":    "/a/b?x=/../%2F//",
		"/a/.../b/..c/.d/e.":  "/a/.../b/..c/.d/e.",
		"/%41%7e%20":          "/A~%20",
		"/a/%2e%2e%2f%2e%2e/": "/",
	} {
		if resp := c.Get(path); resp.Body != "GET "+want+" " {
			t.Errorf("%s became %q, want %s", path, resp.Body, want)
		}
	}
	for _, path := range []string{"/%", "/a%2", "/%zz", "/%00", "/a/%2e%2"} {
		if resp := p.Dial().Get(path); resp.Status != 400 {
			t.Errorf("%s: got %q", path, resp.Raw)
		}
	}
}

// TestHostNormalization holds how ports and trailing dots are taken off.
func TestHostNormalization(t *testing.T) {
	for _, test := range []struct {
		setup      func(*config.HTTPConnectionManager)
		host, want string
	}{
		{func(m *config.HTTPConnectionManager) { m.StripAnyHostPort = true }, "a.test:81", "a.test"},
		{func(m *config.HTTPConnectionManager) { m.StripAnyHostPort = true }, "[::1]:81", "[::1]"},
		{func(m *config.HTTPConnectionManager) { m.StripAnyHostPort = true }, "[::1]", "[::1]"},
		{func(m *config.HTTPConnectionManager) { m.StripMatchingHostPort = true }, "a.test:81", "a.test:81"},
		{func(m *config.HTTPConnectionManager) { m.StripTrailingHostDot = true }, "a.test.:81", "a.test:81"},
		{func(m *config.HTTPConnectionManager) { m.StripTrailingHostDot = true }, "a.test.", "a.test"},
		{func(m *config.HTTPConnectionManager) { m.StripTrailingHostDot, m.StripAnyHostPort = true, true }, "a.test.:81", "a.test"},
		{func(*config.HTTPConnectionManager) {}, "a.test.:81", "a.test.:81"},
	} {
		origin := harness.NewOrigin(t, harness.Echo)
		s := harness.NewSetup(origin.Addr())
		test.setup(s.HTTP())
		p := s.Start(t)
		c := p.Dial()
		c.Send("GET / HTTP/1.1\r\nHost: " + test.host + "\r\n\r\n")
		c.ReadResponse("GET")
		if got := origin.Requests()[0].Fields.Get("host"); got != test.want {
			t.Errorf("%s became %s, want %s", test.host, got, test.want)
		}
	}
}
