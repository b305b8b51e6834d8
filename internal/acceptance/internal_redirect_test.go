package acceptance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// redirecting returns a setup whose route "/" follows redirects, and whose route "/next" leads to another cluster, of origins that
// both speak the upper protocol of the pair. The first redirects to location, with fields; the second answers.
func (p pair) redirecting(t *testing.T, status int, location string, fields ...harness.Field) (s *harness.Setup, first, second pairOrigin) {
	t.Helper()
	r := harness.H2Response{Status: status, Fields: append(harness.Fields{{Name: "content-length", Value: "0"}}, fields...)}
	if location != "" {
		r.Fields = append(r.Fields, harness.Field{Name: "location", Value: location})
	}
	first, second = p.origin(t, r), p.origin(t, harness.H2OK("followed"))
	s = p.setup(first)
	other := harness.Cluster("next", second.addr)
	other.EnableTrailers = true
	if p.up == 2 {
		speakHTTP2(other)
	}
	s.Clusters = append(s.Clusters, other)
	route := harness.Forward("/", harness.ClusterName)
	route.Forward.InternalRedirect = &config.InternalRedirect{Max: 1, Statuses: []int{302}}
	s.SetRoutes(harness.Forward("/next", "next"), route)
	s.SystemClock = true
	return s, first, second
}

// TestInternalRedirect holds what the second host gets of a request whose first has redirected it, and what is counted and told.
func TestInternalRedirect(t *testing.T) {
	for _, pair := range pairs {
		for name, test := range map[string]struct {
			status int
			r      harness.H2Request
			want   string // method, path and body
		}{
			"GET":              {302, harness.H2Request{Method: "GET", EndStream: true}, "GET /next?q "},
			"POST":             {302, harness.H2Request{Method: "POST", Body: "hello", Fields: fieldsOf("content-length: 5")}, "POST /next?q hello"},
			"trailers":         {307, harness.H2Request{Method: "POST", Body: "hello", Trailers: fieldsOf("x-t: 1")}, "POST /next?q hello"},
			"See Other":        {303, harness.H2Request{Method: "POST", Body: "hello", Fields: fieldsOf("content-length: 5")}, "GET /next?q "},
			"See Other, HEAD":  {303, harness.H2Request{Method: "HEAD", EndStream: true}, "HEAD /next?q "},
			"empty body":       {302, harness.H2Request{Method: "PUT", Trailers: fieldsOf("x-t: 1")}, "PUT /next?q "},
			"body of 100 KiB":  {308, harness.H2Request{Method: "PUT", Body: pattern(100 << 10)}, "PUT /next?q " + pattern(100<<10)},
			"Moved, no length": {301, harness.H2Request{Method: "POST", Body: "x"}, "POST /next?q x"},
		} {
			if test.r.Method == "HEAD" && pair.up == 2 {
				continue // the origin answers with a body
			}
			t.Run(pair.String()+" "+name, func(t *testing.T) {
				s, first, second := pair.redirecting(t, test.status, "http://b.test:81/next?q#part")
				s.Route(1).Forward.InternalRedirect.Statuses = []int{301, 302, 303, 307, 308}
				p := s.Start(t)
				test.r.Path, test.r.Authority = "/a?b", "a.test"
				got := pair.ask(p, test.r)
				if got.Status != 200 || test.r.Method != "HEAD" && got.Body != "followed" {
					t.Errorf("the client got %v", got)
				}
				all := second.requests()
				if len(all) != 1 || len(first.requests()) != 1 {
					t.Fatalf("the hosts got %v and %v", first.requests(), all)
				}
				r := all[0]
				if text := r.Method + " " + r.Path + " " + r.Body; text != test.want || r.Authority != "b.test:81" {
					t.Errorf("the second host got %.60q for %s", text, r.Authority)
				}
				trailers := test.r.Trailers
				if test.status == 303 {
					trailers = nil
				}
				if !slices.Equal(r.Trailers, trailers) {
					t.Errorf("the second host got trailers %q", r.Trailers)
				}
				if url := r.Fields.Get("x-envoy-original-url"); url != "http://a.test/a?b" {
					t.Errorf("x-envoy-original-url is %q", url)
				}
				hop, end := p.Outcome(), p.Outcome()
				if want := fmt.Sprint(test.status, " - internal_redirect"); hop.String() != want || hop.Path != "/a?b" || hop.Cluster != "c" {
					t.Errorf("told of %+v", hop)
				}
				if end.String() != "200 - via_upstream" || end.Path != "/next?q" || end.Cluster != "next" {
					t.Errorf("told of %+v", end)
				}
				for name, want := range map[string]uint64{
					"upstream_internal_redirect_succeeded_total": 1, "upstream_internal_redirect_failed_total": 0,
					"upstream_rq_total": 1, "upstream_rq_completed": 0, "upstream_rq_active": 0,
				} {
					if n := p.ClusterStat(name); n != want {
						t.Errorf("%s is %d, want %d", name, n, want)
					}
				}
				if n := p.HTTPStat("downstream_rq_total"); n != 2 {
					t.Errorf("downstream_rq_total is %d, want 2", n)
				}
			})
		}
	}
}

