package harness

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

func TestMain(m *testing.M) { Main(m) }

// dialH2Origin connects a client to an origin: both speak without a proxy between them, and each is the other's oracle.
func dialH2Origin(t *testing.T, o *H2Origin) *H2Client {
	t.Helper()
	return DialH2Address(t, o.Addr().String())
}

// anyCredit is a script for a client that enlarges its windows.
func anyCredit(script func(*H2Peer)) func(*H2Peer) {
	return func(p *H2Peer) {
		p.AnyCredit()
		script(p)
	}
}

// pattern returns n bytes in which what is missing or out of order shows.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:n]
}

func TestH2Dialogue(t *testing.T) {
	o := NewH2Origin(t, H2Echo)
	c := dialH2Origin(t, o)
	for i := range 20 {
		path := fmt.Sprintf("/%d", i)
		resp := c.Response(c.Post(path, "hello", "x-n", path))
		if want := "POST " + path + " hello"; resp.Status != 200 || resp.Body != want || !resp.EndStream || resp.Reset {
			t.Fatalf("got %v, want the body %q", resp, want)
		}
	}
	if resp := c.Response(c.Request(true, H2Head("HEAD", "/")...)); resp.Body != "" || resp.Fields.Get("content-length") != "7" {
		t.Errorf("HEAD: got %v", resp)
	}
	c.ExpectIdle()
	requests := o.Requests()
	if len(requests) != 21 || o.Connections() != 1 {
		t.Fatalf("%d requests on %d connections", len(requests), o.Connections())
	}
	r := requests[3]
	if r.StreamID != 7 || r.Method != "POST" || r.Scheme != "http" || r.Authority != "a" || r.Path != "/3" || r.Body != "hello" ||
		!r.EndStream || len(r.Fields) != 1 || r.Fields.Get("x-n") != "/3" {
		t.Errorf("the origin got %+v", r)
	}
	if n := o.Counts(); n != (H2Counts{Started: 21, Finished: 21, MaxInFlight: 1}) {
		t.Errorf("counts %+v", n)
	}
}

// TestH2WholeResponse has every part of a response, and a request with trailers.
func TestH2WholeResponse(t *testing.T) {
	sent := H2Response{
		Informational: []H2Response{{Status: 103, Fields: Fields{{"link", "</a>"}}}, {Status: 100}},
		Status:        404, Fields: Fields{{"x-a", "1"}, {"x-a", "2"}}, Body: "body", Trailers: Fields{{"x-t", "end"}},
	}
	o := NewH2Origin(t, H2Respond(sent))
	c := dialH2Origin(t, o)
	id := c.Request(false, H2Head("POST", "/")...)
	c.SendBody(id, "abc", "x-r", "request trailer")
	resp := c.Response(id)
	if len(resp.Informational) != 2 || resp.Informational[0].Status != 103 || resp.Informational[0].Fields.Get("link") != "</a>" ||
		resp.Status != 404 || resp.Fields.Get("x-a") != "1 | 2" || resp.Body != "body" || resp.Trailers.Get("x-t") != "end" || resp.Frames != 1 {
		t.Errorf("got %v", resp)
	}
	if r := o.Requests()[0]; r.Body != "abc" || r.Trailers.Get("x-r") != "request trailer" {
		t.Errorf("the origin got %+v", r)
	}
}

