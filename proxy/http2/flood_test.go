package http2

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// stall has the kernel take nothing more of what the codec gathers: the peer does not read. It sends PINGs whose answers fill
// the socket and reads none of them. It returns how many bytes are left with the codec.
func (p *peer) stall(c *conn) int {
	p.t.Helper()
	for c.raw.Buffered() == 0 {
		for range 200 {
			p.ping("12345678")
		}
		p.turn()
	}
	return c.raw.Buffered()
}

// limitTest is a limit on what a peer may do.
type limitTest struct {
	name  string
	set   func(o *Options)
	play  func(s *testServer, p *peer, n int) // does it n times
	limit int                                 // that may be done
	want  string                              // GOAWAY that answers one more
	stat  string
	err   Error
}

var limitTests = []limitTest{
	{
		name: "max_consecutive_inbound_frames_with_empty_payload, DATA", limit: 7, stat: "inbound_empty_frames_flood",
		set: func(o *Options) { o.MaxEmptyFrames = 7 },
		play: func(_ *testServer, p *peer, n int) {
			p.post(1)
			for range n {
				p.data(1, 0, "")
			}
		},
		want: "GOAWAY 1 ENHANCE_YOUR_CALM too many frames without content in a row", err: ErrProtocol,
	}, {
		name: "max_consecutive_inbound_frames_with_empty_payload, padded DATA", limit: 7, stat: "inbound_empty_frames_flood",
		set: func(o *Options) { o.MaxEmptyFrames = 7 },
		play: func(_ *testServer, p *peer, n int) {
			p.post(1)
			for range n {
				p.data(1, padded, "\x02pp")
			}
		},
		want: "GOAWAY 1 ENHANCE_YOUR_CALM too many frames without content in a row", err: ErrProtocol,
	}, {
		name: "max_consecutive_inbound_frames_with_empty_payload, CONTINUATION", limit: 7, stat: "inbound_empty_frames_flood",
		set: func(o *Options) { o.MaxEmptyFrames = 7 },
		play: func(_ *testServer, p *peer, n int) {
			p.raw(http2.FrameHeaders, endStream, 1, string(p.encode(getFields...)))
			for range n {
				p.continuation(1, 0, "")
			}
			p.continuation(1, endHeaders, string(p.encode("x", "y")))
		},
		want: "GOAWAY 0 ENHANCE_YOUR_CALM too many frames without content in a row", err: ErrProtocol,
	}, {
		name: "SETTINGS in a burst", limit: settingsBurst - 1, // the first was the preface
		play: func(_ *testServer, p *peer, n int) {
			for range n {
				p.settings()
			}
		},
		want: "GOAWAY 0 ENHANCE_YOUR_CALM too many SETTINGS frames", err: ErrProtocol,
	}, {
		name: "SETTINGS in a second", limit: settingsPerSecond,
		play: func(_ *testServer, p *peer, n int) {
			for range settingsBurst - 1 {
				p.settings()
			}
			p.turn()
			p.r.now += int64(time.Second)
			for range n {
				p.settings()
			}
		},
		want: "GOAWAY 0 ENHANCE_YOUR_CALM too many SETTINGS frames", err: ErrProtocol,
	}, {
		name: "parameters of SETTINGS", limit: maxSettings,
		play: func(_ *testServer, p *peer, n int) {
			p.settings(make([]http2.Setting, n)...) // of a number that is not assigned
		},
		want: "GOAWAY 0 ENHANCE_YOUR_CALM SETTINGS frame has more than 32 parameters", err: ErrProtocol,
	}, {
		name: "header size, in frames", limit: 1, stat: "header_overflow",
		set: func(o *Options) { o.HeaderBytes = 2*minMaxFrameSize - blockSlack },
		play: func(_ *testServer, p *peer, n int) {
			p.raw(http2.FrameHeaders, endStream, 1, strings.Repeat("\x82", minMaxFrameSize))
			for range n {
				p.continuation(1, 0, strings.Repeat("\x82", minMaxFrameSize))
			}
		},
		want: "GOAWAY 0 ENHANCE_YOUR_CALM field block exceeds the limit on header size", err: ErrProtocol,
	}, {
		name: "METADATA that waits", limit: maxMetadata / (minMaxFrameSize + metadataCost),
		set: func(o *Options) { o.AllowMetadata = true },
		play: func(_ *testServer, p *peer, n int) {
			p.post(1)
			for range n {
				p.raw(frameMetadata, 0, 1, strings.Repeat("\x82", minMaxFrameSize))
			}
		},
		want: "GOAWAY 1 ENHANCE_YOUR_CALM too much METADATA waits to be passed on", err: ErrProtocol,
	}, {
		name: "max_outbound_control_frames", limit: 50, stat: "outbound_control_flood",
		set: func(o *Options) { o.MaxOutboundControlFrames = 50 },
		play: func(_ *testServer, p *peer, n int) {
			for range n {
				p.ping("12345678")
			}
		},
		want: "GOAWAY 0 ENHANCE_YOUR_CALM too many answers are waiting to be read", err: ErrFlood,
	}, {
		name: "max_outbound_frames", limit: 50, stat: "outbound_flood",
		set: func(o *Options) { o.MaxOutboundFrames = 50 },
		play: func(s *testServer, p *peer, n int) {
			p.post(1).send()
			v := s.stream(1)
			v.head(200)
			for range n - 1 {
				v.WriteBody([]byte("x"), false)
			}
		},
		want: "GOAWAY 1 ENHANCE_YOUR_CALM too many frames are waiting to be read", err: ErrFlood,
	}, {
		name: "premature resets by the client", limit: 49, // half of the limit is reached with the next
		set: func(o *Options) { o.MaxPrematureResets = 100 },
		play: func(_ *testServer, p *peer, n int) {
			for id := uint32(1); id < 2*uint32(n); id += 2 {
				p.post(id).reset(id, http2.ErrCodeCancel)
			}
		},
		want: "GOAWAY 99 ENHANCE_YOUR_CALM too many streams were reset before they were answered", err: ErrPrematureResets,
	}, {
		name: "premature resets that the client provokes", limit: 49,
		set: func(o *Options) { o.MaxPrematureResets = 100 },
		play: func(_ *testServer, p *peer, n int) {
			for id := uint32(1); id < 2*uint32(n); id += 2 {
				p.get(id).data(id, 0, "x")
			}
		},
		want: "GOAWAY 99 ENHANCE_YOUR_CALM too many streams were reset before they were answered", err: ErrPrematureResets,
	}, {
		name: "refused streams", limit: 49,
		set: func(o *Options) { o.MaxPrematureResets, o.MaxStreams = 100, 1 },
		play: func(_ *testServer, p *peer, n int) {
			p.post(1)
			for id := uint32(3); id < 3+2*uint32(n); id += 2 {
				p.get(id)
			}
		},
		want: "GOAWAY 101 ENHANCE_YOUR_CALM too many streams were reset before they were answered", err: ErrPrematureResets,
	},
}

