package acceptance

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestListenerAddresses holds that a listener accepts on all of its addresses, as they come and go, with one set of chains and
// statistics.
func TestListenerAddresses(t *testing.T) {
	s := filterSetup(nil, answerChain("", config.ChainMatch{}, "hi"))
	s.Workers = 2
	more := func(ip string) config.ListenAddress { return config.ListenAddress{Address: config.Address{IP: ip}} }
	s.Listener.Additional = []config.ListenAddress{more("127.0.0.2"), more("127.0.0.3")}
	p := s.Start(t)
	addresses := func() (all []string) {
		l := p.Server.Listeners()[0]
		for _, a := range append([]config.Address{l.Address}, l.Additional...) {
			all = append(all, a.String())
		}
		return all
	}
	before := addresses()
	var kept []*harness.Client
	for _, a := range before {
		c := p.DialAddress(a)
		if got := c.Get("/"); got.Body != "hi" {
			t.Errorf("on %s: %q", a, got.Raw)
		}
		kept = append(kept, c)
	}
	for _, name := range []string{"downstream_cx_active", "downstream_cx_total"} {
		one, other := listenerStat(p, "worker_0."+name), listenerStat(p, "worker_1."+name)
		if got := listenerStat(p, name); got != 3 || one+other != 3 {
			t.Errorf("%s is %d, %d and %d of the workers, want 3", name, got, one, other)
		}
	}
	if got := p.Stat("listener_manager.listener_create_success"); got != 2 {
		t.Errorf("the listener was put into force %d times, want 2: once per worker", got)
	}
	next := *s.Listener
	next.Additional = []config.ListenAddress{more("127.0.0.3"), more("127.0.0.4")}
	applyListener(p, &next)
	after := addresses()
	if len(after) != 3 || after[0] != before[0] || after[1] != before[2] {
		t.Errorf("the addresses are %v, and were %v", after, before)
	}
	if _, err := net.Dial("tcp", before[1]); err == nil {
		t.Errorf("%s still accepts", before[1])
	}
	if got := p.DialAddress(after[2]).Get("/"); got.Body != "hi" {
		t.Errorf("on the new address: %q", got.Raw)
	}
	for _, c := range kept { // the listener was changed, but for its chains
		if got := c.Get("/"); got.Body != "hi" || got.Fields.Get("connection") != "close" {
			t.Errorf("on a connection of before: %q", got.Raw)
		}
	}
}

// reconnecting has a client connect to an address again and again, and get the answer "hi" each time. stop ends that, and returns how
// many connections were answered.
func reconnecting(t *testing.T, p *harness.Proxy, address string) (stop func() int) {
	ending, done := make(chan struct{}), make(chan int)
	go func() {
		answered := 0
		defer func() { done <- answered }()
		for {
			select {
			case <-ending:
				return
			default:
			}
			c, err := p.TryDial(address)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Write(harness.Get("/")); err != nil {
				t.Error(err)
				return
			}
			if resp, err := c.TryResponse("GET"); err != nil || resp.Body != "hi" {
				t.Errorf("%v: got %q", err, resp.Raw)
				return
			}
			c.Close()
			answered++
		}
	}()
	return func() int {
		close(ending)
		return <-done
	}
}

// TestListenerRenamed holds that a listener that takes the place of another on its address takes over its sockets: a client
// that connects again and again meanwhile is never refused or reset.
func TestListenerRenamed(t *testing.T) {
	s := filterSetup(nil, answerChain("", config.ChainMatch{}, "hi"))
	s.Listener.Address.Port = freePort(t)
	p := s.Start(t)
	address := p.Address()
	stop := reconnecting(t, p, address)
	for i := range 100 {
		renamed := *s.Listener
		renamed.Name = fmt.Sprintf("renamed-%d", i)
		p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{renamed.Name: &renamed}, Replace: true}})
	}
	t.Logf("%d connections were answered", stop())
}

// TestListenerIPv4Compat holds that a socket on the IPv6 address for all takes connections over IPv4 only when it is to, and
// that their addresses are those of IPv4.
func TestListenerIPv4Compat(t *testing.T) {
	if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skipf("there is no IPv6: %v", err)
	} else {
		_ = ln.Close()
	}
	for _, compat := range []bool{false, true} {
		s := filterSetup(nil, answerChain("", fromBlock("127.0.0.0/8"), "four"), answerChain("", fromBlock("::/0"), "six"))
		s.Listener.Address.IP, s.Listener.Socket.IPv4Compat = "::", compat
		p := s.Start(t)
		port := p.Server.Listeners()[0].Address.Port
		if got := p.DialAddress(fmt.Sprintf("[::1]:%d", port)).Get("/"); got.Body != "six" {
			t.Errorf("over IPv6: %q", got.Raw)
		}
		c, err := p.TryDial(fmt.Sprintf("127.0.0.1:%d", port))
		if (err == nil) != compat {
			t.Fatalf("over IPv4, compat %t: %v", compat, err)
		}
		if compat {
			if got := c.Get("/"); got.Body != "four" {
				t.Errorf("over IPv4: %q", got.Raw)
			}
		}
	}
}

// TestListenerSocketOptions holds that options are set when they are to be, and that one that cannot be set refuses the
// listener.
func TestListenerSocketOptions(t *testing.T) {
	s := filterSetup(nil, answerChain("", config.ChainMatch{}, "hi"))
	s.Listener.Address.IP, s.Listener.Socket.Freebind = "192.0.2.77", true // which is on no machine
	s.Listener.Socket.Backlog = 3
	s.Listener.Socket.Options = []config.SocketOption{
		{Level: unix.SOL_SOCKET, Name: unix.SO_KEEPALIVE, Int: 1},
		{Level: unix.IPPROTO_TCP, Name: unix.TCP_DEFER_ACCEPT, Int: 1, State: config.SocketListening},
		{Level: unix.IPPROTO_IP, Name: unix.IP_TOS, Int: 8, State: config.SocketBound},
		{Level: unix.IPPROTO_TCP, Name: unix.TCP_CONGESTION, Bytes: []byte("reno")},
	}
	p := s.Start(t)
	if got := p.Address(); !strings.HasPrefix(got, "192.0.2.77:") {
		t.Errorf("listens on %s", got)
	}
	bad := *s.Listener
	bad.Name = "bad"
	bad.Socket.Options = []config.SocketOption{{Level: unix.IPPROTO_TCP, Name: 9999, Int: 1}}
	err := p.Server.Store().Apply(config.SourceFile, config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{"bad": &bad}}})
	if err == nil || !strings.Contains(err.Error(), "setsockopt level 6, name 9999") {
		t.Errorf("got %v", err)
	}
	bad.Socket = config.SocketSettings{}
	err = p.Server.Store().Apply(config.SourceFile, config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{"bad": &bad}}})
	if err == nil || !strings.Contains(err.Error(), "cannot assign requested address") {
		t.Errorf("without freebind: %v", err)
	}
}
