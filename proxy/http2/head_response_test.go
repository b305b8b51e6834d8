package http2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// responseHeads are what a host answers with, as "name value|name value" for each head; one that begins with "+" is not the
// last of its stream. want is what comes of it: heads and how the body ends.
var responseHeads = []struct {
	method string // GET where there is none
	heads  []string
	want   string
}{
	// Status (RFC 9113 section 8.3.2).
	{heads: []string{":status 200"}, want: "200 |"},
	{heads: []string{"+:status 200"}, want: "200"},
	{heads: []string{":status 599|x y"}, want: "599 [x=y] |"},
	{heads: []string{":status 600"}, want: "malformed"},
	{heads: []string{":status 099"}, want: "malformed"},
	{heads: []string{":status 20"}, want: "malformed"},
	{heads: []string{":status 2000"}, want: "malformed"},
	{heads: []string{":status 2x0"}, want: "malformed"},
	{heads: []string{":status 200 OK"}, want: "malformed"},
	{heads: []string{":status "}, want: "malformed"},
	{heads: []string{"x y"}, want: "malformed"},
	{heads: []string{":status 200|:status 200"}, want: "malformed"},
	{heads: []string{"x y|:status 200"}, want: "malformed"},
	{heads: []string{":status 200|:path /"}, want: "malformed"},
	{heads: []string{":status 200|:unknown x"}, want: "malformed"},
	{heads: []string{":status 101"}, want: "malformed"},
	{heads: []string{"+:status 101"}, want: "malformed"},

	// Informational heads.
	{heads: []string{"+:status 100", ":status 200"}, want: "100 200 |"},
	{heads: []string{"+:status 103|link a", "+:status 103|link b", ":status 204"}, want: "103 [link=a] 103 [link=b] 204 |"},
	{heads: []string{":status 103"}, want: "malformed"},
	{heads: []string{"+:status 103", "x y"}, want: "103 !the peer's message is malformed"},

	// Fields.
	{heads: []string{":status 200|set-cookie a|set-cookie b"}, want: "200 [set-cookie=a, set-cookie=b] |"},
	{heads: []string{":status 200|X y"}, want: "malformed"},
	{heads: []string{":status 200| y"}, want: "malformed"},
	{heads: []string{":status 200|x a\nb"}, want: "malformed"},
	{heads: []string{":status 200|x  y"}, want: "malformed"},
	{heads: []string{":status 200|connection close"}, want: "malformed"},
	{heads: []string{":status 200|keep-alive 1"}, want: "malformed"},
	{heads: []string{":status 200|proxy-connection close"}, want: "malformed"},
	{heads: []string{":status 200|transfer-encoding chunked"}, want: "malformed"},
	{heads: []string{":status 200|upgrade x"}, want: "malformed"},

	// content-length.
	{heads: []string{"+:status 200|content-length 5"}, want: "200 [content-length=5]"},
	{heads: []string{":status 200|content-length 0"}, want: "200 [content-length=0] |"},
	{heads: []string{":status 200|content-length 5"}, want: "malformed"},
	{heads: []string{"+:status 200|content-length 5|content-length 5"}, want: "malformed"},
	{heads: []string{"+:status 200|content-length 5, 5"}, want: "malformed"},
	{heads: []string{"+:status 200|content-length x"}, want: "malformed"},
	{heads: []string{":status 304|content-length 5"}, want: "304 [content-length=5] |"},
	{method: "HEAD", heads: []string{":status 200|content-length 5"}, want: "200 [content-length=5] |"},

	// Trailers.
	{heads: []string{"+:status 200", "x y"}, want: "200 | {x=y}"},
	{heads: []string{"+:status 200", "x y|te a|content-length 5|host a|cookie a|set-cookie b|grpc-status 0"}, want: "200 | {x=y, grpc-status=0}"},
	{heads: []string{"+:status 200|content-length 5", "x y"}, want: "200 [content-length=5] !the peer's message is malformed"},
	{heads: []string{"+:status 200", "+x y"}, want: "200 !the peer's message is malformed"},
	{heads: []string{"+:status 200", ":status 200"}, want: "200 !the peer's message is malformed"},
	{heads: []string{"+:status 200", "X y"}, want: "200 !the peer's message is malformed"},
	{heads: []string{"+:status 200", "connection close"}, want: "200 !the peer's message is malformed"},
}

