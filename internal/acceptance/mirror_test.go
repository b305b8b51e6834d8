package acceptance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// mirrorName is the cluster that requests are mirrored to.
const mirrorName = "m"

func mirrorTo(cluster string) config.MirrorPolicy {
	return config.MirrorPolicy{Cluster: cluster, Fraction: config.RuntimeFraction{Default: config.FractionAll}}
}

// mirrored returns a setup whose requests go to an origin that echoes them and, mirrored, to other hosts.
func mirrored(t *testing.T, hosts ...netip.AddrPort) *harness.Setup {
	t.Helper()
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.SystemClock = true
	s.Clusters = append(s.Clusters, harness.Cluster(mirrorName, hosts...))
	s.Route(0).Forward.Mirrors = []config.MirrorPolicy{mirrorTo(mirrorName)}
	return s
}

// mirror returns a setup that mirrors to an origin of the upper protocol of the pair.
func (p pair) mirror(t *testing.T, o pairOrigin) *harness.Setup {
	t.Helper()
	s := mirrored(t, o.addr)
	enableTrailers(s)
	s.Clusters[1].EnableTrailers = true
	if p.up == 2 {
		speakHTTP2(s.Clusters[1])
	}
	return s
}

func untilMirrored(t *testing.T, p *harness.Proxy, name string, want uint64) {
	t.Helper()
	untilStatOf(t, p, mirrorName, name, want)
}

// TestMirror holds what a mirrored request looks like, and that its answer is counted and thrown away.
func TestMirror(t *testing.T) {
	for _, pair := range pairs {
		for name, r := range map[string]harness.H2Request{
			"GET":      {Method: "GET", Path: "/a?b", Authority: "a.test:81", EndStream: true},
			"POST":     {Method: "POST", Path: "/", Authority: "[::1]", Body: "hello", Fields: fieldsOf("content-length: 5")},
			"trailers": {Method: "POST", Path: "/", Authority: "a.test", Body: "hello", Trailers: fieldsOf("x-t: 1")},
			"no body":  {Method: "PUT", Path: "/", Authority: "[::1]:8", Trailers: fieldsOf("x-t: 1")},
		} {
			t.Run(pair.String()+" "+name, func(t *testing.T) {
				origin := pair.origin(t, harness.H2Response{Status: 404, Body: "no such thing"})
				s := pair.mirror(t, origin)
				s.LocalAddress = netip.MustParseAddr("192.0.2.1")
				s.Route(0).Forward.PrefixRewrite = "/v"
				s.VirtualHost().IncludeRequestAttemptCount = true
				p := s.Start(t)
				if got := pair.ask(p, r); got.Status != 200 || got.Body != r.Method+" /v"+r.Path[1:]+" "+r.Body {
					t.Errorf("the client got %v", got)
				}
				untilMirrored(t, p, "upstream_rq_completed", 1)
				if n := p.Stat("cluster.m.upstream_rq_404"); n != 1 {
					t.Errorf("upstream_rq_404 is %d", n)
				}
				want := map[string]string{
					"a.test:81": "a.test-shadow:81", "a.test": "a.test-shadow", "[::1]": "[::1]-shadow", "[::1]:8": "[::1]-shadow:8",
				}[r.Authority]
				all := origin.requests()
				if len(all) != 1 {
					t.Fatalf("%d requests were mirrored", len(all))
				}
				got := all[0]
				if got.Authority != want || got.Path != "/v"+r.Path[1:] || got.Body != r.Body || !slices.Equal(got.Trailers, r.Trailers) {
					t.Errorf("mirrored is %s %s %s %q %q", got.Method, got.Authority, got.Path, got.Body, got.Trailers)
				}
				for name, want := range map[string]string{
					"x-envoy-internal": "true", "x-forwarded-for": "192.0.2.1,192.0.2.1", "x-envoy-attempt-count": "1",
					"x-envoy-expected-rq-timeout-ms": "15000",
				} {
					if value := got.Fields.Get(name); value != want {
						t.Errorf("%s is %q, want %q", name, value, want)
					}
				}
				if n := p.ClusterStat("upstream_rq_total"); n != 1 {
					t.Errorf("upstream_rq_total of the target is %d", n)
				}
			})
		}
	}
}

