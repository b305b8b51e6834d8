package acceptance

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// resetReason is the body of an answer to an upstream failure.
func resetReason(reason string) string {
	return "upstream connect error or disconnect/reset before headers. reset reason: " + reason
}

// localReply is a way to an answer of the proxy's own.
type localReply struct {
	name    string
	setup   func(*testing.T, *harness.Setup)
	request string
	advance time.Duration // let pass after the request was sent
	status  int
	body    string
	fields  string // "name: value", beside those that every answer has
	outcome string // flags and details
	closes  bool
	grpc    int // grpc-status to a gRPC request, where it does not follow from the status
}

// to has the cluster lead to an address.
func to(address func(*testing.T) netip.AddrPort) func(*testing.T, *harness.Setup) {
	return func(t *testing.T, s *harness.Setup) {
		s.Clusters[0].Assignment = harness.Cluster("", address(t)).Assignment
	}
}

// origin has the cluster lead to a scripted origin.
func origin(script func(*harness.Peer)) func(*testing.T, *harness.Setup) {
	return to(func(t *testing.T) netip.AddrPort { return harness.NewOrigin(t, script).Addr() })
}

// dropping has the control plane refuse all requests to the cluster.
func dropping(_ *testing.T, s *harness.Setup) {
	a := *s.Clusters[0].Assignment
	a.Drop = config.FractionAll
	s.Clusters[0].Assignment = &a
}

