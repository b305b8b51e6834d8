package acceptance

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// speakAny has the hosts of a cluster choose the protocol by ALPN.
func speakAny(k *config.Cluster) {
	k.Protocol, k.HTTP2 = config.ProtocolAuto, config.DefaultHTTP2()
}

// autoFront is a host that chooses between origins which answer with what they speak.
type autoFront struct {
	*tlsFront
	one *harness.Origin
	two *harness.H2Origin
}

func newAutoFront(t *testing.T, names ...string) *autoFront {
	one := harness.NewOrigin(t, harness.Respond(harness.OK("HTTP/1.1")))
	two := harness.NewH2Origin(t, harness.H2Respond(harness.H2OK("HTTP/2")))
	return &autoFront{newTLSFront(t, one.Addr(), two.Addr(), names...), one, two}
}

// setup leads to the front, which chooses.
func (f *autoFront) setup() *harness.Setup {
	s := harness.NewSetup()
	speakAny(f.secure(s))
	return s
}

// TestAutoProtocol holds what is spoken to a host by what it and the context know.
func TestAutoProtocol(t *testing.T) {
	const one, two = "HTTP/1.1", "HTTP/2"
	for _, test := range []struct {
		name          string
		host, context []string
		want          string
	}{
		{"both", []string{"h2", "http/1.1"}, nil, two},
		{"the host's order", []string{"http/1.1", "h2"}, nil, one},
		{"HTTP/1.1 alone", []string{"http/1.1"}, nil, one},
		{"HTTP/2 alone", []string{"h2"}, nil, two},
		{"no ALPN", nil, nil, one},
		{"the context offers one", []string{"h2", "http/1.1"}, []string{"http/1.1"}, one},
		{"the context offers the other", []string{"h2", "http/1.1"}, []string{"h2"}, two},
		{"the context offers something else", []string{"other", "h2"}, []string{"other", "h2"}, one},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newAutoFront(t)
			f.knows(test.host...)
			s := f.setup()
			s.Clusters[0].TLS.ALPN = test.context
			p := s.Start(t)
			c1, c2 := p.Dial(), p.DialH2()
			for range 3 {
				if r := c1.Get("/"); r.Status != 200 || r.Body != test.want {
					t.Errorf("a client of HTTP/1 got %d %q, want %q", r.Status, r.Body, test.want)
				}
				if r := c2.Response(c2.Get("/")); r.Status != 200 || r.Body != test.want {
					t.Errorf("a client of HTTP/2 got %d %q, want %q", r.Status, r.Body, test.want)
				}
			}
			pools := map[string]uint64{test.want: 1}
			expectStats(t, p, map[string]uint64{
				"cluster.c.upstream_cx_total": 1, "cluster.c.upstream_cx_http1_total": pools[one], "cluster.c.upstream_cx_http2_total": pools[two],
				"cluster.c.upstream_rq_total": 6, "cluster.c.upstream_rq_pending_total": 1, "cluster.c.upstream_rq_pending_active": 0,
				"cluster.c.ssl.handshake": 1,
			})
		})
	}
}

// undecided is a pair of origins that answer once they are told to, and say what has come.
type undecided struct {
	came   chan string
	answer chan struct{}
}

func newHeldFront(t *testing.T) (*tlsFront, *undecided) {
	h := &undecided{came: make(chan string, maxHandRequests), answer: make(chan struct{})}
	one := harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			if _, ok := p.ReadRequest(); !ok {
				return
			}
			h.came <- "HTTP/1.1"
			if !p.Wait(h.answer) || !p.Write(harness.OK("HTTP/1.1")) {
				return
			}
		}
	})
	var writing sync.Mutex
	two := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		h.came <- "HTTP/2"
		go func() { // so that it reads what else comes
			if p.Wait(h.answer) {
				writing.Lock()
				defer writing.Unlock()
				p.Respond(r.StreamID, harness.H2OK("HTTP/2"))
			}
		}()
	}))
	return newTLSFront(t, one.Addr(), two.Addr()), h
}

// TestAutoProtocolBurst holds that many requests at once go to a host that nobody knows over one connection as long as it has
// not told what it speaks, then over as many as that takes.
func TestAutoProtocolBurst(t *testing.T) {
	const burst = 8
	for protocol, connections := range map[string]uint64{"http/1.1": burst, "h2": 1} {
		t.Run(protocol, func(t *testing.T) {
			f, h := newHeldFront(t)
			f.knows(protocol)
			ready := make(chan struct{})
			f.hold(ready)
			s := harness.NewSetup()
			speakAny(f.secure(s))
			p := s.Start(t)
			c := p.DialH2()
			ids := ask(c, burst)
			c.Canary(1)
			expectStats(t, p, map[string]uint64{
				"cluster.c.upstream_cx_total": 1, "cluster.c.upstream_rq_pending_active": burst, "cluster.c.upstream_rq_active": burst,
			})
			close(ready)
			for range burst {
				<-h.came
			}
			close(h.answer)
			for _, id := range ids {
				if r := c.Response(id); r.Status != 200 {
					t.Errorf("answered %v", r)
				}
			}
			p.Sync()
			expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_total": connections, "cluster.c.upstream_rq_pending_active": 0, "cluster.c.upstream_rq_active": 0})
		})
	}
}

