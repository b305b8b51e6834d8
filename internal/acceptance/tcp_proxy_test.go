package acceptance

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// tcpSetup has connections passed on to hosts as they are.
func tcpSetup(hosts ...netip.AddrPort) *harness.Setup {
	s := harness.NewSetup(hosts...)
	s.Listener.Default = &config.FilterChain{TCP: &config.TCPProxy{
		StatPrefix: harness.StatPrefix, Clusters: []config.WeightedCluster{{Name: harness.ClusterName, Weight: 1}},
		IdleTimeout: config.DefaultTCPIdle, MaxConnectAttempts: config.DefaultMaxConnectAttempts,
	}}
	return s
}

func tcpStat(p *harness.Proxy, name string) uint64 {
	return p.Stat("tcp." + harness.StatPrefix + "." + name)
}

// reverse reads until the client closes its side, and then says it backwards.
func reverse(p *harness.Peer) {
	all, clean := p.ReadAll()
	if !clean {
		return
	}
	var b strings.Builder
	for i := len(all) - 1; i >= 0; i-- {
		b.WriteByte(all[i])
	}
	p.Write(b.String())
	p.CloseWrite()
	p.UntilClosed()
}

func TestTCPProxy(t *testing.T) {
	origin := harness.NewOrigin(t, reverse)
	p := tcpSetup(origin.Addr()).Start(t)
	p.EachSplit("\x00\x16\x03\x01no HTTP\r\n", 1, func(how string, c *harness.Client) {
		c.CloseWrite()
		if got, want := c.ReadAll(), "\n\rPTTH on\x01\x03\x16\x00"; got != want {
			t.Errorf("%s: got %q, want %q", how, got, want)
		}
	})
	n := tcpStat(p, "downstream_cx_total")
	for name, want := range map[string]uint64{
		"tcp.in.downstream_cx_rx_bytes_total": 13 * n,
		"tcp.in.downstream_cx_tx_bytes_total": 13 * n,
		"cluster.c.upstream_cx_total":         n,
		"cluster.c.upstream_cx_http1_total":   0,
		"cluster.c.upstream_cx_active":        0,
		"cluster.c.upstream_rq_active":        0,
	} {
		if got := p.Stat(name); got != want || n == 0 {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

// TestTCPProxyHostSpeaksFirst holds that a host need not wait for the client, and that each side may end first.
func TestTCPProxyHostSpeaksFirst(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		p.Write("220 ready\r\n")
		if p.ReadBytes(4) != "QUIT" {
			return
		}
		p.Write("221 bye\r\n")
		p.CloseWrite()
		if all, clean := p.ReadAll(); all != "thanks" || !clean {
			t.Errorf("after the end: %q, %t", all, clean)
		}
	})
	p := tcpSetup(origin.Addr()).Start(t)
	c := p.Dial()
	c.Expect("220 ready\r\n")
	c.Send("QUIT")
	if got := c.ReadAll(); got != "221 bye\r\n" {
		t.Errorf("got %q", got)
	}
	c.Send("thanks")
	c.CloseWrite()
	origin.WaitEnded(0)
}

// TestTCPProxyResets holds that a reset of the host reaches the client as one.
func TestTCPProxyResets(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		p.Write("half of i")
		p.ReadBytes(1)
		p.Reset()
	})
	p := tcpSetup(origin.Addr()).Start(t)
	c := p.Dial()
	c.Expect("half of i")
	c.Send("x")
	c.ExpectReset()

	c = p.Dial()
	c.Expect("half of i")
	c.Reset()
	origin.WaitEnded(1)
}

func TestTCPProxyNoHost(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().(*net.TCPAddr).AddrPort()
	closed.Close()
	for _, tt := range []struct {
		name  string
		setup func() *harness.Setup
		want  map[string]uint64
	}{
		{"connection refused", func() *harness.Setup { return tcpSetup(nobody) }, map[string]uint64{
			"cluster.c.upstream_cx_connect_fail": 1, "cluster.c.upstream_cx_connect_attempts_exceeded": 1,
		}},
		{"every attempt refused", func() *harness.Setup {
			s := tcpSetup(nobody)
			s.TCP().MaxConnectAttempts = 3
			return s
		}, map[string]uint64{"cluster.c.upstream_cx_connect_fail": 3, "cluster.c.upstream_cx_connect_attempts_exceeded": 1}},
		{"no hosts", func() *harness.Setup { return tcpSetup() }, map[string]uint64{"cluster.c.upstream_cx_none_healthy": 1}},
		{"no cluster", func() *harness.Setup {
			s := tcpSetup(nobody)
			s.TCP().Clusters[0].Name = "other"
			return s
		}, map[string]uint64{"tcp.in.downstream_cx_no_route": 1}},
		{"too many connections", func() *harness.Setup {
			s := tcpSetup(nobody)
			s.Clusters[0].Breakers.MaxRequests = 0
			return s
		}, map[string]uint64{"cluster.c.upstream_rq_active_overflow": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.setup().Start(t)
			c := p.Dial()
			if got := c.ReadAll(); got != "" {
				t.Errorf("got %q", got)
			}
			for name, want := range tt.want {
				if got := p.Stat(name); got != want {
					t.Errorf("%s is %d, want %d", name, got, want)
				}
			}
		})
	}
}