// TestH2Interleaved holds that streams whose frames come mixed are read one by one, in any order.
func TestH2Interleaved(t *testing.T) {
	const streams = 10
	o := NewH2Origin(t, func(p *H2Peer) {
		var ids []uint32
		for len(ids) < streams {
			r, ok := p.ReadRequest()
			if !ok {
				return
			}
			ids = append(ids, r.StreamID)
			p.Headers(r.StreamID, false, ":status", "200")
		}
		for part := range 5 {
			p.Batch(func() {
				for _, id := range ids {
					p.Data(id, part == 4, fmt.Sprintf("%d.%d ", id, part))
				}
			})
		}
		p.Drain()
	})
	c := dialH2Origin(t, o)
	var ids []uint32
	c.Batch(func() {
		for range streams {
			ids = append(ids, c.Get("/"))
		}
	})
	slices.Reverse(ids)
	for _, id := range ids {
		want := fmt.Sprintf("%[1]d.0 %[1]d.1 %[1]d.2 %[1]d.3 %[1]d.4 ", id)
		if resp := c.Response(id); resp.Body != want || resp.Frames != 5 {
			t.Errorf("stream %d: got %v", id, resp)
		}
	}
	c.ExpectIdle()
	if n := o.Counts(); n.MaxInFlight != streams {
		t.Errorf("counts %+v", n)
	}
}

// TestH2FlowControl sends bodies of many windows both ways at once, on several streams.
func TestH2FlowControl(t *testing.T) {
	const streams, size = 5, 1 << 20
	body := pattern(size)
	o := NewH2Origin(t, H2Serve(func(p *H2Peer, r H2Request) {
		p.Respond(r.StreamID, H2Response{Status: 200, Body: r.Body, Trailers: Fields{{"x-t", r.Path}}})
	}))
	c := dialH2Origin(t, o)
	var ids []uint32
	for i := range streams {
		ids = append(ids, c.Post(fmt.Sprintf("/%d", i), body))
	}
	for i, id := range ids {
		resp := c.Response(id)
		if resp.Body != body || resp.Trailers.Get("x-t") != fmt.Sprintf("/%d", i) {
			t.Errorf("stream %d: got %v", id, resp)
		}
	}
	c.RoundTrip()
	if n := c.SendWindow(c.NextID()); n != defaultWindow {
		t.Errorf("the window is %d at the end, want %d", n, defaultWindow)
	}
	if n := c.Sent(http2.FrameData); n < streams*size/defaultFrameSize {
		t.Errorf("%d DATA frames are enough for %d bytes", n, streams*size)
	}
}

// TestH2NoCredit holds that a stalled client gets a window's worth, and one stalled stream holds up no other.
func TestH2NoCredit(t *testing.T) {
	body := pattern(3 * defaultWindow)
	o := NewH2Origin(t, anyCredit(H2Respond(H2OK(body))))
	c := DialH2AddressRaw(t, o.Addr().String())
	c.NoCredit()
	c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	slow, fast := c.Get("/slow"), c.Get("/fast")
	c.WindowUpdate(fast, uint32(len(body)))
	c.RoundTrip()
	got := 0
	for _, f := range c.kept {
		got += len(f.Payload)
	}
	if n := c.Received(http2.FrameHeaders); n != 2 || got < defaultWindow {
		t.Fatalf("%d heads and %d bytes came", n, got)
	}
	c.WindowUpdate(0, uint32(2*len(body)))
	if resp := c.Response(fast); resp.Body != body {
		t.Errorf("got %v", resp)
	}
	c.WindowUpdate(slow, uint32(len(body)))
	if resp := c.Response(slow); resp.Body != body {
		t.Errorf("got %v", resp)
	}
}

// TestH2WindowShrinks holds that windows that settings make negative are waited for.
func TestH2WindowShrinks(t *testing.T) {
	body := pattern(4 * defaultWindow)
	o := NewH2Origin(t, anyCredit(H2Respond(H2OK(body))))
	c := dialH2Origin(t, o)
	c.NoCredit()
	id := c.Get("/")
	c.RoundTrip() // a window's worth has come
	c.Batch(func() {
		c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.WindowUpdate(0, uint32(len(body)))
		c.WindowUpdate(id, defaultWindow) // the window of the stream is 0 now
	})
	c.ExpectSettingsAck()
	before := c.Received(http2.FrameData)
	c.RoundTrip()
	if n := c.Received(http2.FrameData); n != before {
		t.Errorf("%d DATA frames came without a window", n-before)
	}
	c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(len(body))})
	if resp := c.Response(id); resp.Body != body {
		t.Errorf("got %v", resp)
	}
}

