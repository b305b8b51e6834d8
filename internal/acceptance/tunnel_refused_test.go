package acceptance

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestExtendedConnectIsShown holds that a client is told of extended CONNECT where that is allowed, and only there (RFC 8441
// section 3).
func TestExtendedConnectIsShown(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			s := h2Setup(harness.NewH2Origin(t, harness.H2Echo))
			s.HTTP().HTTP2.AllowConnect = allowed
			s.HTTP().Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}}
			p := s.Start(t)
			c := p.DialH2Raw()
			c.Batch(func() {
				c.Preface()
				c.Settings()
			})
			shown := false
			for _, setting := range c.ExpectSettings() {
				shown = shown || setting.ID == http2.SettingEnableConnectProtocol && setting.Val == 1
			}
			if shown != allowed {
				t.Errorf("SETTINGS_ENABLE_CONNECT_PROTOCOL is shown: %v, want %v", shown, allowed)
			}
			if allowed {
				return
			}
			// Who uses it nevertheless sends a malformed request (section 4).
			id := c.Request(false, tunnelPair{kind: webSocket, down: 2}.fields()...)
			c.ExpectReset(id, http2.ErrCodeProtocol)
			if r := c.Response(c.Get("/next")); r.Body != "GET /next " {
				t.Errorf("the next request got %v", r)
			}
		})
	}
}

// TestExtendedConnectMalformed holds which requests with :protocol are none.
func TestExtendedConnectMalformed(t *testing.T) {
	m := tunnelPair{kind: webSocket, down: 2, host: 2}
	s, _ := m.setup(t, func(tunnelEnd) { t.Error("the host got a tunnel") })
	c := s.Start(t).DialH2()
	for name, fields := range map[string][]string{
		"GET":            {":method", "GET", ":protocol", "websocket", ":scheme", "http", ":authority", "a", ":path", "/ws"},
		"no scheme":      {":method", "CONNECT", ":protocol", "websocket", ":authority", "a", ":path", "/ws"},
		"no path":        {":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a"},
		"no protocol":    {":method", "CONNECT", ":protocol", "", ":scheme", "http", ":authority", "a", ":path", "/ws"},
		"twice":          {":method", "CONNECT", ":protocol", "websocket", ":protocol", "websocket", ":scheme", "http", ":authority", "a", ":path", "/ws"},
		"content-length": harness.H2Head("CONNECT", "/ws", ":protocol", "websocket", "content-length", "5"),
		"upgrade":        harness.H2Head("CONNECT", "/ws", ":protocol", "websocket", "upgrade", "websocket"),
	} {
		id := c.Request(false, fields...)
		f := c.WaitFrame("RST_STREAM", ofStream(id, http2.FrameRSTStream))
		if f.Code != http2.ErrCodeProtocol {
			t.Errorf("%s: got %v", name, f)
		}
	}
	c.ExpectIdle()
}

// tunnelRefusal is a host that does not accept a tunnel.
type tunnelRefusal struct {
	name   string
	http1  string
	http2  harness.H2Response
	status int // what the client gets
}

// TestTunnelsRefusedByHost holds that an answer which is no success is passed on as a response, that what was sent into the
// tunnel is dropped, and that no client takes it for a tunnel.
func TestTunnelsRefusedByHost(t *testing.T) {
	for _, test := range []tunnelRefusal{
		{"forbidden", "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", harness.H2Response{Status: 403, Body: "no"}, 403},
		{"redirected", "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", harness.H2Response{Status: 302}, 302},
	} {
		eachTunnel(t, func(t *testing.T, m tunnelPair) {
			if m.kind == terminated {
				return
			}
			t.Run(test.name, func(t *testing.T) {
				p := m.refused(t, test).Start(t)
				status, body, _ := m.askRefused(t, p)
				if status != test.status || body != test.http2.Body {
					t.Errorf("got %d %q, want %d %q", status, body, test.status, test.http2.Body)
				}
				if o := p.Outcome(); o.String() != fmt.Sprintf("%d - via_upstream", test.status) || o.BytesReceived != 0 {
					t.Errorf("outcome %+v", o)
				}
			})
		})
	}
}