// TestMirrorHost holds what becomes of the host, and of the fields that a policy changes.
func TestMirrorHost(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*config.MirrorPolicy)
		want   string
	}{
		"kept":      {func(m *config.MirrorPolicy) { m.KeepHost = true }, "a - yes"},
		"rewritten": {func(m *config.MirrorPolicy) { m.HostRewrite = "b.test:1" }, "b.test:1 - yes"},
		"mutated": {func(m *config.MirrorPolicy) {
			m.Mutations = []config.HeaderMutations{
				{RequestAdd: []config.HeaderValue{{Name: "x-a", Value: "%REQ(X-B)% %REQ(:AUTHORITY)%"}}}, {RequestRemove: []string{"x-b"}},
			}
		}, "a-shadow yes a -"},
	} {
		origin := harness.NewOrigin(t, harness.Echo)
		s := mirrored(t, origin.Addr())
		test.change(&s.Route(0).Forward.Mirrors[0])
		p := s.Start(t)
		p.Dial().Get("/", "x-b: yes")
		untilMirrored(t, p, "upstream_rq_completed", 1)
		f := origin.Requests()[0].Fields
		dash := func(s string) string {
			if s == "" {
				return "-"
			}
			return s
		}
		if got := fmt.Sprint(f.Get("host"), " ", dash(f.Get("x-a")), " ", dash(f.Get("x-b"))); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// TestMirrorPolicies holds which requests are mirrored, and where to.
func TestMirrorPolicies(t *testing.T) {
	never := mirrorTo(mirrorName)
	never.Fraction.Default = 0
	byField := config.MirrorPolicy{ClusterHeader: "x-m", Fraction: config.RuntimeFraction{Default: config.FractionAll}}
	toM, toNone := []config.MirrorPolicy{mirrorTo(mirrorName)}, []config.MirrorPolicy{mirrorTo("none")}
	for name, test := range map[string]struct {
		route, host, table []config.MirrorPolicy
		request            string
		want               int
	}{
		"route":                   {route: toM, host: toNone, table: toNone, want: 1},
		"virtual host":            {host: toM, table: toNone, want: 1},
		"route configuration":     {table: toM, want: 1},
		"only the route's":        {route: toNone, host: toM, table: toM},
		"only the virtual host's": {host: toNone, table: toM},
		"several":                 {route: []config.MirrorPolicy{mirrorTo(mirrorName), never, mirrorTo(mirrorName)}, want: 2},
		"named":                   {route: []config.MirrorPolicy{byField}, request: harness.Get("/", "X-M: m"), want: 1},
		"named twice":             {route: []config.MirrorPolicy{byField}, request: harness.Get("/", "X-M: m", "X-M: none"), want: 1},
		"named none":              {route: []config.MirrorPolicy{byField}, request: harness.Get("/", "X-M: none")},
		"not named":               {route: []config.MirrorPolicy{byField}},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := mirrored(t, origin.Addr())
			s.Route(0).Forward.Mirrors, s.VirtualHost().Mirrors, s.HTTP().Routes.Mirrors = test.route, test.host, test.table
			p := s.Start(t)
			c := p.Dial()
			if test.request == "" {
				test.request = harness.Get("/")
			}
			c.Send(test.request)
			if got := c.ReadResponse("GET"); got.Status != 200 {
				t.Errorf("got %q", got.Raw)
			}
			untilMirrored(t, p, "upstream_rq_completed", uint64(test.want))
			if n := len(origin.Requests()); n != test.want {
				t.Errorf("%d requests were mirrored, want %d", n, test.want)
			}
		})
	}
}

