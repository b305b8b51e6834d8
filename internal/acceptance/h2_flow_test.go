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

const (
	// flowWindow is what the proxy of these tests grants for a stream, on both sides.
	flowWindow = 128 << 10
	// flowConnWindow is what it grants for a connection: several streams that are held up must leave room for others.
	flowConnWindow = 1 << 20
	// flowBuffer is its limit on what waits of a body.
	flowBuffer = 64 << 10
	// flowSlack is by how much one read, which is 64 KiB at most, may go beyond the limit.
	flowSlack = 64 << 10
	// flowBody is more than all windows and buffers hold, but for the kernel's.
	flowBody = 4 << 20
)

// pattern is a body of n bytes in which no two blocks are the same.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%015d\n", i)
	}
	return b.String()[:n]
}

// flowSetup is toH2 with windows and buffers that are soon full.
func flowSetup(origin *harness.H2Origin) *harness.Setup {
	s := smallBuffers(toH2(origin))
	s.Clusters[0].HTTP2.StreamWindow, s.Clusters[0].HTTP2.ConnWindow = flowWindow, flowConnWindow
	return s
}

func smallBuffers(s *harness.Setup) *harness.Setup {
	s.Listener.BufferLimit, s.Clusters[0].BufferLimit = flowBuffer, flowBuffer
	s.HTTP().HTTP2.StreamWindow, s.HTTP().HTTP2.ConnWindow = flowWindow, flowConnWindow
	s.Route(0).Forward.Timeout = 0
	return s
}

// untilStalled waits until a peer may send nothing more on a stream, and the proxy does nothing about it.
func untilStalled(t *testing.T, p *harness.Proxy, c *harness.H2Conn, id uint32) {
	t.Helper()
	looks := 0
	for deadline := time.Now().Add(harness.Guard); looks < calm; looks++ {
		p.Sync()
		if c.SendWindow(id) > 0 {
			looks = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("stream %d may send %d bytes, want a stream that is held up", id, c.SendWindow(id))
		}
	}
}

// stalledClient is a client that gives credit for its connection and not for streams: each of them stops after 64 KiB.
func stalledClient(p *harness.Proxy) *harness.H2Client {
	c := p.DialH2()
	c.NoCredit()
	c.WindowUpdate(0, 1<<30)
	return c
}

// release gives a stream all the credit it can use.
func release(c *harness.H2Conn, id uint32) { c.WindowUpdate(id, 1<<30) }

// TestStalledStream holds that a client which does not take a response holds up that stream at its origin and nothing else: the
// other streams of its connection go on, and so do those of other clients on the same connection to the origin.
func TestStalledStream(t *testing.T) {
	body := pattern(flowBody)
	origin := newHandOrigin(t)
	p := flowSetup(origin.H2Origin).Start(t)
	c, other := stalledClient(p), p.DialH2()
	stalled := c.Get("/stalled")
	r := origin.next()
	r.peer.Respond(r.StreamID, harness.H2OK(body))
	untilStalled(t, p, &r.peer.H2Conn, r.StreamID)
	if n := p.Stat("http2.pending_send_bytes"); n == 0 || n > flowBuffer+flowSlack {
		t.Errorf("%d bytes wait for the client, the limit is %d", n, flowBuffer)
	}
	for _, client := range []*harness.H2Client{c, other} {
		id := client.Get("/small")
		origin.next().answer()
		if got := client.Response(id); got.Body != "/small" {
			t.Errorf("another stream got %v", got)
		}
	}
	id := other.Get("/large")
	large := origin.next()
	large.peer.Respond(large.StreamID, harness.H2OK(body))
	if got := other.Response(id); got.Body != body {
		t.Errorf("another client got %d bytes, want %d", len(got.Body), len(body))
	}
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections to the origin, want 1", n)
	}
	release(&c.H2Conn, stalled)
	if got := c.Response(stalled); got.Body != body || !got.EndStream {
		t.Errorf("the stalled stream got %d bytes, want %d", len(got.Body), len(body))
	}
	p.Sync()
	expectStats(t, p, map[string]uint64{"http2.pending_send_bytes": 0})
}

// TestStalledHTTP1Client holds the same for a client of HTTP/1 that does not read: its origin is one that others use.
func TestStalledHTTP1Client(t *testing.T) {
	body := pattern(4 * flowBody) // more than the kernel holds as well
	origin := newHandOrigin(t)
	p := flowSetup(origin.H2Origin).Start(t)
	c, other := p.Dial(harness.ReceiveBuffer(4096)), p.DialH2()
	c.Send(harness.Get("/stalled"))
	r := origin.next()
	r.peer.Respond(r.StreamID, harness.H2OK(body))
	untilStalled(t, p, &r.peer.H2Conn, r.StreamID)
	id := other.Get("/large")
	large := origin.next()
	large.peer.Respond(large.StreamID, harness.H2OK(body))
	if got := other.Response(id); got.Body != body {
		t.Errorf("another client got %d bytes, want %d", len(got.Body), len(body))
	}
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections to the origin, want 1", n)
	}
	if got := c.ReadResponse("GET"); got.Body != body {
		t.Errorf("the stalled client got %d bytes, want %d", len(got.Body), len(body))
	}
}