// TestInternalRedirectPassesThrough holds which redirects are the client's, as they came, and what says so.
func TestInternalRedirectPassesThrough(t *testing.T) {
	type policy = *config.InternalRedirect
	const next = "http://b.test/next"
	for name, test := range map[string]struct {
		location string
		status   int
		change   func(s *harness.Setup, p policy)
		request  string
		stat     string // of the connection manager
	}{
		"other status":       {location: next, status: 301},
		"no location":        {status: 302, stat: "-"},
		"empty location":     {location: " ", status: 302, stat: "bad_location"},
		"relative":           {location: "/next", status: 302, stat: "bad_location"},
		"other scheme":       {location: "ftp://b.test/next", status: 302, stat: "bad_location"},
		"no host":            {location: "http:///next", status: 302, stat: "bad_location"},
		"user":               {location: "http://u@b.test/next", status: 302, stat: "bad_location"},
		"space":              {location: "http://b.test/next x", status: 302, stat: "bad_location"},
		"escaped slash":      {location: next + "%2f", status: 302, change: func(s *harness.Setup, _ policy) { s.HTTP().EscapedSlashes = config.EscapedSlashesReject }, stat: "bad_location"},
		"https":              {location: "https://b.test/next", status: 302, stat: "unsafe_scheme"},
		"from http to https": {location: "https://b.test/next", status: 302, change: func(_ *harness.Setup, p policy) { p.AllowCrossScheme, p.SafeScheme = true, true }, stat: "predicate"},
		"none allowed":       {location: next, status: 302, change: func(_ *harness.Setup, p policy) { p.Max = 0 }, stat: "too_many_redirects"},
		"no route":           {location: next, status: 302, change: func(s *harness.Setup, _ policy) { s.VirtualHost().Domains = []string{"a"} }, stat: "no_route"},
		"not listed":         {location: next, status: 302, change: func(_ *harness.Setup, p policy) { p.OnlyListed, p.ListedRoutes = true, []string{"x"} }, stat: "predicate"},
		"upgrade":            {location: next, status: 302, request: harness.Get("/", "Connection: upgrade", "Upgrade: websocket"), stat: "-"},
		"converted body": {location: next, status: 302, request: harness.Head("POST /", "Content-Length: 0", "Content-Type: application/grpc-web"),
			change: func(s *harness.Setup, _ policy) {
				s.HTTP().Filters = []config.HTTPFilter{{Name: "w", Config: config.GRPCWeb{}}}
			}, stat: "-"},
		"body over the limit": {location: next, status: 302, request: harness.Head("POST /", "Content-Length: 70000") + strings.Repeat("x", 70000),
			change: func(s *harness.Setup, _ policy) { s.Listener.BufferLimit = 32 << 10 }, stat: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, second := pair{1, 1}.redirecting(t, test.status, test.location, harness.Field{Name: "x-a", Value: "1"})
			s.HTTP().Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}}
			if test.change != nil {
				test.change(s, s.Route(1).Forward.InternalRedirect)
			}
			p := s.Start(t)
			c := p.Dial()
			if test.request == "" {
				test.request = harness.Get("/a")
			}
			c.Send(test.request)
			got := c.ReadResponse("GET")
			if got.Status != test.status || got.Fields.Get("location") != strings.TrimSpace(test.location) || got.Fields.Get("x-a") != "1" {
				t.Errorf("got %q", got.Raw)
			}
			if o := p.Outcome(); o.String() != fmt.Sprint(test.status, " - via_upstream") || strings.Contains(o.Path, "next") {
				t.Errorf("told of %+v", o)
			}
			p.NoOutcome()
			if n := len(second.requests()); n != 0 {
				t.Errorf("%d requests have come to where the redirect leads", n)
			}
			failed := uint64(1)
			switch test.stat {
			case "":
				failed = 0
			case "-":
			default:
				if n := p.HTTPStat("passthrough_internal_redirect_" + test.stat); n != 1 {
					t.Errorf("passthrough_internal_redirect_%s is %d, want 1", test.stat, n)
				}
			}
			if n := p.ClusterStat("upstream_internal_redirect_failed_total"); n != failed {
				t.Errorf("upstream_internal_redirect_failed_total is %d, want %d", n, failed)
			}
		})
	}
}