// TestAutoProtocolChanges has a host change its mind between connections, while one request or many are made.
func TestAutoProtocolChanges(t *testing.T) {
	const burst = 6
	f := newAutoFront(t)
	p := f.setup().Start(t)
	c := p.DialH2()
	for i, step := range []struct{ protocol, want string }{
		{"h2", "HTTP/2"}, {"http/1.1", "HTTP/1.1"}, {"h2", "HTTP/2"}, {"h2", "HTTP/2"}, {"http/1.1", "HTTP/1.1"}, {"http/1.1", "HTTP/1.1"},
	} {
		f.knows(step.protocol)
		active := p.ClusterStat("upstream_cx_active")
		f.closeAll()
		for ; active > 0; active = p.ClusterStat("upstream_cx_active") {
		}
		for _, id := range ask(c, burst) {
			if r := c.Response(id); r.Status != 200 || r.Body != step.want {
				t.Errorf("step %d: %v, want %q", i, r, step.want)
			}
		}
		p.Sync()
		if n, want := p.ClusterStat("upstream_cx_active"), map[string]uint64{"h2": burst, "http/1.1": burst}[step.protocol]; n > want {
			t.Errorf("step %d: %d connections for %d requests", i, n, burst)
		}
	}
}

// TestAutoProtocolFails answers all that wait for a connection when hands cannot be shaken, by which it counts, and serves those
// that come when they can.
func TestAutoProtocolFails(t *testing.T) {
	const burst = 5
	for _, test := range []struct {
		name, stat string
		worsen     func(*testing.T, *autoFront)
	}{
		{"another name", "ssl.fail_verify_san", func(t *testing.T, f *autoFront) { f.certify(t, "other.test") }},
		{"no protocol in common", "ssl.connection_error", func(_ *testing.T, f *autoFront) { f.knows("other") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newAutoFront(t)
			test.worsen(t, f)
			s := f.setup()
			s.Clusters[0].TLS.AutoSANValidation = true
			p := s.Start(t)
			c := p.DialH2()
			for _, id := range ask(c, burst) {
				if r := c.Response(id); r.Status != 503 {
					t.Errorf("answered %v", r)
				}
				if out := p.Outcome(); out.Flags != "UF" || !strings.Contains(out.Details, "remote_connection_failure") {
					t.Errorf("outcome %v", out)
				}
			}
			if n := p.ClusterStat(test.stat); n == 0 || n != p.ClusterStat("upstream_cx_connect_fail") || n > burst {
				t.Errorf("%s is %d, upstream_cx_connect_fail %d", test.stat, n, p.ClusterStat("upstream_cx_connect_fail"))
			}
			f.certify(t, "origin.test")
			f.knows("h2", "http/1.1")
			if r := c.Response(c.Get("/")); r.Status != 200 {
				t.Errorf("answered %v", r)
			}
			p.Outcome()
		})
	}
}

// TestAutoProtocolStalls gives a host that does not shake hands no more time than connect_timeout, also when nobody waits any
// more.
func TestAutoProtocolStalls(t *testing.T) {
	for name, leaves := range map[string]bool{"waited for": false, "given up": true} {
		t.Run(name, func(t *testing.T) {
			f := newAutoFront(t)
			ready := make(chan struct{})
			f.hold(ready)
			p := f.setup().Start(t)
			c, want := p.Dial(), "UF"
			c.Send(harness.Get("/"))
			for p.ClusterStat("upstream_cx_active") == 0 {
				p.Sync()
			}
			if leaves {
				c.Close()
				want = "DC"
				if out := p.Outcome(); out.Flags != want {
					t.Errorf("outcome %v", out)
				}
			}
			p.Advance(config.DefaultConnectTimeout)
			if !leaves {
				if r := c.ReadResponse("GET"); r.Status != 503 {
					t.Errorf("answered %d", r.Status)
				}
				if out := p.Outcome(); out.Flags != want || out.Details != "upstream_reset_before_response_started{connection_timeout}" {
					t.Errorf("outcome %v", out)
				}
			}
			p.Sync()
			expectStats(t, p, map[string]uint64{
				"cluster.c.upstream_cx_connect_timeout": 1, "cluster.c.upstream_cx_active": 0, "cluster.c.upstream_rq_active": 0,
				"cluster.c.upstream_rq_pending_active": 0,
			})
			close(ready)
			if r := p.Dial().Get("/"); r.Status != 200 {
				t.Errorf("answered %d afterwards", r.Status)
			}
			p.Outcome()
		})
	}
}