// TestStalledStreamOfHTTP1 holds that a stream that is held up stops its origin of HTTP/1, and the other streams of the client go
// on.
func TestStalledStreamOfHTTP1(t *testing.T) {
	body := pattern(4 * flowBody)
	written := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			r, ok := p.ReadRequest()
			if !ok {
				return
			}
			answer := r.Target
			if r.Target == "/stalled" {
				answer = body
			}
			p.Write(harness.OK(answer))
			if r.Target == "/stalled" {
				close(written)
			}
		}
	})
	p := smallBuffers(harness.NewSetup(origin.Addr())).Start(t)
	c := stalledClient(p)
	stalled := c.Get("/stalled")
	for range calm {
		id := c.Get("/small")
		if got := c.Response(id); got.Body != "/small" {
			t.Fatalf("another stream got %v", got)
		}
	}
	select {
	case <-written:
		t.Error("the origin has written everything, nobody reads it")
	default:
	}
	if n := p.Stat("http2.pending_send_bytes"); n == 0 || n > flowBuffer+flowSlack {
		t.Errorf("%d bytes wait for the client, the limit is %d", n, flowBuffer)
	}
	release(&c.H2Conn, stalled)
	if got := c.Response(stalled); got.Body != body {
		t.Errorf("the stalled stream got %d bytes, want %d", len(got.Body), len(body))
	}
	<-written
}

// TestStalledUpload holds that an origin which does not take a request body holds up that stream of the client and nothing else.
func TestStalledUpload(t *testing.T) {
	body := pattern(flowBody)
	stalledPeer := make(chan *harness.H2Peer, 1)
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		p.NoCredit()
		p.WindowUpdate(0, 1<<30)
		stalledPeer <- p
		harness.H2Echo(p)
	})
	p := flowSetup(origin).Start(t)
	c := p.DialH2()
	stalled := c.Post("/stalled", body)
	peer := <-stalledPeer
	untilStalled(t, p, &c.H2Conn, stalled)
	if n := p.Stat("cluster.c.http2.pending_send_bytes"); n == 0 || n > flowBuffer+flowSlack {
		t.Errorf("%d bytes wait for the origin, the limit is %d", n, flowBuffer)
	}
	for _, client := range []*harness.H2Client{c, p.DialH2()} {
		if got := client.Response(client.Post("/small", "x")); got.Body != "POST /small x" {
			t.Errorf("another stream got %v", got)
		}
	}
	_ = peer.TryBatch(func() { peer.WindowUpdate(1, 1<<30) }) // the script reads, and sends nothing meanwhile
	if got := c.Response(stalled); got.Body != "POST /stalled "+body {
		t.Errorf("the origin got %d bytes, want %d", len(got.Body), len(body))
	}
	p.Sync()
	expectStats(t, p, map[string]uint64{"cluster.c.http2.pending_send_bytes": 0})
}

// TestStalledUploadToHTTP1 holds the same for an origin of HTTP/1 that does not read.
func TestStalledUploadToHTTP1(t *testing.T) {
	body := pattern(4 * flowBody)
	read := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			r, ok := p.ReadHead()
			if !ok {
				return
			}
			if r.Target == "/stalled" && !p.Wait(read) {
				return
			}
			var n int
			if _, err := fmt.Sscan(r.Fields.Get("content-length"), &n); err != nil {
				t.Errorf("the origin got %q", r.Fields)
			}
			p.Write(harness.OK(fmt.Sprint(p.ReadBytes(n) == body)))
		}
	})
	p := smallBuffers(harness.NewSetup(origin.Addr())).Start(t)
	c := p.DialH2()
	length := fmt.Sprint(len(body))
	stalled := c.Post("/stalled", body, "content-length", length)
	untilStalled(t, p, &c.H2Conn, stalled)
	if got := c.Response(c.Post("/other", body, "content-length", length)); got.Body != "true" {
		t.Errorf("another stream got %v", got)
	}
	close(read)
	if got := c.Response(stalled); got.Body != "true" {
		t.Errorf("the stalled stream got %v", got)
	}
}

