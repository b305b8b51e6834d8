package acceptance

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// patient is an origin that answers traffic with its name, and GET /health as it is told.
type patient struct {
	*harness.Origin
	name   string
	status atomic.Int32  // of health
	fields atomic.Value  // of its answers to traffic, text
	asked  atomic.Int64  // how often it was asked for its health
	held   chan struct{} // closed when it may answer for its health; nil: at once
}

func newPatient(t *testing.T, name string, held chan struct{}) *patient {
	o := &patient{name: name, held: held}
	o.status.Store(200)
	o.fields.Store("")
	o.Origin = harness.NewOrigin(t, o.serve)
	return o
}

func (o *patient) serve(p *harness.Peer) {
	for {
		req, ok := p.ReadRequest()
		if !ok {
			return
		}
		if req.Target != "/health" {
			fields := o.fields.Load().(string)
			ok = p.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s", fields, len(o.name), o.name))
		} else {
			o.asked.Add(1)
			ok = (o.held == nil || p.Wait(o.held)) && p.Write(fmt.Sprintf("HTTP/1.1 %d Status\r\ncontent-length: 0\r\n\r\n", o.status.Load()))
		}
		if !ok {
			return
		}
	}
}

// checkInterval is how often origins are asked: as good as always.
const checkInterval = 2 * time.Millisecond

// httpCheck asks for /health again and again.
func httpCheck() *config.HealthCheck {
	return &config.HealthCheck{
		Timeout: harness.Guard, UnhealthyThreshold: 2, HealthyThreshold: 2, ReuseConnection: true,
		Intervals: config.HealthIntervals{
			Base: checkInterval, Unhealthy: checkInterval, UnhealthyEdge: checkInterval, HealthyEdge: checkInterval,
			NoTraffic: checkInterval, NoTrafficHealthy: checkInterval,
		},
		HTTP: &config.HTTPHealthCheck{Path: "/health", Method: "GET", ResponseBytes: 1024, Expected: []config.StatusRange{{Start: 200, End: 201}}},
	}
}

// named is a host and the letter that stands for it.
type named struct {
	name    string
	address netip.AddrPort
}

// both names the two origins of a test.
func both(a, b *patient) []named { return []named{{a.name, a.Addr()}, {b.name, b.Addr()}} }

// flagsOf words the hosts of the cluster as the worker has them: a letter each, upper case for one that passes, and what else there
// is to say.
func flagsOf(p *harness.Proxy, hosts ...named) string {
	var words []string
	for _, k := range p.Server.Clusters() {
		if k.Config.Name != harness.ClusterName {
			continue
		}
		for i := range k.Hosts {
			h := &k.Hosts[i]
			word := h.Address
			for _, n := range hosts {
				if n.address.String() == h.Address {
					word = n.name
				}
			}
			if h.ActiveHealth.Has(config.FailedActiveHC) {
				word = strings.ToLower(word)
			}
			for flag, text := range map[config.HostHealth]string{
				config.PendingActiveHC: "+pending", config.ExcludedViaImmediateHCFail: "+excluded",
			} {
				if h.ActiveHealth.Has(flag) {
					word += text
				}
			}
			if h.PendingRemoval {
				word += "+leaving"
			}
			words = append(words, word)
		}
	}
	return strings.Join(sortedWords(words), " ")
}

