package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestCookieCrumbs holds that cookies which a client sends in pieces are one field to an origin (RFC 9113 section 8.2.3), and
// that pieces without content add nothing.
func TestCookieCrumbs(t *testing.T) {
	for name, test := range map[string]struct {
		crumbs []string
		want   string
	}{
		"two":                {[]string{"a=1", "b=2"}, "a=1; b=2"},
		"three":              {[]string{"a=1", "b=2; c=3", "d=4"}, "a=1; b=2; c=3; d=4"},
		"the first is empty": {[]string{"", "a=1"}, "a=1"},
		"one within":         {[]string{"a=1", "", "b=2"}, "a=1; b=2"},
		"the last is empty":  {[]string{"a=1", ""}, "a=1"},
		"all are empty":      {[]string{"", "", ""}, ""},
		"forty":              {slices.Repeat([]string{"k=v"}, 40), strings.Repeat("k=v; ", 39) + "k=v"},
	} {
		for _, up := range []int{1, 2} {
			pair := pair{2, up}
			t.Run(fmt.Sprint(pair, " ", name), func(t *testing.T) {
				origin := pair.origin(t, harness.H2OK(""))
				p := pair.setup(origin).Start(t)
				var fields harness.Fields
				for _, crumb := range test.crumbs {
					fields = append(fields, harness.Field{Name: "cookie", Value: crumb}, harness.Field{Name: "x-between", Value: "1"})
				}
				pair.ask(p, harness.H2Request{Method: "GET", Path: "/", Authority: "a", Fields: fields, EndStream: true})
				if got := origin.requests()[0].Fields; got.Get("cookie") != test.want || !got.Has("cookie") {
					t.Errorf("the origin got the cookies %q, want %q", got.Get("cookie"), test.want)
				}
			})
		}
	}
}

// TestConnectionFields holds that what HTTP/1 says of a connection does not come through on one of HTTP/2, in which it would
// make the message malformed (RFC 9113 section 8.2.2), and that "te: trailers" does.
func TestConnectionFields(t *testing.T) {
	t.Run("request", func(t *testing.T) {
		origin := harness.NewH2Origin(t, harness.H2Echo)
		p := h2Setup(origin).Start(t)
		c := p.Dial()
		c.Get("/", "X-A: 1", "Connection: keep-alive, X-Hop", "Connection: te", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
			"X-Hop: 1", "TE: gzip;q=0.5, trailers", "HTTP2-Settings: AAMAAABk", "X-B: 2")
		got := without(origin.Requests()[0].Fields, addedToRequest...)
		if want := "x-a: 1\nte: trailers\nx-b: 2"; fieldLines(got) != want {
			t.Errorf("the origin got %q, want %q", fieldLines(got), want)
		}
	})
	t.Run("response", func(t *testing.T) {
		origin := harness.NewOrigin(t, harness.Respond("HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\n"+
			"Proxy-Connection: keep-alive\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\nX-B: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n"))
		p := harness.NewSetup(origin.Addr()).Start(t)
		c := p.DialH2()
		r := c.Response(c.Get("/"))
		if got, want := fieldLines(without(r.Fields, addedToResponse...)), "x-a: 1\nx-b: 2"; got != want || r.Body != "hi" {
			t.Errorf("the client got %q and %q, want %q", got, r.Body, want)
		}
	})
}

// TestAuthorityAndHost holds that a host field which says the same as :authority is dropped: an origin is told once.
func TestAuthorityAndHost(t *testing.T) {
	for _, up := range []int{1, 2} {
		pair := pair{2, up}
		t.Run(pair.String(), func(t *testing.T) {
			origin := pair.origin(t, harness.H2OK(""))
			p := pair.setup(origin).Start(t)
			c := p.DialH2()
			c.Response(c.Get("/", "host", "a"))
			if got := origin.requests()[0]; got.Authority != "a" || got.Fields.Has("host") {
				t.Errorf("the origin got %q and %q", got.Authority, got.Fields)
			}
		})
	}
}