// TestManyStalledStreams holds that what waits is bounded stream by stream, however many are held up, and that all of them come to
// their end, in whatever order they get credit.
func TestManyStalledStreams(t *testing.T) {
	const streams = 200
	body := pattern(512 << 10)
	origin := harness.NewH2Origin(t, harness.H2Respond(harness.H2OK(body)))
	s := flowSetup(origin)
	s.Clusters[0].HTTP2.ConnWindow = 1 << 30
	p := s.Start(t)
	c := stalledClient(p)
	ids := ask(c, streams)
	pending, looks := uint64(0), 0
	for ; looks < calm; looks++ {
		p.Sync()
		if now := p.Stat("http2.pending_send_bytes"); now != pending {
			pending, looks = now, 0
		}
	}
	if pending > streams*(flowBuffer+flowSlack) || pending < streams {
		t.Errorf("%d bytes wait for the client, the limit is %d for each of %d streams", pending, flowBuffer, streams)
	}
	for i := range ids {
		id := ids[len(ids)-1-i]
		release(&c.H2Conn, id)
		if got := c.Response(id); got.Body != body {
			t.Fatalf("stream %d got %d bytes, want %d", id, len(got.Body), len(body))
		}
	}
}

// TestCrowdedConnection holds that no new stream is opened on a connection to an origin whose window is half used up by what
// nobody reads.
func TestCrowdedConnection(t *testing.T) {
	origin := newHandOrigin(t)
	s := flowSetup(origin.H2Origin)
	s.Clusters[0].HTTP2.StreamWindow, s.Clusters[0].HTTP2.ConnWindow = 256<<10, 384<<10
	p := s.Start(t)
	c, other := stalledClient(p), p.DialH2()
	stalled := c.Get("/stalled")
	r := origin.next()
	r.peer.Respond(r.StreamID, harness.H2OK(pattern(flowBody)))
	untilStalled(t, p, &r.peer.H2Conn, r.StreamID)
	id := other.Get("/")
	next := origin.next()
	if next.peer.Number != 1 {
		t.Errorf("a new stream came on connection %d", next.peer.Number)
	}
	next.answer()
	other.Response(id)
	c.Reset(stalled, http2.ErrCodeCancel)
	origin.WaitCounts("a cancelled stream", func(n harness.H2Counts) bool { return n.Reset == 1 })
	p.Sync()
	other.Get("/")
	if next := origin.next(); next.peer.Number != 0 {
		t.Errorf("with the connection free again, a stream came on connection %d", next.peer.Number)
	}
}

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
					s = toH2(harness.NewH2Origin(t, func(p *harness.H2Peer) {
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
		c.WaitFrame("DATA", func(f *harness.H2Frame) bool { return f.Type == http2.FrameData })
		c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: []uint32{0, 1, 100_000, 10, 65535}[i%5]})
	}
	c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	if r := c.Response(id); !strings.HasSuffix(body, r.Body) || !r.EndStream {
		t.Errorf("got %d bytes that end otherwise than they should", len(r.Body))
	}
	if o := p.Outcome(); o.BytesSent != int64(len(body)) {
		t.Errorf("outcome %+v", o)
	}
}

// TestStalledStreamEnds holds that what waits for a client that takes nothing more is given up after stream_idle_timeout, and not
// while it takes some (row 33), and that its stream at the origin ends with it.
func TestStalledStreamEnds(t *testing.T) {
	body := pattern(flowBody)
	origin := newHandOrigin(t)
	p := flowSetup(origin.H2Origin).Start(t)
	c := stalledClient(p)
	id := c.Get("/")
	r := origin.next()
	r.peer.Respond(r.StreamID, harness.H2OK(body))
	untilStalled(t, p, &r.peer.H2Conn, r.StreamID)
	for range 3 {
		p.Advance(config.DefaultStreamIdle - time.Second)
		c.WindowUpdate(id, flowWindow)
		c.RoundTrip()
	}
	p.NoOutcome()
	p.Advance(config.DefaultStreamIdle + time.Second)
	c.ExpectReset(id, http2.ErrCodeInternal)
	expectCancelled(t, origin.H2Origin)
	if o := p.Outcome(); o.Flags != "SI" {
		t.Errorf("outcome %v", o)
	}
	expectStats(t, p, map[string]uint64{"http2.pending_send_bytes": 0, "http2.streams_active": 0})
}

// TestLastBytesStall is TestStalledStreamEnds for a response that has come whole, of which the client does not take the rest.
func TestLastBytesStall(t *testing.T) {
	body := pattern(flowBuffer + 1<<16)
	origin := newHandOrigin(t)
	p := flowSetup(origin.H2Origin).Start(t)
	c := stalledClient(p)
	id := c.Get("/")
	r := origin.next()
	r.peer.Respond(r.StreamID, harness.H2OK(body))
	if o := p.Outcome(); o.BytesSent != int64(len(body)) {
		t.Errorf("outcome %+v", o)
	}
	p.Advance(config.DefaultStreamIdle - time.Second)
	c.WindowUpdate(id, 1)
	c.RoundTrip()
	p.Advance(config.DefaultStreamIdle - time.Second)
	expectStats(t, p, map[string]uint64{"http2.tx_flush_timeout": 0})
	p.Advance(2 * time.Second)
	c.ExpectReset(id, http2.ErrCodeCancel)
	expectStats(t, p, map[string]uint64{"http2.tx_flush_timeout": 1, "http2.pending_send_bytes": 0, "http2.streams_active": 0})
}
