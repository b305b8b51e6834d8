package attack

import (
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestManyHostsFlood has many connections flooded at the same time.
func TestManyHostsFlood(t *testing.T) {
	clients := count(1, 10)
	for _, f := range []hostFlood{
		{
			name: "SETTINGS", frames: 100_000, batch: 50,
			frame: func(p *harness.H2Peer, _ uint32, _ int) { p.Settings() },
		}, {
			name: "CONTINUATION", frames: 100_000, batch: 10,
			begin: func(p *harness.H2Peer, id uint32) { p.HeadersBlock(id, true, false, harness.H2Indexed(8)) },
			frame: func(p *harness.H2Peer, id uint32, _ int) {
				p.Continuation(id, false, harness.H2Literal("x-a", letters(1000)))
			},
		}, {
			name: "PRIORITY", frames: 100_000, batch: 50,
			frame: func(p *harness.H2Peer, id uint32, _ int) { p.Priority(id, http2.PriorityParam{}) },
		},
	} {
		f.code, f.status = http2.ErrCodeEnhanceYourCalm, 502
		t.Run(f.name, func(t *testing.T) {
			var sent atomic.Int64
			o := originH2{harness.NewH2Origin(t, func(p *harness.H2Peer) {
				if r, ok := p.ReadRequest(); ok {
					_, n := f.send(p, r.StreamID)
					sent.Add(int64(n))
				}
			})}
			g := startTarget(t, o, oneStreamEach(o))
			all := clients * maxStreams
			times := g.run(attack{name: f.name, requests: all, inFlight: all, growth: 64 << 20, run: func() int {
				for range clients {
					c := g.dial()
					g.askBombs(c)
					c.Close()
				}
				g.WaitStat("cluster.c.upstream_cx_active", 0)
				return int(sent.Swap(0))
			}})
			g.WaitStat("cluster.c.upstream_cx_protocol_error", uint64(times*all))
		})
	}
}