// TestMirrorFailures holds that nothing which becomes of a mirrored request touches the client's, and what is counted.
func TestMirrorFailures(t *testing.T) {
	script := func(script func(*harness.Peer)) func(t *testing.T) netip.AddrPort {
		return func(t *testing.T) netip.AddrPort { return harness.NewOrigin(t, script).Addr() }
	}
	for name, test := range map[string]struct {
		host   func(t *testing.T) netip.AddrPort
		change func(*harness.Setup)
		stat   string
	}{
		"closed port":      {closedPort, nil, "upstream_cx_connect_fail"},
		"closed":           {script(func(p *harness.Peer) { p.ReadHead() }), nil, "upstream_rq_rx_reset"},
		"reset":            {script(func(p *harness.Peer) { p.ReadHead(); p.Reset() }), nil, "upstream_cx_destroy_remote_with_active_rq"},
		"nonsense":         {script(once("nonsense\r\n\r\n")), nil, "upstream_cx_protocol_error"},
		"switch":           {script(once("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")), nil, "upstream_cx_protocol_error"},
		"1xx without end":  {script(once(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100))), nil, "upstream_cx_protocol_error"},
		"cut off":          {script(once("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")), nil, "upstream_rq_rx_reset"},
		"early response":   {script(func(p *harness.Peer) { p.ReadHead(); p.Write(harness.OK("x")) }), nil, "upstream_rq_completed"},
		"503":              {script(func(p *harness.Peer) { p.ReadRequest(); p.Write(statusOnly(503)) }), nil, "upstream_rq_completed"},
		"timeout":          {script(hang), func(s *harness.Setup) { s.Route(0).Forward.Timeout = 50 * time.Millisecond }, "upstream_rq_timeout"},
		"idle":             {script(hang), func(s *harness.Setup) { s.HTTP().StreamIdle = 50 * time.Millisecond }, "upstream_rq_timeout"},
		"no host":          {closedPort, func(s *harness.Setup) { s.Clusters[1].Assignment = &config.ClusterLoadAssignment{} }, "upstream_cx_none_healthy"},
		"too many":         {closedPort, func(s *harness.Setup) { s.Clusters[1].Breakers.MaxRequests = 0 }, "upstream_rq_active_overflow"},
		"HTTP/2 to HTTP/1": {script(once(harness.OK("x"))), func(s *harness.Setup) { speakHTTP2(s.Clusters[1]) }, "upstream_rq_rx_reset"},
	} {
		for _, length := range []string{"0", "5"} {
			t.Run(name+" "+length, func(t *testing.T) {
				s := mirrored(t, test.host(t))
				if test.change != nil {
					test.change(s)
				}
				p := s.Start(t)
				c := p.Dial()
				c.Send(harness.Head("POST /", "Content-Length: "+length))
				if length == "5" {
					c.Send("hello")
				}
				got := c.ReadResponse("POST")
				if want := strings.Repeat("hello", int(length[0]-'0')/5); got.Status != 200 || got.Body != "POST / "+want {
					t.Errorf("got %q", got.Raw)
				}
				if o := p.Outcome(); o.String() != "200 - via_upstream" {
					t.Errorf("outcome %v", o)
				}
				untilMirrored(t, p, test.stat, 1)
				untilMirrored(t, p, "upstream_rq_active", 0)
				if n := p.ClusterStat("retry_or_shadow_abandoned"); n != 0 {
					t.Errorf("retry_or_shadow_abandoned is %d", n)
				}
			})
		}
	}
}

// TestMirrorOutlivesTheRequest holds that a mirrored request goes on when the client has its answer, and that its connection is
// used again.
func TestMirrorOutlivesTheRequest(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			letGo := make(chan struct{}, 1)
			addr, connections := pair.held(t, letGo)
			p := pair.mirror(t, pairOrigin{addr: addr}).Start(t)
			for i := range uint64(2) {
				r := harness.H2Request{Method: "POST", Path: "/", Authority: "x", Body: "hello"}
				if got := pair.ask(p, r); got.Status != 200 {
					t.Fatalf("got %v", got)
				}
				p.Outcome()
				if n := p.Stat("cluster.m.upstream_rq_active"); n != 1 {
					t.Errorf("%d mirrored requests are in flight, want 1", n)
				}
				letGo <- struct{}{}
				untilMirrored(t, p, "upstream_rq_completed", i+1)
			}
			if n := connections(); n != 1 {
				t.Errorf("%d connections for mirrored requests, want 1", n)
			}
		})
	}
}

// held starts an origin that answers each request when it is let go.
func (p pair) held(t *testing.T, letGo <-chan struct{}) (addr netip.AddrPort, connections func() int) {
	if p.up == 1 {
		o := harness.NewOrigin(t, func(p *harness.Peer) {
			for {
				if _, ok := p.ReadRequest(); !ok || !p.Wait(letGo) {
					return
				}
				p.Write(harness.OK("x"))
			}
		})
		return o.Addr(), o.Connections
	}
	o := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		if p.Wait(letGo) {
			p.Respond(r.StreamID, harness.H2OK("x"))
		}
	}))
	return o.Addr(), o.Connections
}

// TestMirrorThatStalls holds that a host which takes nothing of a mirrored request holds up nobody, and that no more than the limit
// waits for it.
func TestMirrorThatStalls(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			s := pair.mirror(t, pairOrigin{addr: pair.stalled(t)})
			s.Listener.BufferLimit = 64 << 10
			p := s.Start(t)
			body := pattern(16 << 20) // more than the kernel holds
			r := harness.H2Request{Method: "POST", Path: "/", Authority: "x", Body: body}
			if got := pair.ask(p, r); got.Status != 200 || got.Body != "POST / "+body {
				t.Errorf("got %v", got)
			}
			p.Outcome()
			if n := p.ClusterStat("retry_or_shadow_abandoned"); n != 1 {
				t.Errorf("retry_or_shadow_abandoned is %d, want 1", n)
			}
			untilMirrored(t, p, "upstream_rq_active", 0)
			untilMirrored(t, p, "upstream_rq_total", 1)
		})
	}
}

