package acceptance

import (
	"fmt"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestTrailersBehindBody holds that trailers follow the last of a body that had to wait for a window, of the stream or of the
// connection, and end the stream.
func TestTrailersBehindBody(t *testing.T) {
	body := pattern(100 << 10)
	answer := harness.H2Response{Status: 200, Body: body, Trailers: harness.Fields{{Name: "x-t", Value: "1"}}}
	for _, up := range []int{1, 2} {
		for name, credit := range map[string]func(c *harness.H2Client, id uint32){
			"stream": func(c *harness.H2Client, id uint32) {
				for range 3 {
					c.WindowUpdate(id, 15<<10)
				}
			},
			"byte by byte at the end": func(c *harness.H2Client, id uint32) {
				c.WindowUpdate(id, 100<<10-65535-2)
				c.RoundTrip()
				c.WindowUpdate(id, 1)
				c.RoundTrip()
				c.WindowUpdate(id, 1)
			},
		} {
			pair := pair{2, up}
			t.Run(fmt.Sprint(pair, " ", name), func(t *testing.T) {
				p := pair.setup(pair.origin(t, answer)).Start(t)
				c := stalledClient(p)
				id := c.Get("/")
				c.RoundTrip()
				credit(c, id)
				if r := c.Response(id); r.Body != body || r.Trailers.Get("x-t") != "1" || !r.EndStream {
					t.Errorf("got %d bytes, trailers %q", len(r.Body), r.Trailers)
				}
				p.Outcome()
				c.ExpectIdle()
			})
		}
		t.Run(fmt.Sprint(pair{2, up}, " connection"), func(t *testing.T) {
			pair := pair{2, up}
			p := pair.setup(pair.origin(t, answer)).Start(t)
			c := p.DialH2Raw()
			c.NoCredit()
			c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
			id := c.Get("/")
			c.RoundTrip()
			c.WindowUpdate(0, 50<<10)
			if r := c.Response(id); r.Body != body || r.Trailers.Get("x-t") != "1" {
				t.Errorf("got %d bytes, trailers %q", len(r.Body), r.Trailers)
			}
		})
	}
}

// TestTrailersBehindUpload is TestTrailersBehindBody for a request, to an origin that gives credit late.
func TestTrailersBehindUpload(t *testing.T) {
	body := pattern(100 << 10)
	for _, down := range []int{1, 2} {
		t.Run(fmt.Sprintf("h%d to h2", down), func(t *testing.T) {
			peers := make(chan *harness.H2Peer, 1)
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				p.NoCredit()
				peers <- p
				harness.H2Echo(p)
			})
			pair := pair{down, 2}
			p := pair.setup(pairOrigin{addr: origin.Addr()}).Start(t)
			got := make(chan harness.H2Response, 1)
			go func() {
				got <- pair.ask(p, harness.H2Request{Method: "POST", Path: "/", Authority: "a", Body: body, Trailers: harness.Fields{{Name: "x-t", Value: "1"}}})
			}()
			peer := <-peers
			for peer.Received(http2.FrameData) < 4 {
				p.Sync()
			}
			_ = peer.TryBatch(func() {
				peer.WindowUpdate(1, 1<<20)
				peer.WindowUpdate(0, 1<<20)
			})
			if r := <-got; r.Status != 200 || r.Body != "POST / "+body {
				t.Errorf("got %v", r)
			}
			if r := origin.Requests()[0]; r.Trailers.Get("x-t") != "1" {
				t.Errorf("the origin got the trailers %q", r.Trailers)
			}
		})
	}
}

// TestReplyWaitsForWindow holds that an answer of the proxy's own keeps to the windows as well.
func TestReplyWaitsForWindow(t *testing.T) {
	body := pattern(100 << 10)
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 200, body))
	p := s.Start(t)
	c := p.DialH2Raw()
	c.NoCredit()
	c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	id := c.Get("/")
	f := c.WaitFrame("the head", func(f *harness.H2Frame) bool { return f.StreamID == id })
	if f.Type != http2.FrameHeaders || f.EndStream() {
		t.Fatalf("got %v", f)
	}
	c.ExpectIdle()
	if n := p.Stat("http2.pending_send_bytes"); n != uint64(len(body)) {
		t.Errorf("%d bytes wait, want %d", n, len(body))
	}
	c.WindowUpdate(0, 1<<20)
	c.ExpectIdle()
	c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	r := c.Response(id)
	if r.Body != body || !r.EndStream {
		t.Errorf("got %d bytes", len(r.Body))
	}
}

// TestPendingBytesOfReset holds that nothing is left of a body that waited for a client when it resets the stream.
func TestPendingBytesOfReset(t *testing.T) {
	for _, whole := range []bool{true, false} {
		t.Run(fmt.Sprint("whole ", whole), func(t *testing.T) {
			size := 100 << 10
			if !whole {
				size = flowBody
			}
			origin := newHandOrigin(t)
			p := flowSetup(origin.H2Origin).Start(t)
			c := stalledClient(p)
			for range 5 {
				id := c.Get("/")
				r := origin.next()
				r.peer.Respond(r.StreamID, harness.H2OK(pattern(size)))
				for p.Stat("http2.pending_send_bytes") == 0 {
					p.Sync()
				}
				c.Reset(id, http2.ErrCodeCancel)
				p.Outcome()
				p.Sync()
				expectStats(t, p, map[string]uint64{"http2.pending_send_bytes": 0, "http2.streams_active": 0, "cluster.c.http2.streams_active": 0})
			}
		})
	}
}
