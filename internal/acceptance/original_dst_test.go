package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// meantFor is a PROXY header that tells where the client wanted to connect to.
func meantFor(ip string, port int) string {
	family := "TCP4"
	from := "192.0.2.9"
	if strings.Contains(ip, ":") {
		family, from = "TCP6", "2001:db8::9"
	}
	return fmt.Sprintf("PROXY %s %s %s 4321 %d\r\n", family, from, ip, port)
}

// virtualSetup is a listener that hands connections off, whose original destination a PROXY header tells.
func virtualSetup() *harness.Setup {
	s := filterSetup([]any{config.ProxyProtocol{AllowWithout: true}, config.OriginalDst{}}, answerChain("", config.ChainMatch{}, "own"))
	s.Listener.HandsOff = true
	return s
}

// unbound returns a listener that does not bind, with a chain that answers with its name.
func unbound(name, ip string, port uint32) *config.Listener {
	l := harness.Listener()
	l.Name, l.Unbound, l.Address = name, true, config.Address{IP: ip, Port: port}
	l.Default, l.Chains = nil, []*config.FilterChain{answerChain("", config.ChainMatch{}, name)}
	return l
}

func setListeners(p *harness.Proxy, list ...*config.Listener) {
	p.Apply(config.Delta{Listeners: listenerChanges(list...)})
}

func listenerChanges(list ...*config.Listener) config.Changes[*config.Listener] {
	c := config.Changes[*config.Listener]{Set: make(map[string]*config.Listener)}
	for _, l := range list {
		c.Set[l.Name] = l
	}
	return c
}

// TestHandOff gives connections to the listener that they were meant for: of the very address, else of all with the port, else nobody
// else. Statistics are those of who serves them.
func TestHandOff(t *testing.T) {
	s := virtualSetup()
	p := s.Start(t)
	both := unbound("both", "::", 8084)
	both.Socket.IPv4Compat = true
	exact := unbound("exact", "198.51.100.1", 8080)
	exact.Additional = []config.ListenAddress{{Address: config.Address{IP: "198.51.100.1", Port: 8083}}}
	bound := harness.Listener()
	bound.Name, bound.Default = "bound", answerChain("", config.ChainMatch{}, "bound")
	setListeners(p, exact, unbound("wild", "0.0.0.0", 8080), unbound("six", "::", 8080), both, bound)
	address := s.Listener.Name
	ports := map[string]int{}
	for _, l := range p.Server.Listeners() {
		ports[l.Name] = int(l.Address.Port)
		if l.Name == s.Listener.Name {
			address = l.Address.String()
		}
	}
	for _, tt := range []struct {
		ip   string
		port int
		want string
	}{
		{"198.51.100.1", 8080, "exact"}, {"198.51.100.1", 8083, "exact"}, {"198.51.100.2", 8080, "wild"}, {"2001:db8::1", 8080, "six"},
		{"198.51.100.2", 8084, "both"}, {"2001:db8::1", 8084, "both"}, {"198.51.100.1", 8081, "own"}, {"::ffff:198.51.100.1", 8080, "exact"},
		{"127.0.0.1", ports["bound"], "bound"}, {"127.0.0.2", ports["bound"], "own"}, {"127.0.0.1", ports[s.Listener.Name], "own"},
	} {
		c := p.DialAddress(address)
		c.SendSplit(meantFor(tt.ip, tt.port)+harness.Get("/")+harness.Get("/"), 20, 60)
		for range 2 {
			if got := c.ReadResponse("GET"); got.Body != tt.want {
				t.Errorf("meant for %s port %d: answered by %q, want %q", tt.ip, tt.port, got.Body, tt.want)
			}
		}
	}
	if got := p.DialAddress(address).Get("/"); got.Body != "own" {
		t.Errorf("without a destination: %q", got.Raw)
	}
	for scope, want := range map[string]uint64{"198.51.100.1_8080": 3, "0.0.0.0_8080": 1, "[__]_8080": 1, "[__]_8084": 2,
		strings.ReplaceAll(address, ":", "_"): 4} {
		for _, name := range []string{"downstream_cx_total", "downstream_cx_active", "worker_0.downstream_cx_active"} {
			if got := p.Stat("listener." + scope + "." + name); got != want {
				t.Errorf("listener %s: %s is %d, want %d", scope, name, got, want)
			}
		}
	}
}

// TestHandOffNotAsked serves connections where they were accepted, unless the listener is to hand them off.
func TestHandOffNotAsked(t *testing.T) {
	s := virtualSetup()
	s.Listener.HandsOff = false
	p := s.Start(t)
	setListeners(p, unbound("exact", "198.51.100.1", 8080))
	c := p.DialAddress(p.Server.Listeners()[1].Address.String())
	c.Send(meantFor("198.51.100.1", 8080), harness.Get("/"))
	if got := c.ReadResponse("GET"); got.Body != "own" {
		t.Errorf("answered by %q", got.Body)
	}
}