// TestWebSocketNotAnswered holds that success without a switch of protocols is not passed on to a client of HTTP/2, which would
// take it for a tunnel (RFC 8441 section 5), and neither is a switch that does not answer our key (RFC 6455 section 4.1).
func TestWebSocketNotAnswered(t *testing.T) {
	for name, answer := range map[string]string{
		"200":          harness.OK("no tunnel"),
		"204":          "HTTP/1.1 204 No Content\r\n\r\n",
		"no accept":    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
		"wrong accept": switched,
	} {
		t.Run(name, func(t *testing.T) {
			m := tunnelPair{kind: webSocket, down: 2, host: 1}
			p := m.refused(t, tunnelRefusal{http1: answer}).Start(t)
			if status, body, _ := m.askRefused(t, p); status != 502 || body != resetReason("protocol error") {
				t.Errorf("got %d %q", status, body)
			}
			if o := p.Outcome(); o.String() != "502 UPE upstream_reset_before_response_started{protocol_error}" {
				t.Errorf("outcome %v", o)
			}
			if n := p.ClusterStat("upstream_cx_protocol_error"); n != 1 {
				t.Errorf("upstream_cx_protocol_error is %d, want 1", n)
			}
		})
	}
}

// refused serves a host that answers once with a refusal and echoes after that, on other connections of HTTP/1.
func (m tunnelPair) refused(t *testing.T, r tunnelRefusal) *harness.Setup {
	var s *harness.Setup
	if m.host == 2 {
		s = h2Setup(harness.NewH2Origin(t, func(p *harness.H2Peer) {
			head, _ := p.ReadHead()
			p.Respond(head.StreamID, r.http2)
			harness.H2Echo(p)
		}, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}))
		s.Clusters[0].HTTP2.AllowConnect = true
	} else {
		first := func(p *harness.Peer) {
			_, _ = p.ReadHead()
			p.Write(r.http1)
			if rest, _ := p.ReadAll(); rest != "" {
				t.Errorf("the host got %q, of a tunnel that it has refused", rest)
			}
		}
		s = harness.NewSetup(harness.NewOrigin(t, harness.InTurn(first, harness.Echo)).Addr())
	}
	m.allow(s)
	s.SetRoutes(s.Route(0), harness.Forward("/", harness.ClusterName))
	return s
}

// askRefused asks for a tunnel, sends into it at once, and reads the response. Then the connection goes on in HTTP/2, and ends
// in HTTP/1, where nobody knows what those bytes are.
func (m tunnelPair) askRefused(t *testing.T, p *harness.Proxy) (status int, body string, fields harness.Fields) {
	t.Helper()
	if m.down == 1 {
		c := p.Dial()
		c.Send(m.request(), smuggled)
		r := c.ReadResponse("GET")
		c.ExpectClosed()
		return r.Status, r.Body, r.Fields
	}
	c := p.DialH2()
	id := c.Request(false, m.fields()...)
	c.Data(id, false, smuggled)
	r := c.Response(id)
	c.ExpectReset(id, http2.ErrCodeNo)
	if next := c.Response(c.Get("/next")); next.Body != "GET /next " {
		t.Errorf("the next request got %v", next)
	}
	return r.Status, r.Body, r.Fields
}

// TestTunnelsWithoutHost holds that no tunnel is opened to a host that cannot be reached.
func TestTunnelsWithoutHost(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		s, _ := m.setup(t, func(tunnelEnd) {})
		s.Clusters[0].Assignment = harness.Cluster("", refusing(t)).Assignment
		p := s.Start(t)
		status, _ := m.askInVain(p)
		if o := p.Outcome(); status != 503 || o.String() != "503 UF upstream_reset_before_response_started{remote_connection_failure}" {
			t.Errorf("got %d, outcome %v", status, o)
		}
	})
}

