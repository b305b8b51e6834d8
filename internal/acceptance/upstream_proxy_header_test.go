package acceptance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/inspect"
)

// proxied is a relay that takes a PROXY header off each connection and passes the rest on to a host.
type proxied struct {
	address netip.AddrPort
	mu      sync.Mutex
	headers []string // of connections, in order: their source, "local" for none
}

// newProxied starts one before a host. It ends with the test.
func newProxied(t *testing.T, host netip.AddrPort) *proxied {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &proxied{address: l.Addr().(*net.TCPAddr).AddrPort()}
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { f.relay(c.(*net.TCPConn), host) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		relays.Wait()
	})
	return f
}

// relay takes the header off a connection and passes the rest on, until both sides have ended.
func (f *proxied) relay(c *net.TCPConn, host netip.AddrPort) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(harness.Guard))
	in := bufio.NewReader(c)
	var h inspect.ProxyHeader
	for n, verdict := 1, inspect.More; verdict == inspect.More; n++ {
		data, err := in.Peek(n)
		if h, verdict = inspect.Proxy(data, inspect.ProxyV1|inspect.ProxyV2); err != nil || verdict == inspect.Other {
			f.add("none")
			return
		}
	}
	if _, err := in.Discard(h.Length); err != nil {
		return
	}
	if h.Source.IsValid() {
		f.add(h.Source.String())
	} else {
		f.add("local")
	}
	back, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(host))
	if err != nil {
		return
	}
	defer func() { _ = back.Close() }()
	_ = back.SetDeadline(time.Now().Add(harness.Guard))
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = in.WriteTo(back)
		_ = back.CloseWrite()
	})
	_, _ = io.Copy(c, back)
	_ = c.CloseWrite()
	up.Wait()
}

func (f *proxied) add(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.headers = append(f.headers, text)
}

func (f *proxied) seen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.headers, " ")
}

// TestProxyHeader tells hosts of each client, in both versions, and keeps connections for the clients that they were made for.
func TestProxyHeader(t *testing.T) {
	for name, speak := range map[string]func(*config.Cluster){"HTTP/1.1": func(*config.Cluster) {}, "HTTP/2": speakHTTP2} {
		for _, v2 := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " version 2 ", v2), func(t *testing.T) {
				o := newTLSOrigin(t, nil)
				f := newProxied(t, o.address)
				s := o.setup(nil)
				k := s.Clusters[0]
				k.Assignment = harness.Cluster(k.Name, f.address).Assignment
				k.ProxyHeader = &config.ProxyHeader{V2: v2}
				speak(k)
				p := s.Start(t)
				a, b := p.Dial(), p.Dial()
				for range 2 {
					for _, c := range []*harness.Client{a, b} {
						if r := c.Get("/"); r.Status != 200 {
							t.Errorf("answered %d", r.Status)
						}
						p.Outcome()
					}
				}
				if got, want := f.seen(), a.LocalAddr()+" "+b.LocalAddr(); got != want {
					t.Errorf("the host was told of %s, want %s", got, want)
				}
			})
		}
	}
}

// TestProxyHeaderTCP has a connection of its own, with its own header, for each that is passed on.
func TestProxyHeaderTCP(t *testing.T) {
	origin := harness.NewOrigin(t, reverse)
	f := newProxied(t, origin.Addr())
	s := tcpSetup(f.address)
	s.Clusters[0].ProxyHeader = &config.ProxyHeader{V2: true, TLVs: "\xe0\x00\x01x"}
	p := s.Start(t)
	var want []string
	for range 2 {
		c := p.Dial()
		c.Send("abc")
		c.CloseWrite()
		if got := c.ReadAll(); got != "cba" {
			t.Errorf("got %q", got)
		}
		want = append(want, c.LocalAddr())
	}
	if got := f.seen(); got != strings.Join(want, " ") {
		t.Errorf("the host was told of %s, want %s", got, want)
	}
}

// TestProxyHeaderChanges has connections of before not used when the header is another, or none, though the hosts are the same.
func TestProxyHeaderChanges(t *testing.T) {
	origin := newPatient(t, "P", nil)
	f := newProxied(t, origin.Addr())
	s := harness.NewSetup(f.address)
	s.Clusters[0].ProxyHeader = &config.ProxyHeader{}
	p := s.Start(t)
	c := p.Dial()
	get := func(status int) {
		t.Helper()
		if r := c.Get("/"); r.Status != status {
			t.Errorf("answered %d, want %d", r.Status, status)
		}
		p.Outcome()
	}
	change := func(header *config.ProxyHeader) {
		k := *s.Clusters[0]
		k.ProxyHeader = header
		s.Clusters[0] = &k
		p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{k.Name: &k}}})
		p.Sync()
	}
	get(200)
	change(&config.ProxyHeader{})
	get(200)
	if got, want := f.seen(), c.LocalAddr(); got != want {
		t.Errorf("the host was told of %s after a change that changes nothing, want %s", got, want)
	}
	change(&config.ProxyHeader{V2: true})
	get(200)
	change(nil)
	get(503)
	if got, want := f.seen(), c.LocalAddr()+" "+c.LocalAddr()+" none"; got != want {
		t.Errorf("the host was told of %s, want %s", got, want)
	}
}

// TestProxyHeaderOfHealthCheck tells a host that it is the proxy itself which asks.
func TestProxyHeaderOfHealthCheck(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		origin := newPatient(t, "P", nil)
		f := newProxied(t, origin.Addr())
		s := harness.NewSetup(f.address)
		s.Clusters[0].ProxyHeader = &config.ProxyHeader{V2: v2, TLVs: "\xe0\x00\x01x"}
		s.Clusters[0].HealthCheck = httpCheck()
		p := s.Start(t)
		for end := time.Now().Add(harness.Guard); p.ClusterStat("health_check.success") < 2 && time.Now().Before(end); {
			time.Sleep(checkInterval)
		}
		if got := f.seen(); got != "local" {
			t.Errorf("version 2 %v: the host was told of %s", v2, got)
		}
	}
}
