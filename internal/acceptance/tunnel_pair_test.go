package acceptance

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// tunnelEnd is one end of a tunnel through the proxy, whatever is spoken there. Expectations that fail end the test, or the
// script of a host.
type tunnelEnd interface {
	Send(data string)
	// Expect reads exactly want.
	Expect(want string)
	// End says that nothing more is sent.
	End()
	// ExpectEnd reads the end of the other side, with nothing before it.
	ExpectEnd()
	// Abort resets the tunnel.
	Abort()
	// ExpectAborted waits for the other side to do so, whatever comes before.
	ExpectAborted()
}

// http1Client is the client's end on an HTTP/1 connection.
type http1Client struct {
	t *testing.T
	*harness.Client
}

func (c http1Client) Send(data string) { c.Client.Send(data) }
func (c http1Client) End()             { c.CloseWrite() }
func (c http1Client) ExpectEnd()       { c.ExpectClosed() }
func (c http1Client) Abort()           { c.Reset() }
func (c http1Client) ExpectAborted()   { c.ExpectReset() }

// http1Host is the host's end on an HTTP/1 connection, or on one where nothing but the tunnel is.
type http1Host struct {
	t *testing.T
	*harness.Peer
}

func (h http1Host) Send(data string) { h.Write(data) }
func (h http1Host) Expect(want string) {
	if got := h.ReadBytes(len(want)); got != want {
		h.t.Errorf("the host got %.100q of %d bytes, want %.100q of %d", got, len(got), want, len(want))
		runtime.Goexit()
	}
}
func (h http1Host) End() { h.CloseWrite() }
func (h http1Host) ExpectEnd() {
	got, clean := h.ReadAll()
	if h.t.Context().Err() != nil {
		return // the test is over, and its connections with it
	}
	if got != "" || !clean {
		h.t.Errorf("the host got %q, clean end %v, want the end", got, clean)
		runtime.Goexit()
	}
}
func (h http1Host) Abort() { h.Reset() }
func (h http1Host) ExpectAborted() {
	h.UntilClosed() // with a reset or without: its own bytes may have crossed the end
}

// http2End is either end on a stream of HTTP/2.
type http2End struct {
	t     *testing.T
	conn  *harness.H2Conn
	id    uint32
	rest  string // of a frame that was read in part
	ended bool   // the other side has
}

func (e *http2End) Send(data string) { e.conn.Data(e.id, false, data) }
func (e *http2End) Expect(want string) {
	e.t.Helper()
	var got strings.Builder
	got.WriteString(e.rest)
	for got.Len() < len(want) && !e.ended {
		f := e.conn.WaitFrame("data in the tunnel", ofStream(e.id, http2.FrameData))
		got.Write(f.Payload)
		e.ended = f.EndStream()
	}
	rest, ok := strings.CutPrefix(got.String(), want)
	if !ok {
		e.t.Errorf("got %.100q of %d bytes, want %.100q of %d", got.String(), got.Len(), want, len(want))
		runtime.Goexit()
	}
	e.rest = rest
}
func (e *http2End) End() {
	e.conn.WaitSent()
	e.conn.Data(e.id, true, "")
}
func (e *http2End) ExpectEnd() {
	e.t.Helper()
	if e.ended && e.rest == "" {
		return
	}
	f := e.conn.WaitFrame("the end of the tunnel", func(f *harness.H2Frame) bool {
		return f.StreamID == e.id && f.Type != http2.FrameWindowUpdate
	})
	if f.Type != http2.FrameData || !f.EndStream() || len(f.Payload) > 0 || e.rest != "" {
		e.t.Errorf("got %v after %q, want the end", f, e.rest)
		runtime.Goexit()
	}
}
func (e *http2End) Abort() { e.conn.Reset(e.id, http2.ErrCodeCancel) }
func (e *http2End) ExpectAborted() {
	e.conn.WaitFrame("RST_STREAM", ofStream(e.id, http2.FrameRSTStream))
}

// tunnelKind is how a tunnel is asked for.
type tunnelKind uint8

const (
	webSocket  tunnelKind = iota // by Upgrade, or extended CONNECT (RFC 8441)
	connect                      // by CONNECT, which the host answers
	terminated                   // by CONNECT, which the proxy answers: the host sees what is in the tunnel
)

func (k tunnelKind) String() string {
	return [...]string{"WebSocket", "CONNECT", "terminated CONNECT"}[k]
}

// tunnelPair is a kind of tunnel between two versions of HTTP.
type tunnelPair struct {
	kind       tunnelKind
	down, host int
}

func (m tunnelPair) String() string { return fmt.Sprintf("%v h%d to h%d", m.kind, m.down, m.host) }

// tunnelPairs are all there are.
func tunnelPairs() []tunnelPair {
	var all []tunnelPair
	for _, kind := range []tunnelKind{webSocket, connect, terminated} {
		for down := 1; down <= 2; down++ {
			for host := 1; host <= 2; host++ {
				if kind != terminated || host == 1 {
					all = append(all, tunnelPair{kind, down, host})
				}
			}
		}
	}
	return all
}

// eachTunnel runs a test with every pair.
func eachTunnel(t *testing.T, test func(t *testing.T, m tunnelPair)) {
	for _, m := range tunnelPairs() {
		t.Run(m.String(), func(t *testing.T) { test(t, m) })
	}
}