// TestTCPProxySecondHost holds that another attempt goes to another host.
func TestTCPProxySecondHost(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().(*net.TCPAddr).AddrPort()
	closed.Close()
	origin := harness.NewOrigin(t, reverse)
	s := tcpSetup(nobody, origin.Addr())
	s.TCP().MaxConnectAttempts = 2
	p := s.Start(t)
	for range 4 {
		c := p.Dial()
		c.Send("ab")
		c.CloseWrite()
		if got := c.ReadAll(); got != "ba" {
			t.Errorf("got %q", got)
		}
	}
	if n := p.ClusterStat("upstream_cx_connect_fail"); n == 0 || n > 4 {
		t.Errorf("%d attempts failed, want one for each time that the closed port comes first", n)
	}
}

func TestTCPProxyWeights(t *testing.T) {
	a, b := harness.NewOrigin(t, reverse), harness.NewOrigin(t, reverse)
	s := tcpSetup()
	s.Clusters = []*config.Cluster{harness.Cluster("a", a.Addr()), harness.Cluster("b", b.Addr())}
	s.TCP().Clusters = []config.WeightedCluster{{Name: "a", Weight: 1}, {Name: "b", Weight: 3}}
	p := s.Start(t)
	const total = 400
	for range total {
		c := p.Dial()
		c.CloseWrite()
		c.ReadAll()
	}
	// A quarter, give or take four standard deviations.
	if n := a.Connections(); n < total/4-35 || n > total/4+35 || n+b.Connections() != total {
		t.Errorf("%d and %d connections, want a quarter and the rest of %d", n, b.Connections(), total)
	}
}

// TestTCPProxyBackPressure holds that what a client does not read stays with the host, and then comes whole.
func TestTCPProxyBackPressure(t *testing.T) {
	const size = 32 << 20
	block := strings.Repeat("x", 1<<16)
	written := make(chan int, 1)
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		n := 0
		for n < size && p.Write(block) {
			n += len(block)
		}
		written <- n
		p.CloseWrite()
		p.UntilClosed()
	})
	s := tcpSetup(origin.Addr())
	s.Listener.BufferLimit = 64 << 10
	p := s.Start(t)
	c := p.Dial(harness.ReceiveBuffer(64 << 10))
	c.Skip(1)
	select {
	case n := <-written:
		t.Errorf("the host has written %d bytes that the client has not read", n)
	case <-time.After(200 * time.Millisecond): // as long as it takes to be sure enough; more cannot make this fail
	}
	c.Skip(size - 1)
	if n := <-written; n != size {
		t.Errorf("the host has written %d bytes, want %d", n, size)
	}
	if got := c.ReadAll(); got != "" {
		t.Errorf("%d bytes too many", len(got))
	}
}

func TestTCPProxyTimeouts(t *testing.T) {
	for _, tt := range []struct {
		set       func(*config.TCPProxy)
		first     time.Duration // to this moment it lives, also when bytes have come
		statistic string
	}{
		{func(c *config.TCPProxy) { c.IdleTimeout = time.Minute }, 50 * time.Second, "idle_timeout"},
		{func(c *config.TCPProxy) { c.MaxConnectionDuration = 2 * time.Minute }, 100 * time.Second, "max_downstream_connection_duration"},
	} {
		t.Run(tt.statistic, func(t *testing.T) {
			origin := harness.NewOrigin(t, func(p *harness.Peer) {
				for p.ReadBytes(1) != "" {
					p.Write("y")
				}
			})
			s := tcpSetup(origin.Addr())
			tt.set(s.TCP())
			p := s.Start(t)
			c := p.Dial()
			c.Send("x")
			c.Expect("y")
			p.Advance(tt.first)
			c.Send("x")
			c.Expect("y")
			p.Advance(tt.first / 2)
			if n := tcpStat(p, tt.statistic); n != 0 && tt.first/2*3 < time.Minute {
				t.Errorf("%s is %d too early", tt.statistic, n)
			}
			p.Advance(tt.first)
			c.ExpectClosed()
			if n := tcpStat(p, tt.statistic); n != 1 {
				t.Errorf("%s is %d, want 1", tt.statistic, n)
			}
		})
	}
}

// TestTCPProxyTurnsHTTP holds that a listener may change what it speaks, and that connections end as they began.
func TestTCPProxyTurnsHTTP(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		for p.ReadBytes(4) == "ping" {
			p.Write("pong")
		}
		p.Write(harness.OK(""))
		p.UntilClosed()
	})
	s := tcpSetup(origin.Addr())
	p := s.Start(t)
	old := p.Dial()
	old.Send("ping")
	old.Expect("pong")

	next := harness.Listener(harness.Forward("/", harness.ClusterName))
	next.Address = s.Listener.Address
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{next.Name: next}}})
	if got := p.Dial().Get("/"); got.Status != 200 {
		t.Errorf("over HTTP: %q", got.Raw)
	}
	old.Send("ping")
	old.Expect("pong")
}
