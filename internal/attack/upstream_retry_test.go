package attack

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// refusal is how a host gets rid of a request (row 70). Its later connections serve what comes.
type refusal struct {
	name string
	// refuse is what the host does when it has the request on the stream.
	refuse func(p *harness.H2Peer, id uint32)
	// got is what the client gets.
	got answer
	// requests is how many the host gets for the one of the client.
	requests int
	// kept says that the connection that refused goes on.
	kept bool
	// warm has a request answered on the connection before.
	warm bool
}

var refusals = []refusal{
	{
		name: "REFUSED_STREAM", got: served, requests: 2, kept: true,
		refuse: func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeRefusedStream) },
	},
	{
		name: "REFUSED_STREAM on a kept connection", got: served, requests: 2, kept: true, warm: true,
		refuse: func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeRefusedStream) },
	},
	{
		name: "REFUSED_STREAM behind an informational head", got: refusedByHost, requests: 1, kept: true,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.Headers(id, false, ":status", "103")
			p.Reset(id, http2.ErrCodeRefusedStream)
		},
	},
	{
		name: "GOAWAY", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) { p.GoAway(id-1, http2.ErrCodeNo, "") },
	},
	{
		name: "GOAWAY for an error", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) { p.GoAway(id-1, http2.ErrCodeEnhanceYourCalm, "too_many_pings") },
	},
	{
		name: "GOAWAY on a kept connection", got: served, requests: 2, warm: true,
		refuse: func(p *harness.H2Peer, id uint32) { p.GoAway(id-1, http2.ErrCodeNo, "") },
	},
	{
		name: "two GOAWAYs", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.GoAway(1<<31-1, http2.ErrCodeNo, "")
			p.GoAway(id-1, http2.ErrCodeNo, "")
		},
	},
	{
		name: "two GOAWAYs, the second with more", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.GoAway(id-1, http2.ErrCodeNo, "")
			p.GoAway(id, http2.ErrCodeNo, "")
		},
	},
	{
		name: "GOAWAY and RST_STREAM", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.GoAway(id-1, http2.ErrCodeNo, "")
			p.Reset(id, http2.ErrCodeInternal)
		},
	},
	{
		name: "GOAWAY and REFUSED_STREAM", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.GoAway(id-1, http2.ErrCodeNo, "")
			p.Reset(id, http2.ErrCodeRefusedStream)
		},
	},
	{
		name: "REFUSED_STREAM and GOAWAY", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.Reset(id, http2.ErrCodeRefusedStream)
			p.GoAway(id-1, http2.ErrCodeNo, "")
		},
	},
	{
		name: "GOAWAY and a response", got: served, requests: 2,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.GoAway(id-1, http2.ErrCodeNo, "")
			p.Headers(id, false, ":status", "500")
			p.Data(id, true, "evil")
		},
	},
	{
		name: "RST_STREAM and GOAWAY", got: reset, requests: 1,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.Reset(id, http2.ErrCodeInternal)
			p.GoAway(id-1, http2.ErrCodeNo, "")
		},
	},
	{
		name: "response and GOAWAY", got: served, requests: 1,
		refuse: func(p *harness.H2Peer, id uint32) {
			p.Headers(id, true, ":status", "200")
			p.GoAway(id, http2.ErrCodeNo, "")
		},
	},
	{
		name: "head and a GOAWAY that does not name it", requests: 1,
		got: answer{200, false, "200 UR upstream_reset_after_response_started{remote_refused_stream_reset}"},
		refuse: func(p *harness.H2Peer, id uint32) {
			p.Headers(id, false, ":status", "200")
			p.GoAway(id-1, http2.ErrCodeNo, "")
		},
	},
}

// refusedByHost is the answer when no other attempt is made.
var refusedByHost = answer{503, true, "503 UR upstream_reset_before_response_started{remote_refused_stream_reset}"}

// request is what a client asks, in parts.
type request struct {
	name string
	send func(c *harness.H2Client) (id uint32)
	// echoed is what of it comes back.
	echoed string
}

