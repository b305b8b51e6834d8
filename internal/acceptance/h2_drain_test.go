package acceptance

import (
	"context"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// drains are the reasons for which a client is told to go, and what is counted of them.
var drains = map[string]struct {
	set     func(*harness.Setup)
	begin   func(p *harness.Proxy, c *harness.H2Client, o *handOrigin)
	counter string
}{
	"listening stops": {
		begin:   func(p *harness.Proxy, _ *harness.H2Client, _ *handOrigin) { p.Server.StopListening() },
		counter: "downstream_cx_drain_close",
	},
	"listener removed": {
		begin: func(p *harness.Proxy, _ *harness.H2Client, _ *handOrigin) {
			p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Replace: true}})
		},
	},
	"filter chain changed": {
		begin: func(p *harness.Proxy, _ *harness.H2Client, _ *handOrigin) {
			changed := harness.Listener(harness.Forward("/", harness.ClusterName))
			changed.Default.HTTP.MaxHeaderCount++
			applyListener(p, changed)
		},
		counter: "downstream_cx_drain_close",
	},
	"max_connection_duration": {
		set: func(s *harness.Setup) { s.HTTP().MaxConnectionDuration = time.Minute },
		begin: func(p *harness.Proxy, _ *harness.H2Client, _ *handOrigin) {
			p.Advance(time.Minute)
		},
		counter: "downstream_cx_max_duration_reached",
	},
	"max_requests_per_connection": {
		set:     func(s *harness.Setup) { s.HTTP().MaxRequestsPerConnection = 2 }, // the one that is held is the first
		begin:   func(_ *harness.Proxy, c *harness.H2Client, o *handOrigin) { o.warm(c) },
		counter: "downstream_cx_max_requests_reached",
	},
}

// TestHTTP2Drain holds the graceful end of a client's connection, whatever it ends for: a GOAWAY that only warns, time for streams
// that are on their way, a GOAWAY that names the last, nothing of those after it, and the end when those before it have.
func TestHTTP2Drain(t *testing.T) {
	for name, test := range drains {
		t.Run(name, func(t *testing.T) {
			origin := newHandOrigin(t)
			s := h2Setup(origin.H2Origin)
			s.Route(0).Forward.Timeout = 0
			if test.set != nil {
				test.set(s)
			}
			p := s.Start(t)
			c := p.DialH2()
			first := c.Get("/first")
			held := origin.next()
			test.begin(p, c, origin)
			if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != noLastStream {
				t.Errorf("the warning names stream %d", last)
			}
			c.ExpectIdle()
			crossed := c.Get("/crossed")
			late := origin.next()
			p.Advance(config.DefaultDrainTimeout - time.Second)
			c.ExpectIdle()
			p.Advance(2 * time.Second)
			if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != crossed {
				t.Errorf("the last stream is %d, want %d", last, crossed)
			}
			c.Get("/too-late")
			origin.expectNone(p)
			c.ExpectIdle()
			late.answer()
			held.answer()
			for id, body := range map[uint32]string{first: "/first", crossed: "/crossed"} {
				if r := c.Response(id); r.Body != body || !r.EndStream {
					t.Errorf("got %v, want %s", r, body)
				}
			}
			p.Advance(time.Millisecond)
			c.ExpectClosed()
			c.Close()
			p.Sync()
			if test.counter == "" {
				return // the statistics have gone with the listener
			}
			expectStats(t, p, map[string]uint64{"http.in." + test.counter: 1, "http.in.downstream_cx_active": 0, "http2.goaway_sent": 2})
			if n := p.HTTPStat("downstream_cx_drain_close"); n != 1 && test.counter == "downstream_cx_drain_close" || n != 0 && test.counter != "downstream_cx_drain_close" {
				t.Errorf("downstream_cx_drain_close is %d", n)
			}
		})
	}
}

