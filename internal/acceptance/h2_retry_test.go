package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// refusals are the ways in which an origin says that it has not processed a stream (RFC 9113 section 8.7).
var refusals = map[string]func(p *harness.H2Peer, id uint32){
	"REFUSED_STREAM":       func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeRefusedStream) },
	"GOAWAY":               func(p *harness.H2Peer, _ uint32) { p.GoAway(0, http2.ErrCodeNo, "") },
	"GOAWAY with an error": func(p *harness.H2Peer, _ uint32) { p.GoAway(0, http2.ErrCodeEnhanceYourCalm, "calm") },
	"GOAWAY and close": func(p *harness.H2Peer, _ uint32) {
		p.GoAway(0, http2.ErrCodeNo, "")
		p.CloseWrite()
	},
	"GOAWAY and RST_STREAM": func(p *harness.H2Peer, id uint32) {
		p.Batch(func() {
			p.GoAway(0, http2.ErrCodeNo, "")
			p.Reset(id, http2.ErrCodeRefusedStream)
		})
	},
	"RST_STREAM and GOAWAY": func(p *harness.H2Peer, id uint32) {
		p.Batch(func() {
			p.Reset(id, http2.ErrCodeRefusedStream)
			p.GoAway(0, http2.ErrCodeNo, "")
		})
	},
	"RST_STREAM and WINDOW_UPDATE": func(p *harness.H2Peer, id uint32) {
		p.Batch(func() {
			p.Reset(id, http2.ErrCodeRefusedStream)
			p.WindowUpdate(id, 1)
		})
	},
}

// refusedRequest is a request that is refused at first: what goes out before that, and after.
type refusedRequest struct {
	name   string
	method string
	ends   bool // with its head
	before func(c *harness.H2Client, id uint32)
	after  func(c *harness.H2Client, id uint32)
	body   string
	trail  string
}

func refusedRequests() []refusedRequest {
	nothing := func(*harness.H2Client, uint32) {}
	large := strings.Repeat("x", 60<<10)
	return []refusedRequest{
		{name: "without body", method: "GET", ends: true, before: nothing, after: nothing},
		{name: "POST without body", method: "POST", ends: true, before: nothing, after: nothing},
		{name: "empty body", method: "POST", after: nothing,
			before: func(c *harness.H2Client, id uint32) { c.Data(id, true, "") }},
		{name: "empty body that ends late", method: "POST", before: nothing,
			after: func(c *harness.H2Client, id uint32) { c.Data(id, true, "") }},
		{name: "body", method: "POST", after: nothing, body: "hello",
			before: func(c *harness.H2Client, id uint32) { c.Data(id, true, "hello") }},
		{name: "body in two parts", method: "PUT", after: nothing, body: "hello",
			before: func(c *harness.H2Client, id uint32) { c.Data(id, false, "hel"); c.Data(id, true, "lo") }},
		{name: "body that goes on", method: "POST", body: "hello",
			before: func(c *harness.H2Client, id uint32) { c.Data(id, false, "hel") },
			after:  func(c *harness.H2Client, id uint32) { c.Data(id, true, "lo") }},
		{name: "body that ends late", method: "POST", body: "hello",
			before: func(c *harness.H2Client, id uint32) { c.Data(id, false, "hello") },
			after:  func(c *harness.H2Client, id uint32) { c.Data(id, true, "") }},
		{name: "large body", method: "POST", after: nothing, body: large,
			before: func(c *harness.H2Client, id uint32) { c.SendBody(id, large) }},
		{name: "trailers", method: "POST", after: nothing, trail: "x-t: 1",
			before: func(c *harness.H2Client, id uint32) { c.Headers(id, true, "x-t", "1") }},
		{name: "body and trailers", method: "POST", after: nothing, body: "hello", trail: "x-t: 1",
			before: func(c *harness.H2Client, id uint32) { c.Data(id, false, "hello"); c.Headers(id, true, "x-t", "1") }},
		{name: "body, trailers late", method: "POST", body: "hello", trail: "x-t: 1",
			before: func(c *harness.H2Client, id uint32) { c.Data(id, false, "hello") },
			after:  func(c *harness.H2Client, id uint32) { c.Headers(id, true, "x-t", "1") }},
	}
}

