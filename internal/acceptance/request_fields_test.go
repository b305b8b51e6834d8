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

// TestEarlyMutations holds that requests are changed before anything is found out of them: the route, the client, whether it speaks
// gRPC.
func TestEarlyMutations(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	byField := harness.Forward("/", harness.ClusterName)
	byField.Match.Headers = []config.HeaderMatcher{{Name: "x-version", Kind: config.HeaderString, String: config.StringMatcher{Value: "2"}}}
	s.SetRoutes(byField, harness.Direct("/", 404, "not routed"))
	s.HTTP().UseRemoteAddress = false
	s.HTTP().InternalAddresses = []string{"10.0.0.0/8"}
	s.HTTP().EarlyMutations = []config.HeaderMutations{
		{RequestAdd: []config.HeaderValue{{Name: "x-version", Value: "%REQ(X-WANTS)%"}}},
		{RequestRemove: []string{"x-wants"}},
		{RequestAdd: []config.HeaderValue{{Name: "x-forwarded-for", Value: "%REQ(X-CLIENT)%", Action: config.OverwriteIfExistsOrAdd}}},
		{RequestAdd: []config.HeaderValue{{Name: "x-envoy-internal", Value: "forged"}}},
		{RequestAdd: []config.HeaderValue{{Name: "content-type", Value: "%REQ(X-TYPE)%"}}},
		{RequestAdd: []config.HeaderValue{{Name: "x-peer", Value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}},
	}
	c := s.Start(t).Dial()
	if resp := c.Get("/"); resp.Status != 404 {
		t.Errorf("without the field: got %q", resp.Raw)
	}
	if resp := c.Get("/", "x-type: application/grpc"); resp.Status != 200 || resp.Fields.Get("grpc-status") != "12" {
		t.Errorf("as gRPC: got %q", resp.Raw)
	}
	c.Get("/", "x-wants: 2", "x-client: 10.0.0.1")
	got := origin.Requests()[0].Fields
	for name, want := range map[string]string{
		"x-version": "2", "x-wants": "", "x-forwarded-for": "10.0.0.1", "x-envoy-internal": "true", "x-peer": "127.0.0.1",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
}

// TestScheme holds what scheme the host is told of, and what x-forwarded-proto says then.
func TestScheme(t *testing.T) {
	for _, test := range []struct {
		name     string
		scheme   string
		ofHost   bool
		tls      bool // to the host
		client   string
		want     string
		forwards string
	}{
		{"as the client has said", "", false, false, "https", "https", "https"},
		{"overwritten", "http", false, false, "https", "http", "http"},
		{"overwritten by https", "https", false, false, "http", "https", "https"},
		{"of a host in plaintext", "", true, false, "https", "http", "https"},
		{"of a host in TLS", "", true, true, "http", "https", "http"},
	} {
		t.Run(test.name, func(t *testing.T) {
			front := newAutoFront(t)
			s := h2Setup(front.two)
			if test.tls {
				s = front.setup()
			}
			s.HTTP().UseRemoteAddress = false
			s.HTTP().Scheme, s.HTTP().SchemeOfHost = test.scheme, test.ofHost
			s.Start(t).Dial().Get("/", "x-forwarded-proto: "+test.client)
			r := front.two.Requests()[0]
			if r.Scheme != test.want || r.Fields.Get("x-forwarded-proto") != test.forwards {
				t.Errorf("the scheme is %q, want %q; x-forwarded-proto is %q, want %q", r.Scheme, test.want, r.Fields.Get("x-forwarded-proto"), test.forwards)
			}
		})
	}
}

// TestSchemeAndTLSRequirement holds that a scheme that is overwritten is what a virtual host goes by that wants TLS.
func TestSchemeAndTLSRequirement(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 200, "hello"))
	s.VirtualHost().RequireTLS = config.TLSAll
	s.HTTP().Scheme = "https"
	if resp := s.Start(t).Dial().Get("/"); resp.Status != 200 {
		t.Errorf("got %q", resp.Raw)
	}
}