// TestLimits does what is limited one time less than is allowed, as often, and one time more.
func TestLimits(t *testing.T) { runLimits(t, limitTests) }

func runLimits(t *testing.T, tests []limitTest) {
	t.Helper()
	for _, c := range tests {
		for over := -1; over <= 1; over++ {
			t.Run(c.name+map[int]string{-1: "/below", 0: "/at", 1: "/above"}[over], func(t *testing.T) {
				o := testOptions()
				if c.set != nil {
					c.set(o)
				}
				s, p := newServer(t, o)
				c.play(s, p, c.limit+over)
				p.finish(&s.conn)
				c.check(t, s, over > 0)
			})
		}
	}
}

// check looks whether the connection has ended, as it must above the limit and must not otherwise.
func (c *limitTest) check(t *testing.T, s *testServer, above bool) {
	t.Helper()
	got := s.p.take()
	floods := 0
	switch {
	case above:
		floods = 1
		wantEnded(t, s.ends, c.err)
		if len(got) == 0 || got[len(got)-1] != c.want {
			t.Errorf("the last of %d frames is not %q: %q", len(got), c.want, got)
		}
	case s.dead:
		t.Errorf("the connection has ended: %v, %q", s.ends, got)
	}
	if c.stat != "" {
		s.r.wantStat(c.stat, floods)
	}
}

// TestEmptyFramesInARow counts those in a row only: content, and the end of a message, begin anew.
func TestEmptyFramesInARow(t *testing.T) {
	o := testOptions()
	o.MaxEmptyFrames = 2
	s, p := newServer(t, o)
	p.post(1)
	for range 10 {
		p.data(1, 0, "").data(1, 0, "").data(1, 0, "x")
	}
	p.data(1, 0, "").data(1, 0, "").data(1, endStream, "")
	for id := uint32(3); id < 9; id += 2 {
		p.post(id).data(id, 0, "").data(id, 0, "").headers(id, endStream, "x", "y")
	}
	p.finish(&s.conn)
	if s.dead {
		t.Errorf("the connection has ended: %q", p.take())
	}
}

