package acceptance

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// retrying returns a setup whose route has a policy of short waits, on the system's clock: its tests wait for what comes, not for
// times.
func retrying(on string, hosts ...netip.AddrPort) *harness.Setup {
	s := harness.NewSetup(hosts...)
	s.SystemClock = true
	s.Route(0).Forward.Retry = retryPolicy(on)
	return s
}

func retryPolicy(on string) *config.RetryPolicy {
	return &config.RetryPolicy{
		On: config.ParseRetryOn([]byte(on)) | config.ParseRetryOnGRPC([]byte(on)), NumRetries: 1, HostAttempts: 1,
		BackOff: time.Millisecond, MaxBackOff: time.Millisecond,
	}
}

// closedPort returns an address of this machine where nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// once is a script that answers the first request of a connection and closes it, which the answer says: no other request must
// meet the end of the connection.
func once(response string) func(*harness.Peer) {
	return harness.Then(strings.Replace(response, "\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1), closeNow)
}

func statusOnly(code int, fields ...string) string {
	lines := append([]string{fmt.Sprintf("HTTP/1.1 %d Status", code), "content-length: 0"}, fields...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// TestRetryConditions holds which failures of the first attempt each condition is about.
func TestRetryConditions(t *testing.T) {
	codes := func(list ...int) (all map[string]func(*harness.Peer)) {
		all = make(map[string]func(*harness.Peer))
		for _, code := range list {
			all[fmt.Sprint(code)] = once(statusOnly(code))
		}
		return all
	}
	failures := codes(400, 409, 500, 502, 503, 504)
	failures["closed"] = func(p *harness.Peer) { p.ReadRequest() }
	failures["reset"] = func(p *harness.Peer) { p.ReadRequest(); p.Reset() }
	failures["nonsense"] = once("nonsense\r\n\r\n")
	failures["limited"] = once(statusOnly(429, "x-envoy-ratelimited: true"))
	failures["limited 503"] = once(statusOnly(503, "x-envoy-ratelimited: true"))
	failures["x-again"] = once(statusOnly(404, "x-again: yes"))
	for code := range 17 {
		failures[fmt.Sprint("grpc ", code)] = once(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: 0\r\ngrpc-status: %d\r\n\r\n", code))
	}
	const gone = "closed,reset,nonsense"
	for on, meets := range map[string]string{
		"":                       "",
		"unknown":                "",
		"5xx":                    "500,502,503,504," + gone,
		"gateway-error":          "502,503,504," + gone,
		"reset":                  gone,
		"reset-before-request":   "",
		"connect-failure":        "",
		"refused-stream":         "",
		"retriable-4xx":          "409",
		"retriable-status-codes": "400,504",
		"retriable-headers":      "x-again",
		"envoy-ratelimited":      "limited,limited 503",
		"cancelled":              "grpc 1",
		"deadline-exceeded":      "grpc 4",
		"resource-exhausted":     "grpc 8",
		"internal":               "grpc 13",
		"unavailable":            "grpc 14",
		"5xx, retriable-4xx":     "409,500,502,503,504," + gone,
	} {
		for name, failure := range failures {
			t.Run(on+" "+name, func(t *testing.T) {
				origin := harness.NewOrigin(t, harness.InTurn(failure, harness.Echo))
				s := retrying(on, origin.Addr())
				policy := s.Route(0).Forward.Retry
				policy.StatusCodes = []uint32{400, 504}
				policy.ResponseHeaders = []config.HeaderMatcher{
					{Name: "x-other", Kind: config.HeaderPresent, Present: true},
					{Name: "x-again", Kind: config.HeaderString, String: config.StringMatcher{Value: "yes"}},
				}
				p := s.Start(t)
				want := uint64(0)
				if slices.Contains(strings.Split(meets, ","), name) {
					want = 1
				}
				resp := p.Dial().Get("/")
				if got := resp.Body == "GET / "; got != (want == 1) {
					t.Errorf("got %q", resp.Raw)
				}
				p.Outcome()
				if got := p.ClusterStat("upstream_rq_retry"); got != want {
					t.Errorf("upstream_rq_retry is %d, want %d", got, want)
				}
				if got := p.ClusterStat("upstream_rq_retry_success"); got != want {
					t.Errorf("upstream_rq_retry_success is %d, want %d", got, want)
				}
			})
		}
	}
}

// TestRetryOfConnectFailure holds that another attempt is made where no connection could be opened.
func TestRetryOfConnectFailure(t *testing.T) {
	for on, want := range map[string]uint64{
		"connect-failure": 1, "reset-before-request": 1, "reset": 1, "5xx": 1, "gateway-error": 1, "refused-stream": 0, "retriable-4xx": 0,
	} {
		p := retrying(on, closedPort(t)).Start(t)
		resp := p.Dial().Get("/")
		reason := "reset reason: remote connection failure"
		if want == 1 {
			reason = "retried and the latest " + reason
		}
		if resp.Status != 503 || !strings.Contains(resp.Body, "before headers. "+reason) {
			t.Errorf("%s: got %q", on, resp.Raw)
		}
		flags := map[uint64]string{0: "UF", 1: "UF,URX"}[want]
		if o := p.Outcome(); o.Flags != flags {
			t.Errorf("%s: outcome %v, want flags %s", on, o, flags)
		}
		if got := p.ClusterStat("upstream_rq_retry"); got != want {
			t.Errorf("%s: upstream_rq_retry is %d, want %d", on, got, want)
		}
		if got := p.ClusterStat("upstream_rq_retry_limit_exceeded"); got != want {
			t.Errorf("%s: upstream_rq_retry_limit_exceeded is %d, want %d", on, got, want)
		}
	}
}

// TestRetriesRunOut holds that the last response passes when no retry is left, and what is counted.
func TestRetriesRunOut(t *testing.T) {
	origin := harness.NewOrigin(t, once("HTTP/1.1 503 No\r\ncontent-length: 2\r\nx-n: 1\r\n\r\nno"))
	s := retrying("5xx", origin.Addr())
	s.Route(0).Forward.Retry.NumRetries = 2
	host := s.VirtualHost()
	host.IncludeRequestAttemptCount, host.IncludeAttemptCountInResponse = true, true
	p := s.Start(t)
	resp := p.Dial().Get("/")
	if resp.Status != 503 || resp.Body != "no" || resp.Fields.Get("x-envoy-attempt-count") != "3" {
		t.Errorf("got %q", resp.Raw)
	}
	if o := p.Outcome(); o.String() != "503 URX via_upstream" {
		t.Errorf("outcome %v", o)
	}
	for i, r := range origin.Requests() {
		if got := r.Fields.Get("x-envoy-attempt-count"); got != fmt.Sprint(i+1) {
			t.Errorf("attempt %d says it is number %s", i, got)
		}
	}
	for name, want := range map[string]uint64{
		"upstream_rq_retry": 2, "upstream_rq_retry_limit_exceeded": 1, "upstream_rq_retry_backoff_exponential": 2,
		"upstream_rq_retry_success": 0, "upstream_rq_total": 3, "upstream_rq_503": 1, "retry.upstream_rq_503": 2,
		"retry.upstream_rq_5xx": 2, "circuit_breakers.default.rq_retry_open": 0, "upstream_rq_active": 0,
	} {
		if got := p.ClusterStat(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

// TestVirtualHostRetries holds that a route without a policy has its virtual host's, and one with a policy only its own.
func TestVirtualHostRetries(t *testing.T) {
	for _, test := range []struct {
		route *config.RetryPolicy
		want  int
	}{{nil, 200}, {retryPolicy("retriable-4xx"), 503}} {
		origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
		s := retrying("", origin.Addr())
		s.Route(0).Forward.Retry = test.route
		s.VirtualHost().Retry = retryPolicy("5xx")
		if resp := s.Start(t).Dial().Get("/"); resp.Status != test.want {
			t.Errorf("route's policy %v: got %q", test.route, resp.Raw)
		}
	}
}

// TestRetryFields holds what a client inside may ask for, that one outside may not, and that no host sees it.
func TestRetryFields(t *testing.T) {
	for _, test := range []struct {
		name    string
		outside bool
		fields  []string
		failure string
		tries   int
	}{
		{"no field", false, nil, statusOnly(503), 1},
		{"retry-on", false, []string{"x-envoy-retry-on: gateway-error"}, statusOnly(503), 2},
		{"outside", true, []string{"x-envoy-retry-on: gateway-error"}, statusOnly(503), 1},
		{"max-retries", false, []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 3"}, statusOnly(503), 4},
		{"no retries", false, []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 0"}, statusOnly(503), 1},
		{"max-retries alone", false, []string{"x-envoy-max-retries: 3"}, statusOnly(503), 1},
		{"nonsense", false, []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: many"}, statusOnly(503), 2},
		{"grpc", false, []string{"x-envoy-retry-grpc-on: internal,unavailable"}, statusOnly(200, "grpc-status: 14"), 2},
		{"grpc in the other", false, []string{"x-envoy-retry-on: unavailable"}, statusOnly(200, "grpc-status: 14"), 1},
		{"statuses", false, []string{"x-envoy-retry-on: retriable-status-codes", "x-envoy-retriable-status-codes: 1, 418"}, statusOnly(418), 2},
		{"names", false, []string{"x-envoy-retry-on: retriable-headers", "x-envoy-retriable-header-names: A, X-Again"}, statusOnly(404, "x-again: 1"), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, once(test.failure))
			s := retrying("", origin.Addr())
			if !test.outside {
				loopback(s)
			}
			p := s.Start(t)
			p.Dial().Get("/", test.fields...)
			p.Outcome()
			requests := origin.Requests()
			if len(requests) != test.tries {
				t.Errorf("%d attempts, want %d", len(requests), test.tries)
			}
			for _, r := range requests {
				if strings.Contains(r.Raw, "retr") {
					t.Errorf("the host sees %q", r.Raw)
				}
			}
		})
	}
}

// TestRetriableRequestHeaders holds that only requests that match are tried again.
func TestRetriableRequestHeaders(t *testing.T) {
	for field, want := range map[string]int{"x-safe: yes": 200, "x-safe: no": 503} {
		origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
		s := retrying("5xx", origin.Addr())
		s.Route(0).Forward.Retry.RequestHeaders = []config.HeaderMatcher{
			{Name: "x-safe", Kind: config.HeaderString, String: config.StringMatcher{Value: "yes"}},
		}
		if resp := s.Start(t).Dial().Get("/", field); resp.Status != want {
			t.Errorf("%s: got %q", field, resp.Raw)
		}
	}
}

// TestRetryBreaker holds that no more retries are in flight than the circuit breaker allows.
func TestRetryBreaker(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*config.Thresholds)
		want   string
	}{
		"open":          {func(b *config.Thresholds) { b.MaxRetries = 0 }, "503 UO via_upstream"},
		"closed":        {func(b *config.Thresholds) { b.MaxRetries = 1 }, "200 - via_upstream"},
		"budget":        {func(b *config.Thresholds) { b.MaxRetries, b.RetryBudget = 0, &config.RetryBudget{Percent: 100} }, "200 - via_upstream"},
		"no budget":     {func(b *config.Thresholds) { b.RetryBudget = &config.RetryBudget{Percent: 99} }, "503 UO via_upstream"},
		"least budget":  {func(b *config.Thresholds) { b.RetryBudget = &config.RetryBudget{MinConcurrency: 1} }, "200 - via_upstream"},
		"nothing of it": {func(b *config.Thresholds) { b.RetryBudget = &config.RetryBudget{} }, "503 UO via_upstream"},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
			s := retrying("5xx", origin.Addr())
			test.change(&s.Clusters[0].Breakers)
			p := s.Start(t)
			p.Dial().Get("/")
			if o := p.Outcome(); o.String() != test.want {
				t.Errorf("outcome %v, want %s", o, test.want)
			}
			overflow := uint64(0)
			if strings.Contains(test.want, "UO") {
				overflow = 1
			}
			if got := p.ClusterStat("upstream_rq_retry_overflow"); got != overflow {
				t.Errorf("upstream_rq_retry_overflow is %d, want %d", got, overflow)
			}
		})
	}
}

// TestRetryBudgetInterval holds that a budget may be of the requests that have begun within a time, also of those that have ended.
func TestRetryBudgetInterval(t *testing.T) {
	for name, test := range map[string]struct {
		before  int           // requests that have ended
		ago     time.Duration // and how long ago
		allowed bool          // a retry of the next
	}{
		"too few":     {2, 0, false},
		"enough":      {3, 0, true},
		"still count": {9, time.Hour - time.Second, true},
		"no longer":   {9, time.Hour * 9 / 8, false},
	} {
		t.Run(name, func(t *testing.T) {
			var script []func(*harness.Peer)
			for range test.before {
				script = append(script, once(harness.OK("x")))
			}
			origin := harness.NewOrigin(t, harness.InTurn(append(script, once(statusOnly(503)))...))
			s := retrying("5xx", origin.Addr())
			s.SystemClock = false
			s.HTTP().ConnectionIdle, s.HTTP().StreamIdle = 0, 0
			s.Clusters[0].Breakers.RetryBudget = &config.RetryBudget{Percent: 25, Interval: time.Hour}
			p := s.Start(t)
			c := p.Dial()
			for range test.before {
				c.Get("/")
				p.Outcome()
			}
			p.Advance(test.ago)
			c.Send(harness.Get("/"))
			if test.allowed {
				untilStat(t, p, "upstream_rq_retry", 1)
			} else if o := p.Outcome(); o.String() != "503 UO via_upstream" {
				t.Errorf("outcome %v, want 503 UO via_upstream", o)
			}
		})
	}
}

// TestPreviousHosts holds that a host that has failed is not picked again while there is another.
func TestPreviousHosts(t *testing.T) {
	bad := harness.NewOrigin(t, harness.Respond(statusOnly(503)))
	good := harness.NewOrigin(t, harness.Echo)
	// Listed twice as heavy, the bad host is the next one of a round robin too.
	s := retrying("5xx", bad.Addr(), good.Addr())
	s.Clusters[0].Assignment.Localities[0].Endpoints[0].Weight = 9
	policy := s.Route(0).Forward.Retry
	policy.AvoidPreviousHosts, policy.HostAttempts = true, 50
	p := s.Start(t)
	c := p.Dial()
	for range 50 {
		if resp := c.Get("/"); resp.Status != 200 {
			t.Fatalf("got %q", resp.Raw)
		}
	}
	if p.ClusterStat("upstream_rq_retry") == 0 {
		t.Error("no request came to the bad host first")
	}
}

// TestPreviousHostIsBetterThanNone holds that the only host is asked again.
func TestPreviousHostIsBetterThanNone(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
	s := retrying("5xx", origin.Addr())
	s.Route(0).Forward.Retry.AvoidPreviousHosts = true
	if resp := s.Start(t).Dial().Get("/"); resp.Status != 200 {
		t.Errorf("got %q", resp.Raw)
	}
}

// TestRetryRuntime holds that the runtime may say how many retries are made.
func TestRetryRuntime(t *testing.T) {
	origin := harness.NewOrigin(t, once(statusOnly(503)))
	p := retrying("5xx", origin.Addr()).Start(t)
	setRuntime(p, map[string]uint64{config.KeyUseRetry: 0})
	c := p.Dial()
	if resp := c.Get("/"); resp.Status != 503 {
		t.Errorf("got %q", resp.Raw)
	}
	if o := p.Outcome(); o.Flags != "-" || p.ClusterStat("upstream_rq_retry") != 0 {
		t.Errorf("outcome %v after %d retries", o, p.ClusterStat("upstream_rq_retry"))
	}
	setRuntime(p, map[string]uint64{config.KeyUseRetry: 100})
	c.Get("/")
	p.Outcome()
	if got := p.ClusterStat("upstream_rq_retry"); got != 1 {
		t.Errorf("upstream_rq_retry is %d, want 1", got)
	}
}
