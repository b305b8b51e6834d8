package acceptance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// protocols are the ways in which a cluster speaks to hosts.
var protocols = map[string]func(*config.Cluster){"HTTP/1.1": func(*config.Cluster) {}, "HTTP/2": speakHTTP2, "chosen": speakAny}

// asking is a request for a host.
func asking(authority string, fields ...string) string {
	request := "GET / HTTP/1.1\r\nHost: " + authority + "\r\n"
	for _, f := range fields {
		request += f + "\r\n"
	}
	return request + "\r\n"
}

// TestAutoSNI asks hosts for the name in the request, and keeps a connection for each name.
func TestAutoSNI(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			f := newAutoFront(t)
			s := f.setup()
			k := s.Clusters[0]
			k.Protocol = config.ProtocolHTTP1
			speak(k)
			k.AutoName = &config.AutoName{SNI: true}
			s.Route(0).Forward.HostRewriteHeader = "x-rewrite"
			p := s.Start(t)
			c := p.Dial()
			for range 2 {
				for _, request := range []string{
					asking("a.test"), asking("b.test:8443"), asking("A.Test."), asking("10.0.0.1:80"), asking("[::1]"), asking("c.test", "X-Rewrite: d.test"),
				} {
					c.Send(request)
					if r := c.ReadResponse("GET"); r.Status != 200 {
						t.Errorf("%q: answered %d", request, r.Status)
					}
					p.Outcome()
				}
			}
			// An address is no name: what the context says is asked for.
			if got, want := f.seen(), []string{"a.test", "b.test", "origin.test", "d.test"}; !slices.Equal(got, want) {
				t.Errorf("asked for %q, want %q", got, want)
			}
		})
	}
}