// refusing1 is a script that refuses the first stream of the first connection when it is let go, and echoes all others.
func refusing1(refuse func(*harness.H2Peer, uint32), letGo <-chan struct{}) func(*harness.H2Peer) {
	return harness.H2InTurn(func(p *harness.H2Peer) {
		head, ok := p.ReadHead()
		if !ok || !p.Wait(letGo) {
			return
		}
		refuse(p, head.StreamID)
		p.Drain()
	}, harness.H2Echo)
}

// TestRefusedStreamIsSentAgain holds that a request which an origin says it has not processed is sent once more, whole, on another
// connection, and the client does not notice.
func TestRefusedStreamIsSentAgain(t *testing.T) {
	for how, refuse := range refusals {
		for _, test := range refusedRequests() {
			t.Run(test.name+" "+how, func(t *testing.T) {
				letGo := make(chan struct{})
				origin := harness.NewH2Origin(t, refusing1(refuse, letGo))
				p := h2Setup(origin).Start(t)
				c := p.DialH2()
				var id uint32
				c.Batch(func() {
					id = c.Request(test.ends, harness.H2Head(test.method, "/", "x-a", "1")...)
					test.before(c, id)
				})
				c.RoundTrip() // the proxy has sent it on
				close(letGo)
				origin.WaitConnections(2)
				c.Batch(func() { test.after(c, id) })
				if r := c.Response(id); r.Status != 200 || r.Body != test.method+" / "+test.body {
					t.Errorf("got %v", r)
				}
				requests := origin.Requests()
				if len(requests) != 1 {
					t.Fatalf("%d requests were answered, want 1", len(requests))
				}
				r := requests[0]
				if r.Method != test.method || r.Body != test.body || fieldLines(r.Trailers) != test.trail || r.Fields.Get("x-a") != "1" {
					t.Errorf("the second attempt was %v", r)
				}
				if o := p.Outcome(); o.String() != "200 - via_upstream" {
					t.Errorf("outcome %v", o)
				}
				p.Sync()
				expectStats(t, p, map[string]uint64{"cluster.c.upstream_rq_total": 2, "cluster.c.upstream_rq_active": 0, "http.in.downstream_rq_total": 1})
				c.ExpectIdle()
			})
		}
	}
}

// TestRefusedStreamOfHTTP1 holds the same for a client of HTTP/1.
func TestRefusedStreamOfHTTP1(t *testing.T) {
	for name, request := range map[string]string{
		"no body":      harness.Get("/"),
		"empty length": harness.Head("POST /", "Content-Length: 0"),
		"length":       harness.Head("POST /", "Content-Length: 5") + "hello",
		"chunked":      chunkedPost("/", "hello"),
		"empty chunks": harness.Head("POST /", "Transfer-Encoding: chunked") + "0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			letGo := make(chan struct{})
			origin := harness.NewH2Origin(t, refusing1(refusals["REFUSED_STREAM"], letGo))
			p := h2Setup(origin).Start(t)
			c := p.Dial()
			c.Send(request)
			p.Sync()
			close(letGo)
			r := c.ReadResponse("POST")
			if body := strings.TrimSpace(strings.SplitN(r.Body+" ", " ", 3)[2]); r.Status != 200 || body != "" && body != "hello" {
				t.Errorf("got %q", r.Raw)
			}
			c.ExpectOpen()
		})
	}
}

// TestRefusedStreamTakesNewestConnection holds that the second attempt goes to the connection that was opened last: a host that ends
// connections after some number of requests, as nginx does, is about to end the older ones too.
func TestRefusedStreamTakesNewestConnection(t *testing.T) {
	const connections = 3
	o := newHandOrigin(t, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
	p := h2Setup(o.H2Origin).Start(t)
	c := p.DialH2()
	c.Get("/")
	all := o.take(1) // the proxy knows now how many streams a connection takes
	for range 2*connections - 1 {
		c.Get("/")
	}
	streams := make(map[int][]handRequest)
	for _, r := range append(all, o.take(2*connections-1)...) {
		streams[r.peer.Number] = append(streams[r.peer.Number], r)
	}
	if len(streams) != connections {
		t.Fatalf("%d connections, want %d", len(streams), connections)
	}
	for i := range connections {
		streams[i][0].answer() // so that each has room
	}
	for range connections {
		c.WaitFrame("the end of a response", func(f *harness.H2Frame) bool { return f.EndStream() })
	}
	refused := streams[0][1]
	refused.peer.Reset(refused.StreamID, http2.ErrCodeRefusedStream)
	if again := o.next(); again.peer.Number != connections-1 {
		t.Errorf("the second attempt was on connection %d, want %d", again.peer.Number, connections-1)
	}
}

// TestRefusedTooOften holds that there is no third attempt.
func TestRefusedTooOften(t *testing.T) {
	origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) { p.Reset(r.StreamID, http2.ErrCodeRefusedStream) }))
	p := h2Setup(origin).Start(t)
	c := p.DialH2()
	if r := c.Response(c.Get("/")); r.Status != 503 || r.Body != resetReason("remote refused stream reset") {
		t.Errorf("got %v", r)
	}
	if o := p.Outcome(); o.String() != "503 UR upstream_reset_before_response_started{remote_refused_stream_reset}" {
		t.Errorf("outcome %v", o)
	}
	if n := origin.Counts(); n.Started != 2 || origin.Connections() != 2 {
		t.Errorf("%+v on %d connections, want 2 requests on 2", n, origin.Connections())
	}
}

