package attack

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// TestHostBombs has hosts answer with field blocks that become large when they are decoded, on many streams at once.
func TestHostBombs(t *testing.T) {
	const entry, references = 4000, 10000
	for name, field := range map[string]string{"large entry, many references": letters(entry), "small entry, many references": ""} {
		t.Run(name, func(t *testing.T) {
			block := append(harness.H2Indexed(8), harness.H2Insert("a", field)...)
			for range references {
				block = append(block, harness.H2Indexed(62)...)
			}
			o := originH2{harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
				p.HeadersBlock(r.StreamID, true, true, block)
			}))}
			g := startTarget(t, o, process.HTTP2Cluster(harness.ClusterName, nil, o.Addr()))
			requests := count(maxStreams, 100*maxStreams)
			// A head of the limit for each stream, and what the collector lets gather.
			const growth = 48 << 20
			g.run(attack{name: name, requests: requests, inFlight: maxStreams, growth: growth, run: func() int {
				c := g.dial()
				defer c.Close()
				for range requests / maxStreams {
					g.askBombs(c)
				}
				return requests
			}})
		})
	}
}

// askBombs asks on all streams that there may be, each of which must be told that the host has no answer.
func (g *target) askBombs(c *harness.H2Client) {
	g.t.Helper()
	var ids []uint32
	c.Batch(func() {
		for range maxStreams {
			ids = append(ids, c.Get("/"))
		}
	})
	for _, id := range ids {
		if r := c.Response(id); r.Status != 502 {
			g.t.Fatalf("got %v, want 502", r)
		}
	}
}
