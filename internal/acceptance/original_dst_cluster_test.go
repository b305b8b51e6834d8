package acceptance

import (
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// originalSetup is a proxy whose cluster sends requests to where their clients have connected to, which a PROXY header tells.
func originalSetup() *harness.Setup {
	s := harness.NewSetup()
	s.Listener.Filters = []config.ListenerFilter{{Config: config.ProxyProtocol{AllowWithout: true}}}
	k := s.Clusters[0]
	k.Type, k.OriginalDst.Cleanup = config.ClusterOriginalDst, config.DefaultHostCleanup
	return s
}

// meantForHost is a PROXY header for a client that wanted to connect to an origin.
func meantForHost(o *harness.Origin) string {
	return meantFor(o.Addr().Addr().String(), int(o.Addr().Port()))
}

// hostsOf returns the addresses of the hosts that the cluster has.
func hostsOf(p *harness.Proxy) (all []string) {
	for _, k := range p.Server.Clusters() {
		if k.Config.Name == harness.ClusterName {
			for _, h := range k.Hosts {
				all = append(all, h.Address)
			}
		}
	}
	return all
}

// tellName is a script that answers with a name.
func tellName(name string) func(*harness.Peer) { return harness.Respond(harness.OK(name)) }

// TestOriginalDst sends requests to the host that each connection was meant for. Without one there is none.
func TestOriginalDst(t *testing.T) {
	a, b := harness.NewOrigin(t, tellName("a")), harness.NewOrigin(t, tellName("b"))
	p := originalSetup().Start(t)
	for _, tt := range []struct {
		origin *harness.Origin
		want   string
	}{{a, "a"}, {b, "b"}, {a, "a"}} {
		c := p.Dial()
		c.Send(meantForHost(tt.origin), harness.Get("/"))
		for range 2 {
			if got := c.ReadResponse("GET"); got.Body != tt.want {
				t.Errorf("got %q, want the answer of %s", got.Raw, tt.want)
			}
			c.Send(harness.Get("/"))
		}
		c.ReadResponse("GET")
	}
	for name, want := range map[string]uint64{"membership_total": 2, "membership_healthy": 2, "membership_change": 2, "upstream_cx_none_healthy": 0} {
		if got := p.ClusterStat(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if got := p.Dial().Get("/"); got.Status != 503 || got.Body != "no healthy upstream" {
		t.Errorf("without a destination: %q", got.Raw)
	}
	if got := p.ClusterStat("upstream_cx_none_healthy"); got != 1 {
		t.Errorf("upstream_cx_none_healthy is %d, want 1", got)
	}
}

// TestOriginalDstField sends requests to the host that they name, where that is asked for, and counts what is no address.
func TestOriginalDstField(t *testing.T) {
	a, b := harness.NewOrigin(t, tellName("a")), harness.NewOrigin(t, tellName("b"))
	s := originalSetup()
	s.Clusters[0].OriginalDst.Field = config.DefaultHostField
	p := s.Start(t)
	c := p.Dial()
	c.Send(meantForHost(a))
	named := func(value string) harness.Response { return c.Get("/", "X-Envoy-Original-Dst-Host: "+value) }
	if got := named(b.Addr().String()); got.Body != "b" {
		t.Errorf("named: %q", got.Raw)
	}
	if got := named("[::ffff:127.0.0.1]:" + strings.TrimPrefix(b.Addr().String(), "127.0.0.1:")); got.Body != "b" {
		t.Errorf("named as IPv6: %q", got.Raw)
	}
	for _, bad := range []string{"", "b", "127.0.0.1", "127.0.0.1:70000", "[fe80::1%lo]:80", "[::1]"} {
		if got := named(bad); got.Body != "a" {
			t.Errorf("named %q: %q, want the original destination", bad, got.Raw)
		}
	}
	if got := c.Get("/"); got.Body != "a" {
		t.Errorf("without a name: %q", got.Raw)
	}
	if got := p.ClusterStat("original_dst_host_invalid"); got != 6 {
		t.Errorf("original_dst_host_invalid is %d, want 6", got)
	}
	if got := hostsOf(p); len(got) != 2 {
		t.Errorf("the hosts are %v, want two", got)
	}
}

// TestOriginalDstFieldNotAsked takes no notice of the field unless it is asked for.
func TestOriginalDstFieldNotAsked(t *testing.T) {
	a, b := harness.NewOrigin(t, tellName("a")), harness.NewOrigin(t, tellName("b"))
	p := originalSetup().Start(t)
	c := p.Dial()
	c.Send(meantForHost(a))
	if got := c.Get("/", config.DefaultHostField+": "+b.Addr().String()); got.Body != "a" {
		t.Errorf("got %q", got.Raw)
	}
}

// TestOriginalDstPort sends all to one port, whichever they were meant for.
func TestOriginalDstPort(t *testing.T) {
	a := harness.NewOrigin(t, tellName("a"))
	s := originalSetup()
	s.Clusters[0].OriginalDst.Port = a.Addr().Port()
	c := s.Start(t).Dial()
	c.Send(meantFor("127.0.0.1", 1), harness.Get("/"))
	if got := c.ReadResponse("GET"); got.Body != "a" {
		t.Errorf("got %q", got.Raw)
	}
}

// TestOriginalDstForgets forgets hosts that nobody has asked for between two cleanups and to which nothing is open, and makes them
// anew when they are asked for again.
func TestOriginalDstForgets(t *testing.T) {
	a := harness.NewOrigin(t, tellName("a"))
	s := originalSetup()
	s.Clusters[0].OriginalDst.Cleanup = time.Second
	s.Clusters[0].MaxRequestsPerConnection = 1 // nothing stays open
	p := s.Start(t)
	c := p.Dial()
	c.Send(meantForHost(a))
	for round := range 2 {
		if got := c.Get("/"); got.Body != "a" {
			t.Fatalf("got %q", got.Raw)
		}
		p.Advance(time.Second) // the cleanup after which it counts as unused
		if got := hostsOf(p); len(got) != 1 || got[0] != a.Addr().String() {
			t.Errorf("round %d: the hosts are %v, want %s", round, got, a.Addr())
		}
		p.Advance(time.Second)
		if got := hostsOf(p); len(got) != 0 {
			t.Errorf("round %d: the hosts are %v, want none", round, got)
		}
		if total, changes := p.ClusterStat("membership_total"), p.ClusterStat("membership_change"); total != 0 || changes != uint64(2*round+2) {
			t.Errorf("round %d: membership_total is %d and membership_change %d", round, total, changes)
		}
	}
}

// TestOriginalDstKeeps keeps a host as long as a connection to it is open.
func TestOriginalDstKeeps(t *testing.T) {
	a := harness.NewOrigin(t, tellName("a"))
	s := originalSetup()
	s.Clusters[0].IdleTimeout = 10 * time.Second
	p := s.Start(t)
	c := p.Dial()
	c.Send(meantForHost(a))
	c.Get("/")
	p.Advance(5 * time.Second)
	p.Advance(4 * time.Second)
	if got := hostsOf(p); len(got) != 1 {
		t.Errorf("the hosts are %v, want the one that a connection is open to", got)
	}
	p.Advance(2 * time.Second) // which ends the connection
	p.Advance(5 * time.Second)
	p.Advance(5 * time.Second)
	if got := hostsOf(p); len(got) != 0 {
		t.Errorf("the hosts are %v, want none", got)
	}
}

// TestOriginalDstWorkers counts a host once that several workers have.
func TestOriginalDstWorkers(t *testing.T) {
	a := harness.NewOrigin(t, tellName("a"))
	s := originalSetup()
	s.Workers = 3
	p := s.Start(t)
	for range 12 {
		c := p.Dial()
		c.Send(meantForHost(a), harness.Get("/"))
		c.ReadResponse("GET")
	}
	if got := p.ClusterStat("membership_total"); got != 1 {
		t.Errorf("membership_total is %d, want 1", got)
	}
	if got := hostsOf(p); len(got) != 1 {
		t.Errorf("the hosts are %v, want one", got)
	}
}

// TestOriginalDstTCP passes the bytes of connections on to where each was meant to go, and ends those of which that is not known.
func TestOriginalDstTCP(t *testing.T) {
	a := harness.NewOrigin(t, reverse)
	s := tcpSetup()
	s.Listener.Filters = []config.ListenerFilter{{Config: config.ProxyProtocol{AllowWithout: true}}}
	s.Clusters[0].Type, s.Clusters[0].OriginalDst.Cleanup = config.ClusterOriginalDst, time.Second
	p := s.Start(t)
	c := p.Dial()
	c.Send(meantForHost(a), "abc")
	for p.ClusterStat("upstream_cx_active") == 0 {
		p.Sync()
	}
	p.Advance(time.Second)
	p.Advance(time.Second)
	if got := hostsOf(p); len(got) != 1 {
		t.Errorf("the hosts are %v, want the one that a connection is open to", got)
	}
	c.CloseWrite()
	c.Expect("cba")
	other := p.Dial()
	other.Send("abc")
	other.ExpectClosed()
	if got := p.ClusterStat("upstream_cx_none_healthy"); got != 1 {
		t.Errorf("upstream_cx_none_healthy is %d, want 1", got)
	}
}

// TestOriginalDstUpdated has a cluster become one of another type and back, and go, while there are hosts. Those that stay keep their
// connections through other changes.
func TestOriginalDstUpdated(t *testing.T) {
	a, b := harness.NewOrigin(t, tellName("a")), harness.NewOrigin(t, tellName("b"))
	s := originalSetup()
	p := s.Start(t)
	c := p.Dial()
	c.Send(meantForHost(a))
	ask := func(want string) {
		t.Helper()
		if got := c.Get("/"); got.Body != want {
			t.Errorf("got %q, want %q", got.Raw, want)
		}
	}
	set := func(k *config.Cluster) {
		p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{k.Name: k}}})
	}
	ask("a")
	slower := *s.Clusters[0]
	slower.ConnectTimeout++
	set(&slower)
	ask("a")
	if got := p.ClusterStat("upstream_cx_total"); got != 1 {
		t.Errorf("there were %d connections, want the one that is kept", got)
	}
	set(harness.Cluster(harness.ClusterName, b.Addr()))
	ask("b")
	if got := hostsOf(p); len(got) != 1 || got[0] != b.Addr().String() {
		t.Errorf("the hosts are %v, want those of the other type", got)
	}
	if got := p.ClusterStat("membership_total"); got != 1 {
		t.Errorf("membership_total is %d, want 1", got)
	}
	set(s.Clusters[0])
	ask("a")
	if got := hostsOf(p); len(got) != 1 || got[0] != a.Addr().String() {
		t.Errorf("the hosts are %v, want the original destination", got)
	}
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Remove: []string{harness.ClusterName}}})
	if got := c.Get("/"); got.Status != 503 {
		t.Errorf("without the cluster: %q", got.Raw)
	}
}
