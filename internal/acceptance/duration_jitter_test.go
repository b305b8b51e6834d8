package acceptance

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestConnectionDurationJitter holds that connections which began together do not all end together: each has the time that is
// configured, and what chance adds, which is no more than may be.
func TestConnectionDurationJitter(t *testing.T) {
	const connections, duration, jitter = 16, 10 * time.Second, 50
	type peer struct{ end func() } // which waits until the connection is told to go
	http := func(s *harness.Setup) {
		s.HTTP().MaxConnectionDuration, s.HTTP().ConnectionDurationJitter = duration, jitter
	}
	for name, test := range map[string]struct {
		setup func() *harness.Setup
		dial  func(p *harness.Proxy) peer
		ended func(p *harness.Proxy) uint64
	}{
		"HTTP/2": {
			func() *harness.Setup { s := harness.NewSetup(); http(s); return s },
			func(p *harness.Proxy) peer {
				c := p.DialH2()
				c.RoundTrip()
				return peer{func() { c.ExpectGoAway(http2.ErrCodeNo) }}
			},
			func(p *harness.Proxy) uint64 { return p.HTTPStat("downstream_cx_max_duration_reached") },
		},
		"TCP": {
			func() *harness.Setup {
				s := tcpSetup(harness.NewOrigin(t, func(p *harness.Peer) { p.Write("y"); p.ReadBytes(1) }).Addr())
				s.TCP().MaxConnectionDuration, s.TCP().ConnectionDurationJitter = duration, jitter
				return s
			},
			func(p *harness.Proxy) peer {
				c := p.Dial()
				c.Expect("y")
				return peer{func() { c.ExpectClosed() }}
			},
			func(p *harness.Proxy) uint64 { return tcpStat(p, "max_downstream_connection_duration") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.setup().Start(t)
			var peers []peer
			for range connections {
				peers = append(peers, test.dial(p))
			}
			p.Advance(duration - time.Millisecond)
			p.Sync()
			if n := test.ended(p); n != 0 {
				t.Errorf("%d of %d connections have ended too early", n, connections)
			}
			rounds := 0 // in which some have ended
			for range 10 {
				before := test.ended(p)
				p.Advance(duration * jitter / 100 / 10)
				p.Sync()
				if test.ended(p) > before {
					rounds++
				}
			}
			p.Advance(time.Second) // the grain of the timers
			for _, c := range peers {
				c.end()
			}
			if n := test.ended(p); n != connections || rounds < 2 {
				t.Errorf("%d of %d connections have ended, in %d rounds", n, connections, rounds)
			}
		})
	}
}

// TestConnectionDurationJitterHTTP1 holds that connections of HTTP/1 are asked to go when their own time is over.
func TestConnectionDurationJitterHTTP1(t *testing.T) {
	const connections, duration, jitter = 32, 10 * time.Second, 50
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.HTTP().MaxConnectionDuration, s.HTTP().ConnectionDurationJitter = duration, jitter
	p := s.Start(t)
	var open []*harness.Client
	for range connections {
		c := p.Dial()
		c.Get("/")
		open = append(open, c)
	}
	p.Advance(duration + duration*jitter/200)
	ended := 0
	for _, c := range open {
		if c.Get("/").Fields.Get("connection") == "close" {
			ended++
		}
	}
	if ended == 0 || ended == connections {
		t.Errorf("%d of %d connections have ended in the middle of the jitter", ended, connections)
	}
}
