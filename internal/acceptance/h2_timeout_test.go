package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// slowHost answers /slow never, /begun with the beginning of a response, and everything else at once.
func slowHost(p *harness.H2Peer) {
	harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		switch r.Path {
		case "/slow":
		case "/begun":
			p.Headers(r.StreamID, false, ":status", "200")
			p.Data(r.StreamID, false, "hello")
		default:
			p.Respond(r.StreamID, harness.H2OK(r.Path))
		}
	})(p)
}

// expectServed holds that a connection serves another request, on the connection to the host that there was before.
func expectServed(t *testing.T, p *harness.Proxy, c *harness.H2Client) {
	t.Helper()
	if r := c.Response(c.Get("/next")); r.Status != 200 || r.Body != "/next" {
		t.Errorf("the next request got %v", r)
	}
	if o := p.Outcome(); o.String() != "200 - via_upstream" {
		t.Errorf("the next outcome is %v", o)
	}
	if n := p.ClusterStat("upstream_cx_total"); n != 1 {
		t.Errorf("upstream_cx_total is %d, want 1", n)
	}
}

// TestH2RouteTimeout holds that the timeout of a route counts from the end of a request, resets its stream at the host, and
// leaves all others alone.
func TestH2RouteTimeout(t *testing.T) {
	origin := harness.NewH2Origin(t, slowHost)
	p := h2Setup(origin).Start(t)
	c := p.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/slow")...)
	c.RoundTrip()
	p.Advance(config.DefaultRouteTimeout + time.Second)
	p.NoOutcome()
	other := c.Request(false, harness.H2Head("POST", "/other")...)
	c.Data(id, true, "whole")
	origin.WaitCounts("both requests at the host", func(n harness.H2Counts) bool { return n.Started == 2 })
	p.Advance(config.DefaultRouteTimeout - justBefore)
	p.NoOutcome()
	p.Advance(2 * justBefore)
	if r := c.Response(id); r.Status != 504 || r.Body != "upstream request timeout" || !r.EndStream {
		t.Errorf("got %v", r)
	}
	if o := p.Outcome(); o.String() != "504 UT response_timeout" || o.Duration < 2*config.DefaultRouteTimeout {
		t.Errorf("outcome %+v", o)
	}
	origin.WaitCounts("the request reset", func(n harness.H2Counts) bool { return n.Reset == 1 })
	c.Data(other, true, "")
	if r := c.Response(other); r.Body != "/other" {
		t.Errorf("another stream got %v", r)
	}
	p.Outcome()
	expectServed(t, p, c)
	if n := p.ClusterStat("upstream_rq_timeout"); n != 1 {
		t.Errorf("upstream_rq_timeout is %d, want 1", n)
	}
}

// TestH2TimeoutInBody holds that a response which has begun is broken off by a reset, whichever limit it is.
func TestH2TimeoutInBody(t *testing.T) {
	for name, test := range map[string]struct {
		setup   func(*harness.Setup)
		after   time.Duration
		outcome string
	}{
		"route timeout": {func(*harness.Setup) {}, config.DefaultRouteTimeout, "200 UT response_timeout"},
		"stream idle":   {func(s *harness.Setup) { s.Route(0).Forward.Timeout = 0 }, config.DefaultStreamIdle, "200 SI stream_idle_timeout"},
		"max stream duration": {func(s *harness.Setup) { s.HTTP().MaxStreamDuration = 3 * time.Second }, 3 * time.Second,
			"200 DT max_duration_timeout"},
		"route's stream duration": {func(s *harness.Setup) {
			limit := 2 * time.Second
			s.HTTP().MaxStreamDuration, s.Route(0).Forward.MaxStreamDuration = time.Second, &limit
		}, 2 * time.Second, "200 DT max_duration_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, slowHost)
			s := h2Setup(origin)
			test.setup(s)
			p := s.Start(t)
			c := p.DialH2()
			id := c.Get("/begun")
			expectMessage(t, c, id, "hello")
			p.Advance(test.after - justBefore)
			p.NoOutcome()
			p.Advance(2 * justBefore)
			c.ExpectReset(id, http2.ErrCodeInternal)
			if o := p.Outcome(); o.String() != test.outcome {
				t.Errorf("outcome %v, want %s", o, test.outcome)
			}
			origin.WaitCounts("the request reset", func(n harness.H2Counts) bool { return n.Reset == 1 })
			expectServed(t, p, c)
			if n := p.HTTPStat("downstream_rq_tx_reset"); n != 1 {
				t.Errorf("downstream_rq_tx_reset is %d, want 1", n)
			}
		})
	}
}

