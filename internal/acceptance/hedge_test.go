package acceptance

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// leg is one of the attempts of a request that race each other, which a test has end as it likes.
type leg struct {
	request harness.H2Request
	answer  chan harness.H2Response // the zero value has the leg reset
	ended   chan struct{}           // closed when the proxy has reset it, if it was not answered
}

// track has hosts that hand each request they get to the test. As each attempt is to go to another host, there is one request for
// each host.
type track struct {
	hosts []netip.AddrPort
	legs  chan *leg
}

// track starts hosts of the upper side of the pair.
func (p pair) track(t *testing.T, hosts int) *track {
	tr := &track{legs: make(chan *leg, hosts)}
	for range hosts {
		if p.up == 1 {
			tr.hosts = append(tr.hosts, harness.NewOrigin(t, tr.http1).Addr())
		} else {
			tr.hosts = append(tr.hosts, harness.NewH2Origin(t, tr.http2).Addr())
		}
	}
	return tr
}

func (tr *track) begin(r harness.H2Request) *leg {
	l := &leg{request: r, answer: make(chan harness.H2Response, 1), ended: make(chan struct{})}
	tr.legs <- l
	return l
}

func (tr *track) http1(p *harness.Peer) {
	req, ok := p.ReadRequest()
	if !ok {
		return
	}
	l := tr.begin(ofHTTP1(req))
	go func() {
		defer close(l.ended)
		p.UntilClosed()
	}()
	select {
	case r := <-l.answer:
		if r.Status != 0 {
			p.Write(http1Response(r))
			<-l.ended
		}
	case <-l.ended:
	}
}

func (tr *track) http2(p *harness.H2Peer) {
	req, ok := p.ReadRequest()
	if !ok {
		return
	}
	l := tr.begin(req)
	go func() {
		defer close(l.ended)
		_, _ = p.TryWaitFrame(func(f *harness.H2Frame) bool { return f.Type == http2.FrameRSTStream })
	}()
	select {
	case r := <-l.answer:
		if r.Status == 0 {
			p.Reset(req.StreamID, http2.ErrCodeInternal)
		} else {
			p.Respond(req.StreamID, r)
		}
		<-l.ended
	case <-l.ended:
	}
}

// hedging returns a setup whose attempts are raced after a second, with as many retries as there are hosts left.
func (p pair) hedging(t *testing.T, hosts int) (*track, *harness.Setup) {
	tr := p.track(t, hosts)
	s := harness.NewSetup(tr.hosts...)
	if p.up == 2 {
		toHTTP2(s)
	}
	policy := retryPolicy("5xx")
	policy.PerTryTimeout, policy.NumRetries, policy.AvoidPreviousHosts, policy.HostAttempts = time.Second, uint32(hosts-1), true, 100
	s.Route(0).Forward.Retry, s.Route(0).Forward.Hedge = policy, &config.HedgePolicy{OnPerTryTimeout: true}
	s.VirtualHost().IncludeRequestAttemptCount = true
	return tr, s
}

// wait returns the next leg that begins.
func (tr *track) wait(t *testing.T) *leg {
	t.Helper()
	select {
	case l := <-tr.legs:
		return l
	case <-time.After(harness.Guard):
		t.Fatal("no further attempt has begun")
		return nil
	}
}

// lost waits until the proxy has given the leg up.
func (l *leg) lost(t *testing.T) {
	t.Helper()
	select {
	case <-l.ended:
	case <-time.After(harness.Guard):
		t.Error("an attempt that has lost goes on")
	}
}

