package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

const (
	// largeBody is what each stream of an attacker asks for who does not take it.
	largeBody = mebibyte
	// widest is the largest window there is.
	widest = 1<<31 - 1
	// stalledGrowth bounds the memory of streams that wait: what the proxy has read for each, and what it may still get.
	// Go's collector lets the heap become twice as large.
	stalledGrowth = 2 * maxStreams * (bufferLimit + 2*streamWindow)
)

// impatient has the proxy give up streams that do not get on for a second.
func impatient(s *process.Setup) { setPatience(s, "1s") }

// setPatience sets the time without progress that streams have.
func setPatience(s *process.Setup, timeout string) {
	http := s.HTTP()
	http["stream_idle_timeout"], http["request_headers_timeout"] = timeout, timeout
}

// stallers are origins with much to say.
func stallers() []kind { return some(fastH2, slowH1) }

// TestClosedWindows asks for large answers and takes nothing of them (CVE-2019-9511, CVE-2019-9517). What the proxy holds
// meanwhile is bounded by its buffers, and by stream_idle_timeout in time.
func TestClosedWindows(t *testing.T) {
	abreast(t)
	ask := func(c *harness.H2Client) {
		for range maxStreams {
			c.Get("/")
		}
	}
	each(t, stallers(), func(t *testing.T, k kind) {
		t.Run("of streams", func(t *testing.T) {
			g := newTargetBody(t, k, largeBody, impatient)
			g.run(attack{name: "100 large answers, windows of 0", requests: maxStreams, inFlight: maxStreams, growth: stalledGrowth, run: func() int {
				c := g.dialRaw()
				c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
				c.Batch(func() { ask(c) })
				for i := range maxStreams {
					if r, err := c.TryResponse(streamID(i)); err != nil || !r.Reset || r.Body != "" {
						t.Errorf("stream %d: got %v, %v, want a reset and no body", streamID(i), r, err)
						break
					}
				}
				c.Close()
				return maxStreams
			}})
		})
		t.Run("of TCP", func(t *testing.T) {
			g := newTargetBody(t, k, largeBody, impatient)
			g.run(attack{name: "100 large answers, no reading", requests: maxStreams, inFlight: maxStreams, growth: stalledGrowth, run: func() int {
				c := g.dialRaw(noReading...)
				c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: widest})
				c.Batch(func() {
					c.WindowUpdate(0, widest-1<<16)
					ask(c)
				})
				g.WaitStat("http.in.downstream_cx_active", 1) // that of the canary
				c.Close()
				return maxStreams
			}})
		})
	})
}

// TestUnreadAnswers has the proxy answer by itself, and reads none of it (CVE-2020-8661).
func TestUnreadAnswers(t *testing.T) {
	abreast(t)
	runFloods(t, []floodTest{{
		name: "answers, unread", change: addDirect, dial: noReading, kinds: []kind{fastH2}, code: http2.ErrCodeEnhanceYourCalm,
		flood: flood{frames: count(50_000, 500_000), batch: 100, unread: true, frame: func(c *harness.H2Client, i int) {
			c.Headers(streamID(i), true, harness.H2Head("GET", directPath)...)
		}},
	}})
}

// TestDribble opens windows by a byte at a time.
func TestDribble(t *testing.T) {
	abreast(t)
	const streams = 10
	frames := count(2000, 50_000)
	each(t, stallers(), func(t *testing.T, k kind) {
		g := newTargetBody(t, k, largeBody)
		g.run(attack{name: "windows by 1 byte", requests: streams, inFlight: streams, run: func() int {
			c := g.dialRaw()
			c.NoCredit()
			c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			c.WindowUpdate(0, mebibyte)
			for range streams {
				c.Get("/")
			}
			for i := range streams {
				c.WaitFrame("a response head", func(f *harness.H2Frame) bool {
					return f.Type == http2.FrameHeaders && f.StreamID == streamID(i)
				})
			}
			for i := range frames {
				c.WindowUpdate(streamID(i%streams), 1)
				f := c.WaitFrame("a byte", func(f *harness.H2Frame) bool { return f.Type == http2.FrameData })
				if f.StreamID != streamID(i%streams) || f.Length != 1 {
					t.Fatalf("got %v, want a byte on stream %d", f, streamID(i%streams))
				}
			}
			c.Close()
			return frames
		}})
	})
}

// TestRefunds cancels uploads of which a part is on its way, and has the proxy give back what was sent (CVE-2026-78663): every
// byte once, for the connection. That it is not more, the harness watches. That it is all, is seen by the uploads: together
// they are six times the window.
func TestRefunds(t *testing.T) {
	abreast(t)
	const uploads = 200
	each(t, paces, func(t *testing.T, k kind) {
		g := newTarget(t, k)
		g.run(attack{name: "uploads that are reset", requests: uploads + 1, inFlight: maxStreams, run: func() int {
			c := g.dial()
			for range uploads {
				c.Batch(func() {
					id := c.Request(false, harness.H2Head("POST", "/")...)
					c.Data(id, false, letters(frameSize))
					c.Data(id, false, letters(frameSize-1))
					c.Reset(id, http2.ErrCodeCancel)
				})
				c.RoundTrip()
			}
			if r := c.Response(c.Post("/", letters(2*connWindow))); r.Status != 200 {
				t.Errorf("got %v", r)
			}
			c.Close()
			return 4 * uploads
		}})
	})
}
