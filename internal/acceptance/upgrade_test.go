package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// upgrade asks for a WebSocket.
func upgrade() string {
	return harness.Get("/ws", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: x")
}

// switched accepts it.
const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n"

// allowWebSocket lets the listener upgrade.
func allowWebSocket(s *harness.Setup) {
	s.HTTP().Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}}
}

// expectSwitched reads the 101.
func expectSwitched(t *testing.T, c *harness.Client) {
	t.Helper()
	resp := c.ReadResponse("GET")
	if resp.Status != 101 || resp.Fields.Get("connection") != "upgrade" || resp.Fields.Get("upgrade") != "websocket" ||
		resp.Fields.Get("sec-websocket-accept") != "y" {
		t.Fatalf("got %q", resp.Raw)
	}
}

// tunnelEcho accepts a tunnel and sends back what comes, until the client closes its side; then it says goodbye.
func tunnelEcho(p *harness.Peer) {
	if _, ok := p.ReadRequest(); !ok {
		return
	}
	p.Write(switched)
	for {
		b := p.ReadBytes(4)
		if len(b) < 4 {
			p.Write("bye")
			p.CloseWrite()
			p.UntilClosed()
			return
		}
		p.Write(b)
	}
}

func TestTunnel(t *testing.T) {
	origin := harness.NewOrigin(t, tunnelEcho)
	s := harness.NewSetup(origin.Addr())
	allowWebSocket(s)
	p := s.Start(t)
	p.EachSplit(upgrade()+"ping", 1, func(how string, c *harness.Client) {
		expectSwitched(t, c)
		c.Expect("ping")
		c.Send("ab")
		c.Send("cd")
		c.Expect("abcd")
		c.CloseWrite()
		c.Expect("bye")
		c.ExpectClosed()
		if o := p.Outcome(); o.Status != 101 || o.Details != "via_upstream" || o.Flags != "-" || o.BytesReceived != 8 || o.BytesSent != 11 {
			t.Fatalf("%s: outcome %+v", how, o)
		}
	})
	want := "GET /ws HTTP/1.1\r\nhost: a\r\nsec-websocket-key: x\r\n" + added + "content-length: 0\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\r\nping"
	for _, got := range origin.Captured() {
		if got := normal(got); !strings.HasPrefix(got, want) {
			t.Fatalf("the origin got %q\nwant %q", got, want)
		}
	}
	if n, total := p.HTTPStat("downstream_cx_upgrades_total"), origin.Connections(); int(n) != total {
		t.Errorf("downstream_cx_upgrades_total is %d, want %d", n, total)
	}
}

// TestTunnelClosedByOrigin holds that the other direction stays open when the origin closes its side first.
func TestTunnelClosedByOrigin(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		_, _ = p.ReadRequest()
		p.Write(switched, "last words")
		p.CloseWrite()
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	allowWebSocket(s)
	p := s.Start(t)
	c := p.Dial()
	c.Send(upgrade())
	expectSwitched(t, c)
	c.Expect("last words")
	c.ExpectClosed()
	c.Send("still there")
	p.Sync()
	p.NoOutcome()
	c.CloseWrite()
	origin.WaitEnded(0)
	if o := p.Outcome(); o.BytesReceived != 11 || o.BytesSent != 10 {
		t.Errorf("outcome %+v", o)
	}
	if got := origin.Captured()[0]; !strings.HasSuffix(got, "\r\n\r\nstill there") {
		t.Errorf("the origin got %q", got)
	}
}

// TestTunnelIsNoPooledConnection holds that nobody gets a connection that was a tunnel.
func TestTunnelIsNoPooledConnection(t *testing.T) {
	origin := harness.NewOrigin(t, harness.InTurn(tunnelEcho, harness.Echo))
	s := harness.NewSetup(origin.Addr())
	allowWebSocket(s)
	p := s.Start(t)
	c := p.Dial()
	c.Send(upgrade())
	expectSwitched(t, c)
	c.CloseWrite()
	c.Expect("bye")
	c.ExpectClosed()
	if resp := p.Dial().Get("/own"); resp.Body != "GET /own " {
		t.Errorf("got %q", resp.Raw)
	}
}

// TestTunnelReset holds that a reset of one side ends the other.
func TestTunnelReset(t *testing.T) {
	origin := harness.NewOrigin(t, tunnelEcho)
	s := harness.NewSetup(origin.Addr())
	allowWebSocket(s)
	p := s.Start(t)
	c := p.Dial()
	c.Send(upgrade())
	expectSwitched(t, c)
	c.Send("ping")
	c.Expect("ping")
	c.Reset()
	origin.WaitEnded(0)
	if o := p.Outcome(); o.Flags != "DC" {
		t.Errorf("outcome %+v", o)
	}
}

// TestTunnelIdle holds that a tunnel ends after stream_idle_timeout without a byte, and not before.
func TestTunnelIdle(t *testing.T) {
	origin := harness.NewOrigin(t, tunnelEcho)
	s := harness.NewSetup(origin.Addr())
	allowWebSocket(s)
	p := s.Start(t)
	c := p.Dial()
	c.Send(upgrade())
	expectSwitched(t, c)
	for range 3 {
		p.Advance(config.DefaultStreamIdle - time.Second) // far beyond the route's timeout
		c.Send("ping")
		c.Expect("ping")
	}
	p.Advance(config.DefaultStreamIdle + time.Second)
	c.ExpectReset()
	origin.WaitEnded(0)
	if o := p.Outcome(); o.Flags != "SI" || o.Details != "stream_idle_timeout" {
		t.Errorf("outcome %+v", o)
	}
}