// TestH2StreamTimeouts holds what a client gets when a limit passes before the response: with 408, also that the rest of the
// request is not wanted.
func TestH2StreamTimeouts(t *testing.T) {
	idle := 2 * time.Second
	for name, test := range map[string]struct {
		setup   func(*harness.Setup)
		part    bool // the request is not whole
		after   time.Duration
		outcome string
		body    string
		stat    string
	}{
		"stream idle, whole": {func(s *harness.Setup) { s.Route(0).Forward.Timeout = 0 }, false, config.DefaultStreamIdle,
			"504 SI stream_idle_timeout", "stream timeout", "downstream_rq_idle_timeout"},
		"stream idle": {func(*harness.Setup) {}, true, config.DefaultStreamIdle,
			"408 SI stream_idle_timeout", "stream timeout", "downstream_rq_idle_timeout"},
		"route's idle timeout": {func(s *harness.Setup) { s.Route(0).Forward.IdleTimeout = &idle }, false, idle,
			"504 SI stream_idle_timeout", "stream timeout", "downstream_rq_idle_timeout"},
		"request timeout": {func(s *harness.Setup) { s.HTTP().RequestTimeout = 3 * time.Second }, true, 3 * time.Second,
			"408 - request_overall_timeout", "request timeout", "downstream_rq_timeout"},
		"max stream duration": {func(s *harness.Setup) { s.HTTP().MaxStreamDuration = 3 * time.Second }, true, 3 * time.Second,
			"408 DT max_duration_timeout", "downstream duration timeout", "downstream_rq_max_duration_reached"},
		"max stream duration, whole": {func(s *harness.Setup) { s.HTTP().MaxStreamDuration = 3 * time.Second }, false, 3 * time.Second,
			"504 DT max_duration_timeout", "downstream duration timeout", "downstream_rq_max_duration_reached"},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, slowHost)
			s := h2Setup(origin)
			test.setup(s)
			p := s.Start(t)
			c := p.DialH2()
			id := c.Request(!test.part, harness.H2Head("POST", "/slow")...)
			c.RoundTrip()
			p.Advance(test.after - justBefore)
			p.NoOutcome()
			p.Advance(2 * justBefore)
			o := p.Outcome()
			if r := c.Response(id); r.Status != o.Status || r.Body != test.body || !r.EndStream || o.String() != test.outcome {
				t.Errorf("got %v, outcome %v, want %s", r, o, test.outcome)
			}
			if test.part {
				c.ExpectReset(id, http2.ErrCodeNo)
			}
			if n := p.HTTPStat(test.stat); n != 1 {
				t.Errorf("%s is %d, want 1", test.stat, n)
			}
			origin.WaitCounts("the request reset", func(n harness.H2Counts) bool { return n.Reset == 1 })
			expectServed(t, p, c)
		})
	}
}

// TestH2Progress holds which limits progress in the request puts off: the one of idle streams, and none that bounds the whole.
func TestH2Progress(t *testing.T) {
	s := h2Setup(harness.NewH2Origin(t, slowHost))
	idle := 2 * time.Second
	s.Route(0).Forward.IdleTimeout = &idle
	s.HTTP().RequestTimeout = 10 * time.Second
	p := s.Start(t)
	c := p.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/slow")...)
	for range 9 {
		c.Data(id, false, "x")
		p.Advance(time.Second)
	}
	p.NoOutcome()
	c.Data(id, false, "x")
	p.Advance(time.Second)
	if r := c.Response(id); r.Status != 408 || r.Body != "request timeout" {
		t.Errorf("got %v", r)
	}
}