// TestHTTP2ExpectContinue holds that the proxy answers the expectation of a client itself, unless the body is there already.
func TestHTTP2ExpectContinue(t *testing.T) {
	for _, up := range []int{1, 2} {
		pair := pair{2, up}
		t.Run(pair.String(), func(t *testing.T) {
			origin := pair.origin(t, harness.H2OK("hi"))
			p := pair.setup(origin).Start(t)
			c := p.DialH2()
			id := c.Request(false, harness.H2Head("POST", "/", "expect", "100-continue", "content-length", "5")...)
			f := c.WaitFrame("100", func(f *harness.H2Frame) bool { return f.StreamID == id })
			if f.Fields.Get(":status") != "100" || f.EndStream() {
				t.Fatalf("got %v", f)
			}
			c.SendBody(id, "hello")
			if r := c.Response(id); r.Status != 200 || r.Body != "hi" || len(r.Informational) > 0 {
				t.Errorf("got %v", r)
			}
			if r := c.Response(c.Post("/", "hello", "expect", "100-continue")); r.Status != 200 || len(r.Informational) > 0 {
				t.Errorf("a client that does not wait got %v", r)
			}
			for _, req := range origin.requests() {
				if req.Fields.Has("expect") || req.Body != "hello" {
					t.Errorf("the origin got %q and %q", req.Fields, req.Body)
				}
			}
		})
	}
}

// TestHTTP2Proxy100Continue holds that with proxy_100_continue the expectation and its answer pass through.
func TestHTTP2Proxy100Continue(t *testing.T) {
	origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
		req, ok := p.ReadHead()
		if !ok || req.Fields.Get("expect") != "100-continue" {
			return
		}
		p.Headers(req.StreamID, false, ":status", "100", "x-from", "origin")
		if whole, ok := p.ReadBody(req); ok {
			p.Respond(req.StreamID, harness.H2OK("got "+whole.Body))
		}
		p.Drain()
	})
	s := h2Setup(origin)
	s.HTTP().Proxy100Continue = true
	p := s.Start(t)
	c := p.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/", "expect", "100-continue")...)
	f := c.WaitFrame("100", func(f *harness.H2Frame) bool { return f.StreamID == id })
	if f.Fields.Get(":status") != "100" || f.Fields.Get("x-from") != "origin" {
		t.Fatalf("got %v", f)
	}
	c.SendBody(id, "hello")
	if r := c.Response(id); r.Body != "got hello" {
		t.Errorf("got %v", r)
	}
}