// TestOldResetsAreNotPremature lets streams be reset that were answered, or are old.
func TestOldResetsAreNotPremature(t *testing.T) {
	for name, outlive := range map[string]func(s *testServer, id uint32){
		"answered": func(s *testServer, id uint32) { s.stream(id).head(200) },
		"old":      func(s *testServer, _ uint32) { s.r.now += int64(s.opts.PrematureResetAge); s.r.step() },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.MaxPrematureResets = 2
			s, p := newServer(t, o)
			for id := uint32(1); id < 100; id += 2 {
				p.post(id).send()
				outlive(s, id)
				p.reset(id, http2.ErrCodeCancel).turn()
			}
			if s.dead {
				t.Errorf("the connection has ended: %v", s.ends)
			}
		})
	}
}

// TestPrematureResetsAmongOthers ends the connection when they are half of a client's streams, however many these are.
func TestPrematureResetsAmongOthers(t *testing.T) {
	o := testOptions()
	o.MaxPrematureResets = 20
	s, p := newServer(t, o)
	id := s.serveMany(1, 50)
	for resets := 1; resets <= 50; resets++ {
		p.post(id).reset(id, http2.ErrCodeCancel).turn()
		id += 2
		if want := resets == 50; s.dead != want { // 50 of 100
			t.Fatalf("dead is %t after %d resets of %d streams", s.dead, resets, 50+resets)
		}
	}
	wantEnded(t, s.ends, ErrPrematureResets)
}

// TestAnswersThatAreReadAreNoFlood has a client read every turn what it gets, and send as much as may wait at a time.
func TestAnswersThatAreReadAreNoFlood(t *testing.T) {
	o := testOptions()
	o.MaxOutboundControlFrames, o.MaxOutboundFrames = 100, 100
	s, p := newServer(t, o)
	for range 10 {
		for range 100 {
			p.ping("12345678")
		}
		p.turn()
		if got := len(p.take()); got != 100 {
			t.Fatalf("%d answers, want 100; the connection has ended: %v", got, s.ends)
		}
	}
}

// TestAnswersThatAreNotReadAreAFlood counts over turns what the client does not read.
func TestAnswersThatAreNotReadAreAFlood(t *testing.T) {
	o := testOptions()
	o.MaxOutboundControlFrames = 1000
	s, p := newServer(t, o)
	const size = frameHeaderSize + 8
	waiting := p.stall(&s.conn) / size
	for !s.dead && waiting <= 2*o.MaxOutboundControlFrames {
		p.ping("12345678").turn()
		waiting++
	}
	if !s.dead || waiting < o.MaxOutboundControlFrames/2 || waiting > o.MaxOutboundControlFrames+1 {
		t.Errorf("the connection has ended: %v, with %d answers waiting", s.ends, waiting)
	}
	wantEnded(t, s.ends, ErrFlood)
	s.r.wantStat("outbound_control_flood", 1)
}

// TestAllowance takes tokens at the times given.
func TestAllowance(t *testing.T) {
	const burst, perSecond = 3, 2
	second := int64(time.Second)
	for name, times := range map[string][]int64{ // all but the last are granted
		"burst":                      {0, 0, 0, 0},
		"one more in half a second":  {0, 0, 0, second / 2, second / 2},
		"not one more before that":   {0, 0, 0, second/2 - 1},
		"as many as come":            {0, 0, 0, second / 2, second, 3 * second / 2, 3 * second / 2},
		"no more than the burst":     {0, 0, 100 * second, 100 * second, 100 * second, 100 * second},
		"not before the first token": {second / 4, second / 4, second / 4, second/2 - 1},
	} {
		a := allowance{left: burst}
		for i, now := range times {
			if got, want := a.take(now, burst, perSecond), i < len(times)-1; got != want {
				t.Errorf("%s: take %d at %dms: %t, want %t", name, i, now/1e6, got, want)
			}
		}
	}
}