func localReplies() []localReply {
	get := harness.Get("/")
	post := harness.Head("POST /", "Content-Length: 5")
	return []localReply{
		{name: "no route", setup: func(_ *testing.T, s *harness.Setup) { s.SetRoutes(harness.Forward("/other", "c")) }, request: get,
			status: 404, outcome: "NR route_not_found"},
		{name: "no virtual host", setup: func(_ *testing.T, s *harness.Setup) { s.VirtualHost().Domains = []string{"b"} }, request: get,
			status: 404, outcome: "NR route_not_found"},
		{name: "routes are not known yet", setup: func(_ *testing.T, s *harness.Setup) { s.HTTP().RouteConfigName = "later" }, request: get,
			status: 404, outcome: "NR route_not_found"},
		{name: "path without slash", request: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", status: 404, outcome: "NR route_not_found"},
		{name: "unknown cluster", setup: func(_ *testing.T, s *harness.Setup) { s.SetRoutes(harness.Forward("/", "x")) }, request: get,
			status: 503, outcome: "NC cluster_not_found"},
		{name: "unknown cluster with a status", setup: func(_ *testing.T, s *harness.Setup) {
			s.SetRoutes(harness.Forward("/", "x"))
			s.Route(0).Forward.ClusterNotFoundStatus = 404
		}, request: get, status: 404, outcome: "NC cluster_not_found"},
		{name: "no host", request: get, status: 503, body: "no healthy upstream", outcome: "UH no_healthy_upstream"},
		{name: "connect refused", setup: to(refusing), request: get,
			status: 503, body: resetReason("remote connection failure"), outcome: "UF upstream_reset_before_response_started{remote_connection_failure}"},
		{name: "connect timeout", setup: to(blackHole), request: get, advance: 6 * time.Second,
			status: 503, body: resetReason("connection timeout"), outcome: "UF upstream_reset_before_response_started{connection_timeout}"},
		{name: "closed before headers", setup: origin(harness.Then("", closeNow)), request: get,
			status: 503, body: resetReason("connection termination"), outcome: "UC upstream_reset_before_response_started{connection_termination}"},
		{name: "bad response", setup: origin(harness.Then("HTTP/9 200\r\n\r\n", hang)), request: get,
			status: 502, body: resetReason("protocol error"), outcome: "UPE upstream_reset_before_response_started{protocol_error}"},
		{name: "overflow", setup: func(_ *testing.T, s *harness.Setup) { s.Clusters[0].Breakers.MaxRequests = 0; hostless(s) }, request: get,
			status: 503, body: resetReason("overflow"), fields: "x-envoy-overloaded: true", outcome: "UO upstream_reset_before_response_started{overflow}"},
		{name: "overflow, suppressed", setup: func(_ *testing.T, s *harness.Setup) {
			s.Clusters[0].Breakers.MaxRequests = 0
			hostless(s)
			s.HTTP().Router.SuppressEnvoyHeaders = true
		}, request: get, status: 503, body: resetReason("overflow"), outcome: "UO upstream_reset_before_response_started{overflow}"},
		{name: "drop overload", setup: dropping, request: get, status: 503, body: "drop overload", fields: "x-envoy-drop-overload: true", outcome: "DO drop_overload"},
		{name: "drop overload, suppressed", setup: func(t *testing.T, s *harness.Setup) {
			s.HTTP().Router.SuppressEnvoyHeaders = true
			dropping(t, s)
		}, request: get, status: 503, body: "drop overload", outcome: "DO drop_overload"},
		{name: "upstream max stream duration", setup: func(t *testing.T, s *harness.Setup) {
			origin(silent)(t, s)
			s.Clusters[0].MaxStreamDuration = time.Second
		}, request: get, advance: 2 * time.Second, status: 504, body: "upstream max stream duration reached",
			outcome: "UMSDR upstream_max_stream_duration_reached"},
		{name: "upstream max stream duration in a request", setup: func(t *testing.T, s *harness.Setup) {
			origin(silent)(t, s)
			s.Clusters[0].MaxStreamDuration = time.Second
		}, request: post, advance: 2 * time.Second, status: 408, body: "upstream max stream duration reached",
			outcome: "UMSDR upstream_max_stream_duration_reached", closes: true},
		{name: "route timeout", setup: origin(silent), request: get, advance: 16 * time.Second,
			status: 504, body: "upstream request timeout", outcome: "UT response_timeout"},
		{name: "stream idle, request whole", setup: noTimeout(origin(silent)), request: get, advance: 301 * time.Second,
			status: 504, body: "stream timeout", outcome: "SI stream_idle_timeout"},
		{name: "stream idle, request not whole", setup: origin(silent), request: post, advance: 301 * time.Second,
			status: 408, body: "stream timeout", outcome: "SI stream_idle_timeout", closes: true},
		{name: "request timeout", setup: withHTTP(origin(silent), func(m *config.HTTPConnectionManager) { m.RequestTimeout = time.Second }), request: post,
			advance: 2 * time.Second, status: 408, body: "request timeout", outcome: "- request_overall_timeout", closes: true},
		{name: "request headers timeout", setup: withHTTP(nil, func(m *config.HTTPConnectionManager) { m.RequestHeadersTimeout = time.Second }), request: "GET",
			advance: 2 * time.Second, status: 408, body: "request header timeout", outcome: "- request_header_timeout", closes: true},
		{name: "max stream duration", setup: withHTTP(origin(silent), func(m *config.HTTPConnectionManager) { m.MaxStreamDuration = time.Second }), request: get,
			advance: 2 * time.Second, status: 504, body: "downstream duration timeout", outcome: "DT max_duration_timeout", grpc: 4},
		{name: "local rate limit", setup: func(_ *testing.T, s *harness.Setup) {
			// One token, which the request before takes.
			s.Overlay = &config.Overlay{RateLimits: map[string]config.RateLimit{"all /": {RequestsPerSecond: 1, BurstSize: 1}}}
			s.SetRoutes(harness.Direct("/", 200, ""))
			s.Route(0).Name = "all /"
		}, request: get, status: 429, body: "local_rate_limited", fields: "x-envoy-ratelimited: true", outcome: "RL local_rate_limited"},
		{name: "redirect", setup: func(_ *testing.T, s *harness.Setup) {
			r := harness.Match("/")
			r.Redirect = &config.Redirect{Status: 301, Host: "b", Path: "/new"}
			s.SetRoutes(r)
		}, request: harness.Get("/old?q"), status: 301, fields: "location: http://b/new?q", outcome: "- direct_response"},
		{name: "redirect without query to https", setup: func(_ *testing.T, s *harness.Setup) {
			r := harness.Match("/")
			r.Redirect = &config.Redirect{Status: 308, HTTPSRedirect: true, StripQuery: true, Port: 8443}
			s.SetRoutes(r)
		}, request: harness.Get("/old?q"), status: 308, fields: "location: https://a:8443/old", outcome: "- direct_response"},
		{name: "direct response", setup: func(_ *testing.T, s *harness.Setup) { s.SetRoutes(harness.Direct("/", 410, "it was here")) }, request: get,
			status: 410, body: "it was here", outcome: "- direct_response"},
		{name: "direct response without body", setup: func(_ *testing.T, s *harness.Setup) { s.SetRoutes(harness.Direct("/", 200, "")) }, request: get,
			status: 200, outcome: "- direct_response"},
		{name: "direct response to an unread body", setup: func(_ *testing.T, s *harness.Setup) { s.SetRoutes(harness.Direct("/", 200, "x")) }, request: post,
			status: 200, body: "x", outcome: "- direct_response", closes: true},
		{name: "TLS required", setup: func(_ *testing.T, s *harness.Setup) { s.VirtualHost().RequireTLS = config.TLSAll }, request: harness.Get("/x?y"),
			status: 301, fields: "location: https://a/x?y", outcome: "- direct_response"},
		{name: "path cannot be normalised", setup: withHTTP(nil, func(m *config.HTTPConnectionManager) { m.NormalizePath = true }), request: harness.Get("/%zz"),
			status: 400, outcome: "- path_normalization_failed"},
		{name: "escaped slash rejected", setup: withHTTP(nil, func(m *config.HTTPConnectionManager) { m.EscapedSlashes = config.EscapedSlashesReject }),
			request: harness.Get("/a%2Fb"), status: 400, outcome: "- path_normalization_failed"},
		{name: "escaped slash redirected", setup: withHTTP(nil, func(m *config.HTTPConnectionManager) { m.EscapedSlashes = config.EscapedSlashesUnescapeAndRedirect }),
			request: harness.Get("/a%2fb?c%2f"), status: 307, fields: "location: /a/b?c%2f", outcome: "- path_normalization_redirect"},
		{name: "upgrade not allowed", request: upgrade(), status: 403, outcome: "- upgrade_failed", closes: true},
		{name: "HTTP/1.0", request: "GET / HTTP/1.0\r\nHost: a\r\n\r\n", status: 426, body: "Upgrade Required", outcome: "DPE low_version", closes: true},
		{name: "no host field", request: "GET / HTTP/1.1\r\n\r\n", status: 400, outcome: "DPE missing_host_header", closes: true},
		{name: "bad request", request: "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 400, body: "Bad Request", outcome: "DPE http1.codec_error", closes: true},
		{name: "head too large", request: harness.Get("/", "x: "+strings.Repeat("y", 61<<10)), status: 431, body: "Request Header Fields Too Large",
			outcome: "DPE http1.headers_too_large", closes: true},
		{name: "too many fields", request: harness.Get("/", strings.Split(strings.Repeat("x: y\n", 99)+"x: y", "\n")...), status: 431,
			body: "Request Header Fields Too Large", outcome: "DPE http1.too_many_headers", closes: true},
	}
}

// hostless leaves the cluster a host that is never connected to.
func hostless(s *harness.Setup) {
	s.Clusters[0].Assignment = harness.Cluster("", netip.MustParseAddrPort("127.0.0.1:1")).Assignment
}

func withHTTP(before func(*testing.T, *harness.Setup), change func(*config.HTTPConnectionManager)) func(*testing.T, *harness.Setup) {
	return func(t *testing.T, s *harness.Setup) {
		if before != nil {
			before(t, s)
		}
		change(s.HTTP())
	}
}

func noTimeout(before func(*testing.T, *harness.Setup)) func(*testing.T, *harness.Setup) {
	return func(t *testing.T, s *harness.Setup) {
		before(t, s)
		s.Route(0).Forward.Timeout = 0
	}
}

// start serves the setup of an answer, ready for its request.
func (r *localReply) start(t *testing.T) (*harness.Proxy, *harness.Client) {
	s := harness.NewSetup()
	if r.setup != nil {
		r.setup(t, s)
	}
	p := s.Start(t)
	c := p.Dial()
	if s.Overlay != nil {
		c.Get("/")
		p.Outcome()
	}
	return p, c
}

// want returns the exact bytes of the answer.
func (r *localReply) want(head bool) string {
	w := []string{fmt.Sprintf("HTTP/1.1 %d %s", r.status, reasons[r.status])}
	if strings.Contains(r.request, "HTTP/1.0\r\n") {
		w[0] = strings.Replace(w[0], "HTTP/1.1", "HTTP/1.0", 1)
	}
	if r.fields != "" {
		w = append(w, r.fields)
	}
	body := r.body
	if body != "" {
		w = append(w, "content-type: text/plain")
	}
	w = append(w, "date: DATE", "server: envoy", fmt.Sprintf("content-length: %d", len(body)))
	if r.closes {
		w = append(w, "connection: close")
	}
	if head {
		body = ""
	}
	return lines(w...) + body
}

var reasons = map[int]string{
	200: "OK", 301: "Moved Permanently", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
	408: "Request Timeout", 410: "Gone", 426: "Upgrade Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
	502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}

// TestLocalReplies holds the exact bytes, the flag and the details of every answer that the proxy makes itself.
func TestLocalReplies(t *testing.T) {
	for _, test := range localReplies() {
		t.Run(test.name, func(t *testing.T) {
			p, c := test.start(t)
			c.Send(test.request)
			if test.advance > 0 {
				p.Advance(test.advance)
			}
			resp := c.ReadResponse("GET")
			if got := normal(resp.Raw); got != test.want(false) {
				t.Errorf("got\n%q\nwant\n%q", got, test.want(false))
			}
			if o := p.Outcome(); o.Flags+" "+o.Details != test.outcome || o.Status != test.status {
				t.Errorf("outcome %v, want %d %s", o, test.status, test.outcome)
			}
			if test.closes {
				c.ExpectClosed()
			} else {
				c.ExpectOpen()
			}
		})
	}
}

// TestLocalRepliesToHEAD holds that HEAD gets the head of the same answer.
func TestLocalRepliesToHEAD(t *testing.T) {
	for _, test := range localReplies() {
		if !strings.HasPrefix(test.request, "GET /") || test.advance > 0 {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			_, c := test.start(t)
			c.Send("HEAD" + strings.TrimPrefix(test.request, "GET"))
			if got := normal(c.ReadResponse("HEAD").Raw); got != test.want(true) {
				t.Errorf("got\n%q\nwant\n%q", got, test.want(true))
			}
		})
	}
}

// grpcStatus maps the statuses that are not 2 (UNKNOWN).
var grpcStatus = map[int]int{400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}

// TestLocalRepliesToGRPC holds that a gRPC request gets a status of 200, with what is wrong in grpc-status and grpc-message.
func TestLocalRepliesToGRPC(t *testing.T) {
	for _, test := range localReplies() {
		if !strings.HasPrefix(test.request, "GET /") || test.status < 400 || strings.HasPrefix(test.outcome, "DPE") || strings.Contains(test.name, "upgrade") {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			p, c := test.start(t)
			c.Send(strings.Replace(test.request, "\r\n\r\n", "\r\nContent-Type: application/grpc+proto\r\n\r\n", 1))
			if test.advance > 0 {
				p.Advance(test.advance)
			}
			resp := c.ReadResponse("GET")
			status := cmp.Or(test.grpc, grpcStatus[test.status], 2)
			if resp.Status != 200 || resp.Body != "" || resp.Fields.Get("content-type") != "application/grpc" ||
				resp.Fields.Get("grpc-status") != fmt.Sprint(status) || resp.Fields.Get("grpc-message") != test.body {
				t.Errorf("got %q, want grpc-status %d", resp.Raw, status)
			}
			if o := p.Outcome(); o.Flags+" "+o.Details != test.outcome || o.Status != 200 {
				t.Errorf("outcome %v, want 200 %s", o, test.outcome)
			}
		})
	}
}

// TestGRPCMessageIsEscaped holds that a message cannot bring bytes into a field that do not belong there.
func TestGRPCMessageIsEscaped(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 503, "100% broken\r\nx: y\u00e4"))
	p := s.Start(t)
	resp := p.Dial().Get("/", "Content-Type: application/grpc")
	if want := "100%25 broken%0D%0Ax: y%C3%A4"; resp.Fields.Get("grpc-message") != want {
		t.Errorf("got %q, want %q", resp.Raw, want)
	}
	for _, other := range []string{"application/grpcx", "text/plain", "application/grp"} {
		if resp := p.Dial().Get("/", "Content-Type: "+other); resp.Status != 503 {
			t.Errorf("%s: got %q", other, resp.Raw)
		}
	}
}