// stalled starts an origin that takes a head and nothing else.
func (p pair) stalled(t *testing.T) netip.AddrPort {
	if p.up == 1 {
		done := make(chan struct{})
		t.Cleanup(func() { close(done) })
		return harness.NewOrigin(t, func(p *harness.Peer) { p.ReadHead(); p.Wait(done) }).Addr()
	}
	return harness.NewH2Origin(t, func(p *harness.H2Peer) {
		p.NoCredit()
		p.Drain()
	}).Addr()
}

// TestMirrorWaitsForAConnection holds that a mirrored request which waits for a connection is sent whole once it has one, and given
// up when more than the limit waits.
func TestMirrorWaitsForAConnection(t *testing.T) {
	for size, abandoned := range map[int]uint64{5: 0, 300 << 10: 1} {
		letGo := make(chan struct{}, 2)
		pair := pair{1, 1}
		addr, connections := pair.held(t, letGo)
		s := pair.mirror(t, pairOrigin{addr: addr})
		s.Listener.BufferLimit = 64 << 10
		s.Clusters[1].Breakers.MaxConnections = 1
		p := s.Start(t)
		p.Dial().Get("/first")
		r := harness.H2Request{Method: "POST", Path: "/", Authority: "x", Body: strings.Repeat("x", size), Trailers: fieldsOf("x-t: 1")}
		if got := pair.ask(p, r); got.Status != 200 || len(got.Body) != size+len("POST / ") {
			t.Errorf("%d bytes: got %v", size, got)
		}
		if n := p.Stat("cluster.m.upstream_rq_pending_active"); n != 1-abandoned {
			t.Errorf("%d bytes: upstream_rq_pending_active is %d", size, n)
		}
		letGo <- struct{}{}
		letGo <- struct{}{}
		untilMirrored(t, p, "upstream_rq_completed", 2-abandoned)
		if n := p.ClusterStat("retry_or_shadow_abandoned"); n != abandoned {
			t.Errorf("%d bytes: retry_or_shadow_abandoned is %d, want %d", size, n, abandoned)
		}
		if n := connections(); n != 1 {
			t.Errorf("%d connections for mirrored requests, want 1", n)
		}
	}
}

// TestMirrorOfARequestGivenUp holds that a mirrored request ends with the client's when that does not become whole.
func TestMirrorOfARequestGivenUp(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			s := pair.mirror(t, pairOrigin{addr: pair.stalled(t)})
			p := s.Start(t)
			if pair.down == 1 {
				c := p.Dial()
				c.Send(harness.Head("POST /", "Content-Length: 5"), "he")
				untilMirrored(t, p, "upstream_rq_active", 1)
				c.Reset()
			} else {
				c := p.DialH2()
				id := c.Request(false, harness.H2Head("POST", "/")...)
				untilMirrored(t, p, "upstream_rq_active", 1)
				c.Reset(id, http2.ErrCodeCancel)
			}
			p.Outcome()
			untilMirrored(t, p, "upstream_rq_active", 0)
			if pair.up == 2 {
				untilMirrored(t, p, "upstream_rq_tx_reset", 1)
			} else {
				untilMirrored(t, p, "upstream_cx_active", 0)
			}
		})
	}
}

// TestMirrorAndRetry holds that a request is mirrored once, however often it is tried.
func TestMirrorAndRetry(t *testing.T) {
	target := harness.NewOrigin(t, harness.InTurn(once(statusOnly(503)), harness.Echo))
	shadow := harness.NewOrigin(t, harness.Echo)
	s := mirrored(t, shadow.Addr())
	s.Clusters[0] = harness.Cluster(harness.ClusterName, target.Addr())
	s.Route(0).Forward.Retry = retryPolicy("5xx")
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Head("POST /", "Content-Length: 5"), "hello")
	if got := c.ReadResponse("POST"); got.Body != "POST / hello" {
		t.Errorf("got %q", got.Raw)
	}
	untilMirrored(t, p, "upstream_rq_completed", 1)
	if r := shadow.Requests(); len(r) != 1 || r[0].Body != "hello" {
		t.Errorf("mirrored are %v", r)
	}
}

// TestTunnelsAreNotMirrored holds that what asks for a tunnel goes to its target alone.
func TestTunnelsAreNotMirrored(t *testing.T) {
	s := mirrored(t, closedPort(t))
	s.HTTP().Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}}
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/", "Connection: upgrade", "Upgrade: websocket"))
	if got := c.ReadResponse("GET"); got.Status != 200 {
		t.Errorf("got %q", got.Raw)
	}
	p.Outcome()
	if n := p.Stat("cluster.m.upstream_rq_total"); n != 0 {
		t.Errorf("%d requests were mirrored", n)
	}
}
