package acceptance

import (
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// slowRetries returns a setup on the virtual clock with a policy of the given waits, whose origin fails at first and then echoes.
func slowRetries(t *testing.T, first string, base, longest time.Duration) (*harness.Setup, *harness.Origin) {
	t.Helper()
	origin := harness.NewOrigin(t, harness.InTurn(once(first), harness.Echo))
	s := harness.NewSetup(origin.Addr())
	s.Route(0).Forward.Retry = retryPolicy("5xx,envoy-ratelimited")
	s.Route(0).Forward.Retry.BackOff, s.Route(0).Forward.Retry.MaxBackOff = base, longest
	return s, origin
}

// TestBackOff holds that the next attempt waits for less than its range.
func TestBackOff(t *testing.T) {
	s, origin := slowRetries(t, statusOnly(503), time.Second, time.Second)
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	origin.WaitEnded(0)
	p.Sync()
	if n := p.ClusterStat("upstream_rq_retry_backoff_exponential"); n != 1 {
		t.Fatalf("upstream_rq_retry_backoff_exponential is %d, want 1", n)
	}
	p.Advance(time.Second)
	if r := c.ReadResponse("GET"); r.Status != 200 {
		t.Errorf("got %q", r.Raw)
	}
}

// TestRateLimitedBackOff holds that the next attempt waits for as long as the response says, and up to half of that more.
func TestRateLimitedBackOff(t *testing.T) {
	s, origin := slowRetries(t, statusOnly(429, "x-envoy-ratelimited: true", "retry-after: 4"), time.Millisecond, time.Millisecond)
	s.Route(0).Forward.Retry.RateLimited = &config.RateLimitedBackOff{
		ResetHeaders: []config.ResetHeader{{Name: "x-none"}, {Name: "retry-after"}}, Max: time.Minute,
	}
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	origin.WaitEnded(0)
	p.Advance(4*time.Second - justBefore)
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d attempts before the time, want 1", n)
	}
	p.Advance(2*time.Second + 2*justBefore)
	if r := c.ReadResponse("GET"); r.Status != 200 {
		t.Errorf("got %q", r.Raw)
	}
	if n := p.ClusterStat("upstream_rq_retry_backoff_ratelimited"); n != 1 {
		t.Errorf("upstream_rq_retry_backoff_ratelimited is %d, want 1", n)
	}
}

// TestTimeoutInBackOff holds that the route's timeout bounds all attempts and what is between them.
func TestTimeoutInBackOff(t *testing.T) {
	s, origin := slowRetries(t, statusOnly(429, "x-envoy-ratelimited: true", "retry-after: 60"), time.Millisecond, time.Millisecond)
	s.Route(0).Forward.Retry.RateLimited = &config.RateLimitedBackOff{ResetHeaders: []config.ResetHeader{{Name: "retry-after"}}, Max: time.Minute}
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	origin.WaitEnded(0)
	p.Advance(config.DefaultRouteTimeout + justBefore)
	if r := c.ReadResponse("GET"); r.Status != 504 || r.Body != "upstream request timeout" {
		t.Errorf("got %q", r.Raw)
	}
	if o := p.Outcome(); o.String() != "504 UT response_timeout" {
		t.Errorf("outcome %v", o)
	}
	expectNoRetry(t, p)
	if n := p.ClusterStat("upstream_rq_retry_success"); n != 0 {
		t.Errorf("upstream_rq_retry_success is %d, want 0", n)
	}
}

// expectNoRetry fails when the circuit breaker still counts a retry.
func expectNoRetry(t *testing.T, p *harness.Proxy) {
	t.Helper()
	if n := p.ClusterStat("circuit_breakers.default.rq_retry_open"); n != 0 {
		t.Error("a retry is still counted as in flight")
	}
}

// TestClientGoneInBackOff holds that a client that leaves takes its retry along.
func TestClientGoneInBackOff(t *testing.T) {
	for name, leave := range map[string]func(*harness.Client){"close": (*harness.Client).Close, "reset": (*harness.Client).Reset} {
		t.Run(name, func(t *testing.T) {
			s, origin := slowRetries(t, statusOnly(503), time.Hour, time.Hour)
			s.Clusters[0].Breakers.MaxRetries = 1
			p := s.Start(t)
			c := p.Dial()
			c.Send(harness.Get("/"))
			origin.WaitEnded(0)
			p.Sync()
			if n := p.ClusterStat("circuit_breakers.default.rq_retry_open"); n != 1 {
				t.Errorf("rq_retry_open is %d in the back-off, want 1", n)
			}
			leave(c)
			if o := p.Outcome(); o.Flags != "DC" {
				t.Errorf("outcome %v", o)
			}
			expectNoRetry(t, p)
		})
	}
}

