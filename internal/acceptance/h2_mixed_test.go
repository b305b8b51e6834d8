package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestThousandStreams holds that as many streams as may be open at a time are served at once, in whatever order they are answered.
func TestThousandStreams(t *testing.T) {
	const streams = 1024
	origin := newHandOrigin(t)
	p := h2Setup(origin.H2Origin).Start(t)
	c := p.DialH2()
	ids := ask(c, streams)
	requests := origin.take(streams)
	slices.Reverse(requests)
	answerAll(requests)
	expectAnswers(t, c, ids)
	p.Sync()
	expectStats(t, p, map[string]uint64{"http2.streams_active": 0, "cluster.c.http2.streams_active": 0, "cluster.c.upstream_cx_total": 1})
}

// TestPipeliningToHTTP2 holds that requests which a client of HTTP/1 sends ahead are answered in order by an origin that could
// answer in any.
func TestPipeliningToHTTP2(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Echo)
	p := h2Setup(origin).Start(t)
	input := harness.Get("/1") + harness.Head("POST /2", "Content-Length: 3") + "two" + chunkedPost("/3", "three") + harness.Head("HEAD /4") + harness.Get("/5")
	p.EachSplit(input, 1, func(how string, c *harness.Client) {
		for _, want := range []string{"GET /1 ", "POST /2 two", "POST /3 three", "", "GET /5 "} {
			method := "GET"
			if want == "" {
				method = "HEAD"
			}
			if resp := c.ReadResponse(method); resp.Status != 200 || resp.Body != want {
				t.Fatalf("%s: got %q, want the body %q", how, resp.Raw, want)
			}
		}
		c.ExpectOpen()
	})
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections to the origin, want 1", n)
	}
}

// TestCloseIsTheClientsOwn holds that a client of HTTP/1 that wants its connection closed says nothing about the one to an origin
// of HTTP/2.
func TestCloseIsTheClientsOwn(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Echo)
	p := h2Setup(origin).Start(t)
	for range 3 {
		c := p.Dial()
		if r := c.Get("/", "Connection: close"); r.Body != "GET / " || r.Fields.Get("connection") != "close" {
			t.Errorf("got %q", r.Raw)
		}
		c.ExpectClosed()
	}
	if n := origin.Connections(); n != 1 {
		t.Errorf("%d connections to the origin, want 1", n)
	}
}

// TestHTTP10ToHTTP2 holds that a client of HTTP/1.0 gets a body without length up to the end of its connection, and sees a reset
// where the origin breaks it off. Early hints and trailers are not for it.
func TestHTTP10ToHTTP2(t *testing.T) {
	body := pattern(100 << 10)
	origin := harness.NewH2Origin(t, chaosOrigin(body))
	s := h2Setup(origin)
	enableTrailers(s)
	s.HTTP().AcceptHTTP10 = true
	p := s.Start(t)
	c := p.Dial()
	c.Send(fmt.Sprintf("GET /stream/%d HTTP/1.0\r\nHost: a\r\n\r\n", len(body)))
	if r := c.ReadResponse("GET"); r.Version != "HTTP/1.0" || !r.CloseDelimited || r.Body != body || r.Fields.Has("transfer-encoding") {
		t.Errorf("got %.200q of %d bytes", r.Raw, len(r.Raw))
	}
	c = p.Dial()
	c.Send("GET /partial/0 HTTP/1.0\r\nHost: a\r\n\r\n")
	if r, err := c.TryResponse("GET"); err == nil {
		t.Errorf("got a whole response %q", r.Raw)
	}
}