// TestHedge holds which of two attempts that race each other has its response passed on, and what is counted.
func TestHedge(t *testing.T) {
	type end struct {
		leg    int
		status int // 0 for a reset
	}
	for _, tc := range []struct {
		name      string
		ends      []end
		loser     int // that is given up, -1 for none
		outcome   string
		body      string
		succeeded uint64 // upstream_rq_retry_success
	}{
		{"the first wins", []end{{0, 200}}, 1, "200 - via_upstream", "leg 0", 0},
		{"the second wins", []end{{1, 200}}, 0, "200 - via_upstream", "leg 1", 1},
		{"bad first", []end{{0, 503}, {1, 200}}, -1, "200 - via_upstream", "leg 1", 1},
		{"bad second", []end{{1, 503}, {0, 200}}, -1, "200 URX via_upstream", "leg 0", 0},
		{"both bad", []end{{0, 503}, {1, 503}}, -1, "503 URX via_upstream", "leg 1", 0},
		{"both bad, the second before the first", []end{{1, 503}, {0, 500}}, -1, "500 URX via_upstream", "leg 0", 0},
		{"no retry for what is not in the policy", []end{{0, 404}}, 1, "404 - via_upstream", "leg 0", 0},
		{"first reset", []end{{0, 0}, {1, 200}}, -1, "200 - via_upstream", "leg 1", 1},
		{"second reset", []end{{1, 0}, {0, 200}}, -1, "200 URX via_upstream", "leg 0", 0},
	} {
		for _, pair := range pairs {
			t.Run(tc.name+" "+pair.String(), func(t *testing.T) {
				tr, s := pair.hedging(t, 2)
				p := s.Start(t)
				c := pair.upload(p, "5")
				c.send("hello", true)
				legs := []*leg{tr.wait(t)}
				p.Advance(time.Second - justBefore)
				p.NoOutcome()
				p.Advance(2 * justBefore)
				legs = append(legs, tr.wait(t))
				for i, l := range legs {
					if l.request.Body != "hello" || l.request.Fields.Get("x-envoy-attempt-count") != strconv.Itoa(i+1) {
						t.Errorf("attempt %d has %+v", i+1, l.request)
					}
				}
				for i, e := range tc.ends {
					r := harness.H2Response{Status: e.status}
					if e.status != 0 {
						r.Body = "leg " + strconv.Itoa(e.leg)
					}
					legs[e.leg].answer <- r
					if i < len(tc.ends)-1 {
						untilStat(t, p, "upstream_rq_active", 1)
						p.NoOutcome()
					}
				}
				if _, body := c.response(); body != tc.body {
					t.Errorf("the client has %q, want %q", body, tc.body)
				}
				if o := p.Outcome(); o.String() != tc.outcome {
					t.Errorf("outcome %v, want %s", o, tc.outcome)
				}
				if tc.loser >= 0 {
					legs[tc.loser].lost(t)
				}
				for name, want := range map[string]uint64{
					"upstream_rq_retry": 1, "upstream_rq_retry_success": tc.succeeded, "upstream_rq_per_try_timeout": 0, "upstream_rq_total": 2,
					"upstream_rq_active": 0, "circuit_breakers.default.rq_retry_open": 0,
				} {
					if n := p.ClusterStat(name); n != want {
						t.Errorf("%s is %d, want %d", name, n, want)
					}
				}
			})
		}
	}
}

// TestHedgeEndsAtOnce holds that whatever ends a request ends all attempts that race each other.
func TestHedgeEndsAtOnce(t *testing.T) {
	for _, pair := range pairs {
		for name, tc := range map[string]struct {
			end      func(p *harness.Proxy)
			outcome  string
			timeouts uint64
		}{
			"route timeout": {func(p *harness.Proxy) { p.Advance(5 * time.Second) }, "504 UT,URX response_timeout", 3},
			"stream idle":   {func(p *harness.Proxy) { p.Advance(4 * time.Second) }, "504 SI,URX stream_idle_timeout", 0},
		} {
			t.Run(name+" "+pair.String(), func(t *testing.T) {
				tr, s := pair.hedging(t, 3)
				s.Route(0).Forward.Timeout = 5 * time.Second
				if name == "stream idle" {
					s.HTTP().StreamIdle = 4 * time.Second
				}
				p := s.Start(t)
				c := pair.upload(p, "5")
				c.send("hello", true)
				legs := []*leg{tr.wait(t)}
				for range 2 {
					p.Advance(time.Second + justBefore)
					legs = append(legs, tr.wait(t))
				}
				tc.end(p)
				c.response()
				if o := p.Outcome(); o.String() != tc.outcome {
					t.Errorf("outcome %v, want %s", o, tc.outcome)
				}
				for _, l := range legs {
					l.lost(t)
				}
				if n := p.ClusterStat("upstream_rq_timeout"); n != tc.timeouts {
					t.Errorf("upstream_rq_timeout is %d, want %d", n, tc.timeouts)
				}
			})
		}
	}
}

