package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// smallReceiveBuffer is that of an attacker who does not read, so that what it does not take stays with the proxy.
const smallReceiveBuffer = 4 << 10

// TestPingFlood asks for answers and does not read them (CVE-2019-9512).
func TestPingFlood(t *testing.T) {
	each(t, paces, func(t *testing.T, k kind) {
		g := newTarget(t, k)
		g.run(attack{name: "PING, unread", run: func() int {
			c := g.dial(harness.ReceiveBuffer(smallReceiveBuffer))
			e := flood{
				frames: count(300_000, 1_000_000), batch: 1000, unread: true,
				frame: func(c *harness.H2Client, i int) { c.Ping("12345678") },
			}.run(c)
			e.wantClosed(t, http2.ErrCodeEnhanceYourCalm)
			return e.sent
		}})
		g.wantStat("http2.outbound_control_flood", 1)
	})
}

// TestSettingsFlood changes settings over and over (CVE-2019-9515).
func TestSettingsFlood(t *testing.T) {
	each(t, paces, func(t *testing.T, k kind) {
		g := newTarget(t, k, func(s *process.Setup) { http2Options(s)["max_outbound_control_frames"] = 1000 })
		g.run(attack{name: "SETTINGS", run: func() int {
			c := g.dialRaw()
			c.Handshake()
			e := flood{
				frames: count(10_000, 1_000_000), batch: 10,
				frame: func(c *harness.H2Client, i int) { c.Settings() },
			}.run(c)
			e.want(t, http2.ErrCodeEnhanceYourCalm)
			return e.sent
		}})
	})
}
