package attack

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// maxConcurrent is a limit on streams.
func maxConcurrent(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: n}
}

// window is an initial window of streams.
func window(n uint32) http2.Setting { return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n} }

var timedOut = answer{504, true, "504 UT response_timeout"}

// TestNoStreams is about a host that takes no streams (SETTINGS_MAX_CONCURRENT_STREAMS 0): whoever asks is answered in time, and
// connections that are good for nothing do not gather.
func TestNoStreams(t *testing.T) {
	const requests = 50
	for name, test := range map[string]struct {
		script func(p *harness.H2Peer)
		wait   time.Duration // for the answer
		got    answer
		held   int // connections that are there in the end, at most
	}{
		"and refuses": {
			script: harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) { p.Reset(r.StreamID, http2.ErrCodeRefusedStream) }),
			got:    refusedByHost,
		},
		"and resets": {
			script: harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) { p.Reset(r.StreamID, http2.ErrCodeProtocol) }),
			got:    reset,
		},
		"and says nothing": {script: harness.H2Slow, wait: config.DefaultRouteTimeout, got: timedOut},
		"and serves":       {script: harness.H2Echo, got: served},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, test.script, maxConcurrent(0))
			p := upstreamSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			for i := range requests {
				id := c.Get(fmt.Sprintf("/%d", i))
				if test.wait > 0 {
					p.Advance(test.wait)
				}
				test.got.check(t, c.Response(id), p.Outcome())
			}
			p.Sync()
			for name, most := range map[string]uint64{"upstream_rq_active": 0, "upstream_rq_pending_active": 0, "upstream_cx_active": 1} {
				if n := p.ClusterStat(name); n > most {
					t.Errorf("%s is %d, want %d at most", name, n, most)
				}
			}
		})
	}
}

// TestNoMoreStreams has a host take its streams back while one is open: that one goes on, and another waits until the host takes
// streams again. It goes nowhere else, since a host says this of itself and not of a connection.
func TestNoMoreStreams(t *testing.T) {
	settled, release := make(chan struct{}), make(chan struct{})
	origin := harness.NewH2Origin(t, harness.H2InTurn(func(p *harness.H2Peer) {
		r, ok := p.ReadRequest()
		if !ok {
			return
		}
		p.Settings(maxConcurrent(0))
		p.ExpectSettingsAck()
		close(settled)
		if !p.Wait(release) {
			return
		}
		p.Batch(func() {
			p.Respond(r.StreamID, harness.H2OK("first"))
			p.Settings(maxConcurrent(10))
		})
		p.ExpectSettingsAck()
		harness.H2Echo(p)
	}, harness.H2Echo))
	p := upstreamSetup(origin.Addr()).Start(t)
	c := p.DialH2()
	first := c.Get("/first")
	<-settled
	p.Sync()
	second := c.Get("/second")
	c.RoundTrip()
	if n := p.ClusterStat("upstream_rq_pending_active"); n != 1 {
		t.Errorf("upstream_rq_pending_active is %d, want 1", n)
	}
	close(release)
	if resp := c.Response(first); resp.Body != "first" {
		t.Errorf("the first request got %v", resp)
	}
	if resp := c.Response(second); resp.Body != "GET /second " {
		t.Errorf("the second request got %v", resp)
	}
	if n := origin.Connections(); n != 1 {
		t.Errorf("the host has got %d connections, want 1", n)
	}
}

// warm answers a first request, so that the proxy knows the settings, and returns the head of the second.
func warm(p *harness.H2Peer) (harness.H2Request, bool) {
	r, ok := p.ReadRequest()
	if !ok {
		return r, false
	}
	p.Respond(r.StreamID, harness.H2OK(""))
	return p.ReadHead()
}

// TestNoWindow is about a host that gives no window for bodies (row 71): whoever sends one is answered in time, and the host is
// told that nothing more comes.
func TestNoWindow(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		wait time.Duration
		got  answer
	}{
		"small body": {"hello", config.DefaultRouteTimeout, timedOut},
		// Not all of it is taken, so that the client has not sent it whole.
		"large body": {letters(8 << 20), config.DefaultStreamIdle, answer{408, true, "408 SI stream_idle_timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			cancelled := make(chan struct{})
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				r, ok := warm(p)
				if !ok {
					return
				}
				p.ExpectReset(r.StreamID, http2.ErrCodeCancel)
				close(cancelled)
				p.Drain()
			}, window(0))
			p := upstreamSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			c.Response(c.Get("/warm"))
			p.Outcome()
			id := c.Post("/", test.body)
			c.RoundTrip()
			p.Sync()
			if n := p.ClusterStat("http2.pending_send_bytes"); n == 0 || n > 4*config.DefaultBufferLimit {
				t.Errorf("%d bytes wait for the host", n)
			}
			p.Advance(test.wait)
			test.got.check(t, c.Response(id), p.Outcome())
			<-cancelled
			c.Canary(1)
			for _, name := range []string{"http2.pending_send_bytes", "upstream_rq_active", "http2.streams_active"} {
				if n := p.ClusterStat(name); n != 0 {
					t.Errorf("%s is %d, want 0", name, n)
				}
			}
		})
	}
}

// TestWindowOpensLate has a host give a window only when it has the whole head, byte by byte.
func TestWindowOpensLate(t *testing.T) {
	const body = "hello"
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		r, ok := warm(p)
		if !ok {
			return
		}
		for range body {
			p.WindowUpdate(r.StreamID, 1)
		}
		if r, ok = p.ReadBody(r); ok {
			p.Respond(r.StreamID, harness.H2OK(r.Body))
		}
		p.Drain()
	}, window(0))
	p := upstreamSetup(origin.Addr()).Start(t)
	c := p.DialH2()
	c.Response(c.Get("/warm"))
	if resp := c.Response(c.Post("/", body)); resp.Body != body {
		t.Errorf("got %v", resp)
	}
}

// TestFirstSettings has hosts begin with SETTINGS that must not be.
func TestFirstSettings(t *testing.T) {
	for _, f := range settingsFaults() {
		t.Run(f.name, func(t *testing.T) {
			origin := harness.NewH2OriginRaw(t, harness.H2InTurn(func(p *harness.H2Peer) {
				if !p.ReadPreface() {
					return
				}
				if r, ok := p.ReadRequest(); ok {
					p.Batch(func() { f.send(p, r.StreamID) })
					p.Drain()
				}
			}, func(p *harness.H2Peer) {
				if p.Handshake() {
					harness.H2Echo(p)
				}
			}))
			p := upstreamSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			f.got.check(t, c.Response(c.Get("/")), p.Outcome())
		})
	}
}