// TestInternalRedirectAllowed holds what fulfils the predicates.
func TestInternalRedirectAllowed(t *testing.T) {
	for name, test := range map[string]struct {
		location string
		change   func(p *config.InternalRedirect)
	}{
		"listed":          {"http://b.test/next", func(p *config.InternalRedirect) { p.OnlyListed, p.ListedRoutes = true, []string{"x", "all /next"} }},
		"cross scheme":    {"HTTPS://b.test/next", func(p *config.InternalRedirect) { p.AllowCrossScheme = true }},
		"never before":    {"http://b.test/next", func(p *config.InternalRedirect) { p.PreviousRoutes = true }},
		"path normalised": {"http://b.test/a/../next", func(*config.InternalRedirect) {}},
	} {
		s, _, second := pair{2, 2}.redirecting(t, 302, test.location)
		s.HTTP().NormalizePath = true
		test.change(s.Route(1).Forward.InternalRedirect)
		p := s.Start(t)
		if got := askHTTP2(p.DialH2(), harness.H2Request{Method: "GET", Path: "/", Authority: "a", EndStream: true}); got.Body != "followed" {
			t.Errorf("%s: got %v", name, got)
		}
		want := "http"
		if strings.HasPrefix(test.location, "HTTPS") {
			want = "https"
		}
		if r := second.requests(); len(r) != 1 || r[0].Scheme != want || r[0].Path != "/next" {
			t.Errorf("%s: the second host got %v", name, r)
		}
	}
}