// TestForwardedPort holds who may say to which port the client has connected.
func TestForwardedPort(t *testing.T) {
	for _, test := range []struct {
		name    string
		appends bool
		edge    bool
		hops    uint32
		field   string
		want    string // "own" for the listener's
	}{
		{"not asked for", false, true, 0, "x-forwarded-port: 1", "1"},
		{"edge", true, true, 0, "x-a: b", "own"},
		{"edge is not deceived", true, true, 0, "x-forwarded-port: 1", "own"},
		{"behind a proxy", true, true, 1, "x-forwarded-port: 1", "1"},
		{"behind a proxy that does not tell", true, true, 1, "x-a: b", "own"},
		{"within", true, false, 0, "x-forwarded-port: 1", "1"},
		{"within, not told", true, false, 0, "x-a: b", "own"},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := harness.NewSetup(origin.Addr())
			s.HTTP().AppendForwardedPort, s.HTTP().UseRemoteAddress, s.HTTP().XFFNumTrustedHops = test.appends, test.edge, test.hops
			p := s.Start(t)
			p.Dial().Get("/", test.field)
			want := test.want
			if want == "own" {
				want = strconv.Itoa(int(netip.MustParseAddrPort(p.Address()).Port()))
			}
			if got := origin.Requests()[0].Fields.Get("x-forwarded-port"); got != want {
				t.Errorf("x-forwarded-port is %q, want %q", got, want)
			}
		})
	}
}

// TestTraceReason holds that a request ID from outside that is kept does not say that the request is traced, unless that is wanted.
func TestTraceReason(t *testing.T) {
	const traced, not = "01234567-89ab-acde-8f01-23456789abcd", "01234567-89ab-4cde-8f01-23456789abcd"
	for _, test := range []struct {
		name       string
		edge, kept bool
		id, want   string
	}{
		{"from outside", true, false, traced, not},
		{"not traced", true, false, not, not},
		{"no UUID", true, false, "01234567-89ab-acde", "01234567-89ab-acde"},
		{"from outside, kept", true, true, traced, traced},
		{"from within", false, false, traced, traced},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := harness.NewSetup(origin.Addr())
			s.HTTP().UseRemoteAddress, s.HTTP().PreserveExternalRequestID, s.HTTP().KeepTraceReason = test.edge, true, test.kept
			s.Start(t).Dial().Get("/", "x-request-id: "+test.id)
			if got := origin.Requests()[0].Fields.Get("x-request-id"); got != test.want {
				t.Errorf("x-request-id is %q, want %q", got, test.want)
			}
		})
	}
}

// TestHTTP2DrainJitter holds that connections which are to go at the same time do not all go at the same time: each has its
// drain_timeout, and what chance adds, which is no more than may be.
func TestHTTP2DrainJitter(t *testing.T) {
	const connections, timeout, jitter = 16, 10 * time.Second, 50
	s := harness.NewSetup()
	s.HTTP().DrainTimeout, s.HTTP().DrainJitter = timeout, jitter
	p := s.Start(t)
	var open []*harness.H2Client
	for range connections {
		c := p.DialH2()
		c.RoundTrip()
		open = append(open, c)
	}
	p.Server.StopListening()
	for _, c := range open {
		c.ExpectGoAway(http2.ErrCodeNo)
	}
	left := func() uint64 { return p.HTTPStat("downstream_cx_active") }
	p.Advance(timeout - time.Millisecond)
	p.Sync()
	if left() != connections {
		t.Errorf("%d of %d connections are left before drain_timeout", left(), connections)
	}
	rounds := 0 // in which some have gone
	for range 10 {
		before := left()
		p.Advance(timeout * jitter / 100 / 10)
		p.Sync()
		if left() < before {
			rounds++
		}
	}
	p.Advance(time.Second) // for the client to close, and the grain of the timers
	if rounds < 2 {
		t.Errorf("all connections have gone at once")
	}
	for _, c := range open {
		c.ExpectGoAway(http2.ErrCodeNo)
		c.ExpectClosed()
		c.Close()
	}
}