// TestH2HeadersTimeout holds that a client which does not finish what it has begun loses its connection, however it goes on:
// with its preface, a frame, or a field block in many frames.
func TestH2HeadersTimeout(t *testing.T) {
	const limit = 5 * time.Second
	block := harness.H2Bytes(t, func(w *harness.H2Writer) {
		w.HeadersBlock(1, true, false, w.Encode(harness.H2Head("GET", "/")...))
		for range 100 {
			w.Continuation(1, false, []byte("\x00\x01a\x01b"))
		}
	})
	preface := harness.H2Bytes(t, func(w *harness.H2Writer) {
		w.Preface()
		w.Settings()
	})
	settings := harness.H2Bytes(t, func(w *harness.H2Writer) { w.Settings(make([]http2.Setting, 32)...) })
	for _, codec := range []config.Codec{config.CodecAuto, config.CodecHTTP2} {
		for name, test := range map[string]struct {
			first, slow string
			step        int
		}{
			"the preface":        {preface[:20], preface[20:], 1},
			"no SETTINGS":        {preface[:24], preface[24:], 2},
			"a frame":            {preface, settings, 5},
			"a field block":      {preface + block[:30], block[30:], 3},
			"frame after frame":  {preface + block[:len(block)-1400], block[len(block)-1400:], 14},
			"a whole one before": {preface + harness.H2Bytes(t, func(w *harness.H2Writer) { w.Headers(1, true, harness.H2Head("GET", "/other")...) }), "\x00\x00\x01", 1},
		} {
			t.Run(fmt.Sprintf("codec %d %s", codec, name), func(t *testing.T) {
				s := h2Setup(harness.NewH2Origin(t, slowHost))
				s.HTTP().Codec = codec
				s.HTTP().RequestHeadersTimeout = limit
				p := s.Start(t)
				c := p.Dial()
				c.Send(test.first)
				rest := test.slow
				for range 5 {
					n := min(test.step, len(rest)-1)
					c.Send(rest[:n])
					rest = rest[n:]
					p.Advance(limit/5 - time.Millisecond)
				}
				if n := p.HTTPStat("downstream_cx_active"); n != 1 {
					t.Fatalf("%d connections before the time is up, want 1", n)
				}
				p.Advance(justBefore)
				if n := p.HTTPStat("downstream_rq_header_timeout"); n != 1 {
					t.Errorf("downstream_rq_header_timeout is %d, want 1", n)
				}
				p.Advance(config.DefaultDelayedClose + justBefore)
				if n := p.HTTPStat("downstream_cx_active"); n != 0 {
					t.Errorf("%d connections after the time is up, want none", n)
				}
			})
		}
	}
}

// TestH2AnswerNotTaken holds that a stream whose client gives no window is given up after stream_idle_timeout, whether its
// exchange is over or under way, while others on the connection go on.
func TestH2AnswerNotTaken(t *testing.T) {
	for name, size := range map[string]int{"over": 100 << 10, "under way": 8 << 20} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
				if r.Path == "/next" {
					p.Respond(r.StreamID, harness.H2OK("/next"))
					return
				}
				p.Respond(r.StreamID, harness.H2OK(strings.Repeat("x", size)))
			}))
			s := h2Setup(origin)
			s.Route(0).Forward.Timeout = 0
			p := s.Start(t)
			c := p.DialH2Raw()
			c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 16 << 10})
			c.NoCredit()
			c.WindowUpdate(0, 16<<20)
			id := c.Get("/large")
			for got := 0; got < 16<<10; {
				f := c.WaitFrame("data", ofStream(id, http2.FrameData))
				got += len(f.Payload)
			}
			rest(p)
			if name == "over" { // what the client takes is progress
				p.Advance(config.DefaultStreamIdle - justBefore)
				c.WindowUpdate(id, 100)
				c.WaitFrame("data", ofStream(id, http2.FrameData))
			}
			p.Advance(config.DefaultStreamIdle - justBefore)
			c.RoundTrip()
			if n := p.Stat("http2.streams_active"); n != 1 {
				t.Errorf("%d streams before the time is up, want 1", n)
			}
			p.Advance(2 * justBefore)
			f := c.WaitFrame("RST_STREAM", ofStream(id, http2.FrameRSTStream))
			if n := p.Stat("http2.streams_active"); n != 0 {
				t.Errorf("after %v there are %d streams, want none", f, n)
			}
			p.Outcome()
			if r := c.Response(c.Get("/next")); r.Body != "/next" {
				t.Errorf("the next request got %v", r)
			}
			flushed := p.Stat("http2.tx_flush_timeout")
			if want := uint64(1); name == "over" && flushed != want {
				t.Errorf("http2.tx_flush_timeout is %d, want %d", flushed, want)
			}
		})
	}
}