// TestResponseHeads reads what hosts answer with.
func TestResponseHeads(t *testing.T) {
	k, p := newClient(t, testOptions())
	for _, c := range responseHeads {
		t.Run(c.method+strings.Join(c.heads, ","), func(t *testing.T) {
			q := k.reserve()
			method := c.method
			if method == "" {
				method = "GET"
			}
			q.write(method, true)
			for _, head := range c.heads {
				fields, more := splitHead(head)
				flags := endStream
				if more {
					flags = 0
				}
				p.headers(q.ID(), flags, fields...)
			}
			p.turn()
			want := strings.ReplaceAll(c.want, "malformed", "the peer's message is malformed")
			if c.want == "malformed" {
				want = "!" + want
			} else {
				want = c.want
			}
			if got := q.result(); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			q.end()
		})
	}
	if k.dead {
		t.Errorf("the connection has ended: %v", k.ends)
	}
}

// TestHeadsThatWait keeps heads that come before somebody reads them, in order, up to a bound.
func TestHeadsThatWait(t *testing.T) {
	for _, n := range []int{1, 2, maxHeads, maxHeads + 1} {
		k, p := newClient(t, testOptions())
		q := k.get()
		p.r.step()
		for i := range n - 1 {
			p.headers(q.ID(), 0, ":status", "103", "n", fmt.Sprint(i))
		}
		p.ok(q.ID()).turn()
		want := ""
		for i := range n - 1 {
			want += fmt.Sprintf("103 [n=%d] ", i)
		}
		want += "200"
		if n > maxHeads {
			if q.Err() != ErrMalformed {
				t.Errorf("%d heads: the stream ended with %v", n, q.Err())
			}
			continue
		}
		if !q.ResponseStarted() {
			t.Errorf("%d heads: nothing has come", n)
		}
		if got := q.result(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		q.end()
	}
}

// TestTunnelResponses follows what a CONNECT is answered with: bytes both ways, or a response like any other.
func TestTunnelResponses(t *testing.T) {
	connect := message.Request{Method: []byte("CONNECT"), Authority: []byte("a:443"), ContentLength: message.UnknownLength}
	websocket := message.Request{
		Method: []byte("GET"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/"), Upgrade: []byte("websocket"),
		ContentLength: message.UnknownLength,
	}
	for _, c := range []struct {
		name string
		req  message.Request
		sent string
		head []string
		want string
	}{
		{"CONNECT", connect, "HEADERS 1 :method=CONNECT :authority=a:443", []string{":status", "200", "content-length", "5"}, "200 xyz"},
		{"CONNECT that fails", connect, "HEADERS 1 :method=CONNECT :authority=a:443", []string{":status", "502", "content-length", "3"},
			"502 [content-length=3] xyz"},
		{"WebSocket", websocket, "HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http :path=/ :authority=a",
			[]string{":status", "200", "content-length", "5"}, "101 xyz"},
		{"WebSocket that fails", websocket, "HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http :path=/ :authority=a",
			[]string{":status", "403"}, "403 xyz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, p := newClient(t, testOptions())
			q := k.reserve()
			q.req = c.req
			k.WriteHead(q.ClientStream, &q.req)
			p.r.step()
			p.want(c.sent)
			p.headers(1, 0, c.head...).data(1, 0, "xyz").send()
			if got := q.result(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if strings.HasPrefix(c.want, "101") && string(q.resp.Upgrade) != "websocket" {
				t.Errorf("switched to %q", q.resp.Upgrade)
			}
			q.WriteBody([]byte("up"), false)
			p.r.step()
			p.want("DATA 1 up")
			q.end()
		})
	}
}
