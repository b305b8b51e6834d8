package acceptance

import (
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestOriginalIPs holds who a request is found to be from, what the host is told of it, and whether it counts as internal.
func TestOriginalIPs(t *testing.T) {
	loopbackProxy := config.OriginalIP{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	header := config.OriginalIP{Header: "x-real-ip"}
	trusted := config.OriginalIP{Header: "x-real-ip", Trusted: true}
	appending := config.OriginalIP{Append: true}
	tests := []struct {
		name      string
		list      []config.OriginalIP
		fields    []string
		client    string
		forwarded string // to the host
		internal  bool
	}{
		{"nothing found", []config.OriginalIP{header}, []string{"x-forwarded-for: 10.0.0.1"}, "127.0.0.1", "10.0.0.1", false},
		{"header", []config.OriginalIP{header}, []string{"x-real-ip: 10.0.0.1"}, "10.0.0.1", "", false},
		{"header that is trusted", []config.OriginalIP{trusted}, []string{"x-real-ip: 10.0.0.1"}, "10.0.0.1", "", true},
		{"header of one from outside", []config.OriginalIP{trusted}, []string{"x-real-ip: 1.1.1.1"}, "1.1.1.1", "", false},
		{"the first that knows", []config.OriginalIP{header, loopbackProxy, {}}, []string{"x-forwarded-for: 2.2.2.2"}, "2.2.2.2", "2.2.2.2", false},
		{"x-forwarded-for", []config.OriginalIP{{}}, []string{"x-forwarded-for: 10.0.0.1"}, "10.0.0.1", "10.0.0.1", true},
		{"two lines of it", []config.OriginalIP{{}}, []string{"x-forwarded-for: 1.1.1.1", "x-forwarded-for: 10.0.0.1"}, "10.0.0.1", "1.1.1.1 | 10.0.0.1", false},
		{"appended to", []config.OriginalIP{appending}, []string{"x-forwarded-for: 10.0.0.1"}, "10.0.0.1", "10.0.0.1,127.0.0.1", true},
		{"not appended to when it is of no use", []config.OriginalIP{appending}, nil, "127.0.0.1", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := harness.NewSetup(origin.Addr())
			s.HTTP().UseRemoteAddress = false
			s.HTTP().InternalAddresses = []string{"10.0.0.0/8"}
			s.HTTP().OriginalIPs = test.list
			s.Route(0).RequestAdd = []config.HeaderValue{{Name: "x-client", Value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}
			s.Start(t).Dial().Get("/", test.fields...)
			got := origin.Requests()[0].Fields
			if client, forwarded := got.Get("x-client"), got.Get("x-forwarded-for"); client != test.client || forwarded != test.forwarded {
				t.Errorf("the client is %q, want %q; x-forwarded-for is %q, want %q", client, test.client, forwarded, test.forwarded)
			}
			if internal := got.Get("x-envoy-internal") == "true"; internal != test.internal {
				t.Errorf("internal is %v", internal)
			}
			if got.Get("x-envoy-external-address") != "" {
				t.Error("an address from outside is told")
			}
		})
	}
}

// TestOriginalIPRequired holds that a request whose client is not known is refused where that is said, and what is told of it.
func TestOriginalIPRequired(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 200, "hello"))
	s.HTTP().UseRemoteAddress = false
	s.HTTP().OriginalIPs = []config.OriginalIP{{}, {Header: "x-real-ip", RejectStatus: 407}, {Header: "x-other"}}
	p := s.Start(t)
	c := p.Dial()
	for _, fields := range [][]string{nil, {"x-other: 1.1.1.1"}, {"x-real-ip: me"}} {
		if resp := c.Get("/", fields...); resp.Status != 407 || resp.Body != "" {
			t.Errorf("%q: got %q", fields, resp.Raw)
		}
		if o := p.Outcome(); o.Flags+" "+o.Details != "- rejecting_because_detection_failed" {
			t.Errorf("%q: outcome %v", fields, o)
		}
	}
	for _, field := range []string{"x-real-ip: 1.1.1.1", "x-forwarded-for: 1.1.1.1"} {
		if resp := c.Get("/", field); resp.Status != 200 {
			t.Errorf("%q: got %q", field, resp.Raw)
		}
	}
	if n := p.Stat("http.in.downstream_rq_rejected_via_ip_detection"); n != 3 {
		t.Errorf("%d are counted, want 3", n)
	}
}

// TestInternalByForwardedFor holds that without use_remote_address a request is internal by the only entry of x-forwarded-for, on
// however many lines, and never where proxies are trusted.
func TestInternalByForwardedFor(t *testing.T) {
	tests := []struct {
		name   string
		hops   uint32
		fields []string
		want   bool
	}{
		{"one entry", 0, []string{"x-forwarded-for: 10.0.0.1"}, true},
		{"from outside", 0, []string{"x-forwarded-for: 1.1.1.1"}, false},
		{"two entries", 0, []string{"x-forwarded-for: 1.1.1.1, 10.0.0.1"}, false},
		{"two lines", 0, []string{"x-forwarded-for: 10.0.0.1", "x-forwarded-for: 1.1.1.1"}, false},
		{"two lines from inside", 0, []string{"x-forwarded-for: 10.0.0.1", "x-forwarded-for: 10.0.0.2"}, false},
		{"behind a hop", 1, []string{"x-forwarded-for: 10.0.0.1"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := harness.NewSetup(origin.Addr())
			s.HTTP().UseRemoteAddress, s.HTTP().XFFNumTrustedHops = false, test.hops
			s.HTTP().InternalAddresses = []string{"10.0.0.0/8"}
			s.Start(t).Dial().Get("/", test.fields...)
			if got := origin.Requests()[0].Fields.Get("x-envoy-internal") == "true"; got != test.want {
				t.Errorf("internal is %v", got)
			}
		})
	}
}