var requests = []request{
	{"GET", func(c *harness.H2Client) uint32 { return c.Get("/r") }, "GET /r "},
	{"POST without a body", func(c *harness.H2Client) uint32 { return c.Request(true, harness.H2Head("POST", "/r")...) }, "POST /r "},
	{"POST with an empty body", func(c *harness.H2Client) uint32 { return c.Post("/r", "") }, "POST /r "},
	{"POST", func(c *harness.H2Client) uint32 { return c.Post("/r", "hello") }, "POST /r hello"},
	{"POST with content-length", func(c *harness.H2Client) uint32 { return c.Post("/r", "hello", "content-length", "5") }, "POST /r hello"},
	{"POST in frames", func(c *harness.H2Client) uint32 {
		id := c.Request(false, harness.H2Head("POST", "/r")...)
		for range 5 {
			c.Data(id, false, "hello")
		}
		c.Data(id, true, "")
		return id
	}, "POST /r hellohellohellohellohello"},
	{"POST with trailers", func(c *harness.H2Client) uint32 {
		id := c.Request(false, harness.H2Head("POST", "/r")...)
		c.SendBody(id, "hello", "x-t", "1")
		return id
	}, "POST /r hello"},
}

// TestRefusals holds that a request that a host says it has not processed is served on another connection, whatever it is, and
// sent once more at most; that one of which it does not say so is not; and that nothing is left of it.
func TestRefusals(t *testing.T) {
	for _, r := range refusals {
		for _, q := range requests {
			t.Run(r.name+"/"+q.name, func(t *testing.T) { r.run(t, q) })
		}
	}
}

func (r *refusal) script(p *harness.H2Peer) {
	serve := harness.H2Serve(func(p *harness.H2Peer, q harness.H2Request) {
		if p.Number > 0 || q.Path != "/r" {
			p.Respond(q.StreamID, harness.H2OK(q.Method+" "+q.Path+" "+q.Body))
			return
		}
		p.Batch(func() { r.refuse(p, q.StreamID) })
	})
	serve(p)
}

// start has a client connected to a proxy before the host, warm if it is to be. want is how many requests the host gets when one
// more is made.
func (r *refusal) start(t *testing.T) (origin *harness.H2Origin, p *harness.Proxy, c *harness.H2Client, want int) {
	t.Helper()
	origin = harness.NewH2Origin(t, r.script)
	p = upstreamSetup(origin.Addr()).Start(t)
	c = p.DialH2()
	want = r.requests
	if r.warm {
		want++
		c.Response(c.Get("/warm"))
		p.Outcome()
	}
	return origin, p, c, want
}

func (r *refusal) run(t *testing.T, q request) {
	origin, p, c, want := r.start(t)
	resp := c.Response(q.send(c))
	r.got.check(t, resp, p.Outcome())
	if r.requests > 1 && resp.Body != q.echoed {
		t.Errorf("the body is %q, want %q", resp.Body, q.echoed)
	}
	p.NoOutcome()
	if resp := c.Response(c.Get("/next")); resp.Status != 200 || resp.Body != "GET /next " {
		t.Errorf("the next request got %v", resp)
	}
	c.ExpectIdle()
	if !r.kept {
		origin.WaitEnded(0)
	}
	if n := origin.Counts().Started; n != want+1 {
		t.Errorf("the host got %d requests, want %d", n, want+1)
	}
	r.checkStats(t, p)
}

func (r *refusal) checkStats(t *testing.T, p *harness.Proxy) {
	t.Helper()
	p.Sync()
	want := map[string]uint64{
		"upstream_rq_active": 0, "upstream_rq_pending_active": 0, "http2.streams_active": 0,
		"upstream_cx_active": 1, "upstream_cx_protocol_error": 0, "upstream_cx_destroy_remote": 0, "upstream_cx_close_notify": 1,
	}
	if r.kept {
		want["upstream_cx_close_notify"] = 0
		if r.requests > 1 {
			want["upstream_cx_active"] = 2
		}
	}
	for name, value := range want {
		if n := p.ClusterStat(name); n != value {
			t.Errorf("%s is %d, want %d", name, n, value)
		}
	}
}