// setup serves a host that accepts every tunnel and does in it as the script says. ended waits until the script of the n-th
// tunnel has returned.
func (m tunnelPair) setup(t *testing.T, script func(tunnelEnd)) (s *harness.Setup, ended func(n int)) {
	t.Helper()
	if m.host == 2 {
		origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
			for {
				head, ok := p.ReadHead()
				if !ok {
					return
				}
				m.checkHTTP2(t, head)
				p.Headers(head.StreamID, false, ":status", "200")
				script(&http2End{t: t, conn: &p.H2Conn, id: head.StreamID})
			}
		}, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		s = h2Setup(origin)
		s.Clusters[0].HTTP2.AllowConnect = true
		ended = origin.WaitEnded
	} else {
		origin := harness.NewOrigin(t, func(p *harness.Peer) {
			if m.acceptHTTP1(t, p) {
				script(http1Host{t, p})
			}
		})
		s = harness.NewSetup(origin.Addr())
		ended = origin.WaitEnded
	}
	m.allow(s)
	return s, ended
}

// allow lets clients ask for such tunnels.
func (m tunnelPair) allow(s *harness.Setup) {
	s.HTTP().HTTP2.AllowConnect = true
	s.HTTP().Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}, {Type: "connect", Enabled: true}}
	if m.kind != webSocket {
		r := s.Route(0)
		r.Match.Kind, r.Match.Path = config.PathConnect, ""
		r.Forward.TerminateConnect = m.kind == terminated
	}
}

// checkHTTP2 holds what a host of HTTP/2 gets.
func (m tunnelPair) checkHTTP2(t *testing.T, head harness.H2Request) {
	want := harness.H2Request{Method: "CONNECT", Authority: "a"}
	if m.kind == webSocket {
		want.Protocol, want.Scheme, want.Path = "websocket", "http", "/ws"
	} else {
		want.Authority = "a:443"
	}
	if head.Method != want.Method || head.Authority != want.Authority || head.Protocol != want.Protocol || head.Scheme != want.Scheme ||
		head.Path != want.Path || head.EndStream || head.Fields.Has("content-length") || head.Fields.Has("sec-websocket-key") {
		t.Errorf("the host got %+v", head)
	}
	if version := head.Fields.Get("sec-websocket-version"); m.kind == webSocket && version != "13" {
		t.Errorf("the host got sec-websocket-version %q", version)
	}
}

// acceptHTTP1 reads what a host of HTTP/1 gets, and accepts it.
func (m tunnelPair) acceptHTTP1(t *testing.T, p *harness.Peer) bool {
	if m.kind == terminated {
		return true
	}
	head, ok := p.ReadHead()
	if !ok {
		return false
	}
	if m.kind == connect {
		if head.Method != "CONNECT" || head.Target != "a:443" || head.Fields.Get("host") != "a:443" || head.Fields.Has("content-length") ||
			head.Fields.Has("transfer-encoding") {
			t.Errorf("the host got %q", head.Raw)
		}
		return p.Write("HTTP/1.1 200 OK\r\n\r\n")
	}
	key := head.Fields.Get("sec-websocket-key")
	nonce, err := base64.StdEncoding.DecodeString(key)
	if head.Method != "GET" || head.Target != "/ws" || head.Fields.Get("upgrade") != "websocket" || head.Fields.Get("connection") != "upgrade" ||
		head.Fields.Get("sec-websocket-version") != "13" || err != nil || len(nonce) != 16 {
		t.Errorf("the host got %q", head.Raw)
	}
	return p.Write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: " + webSocketAccept(key) + "\r\n\r\n")
}

// webSocketAccept is the answer to a key (RFC 6455 section 4.2.2).
func webSocketAccept(key string) string {
	h := sha1.New()
	_, _ = io.WriteString(h, key+"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// webSocketKey is the key of RFC 6455's example.
const webSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// request returns the head by which a client of HTTP/1 asks.
func (m tunnelPair) request() string {
	if m.kind != webSocket {
		return "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
	}
	return harness.Get("/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+webSocketKey)
}

// fields returns the head by which a client of HTTP/2 asks.
func (m tunnelPair) fields() []string {
	if m.kind != webSocket {
		return []string{":method", "CONNECT", ":authority", "a:443"}
	}
	return harness.H2Head("CONNECT", "/ws", ":protocol", "websocket", "sec-websocket-version", "13")
}

// ask opens a tunnel.
func (m tunnelPair) ask(t *testing.T, p *harness.Proxy, options ...harness.DialOption) tunnelEnd {
	t.Helper()
	if m.down == 2 {
		c := p.DialH2(options...)
		id := c.Request(false, m.fields()...)
		f := c.WaitFrame("success", ofStream(id, http2.FrameHeaders))
		if f.Fields.Get(":status") != "200" || f.EndStream() || f.Fields.Has("content-length") || f.Fields.Has("sec-websocket-accept") {
			t.Fatalf("got %v, want a tunnel", f)
		}
		return &http2End{t: t, conn: &c.H2Conn, id: id}
	}
	c := p.Dial(options...)
	c.Send(m.request())
	head := c.ReadHead()
	switch {
	case m.kind == webSocket && strings.HasPrefix(head, "HTTP/1.1 101 ") && strings.Contains(head, "\r\nsec-websocket-accept: "+webSocketAccept(webSocketKey)+"\r\n"):
	case m.kind != webSocket && strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") && !strings.Contains(head, "content-length") && !strings.Contains(head, "transfer-encoding"):
	default:
		t.Fatalf("got %q, want a tunnel", head)
	}
	return http1Client{t, c}
}

// sendAll sends data from any goroutine, at the pace of the other side.
func sendAll(e tunnelEnd, data string) {
	switch e := e.(type) {
	case *http2End:
		e.conn.SendPart(e.id, data)
	case http1Client:
		if err := e.Write(data); err != nil {
			e.t.Errorf("send: %v", err)
		}
	default:
		e.Send(data)
	}
}
