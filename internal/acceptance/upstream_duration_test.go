package acceptance

import (
	"net/netip"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestUpstreamMaxStreamDuration holds that an attempt which lasts for too long ends, also when its response has begun, and is made
// again where the policy says so.
func TestUpstreamMaxStreamDuration(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			begun := make(chan struct{}, 1)
			s := pair.setup(pairOrigin{addr: pair.endless(t, begun)})
			s.Clusters[0].MaxStreamDuration = 10 * time.Second
			p := s.Start(t)
			if pair.down == 1 {
				p.Dial().Send(harness.Get("/"))
			} else {
				p.DialH2().Get("/")
			}
			<-begun
			p.Advance(9 * time.Second)
			p.NoOutcome()
			p.Advance(2 * time.Second)
			if o := p.Outcome(); o.String() != "200 UMSDR upstream_max_stream_duration_reached" {
				t.Errorf("outcome %v", o)
			}
			if n := p.ClusterStat("upstream_rq_max_duration_reached"); n != 1 {
				t.Errorf("upstream_rq_max_duration_reached is %d, want 1", n)
			}
		})
	}
}

// endless starts an origin that begins a response and does not end it.
func (p pair) endless(t *testing.T, begun chan<- struct{}) netip.AddrPort {
	if p.up == 1 {
		return harness.NewOrigin(t, func(p *harness.Peer) {
			p.ReadRequest()
			p.Write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")
			begun <- struct{}{}
			p.UntilClosed()
		}).Addr()
	}
	return harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		p.Headers(r.StreamID, false, ":status", "200")
		begun <- struct{}{}
	})).Addr()
}

// TestRetryAfterMaxStreamDuration holds that such an attempt is one that was reset.
func TestRetryAfterMaxStreamDuration(t *testing.T) {
	for on, want := range map[string]int{"reset": 200, "5xx": 200, "connect-failure": 504} {
		origin := harness.NewOrigin(t, harness.InTurn(hang, harness.Echo))
		s := retrying(on, origin.Addr())
		s.Clusters[0].MaxStreamDuration = 50 * time.Millisecond
		s.Clusters[0].Outlier = outliers()
		p := s.Start(t)
		if got := p.Dial().Get("/"); got.Status != want {
			t.Errorf("%s: got %q", on, got.Raw)
		}
	}
}

// TestDropOverload holds that a share of requests is refused, as many as the control plane says, and none of them is tried again.
func TestDropOverload(t *testing.T) {
	for share, refuses := range map[uint32]bool{0: false, config.FractionAll: true} {
		s := retrying("5xx", harness.NewOrigin(t, harness.Echo).Addr())
		a := *s.Clusters[0].Assignment
		a.Drop = share
		s.Clusters[0].Assignment = &a
		p := s.Start(t)
		if got := p.Dial().Get("/"); (got.Status == 503) != refuses {
			t.Errorf("%d: got %q", share, got.Raw)
		}
		if n := p.ClusterStat("upstream_rq_total"); (n == 0) != refuses {
			t.Errorf("%d: upstream_rq_total is %d", share, n)
		}
	}
}
