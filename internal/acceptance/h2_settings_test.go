package acceptance

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// settingsCases are configurations, and what a peer is told of them in the first frames.
var settingsCases = []struct {
	name   string
	change func(*config.HTTP2)
	client []http2.Setting // to clients
	origin []http2.Setting // to origins
	window uint32          // by which that of the connection is opened beyond its initial 65,535 bytes
}{
	{
		name:   "defaults",
		change: func(*config.HTTP2) {},
		client: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 1024}, {ID: http2.SettingInitialWindowSize, Val: 16 << 20}},
		origin: []http2.Setting{{ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingInitialWindowSize, Val: 16 << 20}},
		window: 24<<20 - 65535,
	},
	{
		name: "edge",
		change: func(h *config.HTTP2) {
			h.MaxStreams, h.StreamWindow, h.ConnWindow = 100, 64<<10, 1<<20
		},
		client: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 100}, {ID: http2.SettingInitialWindowSize, Val: 64 << 10}},
		origin: []http2.Setting{{ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingInitialWindowSize, Val: 64 << 10}},
		window: 1<<20 - 65535,
	},
	{
		name: "smallest windows",
		change: func(h *config.HTTP2) {
			h.MaxStreams, h.StreamWindow, h.ConnWindow = 1, 65535, 65535
		},
		client: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 1}, {ID: http2.SettingInitialWindowSize, Val: 65535}},
		origin: []http2.Setting{{ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingInitialWindowSize, Val: 65535}},
	},
	{
		name:   "largest windows",
		change: func(h *config.HTTP2) { h.StreamWindow, h.ConnWindow = 1<<31-1, 1<<31-1 },
		client: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 1024}, {ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}},
		origin: []http2.Setting{{ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}},
		window: 1<<31 - 1 - 65535,
	},
	{
		name:   "compression table",
		change: func(h *config.HTTP2) { h.TableSize = 0 },
		client: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 1024}, {ID: http2.SettingInitialWindowSize, Val: 16 << 20}, {ID: http2.SettingHeaderTableSize, Val: 0}},
		origin: []http2.Setting{{ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingInitialWindowSize, Val: 16 << 20}, {ID: http2.SettingHeaderTableSize, Val: 0}},
		window: 24<<20 - 65535,
	},
	{
		name:   "extended CONNECT",
		change: func(h *config.HTTP2) { h.AllowConnect = true },
		client: []http2.Setting{
			{ID: http2.SettingMaxConcurrentStreams, Val: 1024}, {ID: http2.SettingEnableConnectProtocol, Val: 1}, {ID: http2.SettingInitialWindowSize, Val: 16 << 20},
		},
		origin: []http2.Setting{{ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingInitialWindowSize, Val: 16 << 20}},
		window: 24<<20 - 65535,
	},
}

// firstFrames reads the settings that a peer begins with, and by how much it opens the window of the connection.
func firstFrames(c *harness.H2Conn) (settings []http2.Setting, window uint32) {
	settings = c.ExpectSettings()
	for {
		f := c.ReadFrame()
		switch {
		case f.Type == http2.FrameWindowUpdate && f.StreamID == 0:
			window += f.Increment
		case f.Type == http2.FramePing && f.Ack(), f.Type == http2.FrameHeaders:
			return settings, window
		}
	}
}

// TestSettings holds that what is configured is what peers are told, on both sides.
func TestSettings(t *testing.T) {
	for _, test := range settingsCases {
		t.Run(test.name, func(t *testing.T) {
			told := make(chan []http2.Setting, 1)
			windows := make(chan uint32, 1)
			origin := harness.NewH2OriginRaw(t, func(p *harness.H2Peer) {
				p.Settings()
				if !p.ReadPreface() {
					return
				}
				settings, window := firstFrames(&p.H2Conn)
				told <- settings
				windows <- window
				p.Respond(1, harness.H2OK(""))
				p.Drain()
			})
			s := h2Setup(origin)
			test.change(&s.HTTP().HTTP2)
			test.change(&s.Clusters[0].HTTP2)
			p := s.Start(t)
			c := p.DialH2Raw()
			c.Batch(func() {
				c.Preface()
				c.Settings()
				c.Ping("settings")
			})
			settings, window := firstFrames(&c.H2Conn)
			if !slices.Equal(settings, test.client) || window != test.window {
				t.Errorf("a client is told %v and %d more for the connection, want %v and %d", settings, window, test.client, test.window)
			}
			c.Response(c.Get("/"))
			if settings, window := <-told, <-windows; !slices.Equal(settings, test.origin) || window != test.window {
				t.Errorf("an origin is told %v and %d more for the connection, want %v and %d", settings, window, test.origin, test.window)
			}
		})
	}
}