// TestHedgeIsARetry holds that a race is within the circuit breaker of retries, and that one that it forbids leaves the first attempt alone.
func TestHedgeIsARetry(t *testing.T) {
	for _, pair := range pairs {
		tr, s := pair.hedging(t, 4)
		s.Clusters[0].Breakers.MaxRetries = 1
		p := s.Start(t)
		c := pair.upload(p, "5")
		c.send("hello", true)
		first := tr.wait(t)
		p.Advance(time.Second + justBefore)
		second := tr.wait(t)
		p.Advance(time.Second + justBefore)
		p.Sync()
		if n := p.ClusterStat("upstream_rq_retry_overflow"); n != 1 {
			t.Errorf("%v: upstream_rq_retry_overflow is %d, want 1", pair, n)
		}
		p.Advance(2 * time.Second) // and there is no more to wait for
		first.answer <- harness.H2Response{Status: 200, Body: "first"}
		if status, body := c.response(); status != 200 || body != "first" {
			t.Errorf("%v: got %d %q", pair, status, body)
		}
		if o := p.Outcome(); o.String() != "200 UO via_upstream" {
			t.Errorf("%v: outcome %v", pair, o)
		}
		second.lost(t)
		if n := p.ClusterStat("upstream_rq_retry"); n != 1 {
			t.Errorf("%v: upstream_rq_retry is %d, want 1", pair, n)
		}
	}
}

// TestHedgeWhileWaiting holds that the attempts before win while the one at hand waits for its time, or for a connection.
func TestHedgeWhileWaiting(t *testing.T) {
	for _, pair := range pairs {
		tr, s := pair.hedging(t, 3)
		policy := s.Route(0).Forward.Retry
		policy.BackOff, policy.MaxBackOff = time.Hour, time.Hour
		s.Route(0).Forward.Timeout = 0
		s.HTTP().StreamIdle = 0
		p := s.Start(t)
		c := pair.upload(p, "5")
		c.send("hello", true)
		first := tr.wait(t)
		p.Advance(time.Second + justBefore)
		tr.wait(t).answer <- harness.H2Response{Status: 503, Body: "no"}
		untilStat(t, p, "upstream_rq_retry", 2)
		untilStat(t, p, "upstream_rq_active", 1)
		first.answer <- harness.H2Response{Status: 200, Body: "first"}
		if status, body := c.response(); status != 200 || body != "first" {
			t.Errorf("%v: got %d %q", pair, status, body)
		}
		if o := p.Outcome(); o.String() != "200 - via_upstream" {
			t.Errorf("%v: outcome %v", pair, o)
		}
	}
}

// TestHedgeOfClientsThatLeave holds that all attempts end with the client.
func TestHedgeOfClientsThatLeave(t *testing.T) {
	tr, s := pair{1, 1}.hedging(t, 2)
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	first := tr.wait(t)
	p.Advance(time.Second + justBefore)
	second := tr.wait(t)
	c.Close()
	first.lost(t)
	second.lost(t)
	if o := p.Outcome(); o.Flags != "DC" {
		t.Errorf("outcome %v", o)
	}
}

// TestHedgedStreamsExpire holds that an attempt that goes on lasts no longer than a stream to its cluster may.
func TestHedgedStreamsExpire(t *testing.T) {
	for _, pair := range pairs {
		tr, s := pair.hedging(t, 2)
		s.Clusters[0].MaxStreamDuration = 1500 * time.Millisecond
		p := s.Start(t)
		c := pair.upload(p, "5")
		c.send("hello", true)
		first := tr.wait(t)
		p.Advance(time.Second + justBefore)
		second := tr.wait(t)
		p.Advance(time.Second - 2*justBefore)
		first.lost(t)
		if n := p.ClusterStat("upstream_rq_max_duration_reached"); n != 1 {
			t.Errorf("%v: upstream_rq_max_duration_reached is %d, want 1", pair, n)
		}
		second.answer <- harness.H2Response{Status: 200, Body: "second"}
		if status, body := c.response(); status != 200 || body != "second" {
			t.Errorf("%v: got %d %q", pair, status, body)
		}
		p.Outcome()
	}
}

// TestHedgeTakesInformational holds that the attempt whose host is the first to say anything is the only one from there on, because
// the client has heard of it.
func TestHedgeTakesInformational(t *testing.T) {
	for _, pair := range pairs {
		tr, s := pair.hedging(t, 2)
		p := s.Start(t)
		c := pair.upload(p, "5")
		c.send("hello", true)
		first := tr.wait(t)
		p.Advance(time.Second + justBefore)
		second := tr.wait(t)
		early := harness.H2Response{Status: 103, Fields: harness.Fields{{Name: "link", Value: "a"}}}
		first.answer <- harness.H2Response{Status: 503, Body: "first", Informational: []harness.H2Response{early}}
		second.lost(t)
		if o := p.Outcome(); o.String() != "503 - via_upstream" {
			t.Errorf("%v: outcome %v", pair, o)
		}
	}
}