// TestHandOffFilters has the listener that gets a connection look at it with filters and chains of its own, which know what was found
// out before.
func TestHandOffFilters(t *testing.T) {
	s := virtualSetup()
	s.Listener.Filters = append(s.Listener.Filters, config.ListenerFilter{Config: inspectTLS})
	p := s.Start(t)
	l := unbound("exact", "198.51.100.1", 8080)
	l.Filters = []config.ListenerFilter{{Config: config.HTTPInspector{}}}
	l.Chains = []*config.FilterChain{
		answerChain("http", config.ChainMatch{ApplicationProtocols: []string{"http/1.1"}, DestinationPort: 8080, TransportProtocol: "raw_buffer"}, "http"),
	}
	setListeners(p, l)
	c := p.DialAddress(p.Server.Listeners()[1].Address.String())
	c.SendSplit(meantFor("198.51.100.1", 8080)+harness.Get("/"), 60)
	if got := c.ReadResponse("GET"); got.Body != "http" {
		t.Errorf("got %q", got.Raw)
	}
	c.Close()
	other := p.DialAddress(p.Server.Listeners()[1].Address.String())
	other.Send(meantFor("198.51.100.1", 8080), "\x00\x01 something else\r\n\r\n")
	other.ExpectClosed()
	if got := p.Stat("listener.198.51.100.1_8080.no_filter_chain_match"); got != 1 {
		t.Errorf("no_filter_chain_match is %d, want 1", got)
	}
}

// TestHandOffUpdated holds that a listener that does not bind changes, drains and goes by itself.
func TestHandOffUpdated(t *testing.T) {
	s := virtualSetup()
	p := s.Start(t)
	setListeners(p, unbound("a", "198.51.100.1", 8080))
	address := p.Server.Listeners()[1].Address.String()
	ask := func() (*harness.Client, string) {
		c := p.DialAddress(address)
		c.Send(meantFor("198.51.100.1", 8080), harness.Get("/"))
		return c, c.ReadResponse("GET").Body
	}
	kept, got := ask()
	if got != "a" {
		t.Fatalf("answered by %q", got)
	}
	changed := unbound("a", "198.51.100.1", 8080)
	changed.Chains = []*config.FilterChain{answerChain("", config.ChainMatch{}, "changed")}
	setListeners(p, changed)
	if got := kept.Get("/"); got.Body != "changed" || got.Fields.Get("connection") != "close" {
		t.Errorf("on a connection of before: %q, want the new chain's answer, and the end", got.Raw)
	}
	kept, got = ask()
	if got != "changed" {
		t.Errorf("answered by %q, want the chain as it is now", got)
	}
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Remove: []string{"a"}}})
	if got := kept.Get("/"); got.Fields.Get("connection") != "close" {
		t.Errorf("on a connection of before: %q, want the end", got.Raw)
	}
	if _, got := ask(); got != "own" {
		t.Errorf("answered by %q, want who has accepted", got)
	}
	setListeners(p, unbound("b", "0.0.0.0", 8080))
	if _, got := ask(); got != "b" {
		t.Errorf("answered by %q, want b", got)
	}
	bound := unbound("b", "127.0.0.1", 0)
	bound.Unbound = false
	setListeners(p, bound)
	if got := p.DialAddress(p.Server.Listeners()[0].Address.String()).Get("/"); got.Body != "b" {
		t.Errorf("a listener that binds now: %q", got.Raw)
	}
}

// TestHandOffLimit counts a connection for the listener that serves it, and closes one that is beyond the limit of that.
func TestHandOffLimit(t *testing.T) {
	s := virtualSetup()
	p := s.Start(t)
	setListeners(p, unbound("a", "198.51.100.1", 8080))
	setRuntime(p, map[string]uint64{"envoy.resource_limits.listener.a.connection_limit": 1})
	address := p.Server.Listeners()[1].Address.String()
	first := p.DialAddress(address)
	first.Send(meantFor("198.51.100.1", 8080), harness.Get("/"))
	if got := first.ReadResponse("GET"); got.Body != "a" {
		t.Errorf("got %q", got.Raw)
	}
	second := p.DialAddress(address)
	second.Send(meantFor("198.51.100.1", 8080), harness.Get("/"))
	second.ExpectClosed()
	if got := p.Stat("listener.198.51.100.1_8080.downstream_cx_overflow"); got != 1 {
		t.Errorf("downstream_cx_overflow is %d, want 1", got)
	}
	if got := p.DialAddress(address).Get("/"); got.Body != "own" {
		t.Errorf("the other listener: %q", got.Raw)
	}
}

// TestHandOffAmbiguous refuses an address that a listener which does not bind has in common with another.
func TestHandOffAmbiguous(t *testing.T) {
	s := virtualSetup()
	p := s.Start(t)
	setListeners(p, unbound("a", "198.51.100.1", 8080))
	more := unbound("c", "198.51.100.2", 7)
	more.Additional = []config.ListenAddress{{Address: config.Address{IP: "0.0.0.0", Port: 7}}}
	setListeners(p, more)
	for _, l := range []*config.Listener{unbound("b", "198.51.100.1", 8080), unbound("b", "0.0.0.0", 7)} {
		err := p.Server.Store().Apply(config.SourceFile, config.Delta{Listeners: listenerChanges(l)})
		if err == nil || !strings.Contains(err.Error(), "is taken by listener") {
			t.Errorf("%s: %v", l.Address, err)
		}
	}
}