// TestAutoSNIHeader asks for the name in a field, where there is one. What is no name is not asked for, and neither is one of two.
func TestAutoSNIHeader(t *testing.T) {
	f := newAutoFront(t)
	s := f.setup()
	s.Clusters[0].AutoName = &config.AutoName{SNI: true, Header: "x-name"}
	p := s.Start(t)
	c := p.Dial()
	for _, test := range []struct {
		fields []string
		status int
	}{
		{nil, 200}, {[]string{"X-Name: b.test:1"}, 200}, {[]string{"X-Name:"}, 200}, {[]string{"X-Name: b.test", "X-Name: b.test"}, 503},
		{[]string{"X-Name: a b"}, 503}, {[]string{"X-Name: u@b.test"}, 503}, {[]string{"X-Name: " + fmt.Sprintf("%0254d", 0)}, 503},
	} {
		c.Send(asking("a.test", test.fields...))
		if r := c.ReadResponse("GET"); r.Status != test.status {
			t.Errorf("%q: answered %d, want %d", test.fields, r.Status, test.status)
		}
		if out := p.Outcome(); test.status == 503 && out.Flags != "UF" {
			t.Errorf("%q: outcome %v", test.fields, out)
		}
	}
	if got, want := f.seen(), []string{"a.test", "b.test"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// TestAutoSANValidation holds that a connection carries requests for the name alone that its host has a certificate for.
func TestAutoSANValidation(t *testing.T) {
	for name, speak := range protocols {
		for _, sni := range []bool{true, false} {
			t.Run(fmt.Sprint(name, sni), func(t *testing.T) {
				f := newAutoFront(t, "a.test", "*.w.test", "127.0.0.1")
				s := f.setup()
				k := s.Clusters[0]
				k.Protocol = config.ProtocolHTTP1
				speak(k)
				k.AutoName = &config.AutoName{SNI: sni, SAN: true}
				k.TLS.Validation.SANs = sanExact("never.test") // which the request's name takes the place of
				p := s.Start(t)
				c := p.Dial()
				for i, test := range []struct {
					authority string
					status    int
				}{
					{"a.test", 200}, {"b.test", 503}, {"a.test", 200}, {"one.w.test", 200}, {"127.0.0.1:80", 200}, {"127.0.0.2", 503}, {"w.test", 503},
				} {
					c.Send(asking(test.authority))
					if r := c.ReadResponse("GET"); r.Status != test.status {
						t.Errorf("%d, %s: answered %d, want %d", i, test.authority, r.Status, test.status)
					}
					if out := p.Outcome(); test.status == 503 && (out.Flags != "UF" || out.Details != "upstream_reset_before_response_started{remote_connection_failure}") {
						t.Errorf("%s: outcome %v", test.authority, out)
					}
				}
				expectStats(t, p, map[string]uint64{
					"cluster.c.ssl.fail_verify_san": 3, "cluster.c.upstream_cx_connect_fail": 3, "cluster.c.upstream_cx_total": 6, "cluster.c.ssl.handshake": 3,
				})
			})
		}
	}
}

// TestAutoSNIManyNames holds that connections are kept for a bounded number of names, and that those who ask for more are served.
func TestAutoSNIManyNames(t *testing.T) {
	const kept, names = 128, 150
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			f, h := newHeldFront(t)
			s := harness.NewSetup()
			k := f.secure(s)
			speak(k)
			k.AutoName = &config.AutoName{SNI: true}
			p := s.Start(t)
			c := p.DialH2()
			ask := func(offset int) (ids []uint32) {
				for i := range names {
					ids = append(ids, c.Request(true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", fmt.Sprintf("n%d.test", i+offset)))
				}
				return ids
			}
			expect := func(ids []uint32) {
				for _, id := range ids {
					if r := c.Response(id); r.Status != 200 {
						t.Fatalf("answered %v", r)
					}
				}
			}
			together := ask(0)
			for range names {
				<-h.came
			}
			close(h.answer)
			expect(together)
			p.Sync()
			if n := p.ClusterStat("upstream_cx_active"); n > kept {
				t.Errorf("%d connections are kept, want at most %d", n, kept)
			}
			expect(ask(names)) // other names take the places
			p.Sync()
			if n := p.ClusterStat("upstream_cx_active"); n > kept {
				t.Errorf("%d connections are kept, want at most %d", n, kept)
			}
			got := f.seen()
			slices.Sort(got)
			if len(got) != 2*names || len(slices.Compact(got)) != 2*names {
				t.Errorf("%d connections, for %d names", len(got), len(slices.Compact(got)))
			}
		})
	}
}

// TestAutoSNILimit holds that a connection that is kept for one name makes room for one for another.
func TestAutoSNILimit(t *testing.T) {
	f := newAutoFront(t)
	s := f.setup()
	s.Clusters[0].AutoName = &config.AutoName{SNI: true}
	s.Clusters[0].Breakers.MaxConnections = 1
	p := s.Start(t)
	c := p.Dial()
	for _, name := range []string{"a.test", "b.test", "a.test"} {
		c.Send(asking(name))
		if r := c.ReadResponse("GET"); r.Status != 200 {
			t.Errorf("%s: answered %d", name, r.Status)
		}
		p.Outcome()
	}
	expectStats(t, p, map[string]uint64{"cluster.c.upstream_cx_total": 3, "cluster.c.upstream_cx_active": 1, "cluster.c.upstream_cx_overflow": 0})
}

// TestAutoSNIChanges lets go of connections for names when what is asked of hosts changes.
func TestAutoSNIChanges(t *testing.T) {
	f := newAutoFront(t, "a.test")
	s := f.setup()
	k := s.Clusters[0]
	k.AutoName = &config.AutoName{SNI: true}
	p := s.Start(t)
	c := p.Dial()
	want := func(name string, status int) {
		t.Helper()
		c.Send(asking(name))
		if r := c.ReadResponse("GET"); r.Status != status {
			t.Errorf("%s: answered %d, want %d", name, r.Status, status)
		}
		p.Outcome()
	}
	change := func(auto *config.AutoName) {
		next := *k
		next.AutoName = auto
		p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"c": &next}}})
	}
	want("a.test", 200)
	want("b.test", 200)
	change(&config.AutoName{SNI: true, SAN: true})
	want("a.test", 200)
	want("b.test", 503)
	change(nil)
	want("b.test", 200)
	if got, wanted := f.seen(), []string{"a.test", "b.test", "a.test", "b.test", "origin.test"}; !slices.Equal(got, wanted) {
		t.Errorf("asked for %q, want %q", got, wanted)
	}
	if n := p.ClusterStat("upstream_cx_active"); n != 1 {
		t.Errorf("%d connections are kept, want 1", n)
	}
}

// TestAutoSNIMirrored asks the host of a mirrored request for its name, which is another.
func TestAutoSNIMirrored(t *testing.T) {
	f := newAutoFront(t)
	s := f.setup()
	mirror := *s.Clusters[0]
	mirror.Name, mirror.AutoName = "m", &config.AutoName{SNI: true}
	s.Clusters = append(s.Clusters, &mirror)
	s.Route(0).Forward.Mirrors = []config.MirrorPolicy{{Cluster: "m", Fraction: config.RuntimeFraction{Default: config.FractionAll}}}
	p := s.Start(t)
	c := p.Dial()
	c.Send(asking("a.test"))
	if r := c.ReadResponse("GET"); r.Status != 200 {
		t.Errorf("answered %d", r.Status)
	}
	for len(f.seen()) < 2 {
		p.Sync()
	}
	got := f.seen()
	slices.Sort(got)
	if !slices.Equal(got, []string{"a.test-shadow", "origin.test"}) {
		t.Errorf("asked for %q", got)
	}
}