// TestMaxConcurrentStreams holds that a stream above the limit is refused without a trace at the origin, and that there is room
// again when another has ended.
func TestMaxConcurrentStreams(t *testing.T) {
	origin := newHandOrigin(t)
	s := h2Setup(origin.H2Origin)
	s.HTTP().HTTP2.MaxStreams = 2
	p := s.Start(t)
	c := p.DialH2()
	ids := ask(c, 2)
	held := origin.take(2)
	over := c.Get("/over")
	c.ExpectReset(over, http2.ErrCodeRefusedStream)
	origin.expectNone(p)
	answerAll(held)
	expectAnswers(t, c, ids)
	origin.warm(c)
	if n := p.Stat("http2.stream_refused_errors"); n != 1 {
		t.Errorf("http2.stream_refused_errors is %d, want 1", n)
	}
}

// TestPeerSettings holds that the proxy keeps to what a peer allows, which its oracle judges: the size of frames, the compression
// table, the windows. A peer that allows more may get less.
func TestPeerSettings(t *testing.T) {
	whole := strings.Repeat("0123456789abcdef", 128<<10/16)
	many := strings.Split(strings.Repeat("x-a: "+strings.Repeat("v", 400)+"\n", 60), "\n")
	for name, settings := range map[string][]http2.Setting{
		"nothing":                {},
		"no compression table":   {{ID: http2.SettingHeaderTableSize, Val: 0}},
		"a small table":          {{ID: http2.SettingHeaderTableSize, Val: 100}},
		"a large table":          {{ID: http2.SettingHeaderTableSize, Val: 1 << 20}},
		"windows of a byte":      {{ID: http2.SettingInitialWindowSize, Val: 1}},
		"the largest windows":    {{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}},
		"large frames":           {{ID: http2.SettingMaxFrameSize, Val: 1<<24 - 1}},
		"settings of the future": {{ID: 0xf00, Val: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			body := whole
			if name == "windows of a byte" {
				body = whole[:200]
			}
			origin := harness.NewH2Origin(t, harness.H2Respond(harness.H2Response{Status: 200, Fields: fieldsOf(strings.Join(many, "\n")), Body: body}), settings...)
			p := h2Setup(origin).Start(t)
			c := p.DialH2Raw()
			c.Handshake(settings...)
			for range 3 {
				id := c.Post("/", body, "x-b", strings.Repeat("w", 20<<10))
				if r := c.Response(id); r.Status != 200 || r.Body != body || len(without(r.Fields, addedToResponse...)) != 60 {
					t.Fatalf("got %v", r)
				}
			}
			for _, r := range origin.Requests() {
				if r.Body != body || len(r.Fields.Get("x-b")) != 20<<10 {
					t.Errorf("the origin got %d bytes and %d in a field", len(r.Body), len(r.Fields.Get("x-b")))
				}
			}
		})
	}
}

// TestSettingsOfAnUpdate holds that an update reaches connections that come after it, and leaves others as they are.
func TestSettingsOfAnUpdate(t *testing.T) {
	p := h2Setup(harness.NewH2Origin(t, harness.H2Echo)).Start(t)
	before := p.DialH2()
	s := harness.NewSetup()
	s.HTTP().HTTP2.MaxStreams = 7
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{s.Listener.Name: s.Listener}}})
	after := p.DialH2Raw()
	after.Batch(func() {
		after.Preface()
		after.Settings()
	})
	if settings := after.ExpectSettings(); settings[0] != (http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7}) {
		t.Errorf("a new connection is told %v", settings)
	}
	if r := before.Response(before.Get("/")); r.Status != 200 {
		t.Errorf("the connection that was there got %v", r)
	}
}
