package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