func sortedWords(words []string) []string {
	slices.SortFunc(words, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return words
}

// untilFlags waits until the hosts are as wanted.
func untilFlags(t *testing.T, p *harness.Proxy, want string, hosts ...named) {
	t.Helper()
	got := ""
	for end := time.Now().Add(harness.Guard); time.Now().Before(end); p.Sync() {
		if got = flagsOf(p, hosts...); got == want {
			return
		}
	}
	t.Fatalf("the hosts are %q, want %q", got, want)
}

// answers sends n requests and returns who answers, each once.
func answers(c *harness.Client, n int) string {
	seen := make(map[string]bool)
	var names []string
	for range n {
		resp := c.Get("/")
		name := resp.Body
		if resp.Status != 200 {
			name = fmt.Sprint(resp.Status)
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return strings.Join(sortedWords(names), " ")
}

func membership(p *harness.Proxy) string {
	return fmt.Sprintf("total %d, healthy %d, excluded %d", p.ClusterStat("membership_total"), p.ClusterStat("membership_healthy"),
		p.ClusterStat("membership_excluded"))
}

// TestUnhealthyOriginGetsNoTraffic has an origin fail and come back.
func TestUnhealthyOriginGetsNoTraffic(t *testing.T) {
	a, b := newPatient(t, "A", nil), newPatient(t, "B", nil)
	s := harness.NewSetup(a.Addr(), b.Addr())
	s.Clusters[0].HealthCheck = httpCheck()
	p := s.Start(t)
	c := p.Dial()
	untilFlags(t, p, "A B", both(a, b)...)
	if got := answers(c, 10); got != "A B" {
		t.Errorf("%q answer while both pass", got)
	}
	b.status.Store(503)
	untilFlags(t, p, "A b", both(a, b)...)
	if got := answers(c, 10); got != "A" {
		t.Errorf("%q answer while B fails", got)
	}
	if got := membership(p); got != "total 2, healthy 1, excluded 0" {
		t.Errorf("membership: %s", got)
	}
	if healthy, failures := p.ClusterStat("health_check.healthy"), p.ClusterStat("health_check.failure"); healthy != 1 || failures == 0 {
		t.Errorf("health_check.healthy %d, failure %d", healthy, failures)
	}
	if n := p.ClusterStat("lb_healthy_panic"); n != 0 {
		t.Errorf("lb_healthy_panic is %d", n)
	}
	b.status.Store(200)
	untilFlags(t, p, "A B", both(a, b)...)
	if got := answers(c, 10); got != "A B" {
		t.Errorf("%q answer when B is back", got)
	}
	if got := membership(p); got != "total 2, healthy 2, excluded 0" {
		t.Errorf("membership: %s", got)
	}
	requests := p.ClusterStat("upstream_rq_total")
	if requests != 30 {
		t.Errorf("upstream_rq_total is %d, want that of traffic alone, 30", requests)
	}
}

// TestBeforeTheFirstCheck holds what becomes of traffic while no host is known to be well.
func TestBeforeTheFirstCheck(t *testing.T) {
	for _, tc := range []struct {
		name      string
		threshold uint32
		ignore    bool
		flags     string
		want      string
		excluded  string
	}{
		{"panic", 50, false, "a b", "A B", "total 2, healthy 0, excluded 0"},
		{"no panic", 0, false, "a b", "503", "total 2, healthy 0, excluded 0"},
		{"new hosts are ignored", 50, true, "a+pending b+pending", "503", "total 2, healthy 0, excluded 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			held := make(chan struct{})
			a, b := newPatient(t, "A", held), newPatient(t, "B", held)
			s := harness.NewSetup(a.Addr(), b.Addr())
			s.Clusters[0].HealthCheck, s.Clusters[0].PanicThreshold, s.Clusters[0].IgnoreNewHosts = httpCheck(), tc.threshold, tc.ignore
			p := s.Start(t)
			c := p.Dial()
			if got := flagsOf(p, both(a, b)...); got != tc.flags {
				t.Errorf("the hosts are %q, want %q", got, tc.flags)
			}
			if got := answers(c, 10); got != tc.want {
				t.Errorf("%q answer, want %q", got, tc.want)
			}
			if got := membership(p); got != tc.excluded {
				t.Errorf("membership: %s, want %s", got, tc.excluded)
			}
			close(held)
			p.Server.WaitWarm(t.Context(), s.Clusters[0])
			if got := flagsOf(p, both(a, b)...); got != "A B" {
				t.Errorf("the hosts are %q when all were checked", got)
			}
			if got := answers(c, 10); got != "A B" {
				t.Errorf("%q answer when all were checked", got)
			}
		})
	}
}

// TestImmediateHealthCheckFail has an origin ask in an answer to traffic to be left alone.
func TestImmediateHealthCheckFail(t *testing.T) {
	a, b := newPatient(t, "A", nil), newPatient(t, "B", nil)
	s := harness.NewSetup(a.Addr(), b.Addr())
	check := httpCheck()
	check.Intervals.Unhealthy, check.Intervals.Base = time.Hour, time.Hour // so that only traffic tells
	check.Intervals.NoTraffic, check.Intervals.NoTrafficHealthy = time.Hour, time.Hour
	s.Clusters[0].HealthCheck = check
	p := s.Start(t)
	c := p.Dial()
	untilFlags(t, p, "A B", both(a, b)...)
	b.fields.Store("x-envoy-immediate-health-check-fail: true\r\n")
	for range 4 { // B is asked at least once, and may be asked again before what it said is known
		if resp := c.Get("/"); resp.Status != 200 {
			t.Errorf("status %d", resp.Status)
		}
	}
	untilFlags(t, p, "A b+excluded", both(a, b)...)
	if got := answers(c, 10); got != "A" {
		t.Errorf("%q answer after B asked not to", got)
	}
	if passive, all := p.ClusterStat("health_check.passive_failure"), p.ClusterStat("health_check.failure"); passive != 1 || all != 1 {
		t.Errorf("passive_failure %d, failure %d, want 1 of each", passive, all)
	}
	if got := membership(p); got != "total 2, healthy 1, excluded 1" {
		t.Errorf("membership: %s", got)
	}
}

// TestHostStaysWhileItPasses has discovery forget an origin that is well, and the origin then fail.
func TestHostStaysWhileItPasses(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		t.Run(fmt.Sprintf("ignore_health_on_host_removal %v", ignored), func(t *testing.T) {
			a, b := newPatient(t, "A", nil), newPatient(t, "B", nil)
			s := harness.NewSetup()
			k := s.Clusters[0]
			k.Type, k.EDSName, k.Assignment, k.HealthCheck, k.RemoveHealthyHosts = config.ClusterEDS, "eds", nil, httpCheck(), ignored
			p := s.Start(t)
			discover := func(hosts ...netip.AddrPort) {
				p.Apply(config.Delta{Endpoints: config.Changes[*config.ClusterLoadAssignment]{
					Set: map[string]*config.ClusterLoadAssignment{"eds": harness.Cluster("eds", hosts...).Assignment},
				}})
			}
			c := p.Dial()
			discover(a.Addr(), b.Addr())
			untilFlags(t, p, "A B", both(a, b)...)
			discover(a.Addr())
			if ignored {
				if got := flagsOf(p, both(a, b)...); got != "A" {
					t.Errorf("the hosts are %q", got)
				}
				return
			}
			untilFlags(t, p, "A B+leaving", both(a, b)...)
			if got := answers(c, 10); got != "A B" {
				t.Errorf("%q answer while B passes", got)
			}
			b.status.Store(500)
			untilFlags(t, p, "A", both(a, b)...)
			asked := b.asked.Load()
			if got := answers(c, 10); got != "A" {
				t.Errorf("%q answer when B has left", got)
			}
			b.status.Store(200)
			discover(a.Addr(), b.Addr())
			untilFlags(t, p, "A B", both(a, b)...)
			if b.asked.Load() == asked {
				t.Error("B is back without having been asked")
			}
		})
	}
}

// TestGRPCHealthCheck follows the health that a server of grpc-go tells.
func TestGRPCHealthCheck(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	health, server := grpchealth.NewServer(), grpc.NewServer()
	healthpb.RegisterHealthServer(server, health)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	address := netip.MustParseAddrPort(l.Addr().String())
	s := harness.NewSetup(address)
	check := httpCheck()
	check.HTTP, check.GRPC = nil, &config.GRPCHealthCheck{Service: "a.B"}
	s.Clusters[0].HealthCheck, s.Clusters[0].Protocol, s.Clusters[0].HTTP2 = check, config.ProtocolHTTP2, config.DefaultHTTP2()
	s.Clusters[0].PanicThreshold = 0
	p := s.Start(t)
	c := p.Dial()
	for _, tc := range []struct {
		status healthpb.HealthCheckResponse_ServingStatus
		flags  string
	}{
		{healthpb.HealthCheckResponse_SERVING, "G"}, {healthpb.HealthCheckResponse_NOT_SERVING, "g"}, {healthpb.HealthCheckResponse_SERVING, "G"},
	} {
		health.SetServingStatus("a.B", tc.status)
		untilFlags(t, p, tc.flags, named{"G", address})
		resp := c.Get("/")
		if refused := strings.Contains(resp.Raw, "no healthy upstream"); refused != (tc.flags == "g") {
			t.Errorf("%s: got %q", tc.status, resp.Raw)
		}
	}
}

// TestFailedOriginOfHTTP2IsDrained has an origin fail while a stream to it is open: the stream goes on to its end, and its
// connection takes no other.
func TestFailedOriginOfHTTP2IsDrained(t *testing.T) {
	release := make(chan struct{})
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		for {
			req, ok := p.ReadRequest()
			if !ok || req.Path == "/held" && !p.Wait(release) {
				return
			}
			p.Respond(req.StreamID, harness.H2OK("ok"))
		}
	})
	health := newPatient(t, "H", nil) // tells of the origin, on a port of its own
	s := h2Setup(origin)
	s.Clusters[0].HealthCheck = httpCheck()
	s.Clusters[0].Assignment.Localities[0].Endpoints[0].HealthCheck.Port = uint32(health.Addr().Port())
	p := s.Start(t)
	untilFlags(t, p, "O", named{"O", origin.Addr()})
	c := p.DialH2()
	held := c.Get("/held")
	origin.WaitConnections(1)
	p.Advance(time.Second)
	health.status.Store(503)
	untilFlags(t, p, "o", named{"O", origin.Addr()})
	if r := c.Response(c.Get("/")); r.Status != 200 { // by panic
		t.Errorf("got %v", r)
	}
	if n := origin.Connections(); n != 2 {
		t.Errorf("%d connections, want a second one for what comes after the failure", n)
	}
	close(release)
	if r := c.Response(held); r.Status != 200 || r.Body != "ok" {
		t.Errorf("the stream that was open got %v", r)
	}
	origin.WaitEnded(0)
}

