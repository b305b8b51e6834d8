package acceptance

import (
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestLoopbackClientIsThisMachine holds that x-forwarded-for has this machine's address for a client on it.
func TestLoopbackClientIsThisMachine(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := harness.NewSetup(origin.Addr())
	s.HTTP().UseRemoteAddress = true
	s.LocalAddress = netip.MustParseAddr("192.0.2.7")
	p := s.Start(t)
	p.Dial().Get("/")
	got := origin.Requests()[0].Fields
	if f := got.Get("x-forwarded-for"); f != "192.0.2.7" {
		t.Errorf("x-forwarded-for is %q", f)
	}
	if a := got.Get("x-envoy-external-address"); a != "127.0.0.1" {
		t.Errorf("x-envoy-external-address is %q", a)
	}
}

// TestAbsoluteTargetWithoutPath holds that an absolute target with an empty path asks for "/".
func TestAbsoluteTargetWithoutPath(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	p := harness.NewSetup(origin.Addr()).Start(t)
	for target, want := range map[string]string{"http://b": "/", "http://b?x=1": "/?x=1", "http://b/?x=1": "/?x=1"} {
		c := p.Dial()
		c.Send(harness.Head("GET " + target))
		if resp := c.ReadResponse("GET"); resp.Body != "GET "+want+" " {
			t.Errorf("%s: got %q", target, resp.Raw)
		}
	}
}

// TestRedirectOfGRPC holds that a gRPC client is not sent elsewhere but told that it failed.
func TestRedirectOfGRPC(t *testing.T) {
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.Route(0).Forward, s.Route(0).Redirect = nil, &config.Redirect{Status: 301, Host: "b"}
	p := s.Start(t)
	resp := p.Dial().Get("/", "content-type: application/grpc")
	if resp.Status != 200 || resp.Fields.Get("grpc-status") != "2" {
		t.Errorf("got %q", resp.Raw)
	}
}
