package proxy_test

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestPanicGivesBackWhatTheExchangeHolds holds that a panic in the middle of an exchange closes both of its connections and
// leaves no count behind; that nothing is left is checked when the harness ends.
func TestPanicGivesBackWhatTheExchangeHolds(t *testing.T) {
	more := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		if p.Number > 0 {
			harness.Echo(p)
			return
		}
		_, _ = p.ReadRequest()
		p.Write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
		p.Wait(more)
		p.Write("world")
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].Breakers.MaxConnections = 1
	s.Quiet = true
	p := s.Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	c.Expect("HTTP/1.1 200 OK\r\n")
	restore := p.Server.BreakListeners()
	close(more)
	if resp, err := c.TryResponse("GET"); err == nil {
		t.Errorf("got a whole response %q", resp.Raw)
	}
	origin.WaitEnded(0)
	restore()
	if n := p.Stat("server.worker_panics"); n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
	if resp := p.Dial().Get("/next"); resp.Body != "GET /next " {
		t.Errorf("then got %q", resp.Raw)
	}
	p.Canary(3)
}