// TestFailedHostOfTCP holds what becomes of connections that the TCP proxy has to an origin that fails.
func TestFailedHostOfTCP(t *testing.T) {
	for _, closes := range []bool{false, true} {
		t.Run(fmt.Sprintf("close_connections_on_host_health_failure %v", closes), func(t *testing.T) {
			origin := harness.NewOrigin(t, func(p *harness.Peer) {
				p.Write("hello")
				p.UntilClosed()
			})
			health := newPatient(t, "H", nil) // tells of the origin, on a port of its own
			s := tcpSetup(origin.Addr())
			s.Clusters[0].HealthCheck, s.Clusters[0].CloseOnHealthFailure = httpCheck(), closes
			s.Clusters[0].Assignment.Localities[0].Endpoints[0].HealthCheck.Port = uint32(health.Addr().Port())
			p := s.Start(t)
			at := named{"O", origin.Addr()}
			untilFlags(t, p, "O", at)
			var clients []*harness.Client
			for range 3 {
				c := p.Dial()
				c.Expect("hello")
				clients = append(clients, c)
			}
			clients[1].Close() // one has gone before
			p.Sync()
			health.status.Store(503)
			untilFlags(t, p, "o", at)
			for _, c := range []*harness.Client{clients[0], clients[2]} {
				if closes {
					c.ExpectReset()
				} else {
					c.ExpectOpen()
				}
			}
			late := p.Dial() // by panic
			late.Expect("hello")
		})
	}
}