// TestContinueOfOrigin holds that 100 (Continue), which an origin sends to nobody's question, ends at the proxy, and that as many
// other informational responses pass as may be.
func TestContinueOfOrigin(t *testing.T) {
	for _, hints := range []int{0, 1, 15} {
		for _, pair := range pairs {
			t.Run(fmt.Sprint(pair, " ", hints), func(t *testing.T) {
				answer := harness.H2OK("hi")
				answer.Informational = append(answer.Informational, harness.H2Response{Status: 100})
				for range hints {
					answer.Informational = append(answer.Informational, harness.H2Response{Status: 103, Fields: fieldsOf("link: </a>")})
				}
				p := pair.setup(pair.origin(t, answer)).Start(t)
				r := pair.ask(p, harness.H2Request{Method: "GET", Path: "/", Authority: "a", EndStream: true})
				want := strings.Repeat("103\nlink: </a>\n", hints) + "200\ncontent-length: 2\n\nhi"
				if got := describeResponse(t, r); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// TestTrailersNotEnabled holds that trailers of HTTP/1 are dropped on the side where they are not enabled, in both directions, and
// HTTP/2 needs no permission.
func TestTrailersNotEnabled(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			trailers := harness.Fields{{Name: "x-t", Value: "1"}}
			origin := pair.origin(t, harness.H2Response{Status: 200, Body: "hello", Trailers: trailers})
			s := pair.setup(origin)
			s.HTTP().EnableTrailers, s.Clusters[0].EnableTrailers = false, false
			p := s.Start(t)
			r := pair.ask(p, harness.H2Request{Method: "POST", Path: "/", Authority: "a", Body: "hello", Trailers: trailers})
			req := origin.requests()[0]
			pass := pair.down == 2 && pair.up == 2
			if r.Body != "hello" || r.Trailers.Has("x-t") != pass {
				t.Errorf("the client got %q with trailers %q", r.Body, r.Trailers)
			}
			if req.Body != "hello" || req.Trailers.Has("x-t") != pass {
				t.Errorf("the origin got %q with trailers %q", req.Body, req.Trailers)
			}
		})
	}
}

// TestStreaming holds that each part of a body goes on when it has come, in both directions at once, and nothing waits for more.
func TestStreaming(t *testing.T) {
	const rounds = 5
	up := func(i int) string { return fmt.Sprintf("up%d", i) }
	down := func(i int) string { return fmt.Sprintf("down%d", i) }
	overHTTP1 := func(t *testing.T) *harness.Setup {
		return harness.NewSetup(harness.NewOrigin(t, func(p *harness.Peer) {
			_, _ = p.ReadHead()
			p.Write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
			for i := range rounds {
				if want := fmt.Sprintf("%x\r\n%s\r\n", len(up(i)), up(i)); p.ReadBytes(len(want)) != want {
					t.Error("the origin got another part")
				}
				p.Write(fmt.Sprintf("%x\r\n%s\r\n", len(down(i)), down(i)))
			}
			if end := p.ReadBytes(5); end != "0\r\n\r\n" {
				t.Errorf("the origin got %q, want the end", end)
			}
			p.Write("0\r\n\r\n")
			p.UntilClosed()
		}).Addr())
	}
	overHTTP2 := func(t *testing.T) *harness.Setup {
		return h2Setup(harness.NewH2Origin(t, func(p *harness.H2Peer) {
			head, ok := p.ReadHead()
			if !ok {
				return
			}
			e := &http2End{t: t, conn: &p.H2Conn, id: head.StreamID}
			p.Headers(head.StreamID, false, ":status", "200")
			for i := range rounds {
				e.Expect(up(i))
				e.Send(down(i))
			}
			e.ExpectEnd()
			e.End()
			p.Drain()
		}))
	}
	for name, setup := range map[string]func(*testing.T) *harness.Setup{"h1": overHTTP1, "h2": overHTTP2} {
		t.Run("h1 to "+name, func(t *testing.T) {
			c := setup(t).Start(t).Dial()
			c.Send(harness.Head("POST /", "Transfer-Encoding: chunked"))
			if head := c.ReadHead(); !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
				t.Fatalf("got %q", head)
			}
			for i := range rounds {
				c.Send(fmt.Sprintf("%x\r\n%s\r\n", len(up(i)), up(i)))
				c.Expect(fmt.Sprintf("%x\r\n%s\r\n", len(down(i)), down(i)))
			}
			c.Send("0\r\n\r\n")
			c.Expect("0\r\n\r\n")
			c.ExpectOpen()
		})
		t.Run("h2 to "+name, func(t *testing.T) {
			c := setup(t).Start(t).DialH2()
			id := c.Request(false, harness.H2Head("POST", "/")...)
			c.WaitFrame("the head", func(f *harness.H2Frame) bool { return f.StreamID == id })
			e := &http2End{t: t, conn: &c.H2Conn, id: id}
			for i := range rounds {
				e.Send(up(i))
				e.Expect(down(i))
			}
			e.End()
			e.ExpectEnd()
		})
	}
}

// TestCancelWhileConnecting holds that a client that gives up before a connection to the origin is there leaves nothing behind.
func TestCancelWhileConnecting(t *testing.T) {
	p := toHTTP2(harness.NewSetup(blackHole(t))).Start(t)
	c := p.DialH2()
	for _, id := range ask(c, 3) {
		p.Sync()
		c.Reset(id, http2.ErrCodeCancel)
		if o := p.Outcome(); o.Flags != "DR" {
			t.Errorf("outcome %v", o)
		}
	}
	p.Sync()
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_rq_active": 0, "cluster.c.http2.streams_active": 0, "cluster.c.upstream_cx_total": 1})
	p.Advance(6 * time.Second)
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_active": 0, "cluster.c.upstream_cx_connect_timeout": 1})
	c.ExpectIdle()
}
