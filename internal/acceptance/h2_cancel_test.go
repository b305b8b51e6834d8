package acceptance

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// stage is how far an exchange has come when something happens to it.
type stage struct {
	name string
	body bool // the request has a body, of which a part was sent
	head bool // the response has begun
}

var stages = []stage{
	{name: "waiting for the response"},
	{name: "in the request body", body: true},
	{name: "in the response body", head: true},
	{name: "in both bodies", body: true, head: true},
}

// at returns an origin of HTTP/2 that brings an exchange there, tells of that and then does as last says.
func (s stage) at(t *testing.T, last func(*harness.H2Peer, uint32)) (origin *harness.H2Origin, there <-chan struct{}) {
	t.Helper()
	reached := make(chan struct{}, 1)
	return harness.NewH2Origin(t, func(p *harness.H2Peer) {
		for {
			head, ok := p.ReadHead()
			if !ok {
				return
			}
			if head.Path == "/other" {
				p.Respond(head.StreamID, harness.H2OK("other"))
				continue
			}
			if s.body {
				p.WaitFrame("DATA", func(f *harness.H2Frame) bool { return f.Type == http2.FrameData && f.StreamID == head.StreamID })
			}
			if s.head {
				p.Batch(func() {
					p.Headers(head.StreamID, false, ":status", "200")
					p.Data(head.StreamID, false, "part")
				})
			}
			reached <- struct{}{}
			last(p, head.StreamID)
		}
	}), reached
}

// request sends the part of the request that the stage wants, and reads what it wants of the response.
func (s stage) request(c *harness.H2Client, there <-chan struct{}) (id uint32) {
	c.Batch(func() {
		id = c.Request(!s.body, harness.H2Head("POST", "/")...)
		if s.body {
			c.Data(id, false, "part")
		}
	})
	<-there
	if s.head {
		c.WaitFrame("DATA", func(f *harness.H2Frame) bool { return f.Type == http2.FrameData && f.StreamID == id })
	}
	return id
}

func (s stage) status() int {
	if s.head {
		return 200
	}
	return 0
}

// expectCancelled waits for the reset of the request at the origin.
func expectCancelled(t *testing.T, origin *harness.H2Origin) {
	t.Helper()
	origin.WaitCounts("a request that is cancelled", func(n harness.H2Counts) bool { return n.Reset == 1 && n.InFlight == 0 })
}

// TestClientResets holds that a stream which the client resets is cancelled at the origin, wherever it has come to, is counted,
// and costs nobody else anything.
func TestClientResets(t *testing.T) {
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			codes := make(chan http2.ErrCode, 1)
			origin, there := stage.at(t, func(p *harness.H2Peer, id uint32) {
				f := p.WaitFrame("RST_STREAM", func(f *harness.H2Frame) bool { return f.Type == http2.FrameRSTStream && f.StreamID == id })
				codes <- f.Code
			})
			p := h2Setup(origin).Start(t)
			c := p.DialH2()
			id := stage.request(c, there)
			c.Reset(id, http2.ErrCodeCancel)
			if code := <-codes; code != http2.ErrCodeCancel {
				t.Errorf("the origin was told %v, want CANCEL", code)
			}
			expectCancelled(t, origin)
			o := p.Outcome()
			if want := fmt.Sprintf("%d DR http2.remote_reset", stage.status()); o.String() != want {
				t.Errorf("outcome %v, want %s", o, want)
			}
			expectStats(t, p, map[string]uint64{
				"http2.rx_reset": 1, "http2.tx_reset": 0, "http2.streams_active": 0,
				"http.in.downstream_rq_rx_reset": 1, "http.in.downstream_rq_tx_reset": 0, "http.in.downstream_rq_active": 0,
				"cluster.c.http2.tx_reset": 1, "cluster.c.http2.rx_reset": 0, "cluster.c.http2.streams_active": 0,
				"cluster.c.upstream_rq_active": 0, "cluster.c.upstream_cx_active": 1,
			})
			if r := c.Response(c.Get("/other")); r.Body != "other" {
				t.Errorf("the next request got %v", r)
			}
			if n := origin.Connections(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
			c.ExpectOpen()
		})
	}
}

// TestClientConnectionEnds holds that all streams of a client that goes are cancelled at their origins, and only those.
func TestClientConnectionEnds(t *testing.T) {
	for name, leave := range map[string]func(*harness.H2Client){"closed": func(c *harness.H2Client) { c.Close() }, "reset": func(c *harness.H2Client) { c.Abort() }} {
		for _, stage := range stages {
			t.Run(stage.name+" "+name, func(t *testing.T) {
				origin, there := stage.at(t, func(*harness.H2Peer, uint32) {})
				p := h2Setup(origin).Start(t)
				c, other := p.DialH2(), p.DialH2()
				stage.request(c, there)
				stage.request(c, there)
				leave(c)
				origin.WaitCounts("two cancelled", func(n harness.H2Counts) bool { return n.Reset == 2 && n.InFlight == 0 })
				for range 2 {
					if o, want := p.Outcome(), fmt.Sprintf("%d DC downstream_remote_disconnect", stage.status()); o.String() != want {
						t.Errorf("outcome %v, want %s", o, want)
					}
				}
				if n := p.HTTPStat("downstream_rq_rx_reset"); n != 2 {
					t.Errorf("downstream_rq_rx_reset is %d, want 2", n)
				}
				if r := other.Response(other.Get("/other")); r.Body != "other" {
					t.Errorf("another client got %v", r)
				}
			})
		}
	}
}