// TestHTTP2DrainIdle holds that a connection without streams ends at the end of drain_timeout.
func TestHTTP2DrainIdle(t *testing.T) {
	s := harness.NewSetup()
	s.HTTP().DrainTimeout = 20 * time.Second
	p := s.Start(t)
	c := p.DialH2()
	c.RoundTrip()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	drained := make(chan error, 1)
	p.Server.StopListening()
	go func() { drained <- p.Server.Drain(ctx) }()
	c.ExpectGoAway(http2.ErrCodeNo)
	p.Advance(19 * time.Second)
	c.ExpectIdle()
	p.Advance(2 * time.Second)
	if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != 0 {
		t.Errorf("the last stream is %d, want 0", last)
	}
	c.ExpectClosed()
	c.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestHTTP2DrainBeforeTheFirstByte holds that a connection on which nothing has come when listening stops does not stay.
func TestHTTP2DrainBeforeTheFirstByte(t *testing.T) {
	s := harness.NewSetup()
	s.HTTP().Codec = config.CodecHTTP2
	p := s.Start(t)
	c := p.DialH2Raw()
	c.ExpectSettings()
	p.Server.StopListening()
	c.ExpectGoAway(http2.ErrCodeNo)
	p.Advance(config.DefaultDrainTimeout)
	c.ExpectGoAway(http2.ErrCodeNo)
	c.ExpectClosed()
}

// TestHTTP2IdleTimeout holds that a client's connection without streams ends after idle_timeout, and not while it has one.
func TestHTTP2IdleTimeout(t *testing.T) {
	origin := newHandOrigin(t)
	s := h2Setup(origin.H2Origin)
	s.HTTP().ConnectionIdle = 10 * time.Second
	s.Route(0).Forward.Timeout = 0
	p := s.Start(t)
	c := p.DialH2()
	p.Advance(9 * time.Second)
	id := c.Get("/")
	held := origin.next()
	p.Advance(time.Minute)
	held.answer()
	c.Response(id)
	p.Advance(9 * time.Second)
	c.Ping("no use")
	c.ExpectPingAck("no use")
	c.ExpectIdle()
	p.Advance(2 * time.Second)
	if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != id {
		t.Errorf("the last stream is %d, want %d", last, id)
	}
	c.ExpectClosed()
	if n := p.HTTPStat("downstream_cx_idle_timeout"); n != 1 {
		t.Errorf("downstream_cx_idle_timeout is %d, want 1", n)
	}
}

// TestClientGoesAway holds that a client's GOAWAY lets its streams finish and ends the connection then, at once without any.
func TestClientGoesAway(t *testing.T) {
	origin := newHandOrigin(t)
	p := h2Setup(origin.H2Origin).Start(t)
	c := p.DialH2()
	ids := ask(c, 2)
	held := origin.take(2)
	c.GoAway(0, http2.ErrCodeNo, "bye")
	held[0].answer()
	c.Response(ids[0])
	c.ExpectIdle()
	held[1].answer()
	c.Response(ids[1])
	p.Advance(time.Millisecond)
	c.ExpectGoAway(http2.ErrCodeNo)
	c.ExpectClosed()

	idle := p.DialH2()
	idle.GoAway(0, http2.ErrCodeNo, "bye")
	p.Advance(time.Millisecond)
	idle.ExpectGoAway(http2.ErrCodeNo)
	idle.ExpectClosed()
}

// TestDownstreamKeepalive holds that a client is asked for a sign of life, and its streams cancelled when it gives none.
func TestDownstreamKeepalive(t *testing.T) {
	origin := newHandOrigin(t)
	s := h2Setup(origin.H2Origin)
	keepalive(&s.HTTP().HTTP2)
	s.Route(0).Forward.Timeout = 0
	p := s.Start(t)
	c := p.DialH2()
	c.NoAcks()
	c.Get("/")
	origin.next()
	for range 3 {
		p.Advance(10 * time.Second)
		c.PingAck(c.ExpectPing())
		p.Advance(4 * time.Second)
	}
	p.Advance(10 * time.Second)
	c.ExpectPing()
	p.Advance(4 * time.Second)
	c.ExpectIdle()
	p.NoOutcome()
	p.Advance(2 * time.Second)
	c.ExpectEnd()
	expectCancelled(t, origin.H2Origin)
	if o := p.Outcome(); o.String() != "0 DC downstream_remote_disconnect" {
		t.Errorf("outcome %v", o)
	}
	expectStats(t, p, map[string]uint64{"http2.keepalive_timeout": 1, "http.in.downstream_cx_active": 0})
}
