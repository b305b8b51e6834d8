package acceptance

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// tunnelMessages is how many messages go each way.
const tunnelMessages = 20

// TestTunnels holds that bytes pass both ways as they come, and how each side ends: the client first.
func TestTunnels(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		s, ended := m.setup(t, func(e tunnelEnd) {
			for i := range tunnelMessages {
				e.Expect(message(i))
				e.Send(message(i))
			}
			e.ExpectEnd()
			e.Send("bye")
			e.End()
		})
		p := s.Start(t)
		c := m.ask(t, p)
		for i := range tunnelMessages {
			c.Send(message(i))
			c.Expect(message(i))
		}
		c.End()
		c.Expect("bye")
		c.ExpectEnd()
		o := p.Outcome()
		size := int64(tunnelMessages * len(message(0)))
		if o.Flags != "-" || o.Details != "via_upstream" || o.BytesReceived != size || o.BytesSent != size+3 {
			t.Errorf("outcome %+v", o)
		}
		if n := p.HTTPStat("downstream_cx_upgrades_total"); n != 1 {
			t.Errorf("downstream_cx_upgrades_total is %d, want 1", n)
		}
		if m.host == 1 {
			ended(0)
		}
	})
}

// TestTunnelsEndedByHost holds that the client goes on sending when the host has ended its side first.
func TestTunnelsEndedByHost(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		got := make(chan struct{})
		s, _ := m.setup(t, func(e tunnelEnd) {
			e.Send("last words")
			e.End()
			e.Expect("still there")
			e.ExpectEnd()
			close(got)
		})
		p := s.Start(t)
		c := m.ask(t, p)
		c.Expect("last words")
		c.ExpectEnd()
		c.Send("still there")
		p.NoOutcome()
		c.End()
		<-got
		if o := p.Outcome(); o.Flags != "-" || o.BytesReceived != 11 || o.BytesSent != 10 {
			t.Errorf("outcome %+v", o)
		}
	})
}

// TestTunnelsAborted holds that a reset of either end resets the other.
func TestTunnelsAborted(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		t.Run("by the client", func(t *testing.T) {
			gone := make(chan struct{})
			s, _ := m.setup(t, func(e tunnelEnd) {
				e.Expect("x")
				e.Send("y")
				e.ExpectAborted()
				close(gone)
			})
			p := s.Start(t)
			c := m.ask(t, p)
			c.Send("x")
			c.Expect("y")
			c.Abort()
			<-gone
			p.Outcome()
			if n := p.ClusterStat("upstream_rq_active"); n != 0 {
				t.Errorf("upstream_rq_active is %d, want 0", n)
			}
		})
		t.Run("by the host", func(t *testing.T) {
			s, _ := m.setup(t, func(e tunnelEnd) {
				e.Expect("x")
				e.Abort()
			})
			p := s.Start(t)
			c := m.ask(t, p)
			c.Send("x")
			c.ExpectAborted()
			if o := p.Outcome(); o.Flags != "UC" && o.Flags != "UR" {
				t.Errorf("outcome %+v", o)
			}
		})
	})
}

// TestTunnelsIdle holds that a tunnel without a byte ends after stream_idle_timeout, whatever the route's timeout is.
func TestTunnelsIdle(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		s, _ := m.setup(t, func(e tunnelEnd) {
			for i := range 3 {
				e.Expect(message(i))
				e.Send(message(i))
			}
			e.ExpectAborted()
		})
		p := s.Start(t)
		c := m.ask(t, p)
		for i := range 3 {
			p.Advance(config.DefaultStreamIdle - time.Second)
			c.Send(message(i))
			c.Expect(message(i))
		}
		p.Advance(config.DefaultStreamIdle - justBefore)
		p.NoOutcome()
		p.Advance(2 * justBefore)
		c.ExpectAborted()
		if o := p.Outcome(); o.Flags != "SI" || o.Details != "stream_idle_timeout" {
			t.Errorf("outcome %+v", o)
		}
	})
}

// TestTunnelsMaxDuration holds that max_stream_duration ends a tunnel, however busy it is.
func TestTunnelsMaxDuration(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		s, _ := m.setup(t, func(e tunnelEnd) {
			for i := range 3 {
				e.Expect(message(i))
				e.Send(message(i))
			}
			e.ExpectAborted()
		})
		s.HTTP().MaxStreamDuration = time.Minute
		p := s.Start(t)
		c := m.ask(t, p)
		for i := range 3 {
			c.Send(message(i))
			c.Expect(message(i))
			p.NoOutcome()
			p.Advance(20 * time.Second)
		}
		c.ExpectAborted()
		if o := p.Outcome(); o.Flags != "DT" || o.Details != "max_duration_timeout" {
			t.Errorf("outcome %+v", o)
		}
	})
}

// TestTunnelsStalled holds that an end that does not read stops the other one, within the limits, and nothing is lost when it
// reads at last.
func TestTunnelsStalled(t *testing.T) {
	const total = 8 << 20
	data := strings.Repeat("0123456789abcdef", total/16)
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		read, sent := make(chan struct{}), make(chan struct{})
		s, _ := m.setup(t, func(e tunnelEnd) {
			go func() {
				sendAll(e, data)
				close(sent)
			}()
			<-read
			e.Expect(data)
			<-sent
			e.End()
			e.ExpectEnd()
		})
		s.Listener.BufferLimit, s.Clusters[0].BufferLimit = 32<<10, 32<<10
		p := s.Start(t)
		c := m.ask(t, p)
		written := make(chan struct{})
		go func() {
			sendAll(c, data)
			close(written)
		}()
		rest(p)
		close(read)
		c.Expect(data)
		<-written
		c.End()
		c.ExpectEnd()
		if o := p.Outcome(); o.BytesReceived != total || o.BytesSent != total || o.Flags != "-" {
			t.Errorf("outcome %+v", o)
		}
	})
}

// TestTunnelsNotAllowed holds that a tunnel nobody allowed is refused, and the host hears nothing of it.
func TestTunnelsNotAllowed(t *testing.T) {
	for name, change := range map[string]func(*harness.Setup){
		"by nobody": func(s *harness.Setup) { s.HTTP().Upgrades = nil },
		"disabled":  func(s *harness.Setup) { s.HTTP().Upgrades[0].Enabled, s.HTTP().Upgrades[1].Enabled = false, false },
		"disabled by the route": func(s *harness.Setup) {
			s.Route(0).Forward.Upgrades = []config.Upgrade{{Type: "websocket"}, {Type: "connect"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachTunnel(t, func(t *testing.T, m tunnelPair) {
				s, _ := m.setup(t, func(tunnelEnd) { t.Error("the host got a tunnel") })
				change(s)
				p := s.Start(t)
				if m.down == 1 {
					c := p.Dial()
					c.Send(m.request())
					if r := c.ReadResponse("GET"); r.Status != 403 || r.Fields.Get("connection") != "close" {
						t.Errorf("got %q", r.Raw)
					}
					c.ExpectClosed()
				} else {
					c := p.DialH2()
					id := c.Request(false, m.fields()...)
					if r := c.Response(id); r.Status != 403 || !r.EndStream {
						t.Errorf("got %v", r)
					}
					c.ExpectReset(id, http2.ErrCodeNo)
					c.ExpectIdle()
				}
				if o := p.Outcome(); o.String() != "403 - upgrade_failed" {
					t.Errorf("outcome %v", o)
				}
				if n := p.HTTPStat("downstream_rq_ws_on_non_ws_route"); n != 1 {
					t.Errorf("downstream_rq_ws_on_non_ws_route is %d, want 1", n)
				}
			})
		})
	}
}
