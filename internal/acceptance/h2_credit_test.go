package acceptance

import (
	"fmt"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// expectWindow fails when more than half of the window of a connection, whose streams have as large ones, is used up: that much
// may not be credited yet.
func expectWindow(t *testing.T, c *harness.H2Client) {
	t.Helper()
	c.RoundTrip()
	if window := c.SendWindow(c.NextID()); window < flowConnWindow/2 {
		t.Errorf("the window of the connection is %d of %d when nothing is under way", window, flowConnWindow)
	}
}

// TestCreditOfResetStreams holds that the window of a connection gets back all that was sent on streams that are reset, and not a
// byte more (row 50): the harness fails the test at the first byte of credit too much, and the streams stop when some is lost.
func TestCreditOfResetStreams(t *testing.T) {
	const rounds = 3 * flowConnWindow / flowWindow
	data := pattern(16 << 10)
	for name, reset := range map[string]func(c *harness.H2Client, id uint32){
		"in one segment": func(c *harness.H2Client, id uint32) {
			c.Batch(func() {
				for range flowWindow/len(data) - 1 {
					c.DataPadded(id, false, data[:len(data)-256], 255)
				}
				c.Reset(id, http2.ErrCodeCancel)
			})
		},
		"while it is read": func(c *harness.H2Client, id uint32) {
			c.Batch(func() {
				for range flowWindow/len(data) - 1 {
					c.Data(id, false, data)
				}
			})
			c.RoundTrip()
			c.Reset(id, http2.ErrCodeCancel)
		},
		"in the middle of a frame": func(c *harness.H2Client, id uint32) {
			frame := harness.H2Bytes(t, func(w *harness.H2Writer) {
				w.Data(id, false, data)
				w.Reset(id, http2.ErrCodeCancel)
			})
			c.RawBytes(frame[:len(frame)/2])
			c.RawBytes(frame[len(frame)/2:])
		},
	} {
		for _, up := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, origin of HTTP/%d", name, up), func(t *testing.T) {
				s := harness.NewSetup(harness.NewOrigin(t, hang).Addr())
				if up == 2 {
					s = h2Setup(harness.NewH2Origin(t, func(p *harness.H2Peer) {
						p.NoCredit()
						p.Drain()
					}))
				}
				s = smallBuffers(s)
				s.HTTP().HTTP2.StreamWindow = flowConnWindow
				p := s.Start(t)
				c := p.DialH2()
				for i := range rounds {
					id := c.Request(false, harness.H2Head("POST", "/")...)
					if i%3 == 0 {
						p.Sync()
					}
					reset(c, id)
					if i%4 == 3 { // what is not credited yet may be half of the window
						c.RoundTrip()
					}
				}
				expectWindow(t, c)
			})
		}
	}
}

// TestCreditOfCancelledResponses is TestCreditOfResetStreams for a connection to an origin, whose streams are cancelled by clients
// in the middle of the response.
func TestCreditOfCancelledResponses(t *testing.T) {
	const rounds = 4 * flowConnWindow / flowWindow
	body := pattern(8 * flowWindow)
	origin := newHandOrigin(t)
	p := flowSetup(origin.H2Origin).Start(t)
	c := stalledClient(p)
	for i := range rounds {
		id := c.Get("/cancelled")
		r := origin.next()
		r.peer.Respond(r.StreamID, harness.H2OK(body))
		if i%2 == 0 {
			c.WaitFrame("DATA", func(f *harness.H2Frame) bool { return f.Type == http2.FrameData && f.StreamID == id })
		}
		c.Reset(id, http2.ErrCodeCancel)
		origin.WaitCounts("a cancelled stream", func(n harness.H2Counts) bool { return n.Reset == i+1 })
	}
	other := p.DialH2()
	id := other.Get("/whole")
	r := origin.next()
	whole := pattern(2 * flowConnWindow)
	r.peer.Respond(r.StreamID, harness.H2OK(whole))
	if got := other.Response(id); got.Body != whole || r.peer.Number != 0 {
		t.Errorf("got %d bytes on connection %d, want %d on the first", len(got.Body), r.peer.Number, len(whole))
	}
}

// TestCreditAfterEarlyResponse holds that body bytes which nobody wants any more are credited to the connection, so that those of
// other streams still come through.
func TestCreditAfterEarlyResponse(t *testing.T) {
	s := smallBuffers(harness.NewSetup())
	s.SetRoutes(harness.Direct("/", 403, "no"))
	s.HTTP().HTTP2.StreamWindow = flowConnWindow
	p := s.Start(t)
	c := p.DialH2()
	data := pattern(16 << 10)
	for range 4 * flowConnWindow / flowWindow {
		id := c.Request(false, harness.H2Head("POST", "/")...)
		c.Batch(func() {
			for range flowWindow / len(data) {
				c.Data(id, false, data)
			}
		})
		if r := c.Response(id); r.Status != 403 {
			t.Fatalf("got %v", r)
		}
		c.ExpectReset(id, http2.ErrCodeNo)
		c.RoundTrip()
	}
	expectWindow(t, c)
}

// TestWindowsThatShrink holds that a peer may take back what it has allowed, below nothing (RFC 9113 section 6.9.2), while data is
// under way. Its oracle judges what it gets.
func TestWindowsThatShrink(t *testing.T) {
	body := pattern(1 << 20)
	origin := harness.NewH2Origin(t, harness.H2Respond(harness.H2OK(body)))
	p := flowSetup(origin).Start(t)
	c := p.DialH2()
	id := c.Get("/")
	for i := range 30 {
		c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: []uint32{0, 1, 100_000, 10, 65535}[i%5]})
		c.RoundTrip() // what comes meanwhile is credited, and kept for later
	}
	c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	if r := c.Response(id); r.Body != body || !r.EndStream {
		t.Errorf("got %d bytes, want %d", len(r.Body), len(body))
	}
	if o := p.Outcome(); o.BytesSent != int64(len(body)) {
		t.Errorf("outcome %+v", o)
	}
}
