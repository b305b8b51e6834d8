package acceptance

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestMalformedRest holds that a request that turns out to be malformed behind its head is the client's mistake: it has not
// gone away, and the host is not blamed.
func TestMalformedRest(t *testing.T) {
	for name, rest := range map[string]func(c *harness.H2Client, id uint32){
		"longer than content-length": func(c *harness.H2Client, id uint32) { c.Data(id, false, "hello!") },
		"window exceeded":            func(c *harness.H2Client, id uint32) { c.Data(id, false, "12345678901234567890") },
		"pseudo-header in trailers":  func(c *harness.H2Client, id uint32) { c.Headers(id, true, ":path", "/") },
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, func(p *harness.Peer) { p.UntilClosed() })
			s := harness.NewSetup(origin.Addr())
			s.HTTP().HTTP2.StreamWindow = 16
			p := s.Start(t)
			c := p.DialH2()
			id := c.Request(false, harness.H2Head("POST", "/", "content-length", "5")...)
			p.Sync()
			rest(c, id)
			if resp := c.Response(id); !resp.Reset || resp.ResetCode == http2.ErrCodeNo || resp.Status != 0 {
				t.Errorf("got %v", resp)
			}
			if o := p.Outcome(); o.String() != "0 DPE http2.violation.of.messaging.rule" {
				t.Errorf("outcome %v", o)
			}
			// The codec has reset the stream, so that it counts as one that was: the manager has ended none.
			for stat, want := range map[string]uint64{"downstream_rq_rx_reset": 1, "downstream_rq_tx_reset": 0} {
				if n := p.HTTPStat(stat); n != want {
					t.Errorf("%s is %d, want %d", stat, n, want)
				}
			}
			if n := p.ClusterStat("upstream_rq_active"); n != 0 {
				t.Errorf("upstream_rq_active is %d, want 0", n)
			}
			c.ExpectOpen()
		})
	}
}