// askInVain asks for a tunnel and reads the response, which is none.
func (m tunnelPair) askInVain(p *harness.Proxy) (status int, body string) {
	if m.down == 1 {
		c := p.Dial()
		c.Send(m.request())
		r := c.ReadResponse("GET")
		return r.Status, r.Body
	}
	c := p.DialH2()
	r := c.Response(c.Request(false, m.fields()...))
	return r.Status, r.Body
}

// toHTTP2Hosts are the ways to a tunnel by extended CONNECT.
func toHTTP2Hosts() []tunnelPair { return []tunnelPair{{webSocket, 1, 2}, {webSocket, 2, 2}} }

// TestExtendedConnectNotTaken holds that a host which has not told that it takes extended CONNECT is not asked (RFC 8441 section
// 3): it might end the connection, which is others' too.
func TestExtendedConnectNotTaken(t *testing.T) {
	for _, m := range toHTTP2Hosts() {
		t.Run(m.String(), func(t *testing.T) {
			origin := harness.NewH2Origin(t, harness.H2Echo)
			s := h2Setup(origin)
			m.allow(s)
			p := s.Start(t)
			for range 2 { // on a new connection, and on one that is there
				status, body := m.askInVain(p)
				want := "503 UR upstream_reset_before_response_started{remote_error_with_CONNECT_request}"
				if o := p.Outcome(); status != 503 || body != resetReason("remote error with CONNECT request") || o.String() != want {
					t.Errorf("got %d %q, outcome %v, want %s", status, body, o, want)
				}
			}
			c := p.DialH2()
			if r := c.Response(c.Get("/next")); r.Body != "GET /next " {
				t.Errorf("the next request got %v", r)
			}
			if n := origin.Counts().Started; n != 1 || origin.Connections() != 1 {
				t.Errorf("the host got %d requests on %d connections, want one on one", n, origin.Connections())
			}
		})
	}
}

// TestExtendedConnectWaits holds that a tunnel waits for the settings of its host, what may happen meanwhile, and that nothing
// is left of it then.
func TestExtendedConnectWaits(t *testing.T) {
	const reset = "upstream_reset_before_response_started"
	for name, test := range map[string]struct {
		then    func(p *harness.H2Peer) // what the host does at last
		leaves  bool                    // the client goes before that
		advance time.Duration
		outcome string // "" for a tunnel
	}{
		"they come":      {then: func(p *harness.H2Peer) { p.Handshake(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}) }},
		"they forbid it": {then: func(p *harness.H2Peer) { p.Handshake() }, outcome: "503 UR " + reset + "{remote_error_with_CONNECT_request}"},
		"the host goes":  {then: func(p *harness.H2Peer) { p.Close() }, outcome: "503 UR " + reset + "{remote_refused_stream_reset}"},
		"route timeout":  {advance: config.DefaultRouteTimeout, outcome: "504 UT response_timeout"},
		"client goes":    {leaves: true, outcome: "0"},
	} {
		for _, m := range toHTTP2Hosts() {
			t.Run(name+" "+m.String(), func(t *testing.T) {
				ready := make(chan struct{})
				origin := harness.NewH2OriginRaw(t, func(p *harness.H2Peer) {
					if !p.Wait(ready) || test.then == nil {
						return
					}
					test.then(p)
					if head, ok := p.ReadHead(); ok {
						p.Headers(head.StreamID, false, ":status", "200")
						e := &http2End{t: t, conn: &p.H2Conn, id: head.StreamID}
						e.ExpectEnd()
						e.End()
						p.Drain()
					}
				})
				s := h2Setup(origin)
				m.allow(s)
				p := s.Start(t)
				asked, end, leave := m.askLater(p)
				origin.WaitConnections(1)
				rest(p)
				if n := p.ClusterStat("http2.streams_active"); n != 0 {
					t.Errorf("%d streams are open before the settings came, want none", n)
				}
				if test.leaves {
					leave()
				}
				p.Advance(test.advance)
				close(ready)
				if status := <-asked; test.outcome == "" && status != 101 && status != 200 {
					t.Errorf("got %d, want a tunnel", status)
				}
				if test.outcome == "" {
					end()
					p.Outcome() // the host has ended its side, too
				} else if o := p.Outcome(); !strings.HasPrefix(o.String(), test.outcome) {
					t.Errorf("outcome %v, want %s", o, test.outcome)
				}
			})
		}
	}
}

