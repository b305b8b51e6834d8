package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestEmptyFrames sends frames that carry nothing and end nothing (CVE-2019-9518).
func TestEmptyFrames(t *testing.T) {
	abreast(t)
	empty := func(name string, begin func(c *harness.H2Client), frame func(c *harness.H2Client, i int)) floodTest {
		return floodTest{
			name: name, begin: begin, code: http2.ErrCodeEnhanceYourCalm, stat: "http2.inbound_empty_frames_flood",
			requests: 1, inFlight: 1, flood: flood{frames: count(1000, 100_000), batch: 1, frame: frame},
		}
	}
	upload := func(c *harness.H2Client) { openPost(c, 1) }
	block := func(c *harness.H2Client) { c.HeadersBlock(1, true, false, nil) }
	runFloods(t, []floodTest{
		empty("empty DATA", upload, func(c *harness.H2Client, _ int) { c.Data(1, false, "") }),
		empty("empty padded DATA", upload, func(c *harness.H2Client, _ int) { c.DataPadded(1, false, "", 100) }),
		empty("empty CONTINUATION", block, func(c *harness.H2Client, _ int) { c.Continuation(1, false, nil) }),
		empty("empty HEADERS", nil, func(c *harness.H2Client, i int) { c.HeadersBlock(streamID(i), false, true, nil) }),
	})
}

// TestPriorityFrames reorders a tree that is not there (CVE-2019-9513).
func TestPriorityFrames(t *testing.T) {
	abreast(t)
	churn := func(name string, begin func(c *harness.H2Client), id uint32) floodTest {
		return floodTest{
			name: name, begin: begin, code: http2.ErrCodeEnhanceYourCalm, stat: "http2.inbound_priority_frames_flood",
			requests: 1, inFlight: 1,
			flood: flood{frames: count(2000, 100_000), batch: 10, frame: func(c *harness.H2Client, i int) {
				c.Priority(id, http2.PriorityParam{StreamDep: uint32(i) * 2, Weight: uint8(i)})
			}},
		}
	}
	open := func(c *harness.H2Client) { c.Get("/") }
	reset := func(c *harness.H2Client) { c.Reset(c.Get("/"), http2.ErrCodeCancel) }
	runFloods(t, []floodTest{
		churn("PRIORITY of an idle stream", nil, 12345),
		churn("PRIORITY of an open stream", open, 1),
		churn("PRIORITY of a closed stream", reset, 1),
	})
}

// TestPriorityFramesAreNotSaved has many requests answered first: those that are over allow for no flood.
func TestPriorityFramesAreNotSaved(t *testing.T) {
	abreast(t)
	each(t, paces, func(t *testing.T, k kind) {
		const allowed, batch = 100, 10
		requests := count(50, 5000)
		g := newTarget(t, k)
		times := g.run(attack{name: "PRIORITY after requests", run: func() int {
			c := g.dial()
			for range requests {
				if r := c.Response(c.Get(canaryPath)); r.Status != 200 {
					t.Fatalf("got %v", r)
				}
			}
			e := flood{frames: allowed * requests, batch: batch, frame: func(c *harness.H2Client, i int) {
				c.Priority(1, http2.PriorityParam{Weight: uint8(i)})
			}}.run(c)
			e.want(t, http2.ErrCodeEnhanceYourCalm)
			return requests + e.sent
		}})
		g.WaitStat("http2.inbound_priority_frames_flood", uint64(times))
	})
}

// TestWindowUpdates opens windows that nobody uses.
func TestWindowUpdates(t *testing.T) {
	abreast(t)
	idle := func(name string, id uint32) floodTest {
		return floodTest{
			name: name, begin: func(c *harness.H2Client) { c.Get("/") },
			code: http2.ErrCodeEnhanceYourCalm, stat: "http2.inbound_window_update_frames_flood", requests: 1, inFlight: 1,
			flood: flood{frames: count(2000, 100_000), batch: 10, frame: func(c *harness.H2Client, _ int) { c.WindowUpdate(id, 1) }},
		}
	}
	runFloods(t, []floodTest{idle("WINDOW_UPDATE of a stream", 1), idle("WINDOW_UPDATE of the connection", 0)})
}
