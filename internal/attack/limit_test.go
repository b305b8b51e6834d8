package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// limitTest is a limit that can be configured: with set it is limit. A client does what is limited as often, and is served on;
// then once more, and is not.
type limitTest struct {
	field  string
	set    func(s *process.Setup)
	limit  int
	before func(c *harness.H2Client) // comes first and does not count, if set
	once   func(c *harness.H2Client)
	// answer, if set, waits for the answer to what is done. Only what is done in one write counts together then.
	answer func(c *harness.H2Client, i int)
	stat   string
}

// option sets a field of http2_protocol_options.
func option(field string, value uint32) func(s *process.Setup) {
	return func(s *process.Setup) { http2Options(s)[field] = value }
}

// runtimeKey sets a runtime key.
func runtimeKey(key string, value any) func(s *process.Setup) {
	return func(s *process.Setup) { s.Runtime = process.Fields{key: value} }
}

// TestLimitsAreConfigured sets each limit to something else than its default, and sees where it is then.
func TestLimitsAreConfigured(t *testing.T) {
	abreast(t)
	for _, test := range []limitTest{
		{
			field: "max_outbound_control_frames", set: option("max_outbound_control_frames", 20), limit: 20,
			once:   func(c *harness.H2Client) { c.Ping("12345678") },
			answer: func(c *harness.H2Client, _ int) { c.ExpectPingAck("12345678") },
			stat:   "http2.outbound_control_flood",
		}, {
			// A HEADERS and a DATA frame each.
			field: "max_outbound_frames", set: option("max_outbound_frames", 20), limit: 10,
			once:   func(c *harness.H2Client) { c.Get(directPath) },
			answer: func(c *harness.H2Client, i int) { c.Response(streamID(i)) },
			stat:   "http2.outbound_flood",
		}, {
			field: "max_consecutive_inbound_frames_with_empty_payload",
			set:   option("max_consecutive_inbound_frames_with_empty_payload", 5), limit: 5,
			before: func(c *harness.H2Client) { openPost(c, 1) },
			once:   func(c *harness.H2Client) { c.Data(1, false, "") },
			stat:   "http2.inbound_empty_frames_flood",
		}, {
			field: "max_inbound_priority_frames_per_stream", set: option("max_inbound_priority_frames_per_stream", 5), limit: 5,
			once: func(c *harness.H2Client) { c.Priority(7, http2.PriorityParam{}) },
			stat: "http2.inbound_priority_frames_flood",
		}, {
			// By Envoy's formula.
			field: "max_inbound_window_update_frames_per_data_frame_sent",
			set:   option("max_inbound_window_update_frames_per_data_frame_sent", 3), limit: 5 + 2*(1+3*1),
			before: func(c *harness.H2Client) { c.Response(c.Get(directPath)) },
			once:   func(c *harness.H2Client) { c.WindowUpdate(0, 1) },
			stat:   "http2.inbound_window_update_frames_flood",
		}, {
			field: "overload.premature_reset_total_stream_count",
			set:   runtimeKey("overload.premature_reset_total_stream_count", 20), limit: 9, // the tenth is half of them
			once: func(c *harness.H2Client) { c.Reset(c.Get("/"), http2.ErrCodeCancel) },
			stat: tooManyResets,
		},
	} {
		t.Run(test.field, func(t *testing.T) {
			abreast(t)
			g := newTarget(t, slowH2, test.set, addDirect)
			test.run(t, g)
		})
	}
}

// directPath is answered by the proxy.
const directPath = "/direct"

func addDirect(s *process.Setup) {
	l := s.Listeners[0]
	l.Routes = append([]process.Fields{process.Direct(directPath, 200, "direct")}, l.Routes...)
}

func (l *limitTest) run(t *testing.T, g *target) {
	t.Helper()
	c := g.dial()
	c.NoCredit() // which would be WINDOW_UPDATE frames
	if l.before != nil {
		l.before(c)
	}
	do := func(n int) {
		c.Batch(func() {
			for range n {
				l.once(c)
			}
		})
	}
	do(l.limit)
	more := 1
	if l.answer != nil {
		for i := range l.limit {
			l.answer(c, i)
		}
		more += l.limit
	}
	c.RoundTrip()
	g.WaitStat(l.stat, 0)
	do(more)
	c.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
	g.WaitStat(l.stat, 1)
}

// TestPrematureResetAge sets the age at which a reset is not premature any more: any.
func TestPrematureResetAge(t *testing.T) {
	abreast(t)
	const resets = 2 * prematureResets
	g := newTarget(t, slowH2, runtimeKey("overload.premature_reset_min_stream_lifetime_seconds", 0))
	c := g.dial()
	for range resets {
		c.Reset(c.Get("/"), http2.ErrCodeCancel)
	}
	c.ExpectOpen()
}

// TestSettingsAreConfigured looks at what a client is told.
func TestSettingsAreConfigured(t *testing.T) {
	abreast(t)
	g := newTarget(t, fastH2, func(s *process.Setup) {
		s.HTTP()["http2_protocol_options"] = process.Fields{
			"max_concurrent_streams": 7, "initial_stream_window_size": 70_000, "initial_connection_window_size": 90_000,
			"hpack_table_size": 100, "allow_connect": true,
		}
	})
	c := g.dialRaw()
	c.Preface()
	c.Settings()
	got := make(map[http2.SettingID]uint32)
	for _, s := range c.ExpectSettings() {
		got[s.ID] = s.Val
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 7, http2.SettingInitialWindowSize: 70_000, http2.SettingHeaderTableSize: 100,
		http2.SettingEnableConnectProtocol: 1,
	} {
		if got[id] != want {
			t.Errorf("%v is %d, want %d", id, got[id], want)
		}
	}
	f := c.WaitFrame("WINDOW_UPDATE", func(f *harness.H2Frame) bool { return f.Type == http2.FrameWindowUpdate })
	const byDefault = 1<<16 - 1
	if f.StreamID != 0 || byDefault+f.Increment != 90_000 {
		t.Errorf("got %v, want an increment to 90000", f)
	}
}