// TestClientResetsToHTTP1 holds that what HTTP/1 has for a reset is the end of the connection.
func TestClientResetsToHTTP1(t *testing.T) {
	got := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		_, _ = p.ReadHead()
		p.Write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
		close(got)
		p.UntilClosed()
	})
	p := harness.NewSetup(origin.Addr()).Start(t)
	c := p.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/")...)
	<-got
	c.Reset(id, http2.ErrCodeCancel)
	origin.WaitEnded(0)
	if o := p.Outcome(); o.Flags != "DR" {
		t.Errorf("outcome %v", o)
	}
}

// TestHTTP1ClientLeaves holds that a client of HTTP/1 that goes is a cancelled stream for an origin of HTTP/2.
func TestHTTP1ClientLeaves(t *testing.T) {
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			origin, there := stage.at(t, func(*harness.H2Peer, uint32) {})
			p := h2Setup(origin).Start(t)
			c := p.Dial()
			if stage.body {
				c.Send(harness.Head("POST /", "Content-Length: 9"), "part")
			} else {
				c.Send(harness.Get("/"))
			}
			<-there
			if stage.head {
				c.Expect("HTTP/1.1 200 OK\r\n")
			}
			c.Close()
			expectCancelled(t, origin)
			if o, want := p.Outcome(), fmt.Sprintf("%d DC downstream_remote_disconnect", stage.status()); o.String() != want {
				t.Errorf("outcome %v, want %s", o, want)
			}
			if n := p.HTTPStat("downstream_rq_rx_reset"); n != 1 {
				t.Errorf("downstream_rq_rx_reset is %d, want 1", n)
			}
		})
	}
}

// TestClientMistakes holds that a stream which is reset for a mistake in the middle of its body is cancelled at the origin, and
// is the client's fault in the log.
func TestClientMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		fields []string
		last   func(c *harness.H2Client, id uint32)
		code   http2.ErrCode
	}{
		"too much for its length":   {[]string{"content-length", "6"}, func(c *harness.H2Client, id uint32) { c.Data(id, false, "too much") }, http2.ErrCodeProtocol},
		"too little for its length": {[]string{"content-length", "6"}, func(c *harness.H2Client, id uint32) { c.Data(id, true, "") }, http2.ErrCodeProtocol},
		"bad trailers":              {nil, func(c *harness.H2Client, id uint32) { c.Headers(id, true, ":path", "/") }, http2.ErrCodeProtocol},
		"window update of 0":        {nil, func(c *harness.H2Client, id uint32) { c.WindowUpdate(id, 0) }, http2.ErrCodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			origin, there := stage{body: true}.at(t, func(*harness.H2Peer, uint32) {})
			p := h2Setup(origin).Start(t)
			c := p.DialH2()
			id := c.Request(false, harness.H2Head("POST", "/", test.fields...)...)
			c.Data(id, false, "part")
			<-there
			test.last(c, id)
			c.ExpectReset(id, test.code)
			expectCancelled(t, origin)
			if o := p.Outcome(); o.String() != "0 DPE http2.violation.of.messaging.rule" {
				t.Errorf("outcome %v", o)
			}
		})
	}
}

// upstreamEnd is a way in which an origin ends an exchange before its time.
type upstreamEnd struct {
	name  string
	end   func(*harness.H2Peer, uint32)
	cause string // as bodies and details say it
	flag  string
}

var upstreamEnds = []upstreamEnd{
	{"reset", func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeInternal) }, "remote reset", "UR"},
	{"cancel", func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeCancel) }, "remote reset", "UR"},
	{"no error", func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeNo) }, "remote reset", "UR"},
	{"closed", func(p *harness.H2Peer, _ uint32) { p.Close() }, "connection termination", "UC"},
	{"aborted", func(p *harness.H2Peer, _ uint32) { p.Abort() }, "connection termination", "UC"},
	{"went away and closed", func(p *harness.H2Peer, id uint32) { p.GoAway(id, http2.ErrCodeInternal, "bye"); p.Close() }, "connection termination", "UC"},
	{"bad frame", func(p *harness.H2Peer, id uint32) { p.Raw(http2.FrameWindowUpdate, 0, id, []byte{1}); p.Drain() }, "protocol error", "UPE"},
	{"bad trailers", func(p *harness.H2Peer, id uint32) { p.Headers(id, true, ":path", "/") }, "protocol error", "UPE"},
}

