package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// prematureResets is how many streams a client may reset before they were answered, by default, when it does nothing else:
// half of overload.premature_reset_total_stream_count.
const prematureResets = 250

// TestRapidReset resets streams as soon as they are opened (CVE-2023-44487).
func TestRapidReset(t *testing.T) {
	each(t, origins, func(t *testing.T, k kind) {
		const batch = 10
		g := newTarget(t, k)
		g.run(attack{
			name: "rapid reset", requests: prematureResets + batch, inFlight: maxStreams,
			run: func() int {
				e := flood{
					frames: count(2000, 200_000), batch: 2 * batch,
					frame: func(c *harness.H2Client, i int) {
						id := uint32(i/2)*2 + 1
						if i%2 == 0 {
							c.Headers(id, true, harness.H2Head("GET", "/")...)
						} else {
							c.Reset(id, http2.ErrCodeCancel)
						}
					},
				}.run(g.dial())
				e.want(t, http2.ErrCodeEnhanceYourCalm)
				return e.sent
			},
		})
		g.wantStat("http.in.downstream_rq_too_many_premature_resets", 1)
	})
}
