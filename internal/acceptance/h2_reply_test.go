package acceptance

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// overHTTP2 returns the request of an answer as one of HTTP/2, if it is a request there.
func (r *localReply) overHTTP2(t *testing.T) (head []string, whole, ok bool) {
	t.Helper()
	text := r.request
	if !strings.HasSuffix(text, "\r\n\r\n") || strings.Contains(text, "Upgrade") || strings.Contains(text, "HTTP/1.0") {
		return nil, false, false
	}
	if whole = !strings.Contains(text, "Content-Length"); !whole {
		text += "hello"
	}
	if !strings.Contains(text, "Host") {
		return []string{":method", "GET", ":scheme", "http", ":path", "/"}, whole, true
	}
	requests, err := harness.ParseRequests(strings.ReplaceAll(text, "Host: a", "host: a"))
	if err != nil {
		return nil, false, false
	}
	head = harness.H2Head(requests[0].Method, requests[0].Target)
	for _, f := range without(requests[0].Fields, "host") {
		head = append(head, strings.ToLower(f.Name), f.Value)
	}
	return head, whole, true
}

// wantHTTP2 returns the fields of the answer.
func (r *localReply) wantHTTP2() string {
	var lines []string
	if r.fields != "" {
		lines = append(lines, r.fields)
	}
	if r.body != "" {
		lines = append(lines, "content-type: text/plain")
	}
	lines = append(lines, "date: DATE", "server: envoy")
	if r.body != "" {
		lines = append(lines, "content-length: "+strconv.Itoa(len(r.body)))
	}
	return strings.Join(lines, "\n")
}

// TestHTTP2LocalReplies holds that an answer of the proxy's own is the same over HTTP/2, and that it never ends the connection:
// a client that has more of its body to send is told to stop.
func TestHTTP2LocalReplies(t *testing.T) {
	cases := 0
	for _, test := range localReplies() {
		head, whole, ok := test.overHTTP2(t)
		if !ok {
			continue
		}
		cases++
		t.Run(test.name, func(t *testing.T) {
			p, _ := test.start(t)
			c := p.DialH2()
			id := c.Request(whole, head...)
			if test.advance > 0 {
				p.Advance(test.advance)
			}
			r := c.Response(id)
			if got := normal(fieldLines(r.Fields)); r.Status != test.status || got != test.wantHTTP2() || r.Body != test.body || !r.EndStream {
				t.Errorf("got %d %q %q\nwant %d %q %q", r.Status, got, r.Body, test.status, test.wantHTTP2(), test.body)
			}
			if !whole {
				c.ExpectReset(id, http2.ErrCodeNo)
			}
			want := strings.NewReplacer("http1.too_many_headers", "http2.headers_too_large", "http1.", "http2.").Replace(test.outcome)
			if o := p.Outcome(); o.Flags+" "+o.Details != want || o.Status != test.status {
				t.Errorf("outcome %v, want %d %s", o, test.status, want)
			}
			c.ExpectIdle()
			p.NoOutcome()
		})
	}
	if cases < 30 {
		t.Errorf("%d answers were tried, want 30 at least", cases)
	}
}

// TestHTTP2LocalRepliesToHEAD holds that HEAD gets the head of the same answer.
func TestHTTP2LocalRepliesToHEAD(t *testing.T) {
	for _, test := range localReplies() {
		head, whole, ok := test.overHTTP2(t)
		if !ok || !whole || test.advance > 0 || head[1] != "GET" {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			p, _ := test.start(t)
			c := p.DialH2()
			r := c.Response(c.Request(true, append([]string{":method", "HEAD"}, head[2:]...)...))
			if got := normal(fieldLines(r.Fields)); r.Status != test.status || got != test.wantHTTP2() || r.Body != "" || !r.EndStream {
				t.Errorf("got %d %q %q\nwant %d %q", r.Status, got, r.Body, test.status, test.wantHTTP2())
			}
		})
	}
}

// TestMalformedRequestIsReset holds that a request which is none gets no answer but a reset, is counted, and costs its stream
// only, unless the listener is told to be strict.
func TestMalformedRequestIsReset(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			origin := harness.NewH2Origin(t, harness.H2Echo)
			s := h2Setup(origin)
			s.HTTP().HTTP2.StrictMessages = strict
			p := s.Start(t)
			c := p.DialH2()
			id := c.Get("/", "connection", "close")
			c.ExpectReset(id, http2.ErrCodeProtocol)
			if o := p.Outcome(); o.String() != "0 DPE http2.violation.of.messaging.rule" {
				t.Errorf("outcome %v", o)
			}
			if n := p.Stat("http2.rx_messaging_error"); n != 1 {
				t.Errorf("http2.rx_messaging_error is %d, want 1", n)
			}
			if strict {
				c.ExpectGoAway(http2.ErrCodeProtocol)
				c.ExpectClosed()
				if n := p.HTTPStat("downstream_cx_protocol_error"); n != 1 {
					t.Errorf("downstream_cx_protocol_error is %d, want 1", n)
				}
			} else if r := c.Response(c.Get("/next")); r.Body != "GET /next " {
				t.Errorf("the next request got %v", r)
			}
			if requests := origin.Requests(); len(requests) > 0 && requests[0].Path != "/next" {
				t.Errorf("the origin got %v", requests)
			}
		})
	}
}