// askLater asks for a tunnel. The status of the answer comes later, 0 when the client has left. Until then it may leave; in a
// tunnel, it may end its side.
func (m tunnelPair) askLater(p *harness.Proxy) (status <-chan int, end, leave func()) {
	answer := make(chan int, 1)
	if m.down == 1 {
		c := p.Dial()
		c.Send(m.request())
		go func() {
			r, _ := c.TryResponse("GET")
			answer <- r.Status
		}()
		return answer, c.CloseWrite, c.Close
	}
	c := p.DialH2()
	id := c.Request(false, m.fields()...)
	go func() {
		f, _ := c.TryWaitFrame(ofStream(id, http2.FrameHeaders))
		status, _ := strconv.Atoi(f.Fields.Get(":status"))
		answer <- status
	}()
	return answer, func() { c.Data(id, true, "") }, c.Close
}

// TestTunnelsResetBeforeAnswer holds how a host of HTTP/2 refuses by a reset.
func TestTunnelsResetBeforeAnswer(t *testing.T) {
	for code, reason := range map[http2.ErrCode]string{
		http2.ErrCodeConnect: "remote error with CONNECT request", http2.ErrCodeCancel: "remote reset", http2.ErrCodeRefusedStream: "remote refused stream reset",
	} {
		for _, m := range []tunnelPair{{webSocket, 1, 2}, {webSocket, 2, 2}, {connect, 1, 2}, {connect, 2, 2}} {
			t.Run(code.String()+" "+m.String(), func(t *testing.T) {
				origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
					for {
						head, ok := p.ReadHead()
						if !ok {
							return
						}
						p.Reset(head.StreamID, code)
					}
				}, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
				s := h2Setup(origin)
				m.allow(s)
				p := s.Start(t)
				status, body := m.askInVain(p)
				want := "503 UR upstream_reset_before_response_started{" + strings.ReplaceAll(reason, " ", "_") + "}"
				if o := p.Outcome(); status != 503 || body != resetReason(reason) || o.String() != want {
					t.Errorf("got %d %q, outcome %v, want %s", status, body, o, want)
				}
				if n := origin.Counts().Started; n != 1 {
					t.Errorf("%d attempts, want 1: what is sent into a tunnel cannot be sent twice", n)
				}
			})
		}
	}
}

// TestTunnelSentAtOnce holds that a client need not wait for the answer: what it sends into the tunnel waits, and follows.
func TestTunnelSentAtOnce(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		s, _ := m.setup(t, func(e tunnelEnd) {
			e.Expect("ping")
			e.Send("pong")
			e.ExpectEnd()
			e.End()
		})
		p := s.Start(t)
		if m.down == 2 {
			c := p.DialH2()
			var id uint32
			c.Batch(func() {
				id = c.Request(false, m.fields()...)
				c.Data(id, false, "pi")
				c.Data(id, true, "ng")
			})
			if r := c.Response(id); r.Status != 200 || r.Body != "pong" || !r.EndStream {
				t.Errorf("got %v", r)
			}
			return
		}
		for at, whole := 1, m.request()+"ping"; at <= len(whole); at++ {
			c := p.Dial()
			c.SendSplit(whole, at)
			c.ReadHead()
			c.Expect("pong")
			c.CloseWrite()
			c.ExpectClosed()
			c.Close()
		}
	})
}