// TestH2ConnectionIdle holds that a connection ends idle_timeout after its last stream has, and that both sides say so.
func TestH2ConnectionIdle(t *testing.T) {
	origin := harness.NewH2Origin(t, slowHost)
	s := h2Setup(origin)
	s.Route(0).Forward.Timeout, s.HTTP().StreamIdle = 0, 0
	p := s.Start(t)
	fresh, used, busy := p.DialH2(), p.DialH2(), p.DialH2()
	busy.Get("/slow")
	used.Response(used.Get("/a"))
	p.Advance(config.DefaultConnectionIdle / 2)
	used.Response(used.Get("/b"))
	p.Advance(config.DefaultConnectionIdle/2 + justBefore)
	if last, _ := fresh.ExpectGoAway(http2.ErrCodeNo); last != 0 {
		t.Errorf("GOAWAY names stream %d, want none", last)
	}
	fresh.ExpectClosed()
	used.ExpectIdle()
	p.Advance(config.DefaultConnectionIdle / 2)
	if last, _ := used.ExpectGoAway(http2.ErrCodeNo); last != 3 {
		t.Errorf("GOAWAY names stream %d, want 3", last)
	}
	used.ExpectClosed()
	busy.ExpectIdle()
	if n := p.HTTPStat("downstream_cx_idle_timeout"); n != 2 {
		t.Errorf("downstream_cx_idle_timeout is %d, want 2", n)
	}
}

// TestH2UpstreamIdle holds that a connection to a host ends idle_timeout after its last stream has, and not before.
func TestH2UpstreamIdle(t *testing.T) {
	goAways := make(chan int, 2)
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		slowHost(p)
		goAways <- p.Received(http2.FrameGoAway)
	})
	s := h2Setup(origin)
	s.Clusters[0].IdleTimeout = time.Minute
	s.HTTP().ConnectionIdle = 0
	p := s.Start(t)
	c := p.DialH2()
	c.Response(c.Get("/a"))
	id := c.Request(false, harness.H2Head("POST", "/b")...)
	origin.WaitCounts("the request at the host", func(n harness.H2Counts) bool { return n.Started == 2 })
	p.Advance(2 * time.Minute)
	c.Data(id, true, "")
	c.Response(id)
	p.Sync()
	p.Advance(time.Minute - justBefore)
	if n := p.ClusterStat("upstream_cx_active"); n != 1 {
		t.Errorf("upstream_cx_active is %d before the time is up, want 1", n)
	}
	p.Advance(2 * justBefore)
	if n := <-goAways; n != 1 {
		t.Errorf("the host got %d GOAWAY frames, want 1", n)
	}
	if n, idle := p.ClusterStat("upstream_cx_active"), p.ClusterStat("upstream_cx_idle_timeout"); n != 0 || idle != 1 {
		t.Errorf("upstream_cx_active is %d, upstream_cx_idle_timeout %d, want 0 and 1", n, idle)
	}
	c.ExpectIdle()
	if r := c.Response(c.Get("/again")); r.Body != "/again" {
		t.Errorf("then got %v", r)
	}
}

// TestH2MaxConnectionDuration holds that a connection which is too old is ended in order: new streams are served until the
// client had time to learn of it, and those that it has go on to their end.
func TestH2MaxConnectionDuration(t *testing.T) {
	origin := harness.NewH2Origin(t, slowHost)
	s := h2Setup(origin)
	s.Route(0).Forward.Timeout = 0
	s.HTTP().MaxConnectionDuration = time.Minute
	p := s.Start(t)
	c := p.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/late")...)
	p.Advance(time.Minute - justBefore)
	c.ExpectIdle()
	p.Advance(2 * justBefore)
	if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != 1<<31-1 {
		t.Errorf("the first GOAWAY names stream %d, want 2^31-1", last)
	}
	if r := c.Response(c.Get("/on-its-way")); r.Body != "/on-its-way" {
		t.Errorf("a stream that was on its way got %v", r)
	}
	p.Advance(config.DefaultDrainTimeout + justBefore)
	if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != 3 {
		t.Errorf("the second GOAWAY names stream %d, want 3", last)
	}
	ignored := c.Get("/too-late")
	c.RoundTrip()
	c.Data(id, true, "")
	if r := c.Response(id); r.Body != "/late" {
		t.Errorf("the stream that was open got %v", r)
	}
	p.Advance(time.Millisecond) // what follows from the end of the last stream is due at once, at the next tick
	c.ExpectClosed()
	if n := p.HTTPStat("downstream_cx_max_duration_reached"); n != 1 {
		t.Errorf("downstream_cx_max_duration_reached is %d, want 1", n)
	}
	for _, r := range origin.Requests() {
		if r.Path == "/too-late" {
			t.Errorf("stream %d was served after GOAWAY", ignored)
		}
	}
}