// TestH2Resets has both sides reset streams, with frames in flight, and counts.
func TestH2Resets(t *testing.T) {
	ready := make(chan struct{})
	o := NewH2Origin(t, func(p *H2Peer) {
		first, _ := p.ReadRequest()
		p.Headers(first.StreamID, false, ":status", "200")
		p.Data(first.StreamID, false, "part")
		p.ExpectReset(first.StreamID, http2.ErrCodeCancel)
		second, _ := p.ReadHead()
		p.Reset(second.StreamID, http2.ErrCodeRefusedStream)
		if !p.Wait(ready) {
			return
		}
		third, _ := p.ReadHead()
		if _, whole := p.ReadBody(third); whole {
			t.Error("a request that was reset is whole")
		}
		p.Drain()
	})
	c := dialH2Origin(t, o)
	first := c.Get("/")
	c.WaitFrame("data", func(f *H2Frame) bool { return f.Type == http2.FrameData })
	c.Reset(first, http2.ErrCodeCancel)
	second := c.Post("/", pattern(2*defaultWindow))
	if resp := c.Response(second); !resp.Reset || resp.ResetCode != http2.ErrCodeRefusedStream || resp.EndStream {
		t.Errorf("got %v", resp)
	}
	c.Reset(second, http2.ErrCodeNo)
	close(ready)
	third := c.Request(false, H2Head("POST", "/")...)
	c.Batch(func() {
		c.Data(third, false, "part")
		c.Reset(third, http2.ErrCodeInternal)
	})
	n := o.WaitCounts("three ends", func(n H2Counts) bool { return n.Reset == 2 && n.Finished == 1 })
	if n.Started != 3 || n.InFlight != 0 || n.MaxInFlight != 1 {
		t.Errorf("counts %+v", n)
	}
}

// TestH2Batch holds that what is sent together is counted and taken as if it were not.
func TestH2Batch(t *testing.T) {
	const pings, streams = 20000, 500
	o := NewH2Origin(t, H2Slow)
	c := dialH2Origin(t, o)
	var drained sync.WaitGroup
	drained.Go(c.Drain) // the answers would fill the socket
	c.Batch(func() {
		for range pings {
			c.Ping("flood")
		}
	})
	var err error
	for i := range streams {
		err = errors.Join(err, c.TryBatch(func() {
			id := c.Get("/")
			if i%2 == 0 {
				c.Reset(id, http2.ErrCodeCancel)
			}
		}))
	}
	if err != nil {
		t.Error(err)
	}
	n := o.WaitCounts("all streams", func(n H2Counts) bool { return n.Started == streams })
	if n.Reset != streams/2 || n.InFlight != streams/2 || n.MaxInFlight > streams/2+1 {
		t.Errorf("counts %+v", n)
	}
	c.Close()
	drained.Wait()
	n = o.WaitCounts("none in flight", func(n H2Counts) bool { return n.InFlight == 0 })
	if n.Dropped != streams/2 || c.Sent(http2.FramePing) != pings {
		t.Errorf("counts %+v, %d pings", n, c.Sent(http2.FramePing))
	}
}

// TestH2BatchIsOneWrite holds that the frames of a batch come in one segment.
func TestH2BatchIsOneWrite(t *testing.T) {
	want := H2Bytes(t, func(w *H2Writer) {
		w.Ping("1")
		w.Headers(1, true, H2Head("GET", "/")...)
		w.Reset(1, http2.ErrCodeCancel)
	})
	got := make(chan string, 1)
	o := NewH2OriginRaw(t, func(p *H2Peer) {
		b := make([]byte, 1<<16)
		n, err := p.conn.Read(b)
		if err != nil {
			t.Error(err)
		}
		got <- string(b[:n])
	})
	c := DialH2AddressRaw(t, o.Addr().String())
	c.Batch(func() {
		c.Ping("1")
		c.Batch(func() { c.Get("/") })
		if c.buf.Len() == 0 {
			t.Error("the inner batch has sent the frames of the outer one")
		}
		c.Reset(1, http2.ErrCodeCancel)
	})
	if g := <-got; g != want {
		t.Errorf("got %q, want %q", g, want)
	}
}