// TestHTTP2EarlyResponse holds that a response which comes before the request has ended reaches the client whole, and that the
// rest of the request is not wanted any more: the stream is reset without an error, or the connection ends where a protocol
// has nothing else (row 75).
func TestHTTP2EarlyResponse(t *testing.T) {
	const part = "the first part"
	early := harness.H2Response{Status: 413, Fields: harness.Fields{{Name: "content-length", Value: "3"}}, Body: "too"}
	http1Origin := func(t *testing.T) (*harness.Setup, func()) {
		origin := harness.NewOrigin(t, func(p *harness.Peer) {
			if _, ok := p.ReadHead(); ok && p.ReadBytes(len(part)) == part {
				p.Write(http1Response(early))
				p.UntilClosed()
			}
		})
		return harness.NewSetup(origin.Addr()), func() { origin.WaitEnded(0) }
	}
	http2Origin := func(last func(p *harness.H2Peer, id uint32)) func(*testing.T) (*harness.Setup, func()) {
		return func(t *testing.T) (*harness.Setup, func()) {
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				head, ok := p.ReadHead()
				if !ok {
					return
				}
				p.WaitFrame("DATA", func(f *harness.H2Frame) bool { return f.Type == http2.FrameData })
				p.Batch(func() {
					p.Headers(head.StreamID, false, ":status", "413", "content-length", "3")
					p.Data(head.StreamID, true, "too")
					last(p, head.StreamID)
				})
				p.Drain()
			})
			return h2Setup(origin), func() {
				origin.WaitCounts("no request in flight", func(n harness.H2Counts) bool { return n.Started == 1 && n.InFlight == 0 })
			}
		}
	}
	origins := map[string]func(*testing.T) (*harness.Setup, func()){
		"h1":                http1Origin,
		"h2":                http2Origin(func(*harness.H2Peer, uint32) {}),
		"h2 that resets":    http2Origin(func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeNo) }),
		"h2 that cancels":   http2Origin(func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeCancel) }),
		"h2 that goes away": http2Origin(func(p *harness.H2Peer, id uint32) { p.GoAway(id, http2.ErrCodeNo, "") }),
	}
	for name, start := range origins {
		t.Run("h2 to "+name, func(t *testing.T) {
			s, atEnd := start(t)
			p := s.Start(t)
			c := p.DialH2()
			id := c.Request(false, harness.H2Head("POST", "/", "content-length", "10000000")...)
			c.Data(id, false, part)
			if r := c.Response(id); r.Status != 413 || r.Body != "too" || !r.EndStream {
				t.Fatalf("got %v", r)
			}
			c.ExpectReset(id, http2.ErrCodeNo)
			atEnd()
			if o := p.Outcome(); o.String() != "413 - via_upstream" {
				t.Errorf("outcome %v", o)
			}
			c.ExpectIdle()
		})
		t.Run("h1 to "+name, func(t *testing.T) {
			s, atEnd := start(t)
			p := s.Start(t)
			c := p.Dial()
			c.Send(harness.Head("POST /", "Content-Length: 10000000"), part)
			if r := c.ReadResponse("POST"); r.Status != 413 || r.Body != "too" {
				t.Fatalf("got %q", r.Raw)
			}
			c.ExpectClosed()
			atEnd()
		})
	}
}

// TestEachSplit holds that neither side minds how the bytes of the other are cut: each offset of a whole conversation is tried.
func TestEachSplit(t *testing.T) {
	request := harness.H2Bytes(t, func(w *harness.H2Writer) {
		w.Preface()
		w.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		w.Headers(1, false, harness.H2Head("POST", "/split", "x-a", "1")...)
		w.DataPadded(1, false, "hel", 5)
		w.Ping("between")
		w.Data(1, false, "lo")
		w.Headers(1, true, "x-t", "1")
	})
	t.Run("client", func(t *testing.T) {
		p := h2Setup(harness.NewH2Origin(t, harness.H2Echo)).Start(t)
		for at := 1; at < len(request); at++ {
			c := p.DialH2Raw()
			c.RawBytes(request[:at])
			p.Sync()
			c.RawBytes(request[at:])
			c.ExpectPingAck("between")
			if r := c.Response(1); r.Status != 200 || r.Body != "POST /split hello" {
				t.Fatalf("split at %d: got %v", at, r)
			}
			c.Close()
		}
	})
	t.Run("origin", func(t *testing.T) {
		response := harness.H2Bytes(t, func(w *harness.H2Writer) {
			w.Headers(1, false, ":status", "103", "link", "</a>")
			w.Headers(1, false, ":status", "200", "x-a", "1")
			w.DataPadded(1, false, "hel", 5)
			w.Ping("between")
			w.Data(1, false, "lo")
			w.Headers(1, true, "x-t", "1")
		})
		half, rest := make(chan struct{}), make(chan struct{})
		origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
			if _, ok := p.ReadRequest(); !ok {
				return
			}
			p.RawBytes(response[:p.Number+1])
			half <- struct{}{}
			if p.Wait(rest) {
				p.RawBytes(response[p.Number+1:])
				p.ExpectPingAck("between")
			}
		})
		p := h2Setup(origin).Start(t)
		c := p.DialH2()
		for at := 1; at < len(response); at++ {
			id := c.Get("/")
			<-half
			p.Sync()
			rest <- struct{}{}
			r := c.Response(id)
			if r.Status != 200 || r.Body != "hello" || r.Trailers.Get("x-t") != "1" || len(r.Informational) != 1 {
				t.Fatalf("split at %d: got %v", at, r)
			}
			origin.WaitEnded(at - 1)
			p.Sync() // the connection is known to have gone
		}
	})
}