// TestRefusedTwice holds that a request that is refused twice is not sent a third time.
func TestRefusedTwice(t *testing.T) {
	for name, refuse := range map[string]func(p *harness.H2Peer, id uint32){
		"REFUSED_STREAM": func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeRefusedStream) },
		"GOAWAY":         func(p *harness.H2Peer, id uint32) { p.GoAway(id-1, http2.ErrCodeNo, "") },
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) { refuse(p, r.StreamID) }))
			p := upstreamSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			refusedByHost.check(t, c.Response(c.Post("/", "hello")), p.Outcome())
			if n := origin.Counts().Started; n != 2 || origin.Connections() != 2 {
				t.Errorf("the host got %d requests on %d connections, want 2 on 2", n, origin.Connections())
			}
		})
	}
}

// TestRefusedOthers is about requests that cannot be sent again.
func TestRefusedOthers(t *testing.T) {
	refuse := harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		if p.Number == 0 {
			p.Reset(r.StreamID, http2.ErrCodeRefusedStream)
			return
		}
		p.Respond(r.StreamID, harness.H2OK(fmt.Sprint(len(r.Body))))
	})
	const kept = 64 << 10 // of a body
	for name, test := range map[string]struct {
		size int
		got  answer
	}{
		"body that is kept":      {kept, served},
		"body that is too large": {kept + 1, refusedByHost},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, refuse)
			p := upstreamSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			id := c.Post("/", letters(test.size))
			c.WaitSent()
			test.got.check(t, c.Response(id), p.Outcome())
			c.ExpectOpen()
		})
	}
	t.Run("extended CONNECT", func(t *testing.T) {
		origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
			for {
				r, ok := p.ReadHead()
				if !ok {
					return
				}
				p.Reset(r.StreamID, http2.ErrCodeRefusedStream)
			}
		}, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		s := upstreamSetup(origin.Addr())
		s.HTTP().HTTP2.AllowConnect = true
		s.HTTP().Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}}
		p := s.Start(t)
		c := p.DialH2()
		refusedByHost.check(t, c.Response(c.Request(false, connect()...)), p.Outcome())
		if n := origin.Counts().Started; n != 1 {
			t.Errorf("the host got %d requests, want 1", n)
		}
	})
}

// TestRefusedInTheMiddle refuses a request whose body is still coming: what came is sent again, and what follows with it.
func TestRefusedInTheMiddle(t *testing.T) {
	refuse := make(chan struct{})
	origin := harness.NewH2Origin(t, harness.H2InTurn(func(p *harness.H2Peer) {
		r, ok := p.ReadHead()
		if ok && p.Wait(refuse) {
			p.Reset(r.StreamID, http2.ErrCodeRefusedStream)
			p.Drain()
		}
	}, harness.H2Echo))
	p := upstreamSetup(origin.Addr()).Start(t)
	c := p.DialH2()
	id := c.Request(false, harness.H2Head("POST", "/r")...)
	c.Data(id, false, "first,")
	p.Sync()
	close(refuse)
	origin.WaitConnections(2)
	c.Data(id, false, "second,")
	c.Data(id, true, "third")
	resp := c.Response(id)
	served.check(t, resp, p.Outcome())
	if want := "POST /r first,second,third"; resp.Body != want {
		t.Errorf("the body is %q, want %q", resp.Body, want)
	}
}