// TestWaitingFrames counts frames that were gathered and not sent: exactly while none were sent, and again once all were.
func TestWaitingFrames(t *testing.T) {
	const size = 10
	var w waiting
	for i := range 5 {
		if got := w.add(0, i*size); got != i+1 {
			t.Errorf("frame %d: %d are waiting", i, got)
		}
	}
	if got := w.add(5*size, 0); got != 1 {
		t.Errorf("a frame after all were sent: %d are waiting", got)
	}
	for i := 1; i < 5; i++ {
		w.add(5*size, i*size)
	}
	// Of five frames that wait three are sent: the count is not exact, and not too low.
	if got := w.add(8*size, 2*size); got < 3 || got > 6 {
		t.Errorf("three frames are waiting, the count is %d", got)
	}
}

// TestStalledClientCostsNothing has a client send and not read. What it sends is read only as far as its answers may wait, and
// then the loop has nothing to do until it reads.
func TestStalledClientCostsNothing(t *testing.T) {
	o := testOptions()
	o.MaxOutboundControlFrames, o.MaxOutboundFrames = 1<<30, 1<<30
	s, p := newServer(t, o)
	p.stall(&s.conn)
	for s.raw.Buffered() <= maxUnsent {
		for range 1000 {
			p.ping("12345678")
		}
		p.WriteString("\x00\x00\x08\x06") // of the next PING, so that the buffer is held
		p.turn()
		p.WriteString("\x00\x00\x00\x00\x0012345678")
	}
	for range 10000 {
		p.ping("12345678")
	}
	p.turn()
	p.r.steps(2)
	buffered, ready := s.raw.Buffered(), 0
	s.raw.SetIdleHandler(readyFunc(func(c *eventloop.Conn) { ready++; s.Ready(c) }))
	p.r.steps(10)
	if s.raw.Buffered() != buffered || ready > 1 {
		t.Errorf("%d bytes wait, %d before; told %d times that there is something to do", s.raw.Buffered(), buffered, ready)
	}
	for len(p.unsent) > 0 || s.raw.Readable() || s.raw.Buffered() > 0 {
		p.take()
		p.turn()
	}
	if s.dead {
		t.Errorf("the connection has ended: %v", s.ends)
	}
}

// readyFunc makes a function an eventloop.IdleHandler.
type readyFunc func(c *eventloop.Conn)

func (f readyFunc) Ready(c *eventloop.Conn) { f(c) }

// TestProvokedResetsAreCounted counts every reset that a client makes us send like one of its own (CVE-2025-8671).
func TestProvokedResetsAreCounted(t *testing.T) {
	for name, play := range map[string]func(p *peer){
		"WINDOW_UPDATE by 0":                    func(p *peer) { p.post(1).windowUpdate(1, 0) },
		"window above 2^31-1":                   func(p *peer) { p.post(1).windowUpdate(1, maxWindow) },
		"DATA on a half-closed stream":          func(p *peer) { p.get(1).data(1, 0, "x") },
		"HEADERS on a half-closed stream":       func(p *peer) { p.get(1).get(1) },
		"DATA on a stream that has ended":       func(p *peer) { p.post(3).data(1, 0, "x") },
		"dependency on itself, in PRIORITY":     func(p *peer) { p.post(1).priority(1, 1) },
		"dependency on itself, in HEADERS":      func(p *peer) { p.raw(1, endHeaders|endStream|priority, 1, selfBlock+plainGET) },
		"malformed request":                     func(p *peer) { p.headers(1, endStream, "connection", "close") },
		"more DATA than content-length":         func(p *peer) { p.headers(1, 0, with(postFields, "content-length", "1")...).data(1, 0, "xy") },
		"less DATA than content-length":         func(p *peer) { p.headers(1, 0, with(postFields, "content-length", "1")...).data(1, endStream, "") },
		"trailers without END_STREAM":           func(p *peer) { p.post(1).headers(1, 0, "x", "y") },
		"trailers that are too large":           func(p *peer) { p.post(1).headers(1, endStream, "x", strings.Repeat("y", 2000)) },
		"more DATA than the window of a stream": func(p *peer) { p.post(1).data(1, 0, strings.Repeat("x", 101)) },
		"more streams than may be open":         func(p *peer) { p.post(1).post(3).post(5) },
		"reset by the client":                   func(p *peer) { p.post(1).reset(1, http2.ErrCodeCancel) },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.StreamWindow, o.HeaderBytes, o.MaxStreams = 100, 1000, 2
			s, p := newServer(t, o)
			play(p)
			p.turn()
			if s.flood.premature != 1 || s.dead {
				t.Errorf("%d resets are counted, want 1; %q", s.flood.premature, p.take())
			}
		})
	}
}