// TestH2SplitBytes sends a dialogue cut at every offset, and has it counted the same.
func TestH2SplitBytes(t *testing.T) {
	o := NewH2Origin(t, H2Echo)
	input := H2Bytes(t, func(w *H2Writer) {
		w.Preface()
		w.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		w.Headers(1, false, H2Head("POST", "/")...)
		w.DataPadded(1, false, "hel", 7)
		w.Data(1, true, "lo")
	})
	for at := 1; at < len(input); at++ {
		c := DialH2AddressRaw(t, o.Addr().String())
		c.RawBytes(input[:at])
		c.RawBytes(input[at:])
		if resp := c.Response(1); resp.Body != "POST / hello" {
			t.Fatalf("cut at %d: got %v", at, resp)
		}
		c.RoundTrip()
		if n := c.SendWindow(3); n != defaultWindow {
			t.Fatalf("cut at %d: the window is %d", at, n)
		}
		c.Close()
	}
}

// TestH2LargeHead has a field block of many frames both ways.
func TestH2LargeHead(t *testing.T) {
	value := pattern(5 * defaultFrameSize)
	o := NewH2Origin(t, H2Serve(func(p *H2Peer, r H2Request) {
		p.Respond(r.StreamID, H2Response{Status: 200, Fields: Fields{{"x-large", r.Fields.Get("x-large")}}})
	}))
	c := dialH2Origin(t, o)
	id := c.Get("/", "x-large", value)
	f := c.WaitFrame("a head", func(f *H2Frame) bool { return f.StreamID == id })
	if f.Fields.Get("x-large") != value || f.Continuations == 0 || !f.EndStream() {
		t.Errorf("got %d bytes in %d frames", f.Length, 1+f.Continuations)
	}
}

// TestH2TableSize has settings change the size of the peer's table, which its encoder must say.
func TestH2TableSize(t *testing.T) {
	o := NewH2Origin(t, H2Respond(H2Response{Status: 200, Fields: Fields{{"x-a", "some value"}}}))
	c := dialH2Origin(t, o)
	for _, size := range []uint32{4096, 0, 100, 1 << 16, 0} {
		c.Settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: size})
		c.ExpectSettingsAck()
		for range 2 {
			if resp := c.Response(c.Get("/")); resp.Fields.Get("x-a") != "some value" {
				t.Errorf("size %d: got %v", size, resp)
			}
		}
		if c.oracle.table != uint64(size) {
			t.Errorf("the peer's table has %d bytes, want %d", c.oracle.table, size)
		}
	}
}

// TestH2HandMade sends blocks that no encoder makes.
func TestH2HandMade(t *testing.T) {
	o := NewH2Origin(t, H2Echo)
	c := dialH2Origin(t, o)
	head := slices.Concat(H2TableSize(4096), H2Indexed(2), H2Indexed(6), H2Insert(":authority", "a"), H2Literal(":path", "/x"),
		H2Never("x-secret", "s"), H2Huffman("")[:0])
	for range 2 {
		id := c.NextID()
		c.HeadersBlock(id, true, false, head[:5])
		c.Continuation(id, false, nil)
		c.Continuation(id, true, head[5:])
		if resp := c.Response(id); resp.Body != "GET /x " {
			t.Errorf("got %v", resp)
		}
	}
	for _, r := range o.Requests() {
		if r.Fields.Get("x-secret") != "s" || !slices.Equal(r.NeverIndexed, []string{"x-secret"}) {
			t.Errorf("the origin got %+v", r)
		}
	}
}