// TestGoAwayLessThanOpen has a host go away when it has three requests, of which it names one: that one is served on its
// connection, and the others on another, each once.
func TestGoAwayLessThanOpen(t *testing.T) {
	for name, end := range map[string]func(p *harness.H2Peer){
		"and goes on":             func(p *harness.H2Peer) { p.Drain() },
		"and closes":              func(p *harness.H2Peer) { p.CloseWrite(); p.Drain() },
		"and aborts":              func(p *harness.H2Peer) { p.Abort() },
		"and names fewer":         func(p *harness.H2Peer) { p.GoAway(0, http2.ErrCodeNo, ""); p.Drain() },
		"and sends a wrong frame": func(p *harness.H2Peer) { p.Ping(""); p.Raw(http2.FramePing, 0, 0, nil); p.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, harness.H2InTurn(func(p *harness.H2Peer) {
				for range 3 {
					if _, ok := p.ReadRequest(); !ok {
						return
					}
				}
				p.Batch(func() {
					p.GoAway(1, http2.ErrCodeNo, "")
					p.Respond(1, harness.H2OK("first"))
				})
				end(p)
			}, harness.H2Echo))
			p := upstreamSetup(origin.Addr()).Start(t)
			c := p.DialH2()
			var ids []uint32
			c.Batch(func() {
				for i := range 3 {
					ids = append(ids, c.Get(fmt.Sprintf("/%d", i)))
				}
			})
			for i, want := range []string{"first", "GET /1 ", "GET /2 "} {
				if resp := c.Response(ids[i]); resp.Status != 200 || resp.Body != want {
					t.Errorf("request %d: got %v, want %q", i, resp, want)
				}
			}
			c.ExpectIdle()
			origin.WaitEnded(0)
			if n := origin.Counts().Started; n != 5 || origin.Connections() != 2 {
				t.Errorf("the host got %d requests on %d connections, want 5 on 2", n, origin.Connections())
			}
			var paths []string
			for _, r := range origin.Requests() {
				paths = append(paths, r.Path)
			}
			slices.Sort(paths)
			if got, want := strings.Join(paths, " "), "/0 /1 /1 /2 /2"; got != want {
				t.Errorf("the host got %s, want %s", got, want)
			}
		})
	}
}

// TestGoAwayAndSilence has a host name the request that it has as its last and never answer it: the client is answered in time,
// and the connection ends with the request.
func TestGoAwayAndSilence(t *testing.T) {
	gone := make(chan struct{})
	origin := harness.NewH2Origin(t, harness.H2InTurn(func(p *harness.H2Peer) {
		r, ok := p.ReadRequest()
		if !ok {
			return
		}
		p.GoAway(r.StreamID, http2.ErrCodeNo, "")
		if p.TryRoundTrip() == nil {
			close(gone)
		}
		p.ExpectReset(r.StreamID, http2.ErrCodeCancel)
		p.ExpectEnd()
	}, harness.H2Echo))
	p := upstreamSetup(origin.Addr()).Start(t)
	c := p.DialH2()
	id := c.Get("/")
	<-gone
	p.Advance(config.DefaultRouteTimeout)
	timedOut.check(t, c.Response(id), p.Outcome())
	origin.WaitEnded(0)
	if resp := c.Response(c.Get("/next")); resp.Body != "GET /next " {
		t.Errorf("the next request got %v", resp)
	}
	if n := p.ClusterStat("upstream_cx_active"); n != 1 {
		t.Errorf("upstream_cx_active is %d, want 1", n)
	}
}

// TestRefusedWithoutAnotherConnection is about a breaker that allows one connection: there is no other to go to, and the
// request is not left waiting for one.
func TestRefusedWithoutAnotherConnection(t *testing.T) {
	for name, test := range map[string]struct {
		times int // that the request is refused
		got   answer
	}{
		"refused once":  {1, served},
		"refused twice": {2, refusedByHost},
	} {
		t.Run(name, func(t *testing.T) {
			refused := 0
			origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
				if refused < test.times {
					refused++
					p.Reset(r.StreamID, http2.ErrCodeRefusedStream)
					return
				}
				p.Respond(r.StreamID, harness.H2OK("own"))
			}))
			s := upstreamSetup(origin.Addr())
			s.Clusters[0].Breakers.MaxConnections = 1
			p := s.Start(t)
			c := p.DialH2()
			id := c.Get("/")
			test.got.check(t, c.Response(id), p.Outcome())
			if n := origin.Connections(); n != 1 {
				t.Errorf("the host has got %d connections, want 1", n)
			}
		})
	}
}
