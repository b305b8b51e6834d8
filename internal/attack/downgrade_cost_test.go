package attack

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// everything allows what is optional, and has every filter see what comes.
func everything(s *process.Setup) {
	filter := func(name, message string) process.Fields {
		const prefix = "type.googleapis.com/envoy.extensions.filters.http."
		return process.Fields{"name": name, "typed_config": process.Fields{"@type": prefix + message}}
	}
	http := s.HTTP()
	http["http_filters"] = []process.Fields{filter("grpc_web", "grpc_web.v3.GrpcWeb"), filter("router", "router.v3.Router")}
	http["upgrade_configs"] = []process.Fields{{"upgrade_type": "websocket"}}
	http2Options(s)["allow_connect"] = true
}

// TestDowngradeCost sends all that is refused of each row of TestDowngrade over and over: none of it reaches a host.
func TestDowngradeCost(t *testing.T) {
	for _, row := range downgradeRows() {
		t.Run(row.name, func(t *testing.T) {
			each(t, origins, func(t *testing.T, k kind) {
				if !*full && k.slow {
					t.Skip("nothing reaches the origin, so that its pace is nothing to the short form")
				}
				g := newTarget(t, k, everything)
				g.run(attack{name: row.name, run: func() int { return g.sendRefused(row.variants, count(5, 500)) }})
				if text := g.Get("/clusters"); !strings.Contains(text, "::rq_active::0\n") || !strings.Contains(text, "::rq_total::0\n") {
					t.Errorf("/clusters has a request: %s", text)
				}
			})
		})
	}
}

// sendRefused sends the variants that are refused, so many times.
func (g *target) sendRefused(variants []variant, times int) (frames int) {
	g.t.Helper()
	const perConnection = 100 // refused requests are counted against a connection
	var refusedOnes []variant
	for _, v := range variants {
		if v.want == refused && !v.apart {
			refusedOnes = append(refusedOnes, v)
		}
	}
	total := times * len(refusedOnes)
	for from := 0; from < total; from += perConnection {
		c := g.dial()
		first := c.Sent(http2.FrameHeaders) + c.Sent(http2.FrameData)
		var ids []uint32
		c.Batch(func() {
			for i := from; i < min(from+perConnection, total); i++ {
				ids = append(ids, refusedOnes[i%len(refusedOnes)].send(nil, c))
			}
		})
		for _, id := range ids {
			if r := c.Response(id); !r.Reset || r.ResetCode != http2.ErrCodeProtocol {
				g.t.Fatalf("stream %d got %v, want a reset", id, r)
			}
		}
		frames += c.Sent(http2.FrameHeaders) + c.Sent(http2.FrameData) - first
		c.Close()
	}
	return frames
}