// TestRefusedAndGone holds that what cannot be sent again, because it was not kept or a response has begun, is not.
func TestRefusedAndGone(t *testing.T) {
	for name, test := range map[string]struct {
		body   int
		answer func(p *harness.H2Peer, id uint32)
		status int
	}{
		"a body that is too large": {body: 65<<10 + 1, answer: func(*harness.H2Peer, uint32) {}, status: 503},
		"early hints were sent": {body: 1, status: 503,
			answer: func(p *harness.H2Peer, id uint32) { p.Headers(id, false, ":status", "103", "link", "</a>") }},
		"the response has begun": {body: 1, status: 200,
			answer: func(p *harness.H2Peer, id uint32) { p.Headers(id, false, ":status", "200") }},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				req, ok := p.ReadRequest()
				if !ok {
					return
				}
				p.Batch(func() {
					test.answer(p, req.StreamID)
					p.Reset(req.StreamID, http2.ErrCodeRefusedStream)
				})
				p.Drain()
			})
			p := h2Setup(origin).Start(t)
			c := p.DialH2()
			r := c.Response(c.Post("/", strings.Repeat("x", test.body)))
			if r.Status != test.status || r.EndStream == (test.status == 200) {
				t.Errorf("got %v, want %d", r, test.status)
			}
			if n := origin.Counts(); n.Started != 1 {
				t.Errorf("the request was sent %d times", n.Started)
			}
			if o := p.Outcome(); o.Flags != "UR" {
				t.Errorf("outcome %v", o)
			}
		})
	}
}

// TestLostConnection holds that a connection which ends with requests in flight has those sent again that may be: a method that
// can be repeated, without a body, on a connection that had answered before. The others fail.
func TestLostConnection(t *testing.T) {
	for _, used := range []bool{true, false} {
		for _, test := range []struct {
			method string
			body   string
			again  bool
		}{
			{"GET", "", true}, {"HEAD", "", true}, {"PUT", "", true}, {"DELETE", "", true}, {"OPTIONS", "", true},
			{"POST", "", false}, {"PATCH", "", false}, {"PUT", "hello", false},
		} {
			t.Run(fmt.Sprintf("%s %q used %v", test.method, test.body, used), func(t *testing.T) {
				origin := harness.NewH2Origin(t, harness.H2InTurn(harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
					if r.Path == "/warm" {
						p.Respond(r.StreamID, harness.H2OK(""))
						return
					}
					p.Close()
				}), harness.H2Echo))
				p := h2Setup(origin).Start(t)
				c := p.DialH2()
				if used {
					c.Response(c.Get("/warm"))
					p.Outcome()
				}
				var id uint32
				c.Batch(func() {
					id = c.Request(test.body == "", harness.H2Head(test.method, "/")...)
					if test.body != "" {
						c.SendBody(id, test.body)
					}
				})
				r := c.Response(id)
				want, outcome := 200, "200 - via_upstream"
				if !used || !test.again {
					want, outcome = 503, "503 UC upstream_reset_before_response_started{connection_termination}"
				}
				if r.Status != want {
					t.Errorf("got %v, want %d", r, want)
				}
				if o := p.Outcome(); o.String() != outcome {
					t.Errorf("outcome %v, want %s", o, outcome)
				}
			})
		}
	}
}
