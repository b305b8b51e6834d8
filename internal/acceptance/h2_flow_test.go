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

// flowSetup is h2Setup with windows and buffers that are soon full.
func flowSetup(origin *harness.H2Origin) *harness.Setup {
	s := smallBuffers(h2Setup(origin))
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

// untilPending waits until bytes wait for a client that gives no credit.
func untilPending(t *testing.T, p *harness.Proxy) {
	t.Helper()
	for deadline := time.Now().Add(harness.Guard); p.Stat("http2.pending_send_bytes") == 0; p.Sync() {
		if time.Now().After(deadline) {
			t.Fatal("nothing waits for the client")
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
	untilPending(t, p)
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

// TestCrowdedConnectionIsBetterThanNone holds that such a connection is used where there may be no other.
func TestCrowdedConnectionIsBetterThanNone(t *testing.T) {
	origin := newHandOrigin(t)
	s := flowSetup(origin.H2Origin)
	s.Clusters[0].HTTP2.StreamWindow, s.Clusters[0].HTTP2.ConnWindow = 256<<10, 384<<10
	s.Clusters[0].Breakers.MaxConnections = 1
	p := s.Start(t)
	c := stalledClient(p)
	c.Get("/stalled")
	r := origin.next()
	r.peer.Respond(r.StreamID, harness.H2OK(pattern(flowBody)))
	untilStalled(t, p, &r.peer.H2Conn, r.StreamID)
	other := p.DialH2()
	id := other.Get("/")
	origin.next().answer()
	if got := other.Response(id); got.Body != "/" {
		t.Errorf("got %v", got)
	}
}

// TestUnreadIsNotHeldAgainstOthers holds that streams which nobody reads may hold more than the whole window of a connection to an
// origin, and those of other clients still get through.
func TestUnreadIsNotHeldAgainstOthers(t *testing.T) {
	const stalled = 5
	body := pattern(flowBody)
	origin := newHandOrigin(t)
	s := flowSetup(origin.H2Origin)
	s.Clusters[0].HTTP2.ConnWindow = 2 * flowWindow
	p := s.Start(t)
	c, other := stalledClient(p), p.DialH2()
	ask(c, stalled)
	held := origin.take(stalled)
	id := other.Get("/other")
	last := origin.next()
	for _, r := range held {
		r.peer.Respond(r.StreamID, harness.H2OK(body))
	}
	for _, r := range held {
		untilStalled(t, p, &r.peer.H2Conn, r.StreamID)
	}
	last.peer.Respond(last.StreamID, harness.H2OK(body))
	if got := other.Response(id); got.Body != body {
		t.Errorf("another client got %d bytes, want %d", len(got.Body), len(body))
	}
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
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

// TestFlushTimeouts holds how long a client may take nothing of a response that has come whole: by the route, else by the connection
// manager, else as long as a stream may be idle.
func TestFlushTimeouts(t *testing.T) {
	const never = 0
	limit := func(d time.Duration) *time.Duration { return &d }
	for name, test := range map[string]struct {
		idle, routeIdle, manager, route *time.Duration
		want                            time.Duration
	}{
		"stream_idle_timeout":         {limit(40 * time.Second), nil, nil, nil, 40 * time.Second},
		"idle_timeout of the route":   {limit(40 * time.Second), limit(30 * time.Second), nil, nil, 30 * time.Second},
		"stream_flush_timeout":        {limit(40 * time.Second), limit(30 * time.Second), limit(20 * time.Second), nil, 20 * time.Second},
		"flush_timeout of the route":  {limit(40 * time.Second), limit(30 * time.Second), limit(20 * time.Second), limit(10 * time.Second), 10 * time.Second},
		"none":                        {limit(40 * time.Second), nil, limit(never), nil, never},
		"none by the route":           {limit(40 * time.Second), nil, limit(20 * time.Second), limit(never), never},
		"longer than the stream idle": {limit(10 * time.Second), nil, limit(20 * time.Second), nil, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			origin := newHandOrigin(t)
			s := flowSetup(origin.H2Origin)
			s.HTTP().StreamIdle, s.HTTP().StreamFlush = *test.idle, test.manager
			s.Route(0).Forward.IdleTimeout, s.Route(0).Forward.FlushTimeout = test.routeIdle, test.route
			p := s.Start(t)
			c := stalledClient(p)
			id := c.Get("/")
			r := origin.next()
			r.peer.Respond(r.StreamID, harness.H2OK(pattern(flowBuffer+1<<16)))
			p.Outcome()
			if test.want == never {
				p.Advance(10 * time.Minute)
				expectStats(t, p, map[string]uint64{"http2.tx_flush_timeout": 0, "http2.streams_active": 1})
				release(&c.H2Conn, id)
				return
			}
			p.Advance(test.want - time.Second)
			expectStats(t, p, map[string]uint64{"http2.tx_flush_timeout": 0, "http2.streams_active": 1})
			p.Advance(2 * time.Second)
			c.ExpectReset(id, http2.ErrCodeCancel)
			expectStats(t, p, map[string]uint64{"http2.tx_flush_timeout": 1, "http2.streams_active": 0})
		})
	}
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