// TestUpgradeRefusedByOrigin holds that bytes behind an upgrade which the origin did not accept are nobody's request, and
// neither connection is used again (row 15).
func TestUpgradeRefusedByOrigin(t *testing.T) {
	for _, answer := range []string{
		harness.OK("no"),
		"HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nno",
		"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
	} {
		t.Run(fmt.Sprintf("%.20q", answer), func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.InTurn(harness.Respond(answer), harness.Echo))
			s := harness.NewSetup(origin.Addr())
			allowWebSocket(s)
			p := s.Start(t)
			c := p.Dial()
			c.Send(upgrade(), smuggled)
			resp := c.ReadResponse("GET")
			if resp.Status == 101 || resp.Body != "no" || resp.Fields.Get("connection") != "close" || resp.Fields.Has("upgrade") {
				t.Fatalf("got %q", resp.Raw)
			}
			c.ExpectClosed()
			origin.WaitEnded(0)
			if requests := origin.Requests(); len(requests) != 1 {
				t.Errorf("the origin got %d requests, want the upgrade only", len(requests))
			}
			if resp := p.Dial().Get("/own"); resp.Body != "GET /own " {
				t.Errorf("the next client got %q", resp.Raw)
			}
		})
	}
}

// TestUpgradeNotAllowed holds that an upgrade nobody allowed is answered by the proxy.
func TestUpgradeNotAllowed(t *testing.T) {
	for name, setup := range map[string]func(*harness.Setup){
		"not configured": func(*harness.Setup) {},
		"disabled":       func(s *harness.Setup) { s.HTTP().Upgrades = []config.Upgrade{{Type: "websocket"}} },
		"another one":    func(s *harness.Setup) { s.HTTP().Upgrades = []config.Upgrade{{Type: "x", Enabled: true}} },
		"disabled by the route": func(s *harness.Setup) {
			allowWebSocket(s)
			s.Route(0).Forward.Upgrades = []config.Upgrade{{Type: "websocket"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			origin := harness.NewOrigin(t, harness.Echo)
			s := harness.NewSetup(origin.Addr())
			setup(s)
			p := s.Start(t)
			p.EachSplit(upgrade()+smuggled, len(upgrade())-4, func(how string, c *harness.Client) {
				if resp := c.ReadResponse("GET"); resp.Status != 403 || resp.Fields.Get("connection") != "close" {
					t.Fatalf("%s: got %q", how, resp.Raw)
				}
				c.ExpectClosed()
				if o := p.Outcome(); o.String() != "403 - upgrade_failed" {
					t.Fatalf("%s: outcome %v", how, o)
				}
			})
			if origin.Connections() != 0 {
				t.Error("the origin heard of it")
			}
		})
	}
}

// TestUpgradeAllowedByRoute holds that the route's word goes before the listener's.
func TestUpgradeAllowedByRoute(t *testing.T) {
	origin := harness.NewOrigin(t, tunnelEcho)
	s := harness.NewSetup(origin.Addr())
	s.Route(0).Forward.Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}}
	p := s.Start(t)
	c := p.Dial()
	c.Send(upgrade())
	expectSwitched(t, c)
	c.CloseWrite() // the origin ends the tunnel, which may take it a while
	if got := c.ReadAll(); got != "bye" {
		t.Errorf("at the end: %q", got)
	}
}

// TestTunnelBackPressure holds that a tunnel carries much in both directions at once, whole, while neither side reads ahead.
func TestTunnelBackPressure(t *testing.T) {
	const total = 8 << 20
	data := strings.Repeat("0123456789abcdef", total/16)
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		_, _ = p.ReadRequest()
		p.Write(switched)
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Write(data)
			p.CloseWrite()
		}()
		if got := p.ReadBytes(total); got != data {
			t.Errorf("the origin got %d bytes, want %d", len(got), total)
		}
		<-done
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	s.Listener.BufferLimit, s.Clusters[0].BufferLimit = 32<<10, 32<<10
	allowWebSocket(s)
	p := s.Start(t)
	c := p.Dial()
	c.Send(upgrade())
	expectSwitched(t, c)
	written := make(chan error, 1)
	go func() { written <- c.Write(data) }()
	c.Skip(total)
	if err := <-written; err != nil {
		t.Error(err)
	}
	c.CloseWrite()
	c.ExpectClosed()
	origin.WaitEnded(0)
	if o := p.Outcome(); o.BytesReceived != total || o.BytesSent != total {
		t.Errorf("outcome %+v", o)
	}
}

// TestTunnelEndIsDelivered holds that what a client sent before it closed its side reaches an origin that has closed its own
// and reads late.
func TestTunnelEndIsDelivered(t *testing.T) {
	const total = 12 << 20 // more than the kernel holds
	read := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		_, _ = p.ReadRequest()
		p.Write(switched)
		p.CloseWrite()
		p.Wait(read)
		if got, clean := p.ReadAll(); len(got) != total || !clean {
			t.Errorf("the origin got %d bytes, want %d (clean end: %v)", len(got), total, clean)
		}
	})
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].BufferLimit = 2 * total
	allowWebSocket(s)
	p := s.Start(t)
	c := p.Dial()
	c.Send(upgrade())
	expectSwitched(t, c)
	c.ExpectClosed()
	c.Send(strings.Repeat("x", total))
	c.CloseWrite()
	rest(p)
	close(read)
	origin.WaitEnded(0)
	if o := p.Outcome(); o.BytesReceived != total || o.Flags != "-" {
		t.Errorf("outcome %+v", o)
	}
}