// TestAutoProtocolLimit holds that a breaker which allows one connection has requests wait for it, whatever is spoken on it.
func TestAutoProtocolLimit(t *testing.T) {
	const requests = 6
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			f := newAutoFront(t)
			f.knows(protocol)
			s := f.setup()
			s.Clusters[0].Breakers.MaxConnections = 1
			s.Clusters[0].HTTP2.MaxStreams = 2
			p := s.Start(t)
			c := p.DialH2()
			for range 2 {
				for _, id := range ask(c, requests) {
					if r := c.Response(id); r.Status != 200 {
						t.Errorf("answered %v", r)
					}
				}
			}
			expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_total": 1, "cluster.c.upstream_rq_pending_active": 0})
		})
	}
}

// TestAutoProtocolGoesAway has an origin of HTTP/2 end its connections, gracefully and not, with the host speaking something else
// on the next.
func TestAutoProtocolGoesAway(t *testing.T) {
	for _, next := range []string{"h2", "http/1.1"} {
		for _, refuses := range []bool{false, true} {
			t.Run(fmt.Sprint(next, refuses), func(t *testing.T) {
				one := harness.NewOrigin(t, harness.Respond(harness.OK("/0")))
				two := newHandOrigin(t)
				f := newTLSFront(t, one.Addr(), two.Addr())
				f.knows("h2")
				s := harness.NewSetup()
				speakAny(f.secure(s))
				p := s.Start(t)
				c := p.DialH2()
				ids := ask(c, 1)
				old := two.next()
				f.knows(next)
				last := uint32(noLastStream)
				if refuses {
					last = 0 // the request is made once more
				}
				old.peer.GoAway(last, http2.ErrCodeNo, "")
				for p.ClusterStat("upstream_cx_close_notify") == 0 {
				}
				if refuses && next == "h2" {
					two.next().answer()
				}
				if !refuses {
					fresh := c.Get("/0")
					if next == "h2" {
						two.next().answer()
					}
					if r := c.Response(fresh); r.Status != 200 {
						t.Errorf("answered %v", r)
					}
					old.answer()
				}
				expectAnswers(t, c, ids)
				if n := p.ClusterStat("upstream_cx_total"); n != 2 {
					t.Errorf("%d connections, want 2", n)
				}
			})
		}
	}
}

// TestAutoProtocolChangedTLS has the context change while hands are being shaken: who waits is served over a new connection.
func TestAutoProtocolChangedTLS(t *testing.T) {
	f := newAutoFront(t)
	ready := make(chan struct{})
	f.hold(ready)
	s := f.setup()
	k := s.Clusters[0]
	k.TLS.Validation, k.TLS.ValidationSecret.Name = nil, "ca"
	secret := func(ca []byte) config.Delta {
		return config.Delta{Secrets: config.Changes[*config.Secret]{Set: map[string]*config.Secret{
			"ca": {Name: "ca", Validation: &config.TLSValidation{CA: config.DataSource{Inline: ca}, MaxDepth: -1}},
		}}}
	}
	p := s.Start(t)
	p.Apply(secret(harness.NewAuthority(t).CA()))
	c := p.DialH2()
	ids := ask(c, 3)
	for p.ClusterStat("upstream_rq_pending_active") != 3 {
		p.Sync()
	}
	p.Apply(secret(f.CA()))
	close(ready)
	for _, id := range ids {
		if r := c.Response(id); r.Status != 200 || r.Body != "HTTP/2" {
			t.Errorf("answered %v", r)
		}
	}
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_total": 2, "cluster.c.upstream_cx_active": 1, "cluster.c.upstream_cx_connect_fail": 0})
}

// TestAutoProtocolTunnels opens tunnels of every kind to hosts that choose what they go over.
func TestAutoProtocolTunnels(t *testing.T) {
	eachTunnel(t, func(t *testing.T, m tunnelPair) {
		s, _ := m.setup(t, func(e tunnelEnd) {
			e.Expect("up")
			e.Send("down")
			e.ExpectEnd()
			e.End()
		})
		host := s.Clusters[0].Assignment.Localities[0].Endpoints[0].Address
		at, _ := host.Socket()
		f := newTLSFront(t, at, at)
		f.knows(map[int]string{1: "http/1.1", 2: "h2"}[m.host])
		k := f.secure(s)
		k.Protocol = config.ProtocolAuto
		if m.host == 1 {
			k.HTTP2 = config.DefaultHTTP2()
		}
		p := s.Start(t)
		c := m.ask(t, p)
		c.Send("up")
		c.Expect("down")
		c.End()
		c.ExpectEnd()
	})
}

// TestAutoProtocolHealth checks hosts of such a cluster in the protocol that the check names.
func TestAutoProtocolHealth(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint(http2), func(t *testing.T) {
			f := newAutoFront(t)
			s := f.setup()
			s.Clusters[0].HealthCheck = httpCheck()
			s.Clusters[0].HealthCheck.HTTP.HTTP2 = http2
			p := s.Start(t)
			untilFlags(t, p, "H", named{"H", f.address})
			if r := p.Dial().Get("/"); r.Status != 200 || r.Body != "HTTP/2" {
				t.Errorf("%d %q", r.Status, r.Body)
			}
		})
	}
}
