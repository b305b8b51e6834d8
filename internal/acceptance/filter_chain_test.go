package acceptance

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// from has a client come from an address of the loopback network.
func from(ip string) harness.DialOption {
	return func(d *net.Dialer) { d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(ip)} }
}

// fromBlock matches connections from a block of addresses.
func fromBlock(block string) config.ChainMatch {
	return config.ChainMatch{SourcePrefixes: []netip.Prefix{netip.MustParsePrefix(block)}}
}

// answerChain returns a chain that answers every request with text.
func answerChain(name string, match config.ChainMatch, text string) *config.FilterChain {
	route := harness.Match("/")
	route.Direct = &config.DirectResponse{Status: 200, Body: []byte(text)}
	chain := harness.Listener(route).Default
	chain.Name, chain.Match = name, match
	return chain
}

// applyListener makes l the configuration of its name.
func applyListener(p *harness.Proxy, l *config.Listener) {
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{l.Name: l}}})
}

// listenerStat returns a statistic of the listener of the harness.
func listenerStat(p *harness.Proxy, name string) uint64 {
	address := p.Server.Listeners()[0].Address
	return p.Stat("listener." + strings.ReplaceAll(address.String(), ":", "_") + "." + name)
}

func TestFilterChains(t *testing.T) {
	origin := harness.NewOrigin(t, reverse)
	s := tcpSetup(origin.Addr())
	tcp := &config.FilterChain{Match: fromBlock("127.0.0.3/32"), TCP: s.TCP()}
	s.Listener.Chains = []*config.FilterChain{
		answerChain("two", fromBlock("127.0.0.2/32"), "two"), tcp, answerChain("rest of eight", fromBlock("127.8.0.0/16"), "eight"),
	}
	s.Listener.Default = nil
	p := s.Start(t)
	if got := p.Dial(from("127.0.0.2")).Get("/"); got.Body != "two" {
		t.Errorf("from 127.0.0.2: %q", got.Raw)
	}
	if got := p.Dial(from("127.8.8.8")).Get("/"); got.Body != "eight" {
		t.Errorf("from 127.8.8.8: %q", got.Raw)
	}
	c := p.Dial(from("127.0.0.3"))
	c.Send("abc")
	c.CloseWrite()
	if got := c.ReadAll(); got != "cba" {
		t.Errorf("from 127.0.0.3: %q", got)
	}
	p.Dial(from("127.0.0.4")).ExpectClosed()
	p.Sync()
	for name, want := range map[string]uint64{"no_filter_chain_match": 1, "downstream_cx_total": 3, "downstream_cx_active": 2} {
		if got := listenerStat(p, name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	s.Listener.Default = answerChain("default", config.ChainMatch{}, "default")
	with := *s.Listener
	applyListener(p, &with)
	if got := p.Dial(from("127.0.0.4")).Get("/"); got.Body != "default" {
		t.Errorf("with a default chain, from 127.0.0.4: %q", got.Raw)
	}
}

// TestFilterChainUpdatedInPlace changes one chain of three and removes one: only the connections of those end, when they have
// something to say it with or the time to drain is over, and the listener's socket stays.
func TestFilterChainUpdatedInPlace(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		for p.ReadBytes(4) == "ping" {
			p.Write("pong")
		}
	})
	s := tcpSetup(origin.Addr())
	tcp := s.Listener.Default
	tcp.Match = fromBlock("127.0.0.3/32")
	chain := func(n, text string) *config.FilterChain { return answerChain(n, fromBlock("127.0.0."+n+"/32"), text) }
	s.Listener.Chains, s.Listener.Default = []*config.FilterChain{chain("1", "one"), chain("2", "two"), tcp}, nil
	p := s.Start(t)
	open := func(ip string) *harness.Client { return p.Dial(from("127.0.0." + ip)) }
	stays, changes, idle, gone := open("1"), open("2"), open("2"), open("3")
	for _, c := range []*harness.Client{stays, changes, idle} {
		c.Get("/")
	}
	gone.Send("ping")
	gone.Expect("pong")
	address := p.Address()

	next := *s.Listener
	next.Chains = []*config.FilterChain{chain("2", "changed"), chain("1", "one")} // equal, but not the same
	applyListener(p, &next)
	if got := p.Address(); got != address {
		t.Errorf("the listener is on %s, want %s as before", got, address)
	}
	if got := stays.Get("/"); got.Body != "one" || got.Fields.Has("connection") {
		t.Errorf("on the chain that stays: %q", got.Raw)
	}
	if got := changes.Get("/"); got.Body != "changed" || got.Fields.Get("connection") != "close" {
		t.Errorf("on the chain that was changed: %q", got.Raw)
	}
	changes.ExpectClosed()
	changes.Close()
	if got := open("2").Get("/"); got.Body != "changed" || got.Fields.Has("connection") {
		t.Errorf("a new connection: %q", got.Raw)
	}
	open("3").ExpectClosed()
	gone.Send("ping")
	gone.Expect("pong")
	idle.ExpectOpen()
	check := func(draining uint64) {
		t.Helper()
		for name, want := range map[string]uint64{"listener_in_place_updated": 1, "total_filter_chains_draining": draining, "total_listeners_draining": 0} {
			if got := p.Stat("listener_manager." + name); got != want {
				t.Errorf("%s is %d, want %d", name, got, want)
			}
		}
	}
	check(2)
	if got := p.Server.Draining(); len(got) != 0 {
		t.Errorf("draining are %v, of a listener that was updated in place", got)
	}
	p.Advance(proxy.DefaultDrainTime)
	idle.ExpectClosed()
	gone.ExpectClosed()
	p.Sync()
	check(0)
	if got := stays.Get("/"); got.Body != "one" {
		t.Errorf("on the chain that stays: %q", got.Raw)
	}
}

// TestFilterChainChangedTwice changes a chain again while the first change drains: what drains is served as the chain is now.
func TestFilterChainChangedTwice(t *testing.T) {
	s := harness.NewSetup()
	s.Listener.Default = answerChain("", config.ChainMatch{}, "first")
	p := s.Start(t)
	c, late := p.Dial(), p.Dial()
	for _, text := range []string{"second", "third"} {
		next := *s.Listener
		next.Default = answerChain("", config.ChainMatch{}, text)
		applyListener(p, &next)
	}
	if got := c.Get("/"); got.Body != "third" {
		t.Errorf("got %q, want the third", got.Raw)
	}
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Replace: true}})
	if got := late.Get("/"); got.Body != "third" {
		t.Errorf("after the listener was removed: %q, want the third", got.Raw)
	}
}
