package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// truncatedSetup leads to an origin of HTTP/1 under TLS.
func truncatedSetup(t *testing.T, script func(*harness.Peer)) *harness.Setup {
	t.Helper()
	at := harness.NewOrigin(t, script).Addr()
	f := newTLSFront(t, at, at)
	f.knows("http/1.1")
	s := harness.NewSetup(f.address)
	s.Clusters[0].TLS = &config.UpstreamTLS{SNI: "origin.test", TLS: config.TLS{
		Validation: &config.TLSValidation{CA: config.DataSource{Inline: f.CA()}, MaxDepth: -1},
	}}
	return s
}

// TestTruncatedUnderTLS holds that a response whose own framing says that more is to come never looks whole to the client, however
// politely the host ends TLS.
func TestTruncatedUnderTLS(t *testing.T) {
	for _, test := range truncations {
		t.Run(test.row, func(t *testing.T) {
			p := truncatedSetup(t, harness.Then(test.response, test.end)).Start(t)
			c := p.Dial()
			c.Send(harness.Get("/"))
			if resp, err := c.TryResponse("GET"); err == nil {
				t.Errorf("got a whole response: %q", resp.Raw)
			}
			if o := p.Outcome(); o.Status != 200 || o.Flags != test.flags {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

// TestCloseNotify holds that a response which ends with its connection is whole when close_notify says so, and that what cuts the
// connection cannot make it look so (RFC 8446 section 6.1).
func TestCloseNotify(t *testing.T) {
	const response = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
	t.Run("told", func(t *testing.T) {
		p := truncatedSetup(t, harness.Then(response, closeNow)).Start(t)
		if resp := p.Dial().Get("/"); resp.Body != "hello" {
			t.Errorf("got %q", resp.Raw)
		}
	})
	t.Run("cut", func(t *testing.T) {
		seen := make(chan struct{})
		p := truncatedSetup(t, func(p *harness.Peer) {
			_, _ = p.ReadRequest()
			p.Write(response)
			p.Wait(seen)
			p.Reset()
		}).Start(t)
		c := p.Dial()
		c.Send(harness.Get("/"))
		c.Await("HTTP/1.1 200 OK\r\n")
		close(seen)
		if resp, err := c.TryResponse("GET"); err == nil {
			t.Errorf("got a whole response: %q", resp.Raw)
		}
		if o := p.Outcome(); o.Status != 200 || o.Flags != "UC" {
			t.Errorf("outcome %+v", o)
		}
	})
}