// TestPerTryTimeout holds that an attempt that takes too long ends, and is made again where the policy says so.
func TestPerTryTimeout(t *testing.T) {
	for on, want := range map[string]string{"5xx": "200 - via_upstream", "retriable-4xx": "504 UT upstream_per_try_timeout"} {
		origin := harness.NewOrigin(t, harness.InTurn(silent, harness.Echo))
		s := harness.NewSetup(origin.Addr())
		policy := retryPolicy(on)
		policy.PerTryTimeout = time.Second
		s.Route(0).Forward.Retry = policy
		p := s.Start(t)
		c := p.Dial()
		c.Send(harness.Head("POST /", "Content-Length: 5"))
		p.Advance(2 * time.Second) // it runs from the end of the request
		c.Send("hello")
		origin.WaitCaptured(len("hello"))
		p.Advance(time.Second - justBefore)
		p.NoOutcome()
		p.Advance(2 * justBefore)
		p.Advance(time.Second) // the back-off
		c.ReadResponse("POST")
		if o := p.Outcome(); o.String() != want {
			t.Errorf("%s: outcome %v, want %s", on, o, want)
		}
		if n := p.ClusterStat("upstream_rq_per_try_timeout"); n != 1 {
			t.Errorf("%s: upstream_rq_per_try_timeout is %d, want 1", on, n)
		}
		if got := origin.Captured()[0]; !strings.Contains(got, "x-envoy-expected-rq-timeout-ms: 1000\r\n") {
			t.Errorf("%s: the host sees %q", on, got)
		}
	}
}

// TestIsTimeoutRetry holds that the host of a further attempt is told whether the one before has taken too long, where the virtual host
// says so.
func TestIsTimeoutRetry(t *testing.T) {
	for _, told := range []bool{true, false} {
		origin := harness.NewOrigin(t, harness.InTurn(hang, once(statusOnly(503)), harness.Echo))
		s := retrying("5xx", origin.Addr())
		policy := s.Route(0).Forward.Retry
		policy.NumRetries, policy.PerTryTimeout = 2, 50*time.Millisecond
		s.VirtualHost().IncludeIsTimeoutRetry = told
		p := s.Start(t)
		if r := p.Dial().Get("/"); r.Status != 200 {
			t.Errorf("got %q", r.Raw)
		}
		want := []string{"", "true", "false"}
		if !told {
			want = []string{"", "", ""}
		}
		for i, r := range origin.Requests() {
			if got := r.Fields.Get("x-envoy-is-timeout-retry"); got != want[i] {
				t.Errorf("attempt %d: x-envoy-is-timeout-retry is %q, want %q", i, got, want[i])
			}
		}
	}
}

// TestPerTryTimeoutEndsWithTheHead holds that a response that has begun has all the time that the route gives it.
func TestPerTryTimeoutEndsWithTheHead(t *testing.T) {
	letGo := make(chan struct{})
	origin := harness.NewOrigin(t, harness.Then("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", func(p *harness.Peer) {
		p.Wait(letGo)
		p.Write("ok")
	}))
	s := harness.NewSetup(origin.Addr())
	policy := retryPolicy("5xx")
	policy.PerTryTimeout = time.Second
	s.Route(0).Forward.Retry = policy
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	c.Expect("HTTP/1.1 200 OK\r\n")
	p.Advance(5 * time.Second)
	p.NoOutcome()
	close(letGo)
	if o := p.Outcome(); o.String() != "200 - via_upstream" {
		t.Errorf("outcome %v", o)
	}
}

// TestPerTryTimeoutOfTheWholeRoute holds that one that is no shorter than the route's timeout does nothing.
func TestPerTryTimeoutOfTheWholeRoute(t *testing.T) {
	origin := harness.NewOrigin(t, silent)
	s := harness.NewSetup(origin.Addr())
	policy := retryPolicy("5xx")
	policy.PerTryTimeout = time.Second
	s.Route(0).Forward.Retry, s.Route(0).Forward.Timeout = policy, time.Second
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	origin.WaitCaptured(1)
	p.Advance(time.Second + justBefore)
	if o := p.Outcome(); o.String() != "504 UT response_timeout" {
		t.Errorf("outcome %v", o)
	}
}

// TestPerTryIdleTimeout holds that an attempt in which nothing moves ends: it is made again before the response has begun, and
// broken off after.
func TestPerTryIdleTimeout(t *testing.T) {
	for begun, want := range map[string]string{
		"": "200 - via_upstream",
		"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello": "200 SI upstream_per_try_idle_timeout",
	} {
		origin := harness.NewOrigin(t, harness.InTurn(harness.Then(begun, hang), harness.Echo))
		s := harness.NewSetup(origin.Addr())
		policy := retryPolicy("reset")
		policy.PerTryIdleTimeout = time.Second
		s.Route(0).Forward.Retry = policy
		p := s.Start(t)
		c := p.Dial()
		c.Send(harness.Get("/"))
		origin.WaitCaptured(1)
		if begun != "" {
			c.Expect(begun[:len("HTTP/1.1 200 OK\r\n")])
		}
		p.Advance(time.Second - justBefore)
		p.NoOutcome()
		p.Advance(2 * justBefore)
		p.Advance(time.Second) // the back-off
		if o := p.Outcome(); o.String() != want {
			t.Errorf("%q: outcome %v, want %s", begun, o, want)
		}
		if n := p.ClusterStat("upstream_rq_per_try_idle_timeout"); n != 1 {
			t.Errorf("%q: upstream_rq_per_try_idle_timeout is %d, want 1", begun, n)
		}
	}
}