// TestInternalRedirectLoop holds that redirects end, by their number or because they lead to where they led before.
func TestInternalRedirectLoop(t *testing.T) {
	for previous, want := range map[bool]int{false: 6, true: 2} {
		origin := harness.NewOrigin(t, harness.Respond(statusOnly(302, "location: http://a/")))
		s := harness.NewSetup(origin.Addr())
		s.Route(0).Forward.InternalRedirect = &config.InternalRedirect{Max: 5, Statuses: []int{302}, PreviousRoutes: previous}
		p := s.Start(t)
		if got := p.Dial().Get("/"); got.Status != 302 {
			t.Errorf("got %q", got.Raw)
		}
		if n := len(origin.Requests()); n != want {
			t.Errorf("previous_routes %v: %d requests, want %d", previous, n, want)
		}
		if n := p.ClusterStat("upstream_internal_redirect_failed_total"); n != 1 {
			t.Errorf("upstream_internal_redirect_failed_total is %d, want 1", n)
		}
		if n := origin.Connections(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	}
}

// TestInternalRedirectCopiesFields holds that fields of the response take the place of the request's, also when the route goes by them,
// and that a redirect which is not followed leaves the request as it was.
func TestInternalRedirectCopiesFields(t *testing.T) {
	s, _, second := pair{1, 1}.redirecting(t, 302, "http://b.test/next", fieldsOf("x-to: here\nx-two: 1\nx-two: 2")...)
	s.Route(1).Forward.InternalRedirect.CopyHeaders = []string{"x-to", "x-two", "x-gone"}
	s.Route(0).Match.Headers = []config.HeaderMatcher{{Name: "x-to", Kind: config.HeaderString, String: config.StringMatcher{Value: "here"}}}
	p := s.Start(t)
	if got := p.Dial().Get("/", "x-gone: 1", "x-two: 0", "x-kept: 1"); got.Body != "followed" {
		t.Fatalf("got %q", got.Raw)
	}
	f := second.requests()[0].Fields
	var two []string
	for _, field := range f {
		if field.Name == "x-two" {
			two = append(two, field.Value)
		}
	}
	if f.Has("x-gone") || f.Get("x-kept") != "1" || !slices.Equal(two, []string{"1", "2"}) {
		t.Errorf("the second host got %q", f)
	}
}

// TestInternalRedirectToOtherActions holds that a redirect may lead to an answer of the proxy's own, and to a cluster that cannot serve.
func TestInternalRedirectToOtherActions(t *testing.T) {
	for want, next := range map[string]*config.Route{
		"299 - direct_response":      harness.Direct("/next", 299, "direct"),
		"503 NC cluster_not_found":   harness.Forward("/next", "unknown"),
		"503 UH no_healthy_upstream": harness.Forward("/next", "empty"),
		"301 - direct_response":      {Name: "r", Match: harness.Match("/next").Match, Redirect: &config.Redirect{Status: 301, Path: "/x"}},
		"503 UF upstream_reset_before_response_started{remote_connection_failure}": harness.Forward("/next", "closed"),
	} {
		s, _, _ := pair{1, 1}.redirecting(t, 302, "http://b.test/next")
		s.Clusters = append(s.Clusters, harness.Cluster("empty"), harness.Cluster("closed", closedPort(t)))
		s.SetRoutes(next, s.Route(1))
		p := s.Start(t)
		p.Dial().Get("/")
		if hop, end := p.Outcome(), p.Outcome(); hop.String() != "302 - internal_redirect" || end.String() != want {
			t.Errorf("told of %v, then %v, want %s", hop, end, want)
		}
	}
}

// TestInternalRedirectAndRetry holds that the second route has a policy, a time and mirrors of its own.
func TestInternalRedirectAndRetry(t *testing.T) {
	s, _, _ := pair{1, 1}.redirecting(t, 307, "http://b.test/next")
	s.Route(1).Forward.InternalRedirect.Statuses = []int{307}
	failing := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
	shadow := harness.NewOrigin(t, harness.Echo)
	s.Clusters[1] = harness.Cluster("next", failing.Addr())
	s.Clusters = append(s.Clusters, harness.Cluster(mirrorName, shadow.Addr()))
	next := s.Route(0).Forward
	next.Retry, next.Mirrors, next.Timeout = retryPolicy("5xx"), []config.MirrorPolicy{mirrorTo(mirrorName)}, time.Minute
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 5"), "hello")
	if got := c.ReadResponse("POST"); got.Body != "POST /next hello" {
		t.Errorf("got %q", got.Raw)
	}
	untilMirrored(t, p, "upstream_rq_completed", 1)
	for _, r := range append(failing.Requests(), shadow.Requests()...) {
		if millis, _ := strconv.Atoi(r.Fields.Get("x-envoy-expected-rq-timeout-ms")); r.Body != "hello" || millis <= 15_000 {
			t.Errorf("got %v", r)
		}
	}
	if n := p.Stat("cluster.next.upstream_rq_retry_success"); n != 1 {
		t.Errorf("upstream_rq_retry_success is %d", n)
	}
}

// TestInternalRedirectAfterARetry holds that a redirect is followed which a further attempt has come to.
func TestInternalRedirectAfterARetry(t *testing.T) {
	s, _, second := pair{1, 1}.redirecting(t, 302, "")
	origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Respond(statusOnly(302, "location: http://a/next"))))
	s.Clusters[0] = harness.Cluster(harness.ClusterName, origin.Addr())
	s.Route(1).Forward.Retry = retryPolicy("5xx")
	p := s.Start(t)
	if got := p.Dial().Get("/"); got.Body != "followed" || len(second.requests()) != 1 {
		t.Errorf("got %q", got.Raw)
	}
	for name, want := range map[string]uint64{"upstream_rq_retry_success": 1, "upstream_internal_redirect_succeeded_total": 1} {
		if n := p.ClusterStat(name); n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
}