// TestOriginEndsEarly holds that a response which does not come to its end is a local reply before it has begun, and is never
// taken for a whole one after that (row 63), whatever the client speaks.
func TestOriginEndsEarly(t *testing.T) {
	for _, end := range upstreamEnds {
		for _, stage := range stages {
			t.Run(stage.name+" "+end.name, func(t *testing.T) {
				goOn := make(chan struct{})
				origin, there := stage.at(t, func(p *harness.H2Peer, id uint32) {
					if p.Wait(goOn) {
						end.end(p, id)
					}
				})
				p := h2Setup(origin).Start(t)
				proceed := func() {
					<-there
					p.Sync() // what came before the end may be overtaken by it otherwise
					goOn <- struct{}{}
				}
				t.Run("h2", func(t *testing.T) {
					c := p.For(t).DialH2()
					var id uint32
					c.Batch(func() {
						id = c.Request(!stage.body, harness.H2Head("POST", "/")...)
						if stage.body {
							c.Data(id, false, "part")
						}
					})
					proceed()
					r := c.Response(id)
					if stage.head && (r.Status != 200 || r.Body != "part" || !r.Reset || r.ResetCode != http2.ErrCodeInternal || r.EndStream) {
						t.Errorf("got %v, want a response that breaks off", r)
					}
					if status := end.status(); !stage.head && (r.Status != status || r.Body != resetReason(end.cause) || !r.EndStream) {
						t.Errorf("got %v, want %d because of %s", r, status, end.cause)
					}
					expectUpstreamOutcome(t, p, end, stage)
				})
				t.Run("h1", func(t *testing.T) {
					c := p.For(t).Dial()
					c.Send(harness.Head("POST /", "Transfer-Encoding: chunked"))
					if stage.body {
						c.Send("4\r\npart\r\n")
					} else {
						c.Send("0\r\n\r\n")
					}
					proceed()
					r, err := c.TryResponse("POST")
					if stage.head && err == nil {
						t.Errorf("got a whole response %q", r.Raw)
					}
					if status := end.status(); !stage.head && (err != nil || r.Status != status || r.Body != resetReason(end.cause)) {
						t.Errorf("got %q %v, want %d because of %s", r.Raw, err, status, end.cause)
					}
					expectUpstreamOutcome(t, p, end, stage)
				})
				expectStats(t, p, map[string]uint64{"cluster.c.upstream_rq_active": 0, "cluster.c.http2.streams_active": 0, "cluster.c.upstream_rq_rx_reset": 2})
			})
		}
	}
}

func (e upstreamEnd) status() int {
	if e.flag == "UPE" {
		return 502
	}
	return 503
}

func expectUpstreamOutcome(t *testing.T, p *harness.Proxy, end upstreamEnd, s stage) {
	t.Helper()
	status, when := end.status(), "before"
	if s.head {
		status, when = 200, "after"
	}
	want := fmt.Sprintf("%d %s upstream_reset_%s_response_started{%s}", status, end.flag, when, underscored(end.cause))
	if o := p.Outcome(); o.String() != want {
		t.Errorf("outcome %v, want %s", o, want)
	}
}

// TestOriginOfHTTP1EndsEarly holds the same for an origin of HTTP/1 and a client of HTTP/2.
func TestOriginOfHTTP1EndsEarly(t *testing.T) {
	for _, test := range truncations {
		t.Run(test.row, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Then(test.response, test.end))
			p := harness.NewSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			r := c.Response(c.Get("/"))
			if r.Status != 200 || r.Body != test.body || !r.Reset || r.EndStream {
				t.Errorf("got %v, want the body %q broken off", r, test.body)
			}
			if o := p.Outcome(); o.Flags != test.flags {
				t.Errorf("outcome %v, want %s", o, test.flags)
			}
			if n := p.HTTPStat("downstream_rq_tx_reset"); n != 1 {
				t.Errorf("downstream_rq_tx_reset is %d, want 1", n)
			}
			c.ExpectIdle()
		})
	}
}

// TestConnectOverHTTP2Fails holds what a client is told when the connection to an origin of HTTP/2 cannot be made.
func TestConnectOverHTTP2Fails(t *testing.T) {
	for name, test := range map[string]struct {
		address func(*testing.T) netip.AddrPort
		cause   string
	}{"refused": {refusing, "remote connection failure"}, "timeout": {blackHole, "connection timeout"}} {
		t.Run(name, func(t *testing.T) {
			p := toHTTP2(harness.NewSetup(test.address(t))).Start(t)
			c := p.DialH2()
			ids := ask(c, 3)
			p.Advance(6 * time.Second)
			for _, id := range ids {
				if r := c.Response(id); r.Status != 503 || r.Body != resetReason(test.cause) {
					t.Errorf("got %v, want %s", r, test.cause)
				}
				want := "503 UF upstream_reset_before_response_started{" + underscored(test.cause) + "}"
				if o := p.Outcome(); o.String() != want {
					t.Errorf("outcome %v, want %s", o, want)
				}
			}
			expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_active": 0, "cluster.c.upstream_rq_active": 0, "cluster.c.upstream_cx_connect_fail": 1})
		})
	}
}

// underscored is a cause as details have it.
func underscored(cause string) string { return strings.ReplaceAll(cause, " ", "_") }