// TestHedgeField holds that a client from inside chooses whether attempts race each other, and that nobody else does.
func TestHedgeField(t *testing.T) {
	for _, tc := range []struct {
		policy   *config.HedgePolicy
		field    string
		internal bool
		want     bool
	}{
		{nil, "true", true, true},
		{nil, "true", false, false},
		{nil, "yes", true, false},
		{&config.HedgePolicy{OnPerTryTimeout: true}, "false", true, false},
		{&config.HedgePolicy{OnPerTryTimeout: true}, "no", true, true},
		{&config.HedgePolicy{OnPerTryTimeout: true}, "false", false, true},
	} {
		tr, s := pair{1, 1}.hedging(t, 2)
		if tc.internal {
			loopback(s)
		}
		s.Route(0).Forward.Hedge = tc.policy
		p := s.Start(t)
		c := p.Dial()
		c.Send(harness.Get("/", "x-envoy-hedge-on-per-try-timeout: "+tc.field))
		first := tr.wait(t)
		if first.request.Fields.Has("x-envoy-hedge-on-per-try-timeout") {
			t.Errorf("%+v: the host sees %v", tc, first.request.Fields)
		}
		p.Advance(time.Second + justBefore)
		p.Advance(time.Second) // the back-off
		second := tr.wait(t)
		if !tc.want {
			first.lost(t)
		}
		if n := p.ClusterStat("upstream_rq_active"); (n == 2) != tc.want {
			t.Errorf("%+v: %d requests are in flight", tc, n)
		}
		second.answer <- harness.H2Response{Status: 200, Body: "good"}
		p.Outcome()
	}
}

// TestHedgeOfVirtualHost holds that a route's policy takes the place of its virtual host's.
func TestHedgeOfVirtualHost(t *testing.T) {
	for _, own := range []*config.HedgePolicy{nil, {}} {
		tr, s := pair{1, 1}.hedging(t, 2)
		s.Route(0).Forward.Hedge, s.VirtualHost().Hedge = own, &config.HedgePolicy{OnPerTryTimeout: true}
		p := s.Start(t)
		c := p.Dial()
		c.Send(harness.Get("/"))
		first := tr.wait(t)
		p.Advance(time.Second + justBefore)
		if own != nil {
			first.lost(t)
			p.Advance(time.Second)
		}
		tr.wait(t).answer <- harness.H2Response{Status: 200, Body: "good"}
		p.Outcome()
		first.lost(t)
	}
}

// TestHedgeWithoutARetry holds that an attempt that takes too long goes on also where no other is to be had.
func TestHedgeWithoutARetry(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*config.RetryPolicy)
		outcome string
	}{
		"no retries": {func(p *config.RetryPolicy) { p.NumRetries = 0 }, "200 URX via_upstream"},
		"no policy":  {func(p *config.RetryPolicy) { p.On = 0 }, "200 - via_upstream"},
	} {
		tr, s := pair{2, 2}.hedging(t, 1)
		tc.change(s.Route(0).Forward.Retry)
		p := s.Start(t)
		c := p.DialH2()
		id := c.Get("/")
		first := tr.wait(t)
		p.Advance(5 * time.Second)
		p.NoOutcome()
		first.answer <- harness.H2Response{Status: 200, Body: "good"}
		c.Response(id)
		if o := p.Outcome(); o.String() != tc.outcome {
			t.Errorf("%s: outcome %v, want %s", name, o, tc.outcome)
		}
	}
}

// TestHedgeTellsOutlierDetection holds that an attempt that takes too long counts against its host at once, though its response is
// still waited for.
func TestHedgeTellsOutlierDetection(t *testing.T) {
	for _, pair := range pairs {
		tr, s := pair.hedging(t, 2)
		s.Clusters[0].Outlier = outliers()
		s.Clusters[0].Outlier.Consecutive5xx = 1
		p := s.Start(t)
		c := pair.upload(p, "5")
		c.send("hello", true)
		first := tr.wait(t)
		p.Advance(time.Second + justBefore)
		tr.wait(t)
		if out := untilEjected(t, p); len(out) != 1 {
			t.Errorf("%v: %v are out, want the first host", pair, out)
		}
		first.answer <- harness.H2Response{Status: 200, Body: "first"}
		if status, body := c.response(); status != 200 || body != "first" {
			t.Errorf("%v: got %d %q", pair, status, body)
		}
		p.Outcome()
	}
}
