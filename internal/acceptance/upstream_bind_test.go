package acceptance

import (
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// newTeller starts an origin of HTTP/1.1 and HTTP/2 without TLS that tells whoever asks where it does from, and sends each such place
// to the channel, as long as that has room.
func newTeller(t *testing.T, address string) (netip.AddrPort, chan string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 64)
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := netip.MustParseAddrPort(r.RemoteAddr).Addr().String()
		select {
		case asked <- from:
		default:
		}
		_, _ = w.Write([]byte(from))
	})}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().(*net.TCPAddr).AddrPort(), asked
}

// bindTo returns where connections begin: at addresses of IPv4 and IPv6 with ports, none where one is empty.
func bindTo(v4, v6 string) *config.Bind {
	b := &config.Bind{}
	if v4 != "" {
		b.V4.Address = netip.MustParseAddrPort(v4)
	}
	if v6 != "" {
		b.V6.Address = netip.MustParseAddrPort(v6)
	}
	return b
}

// TestUpstreamBind holds where connections to hosts begin: as the cluster says, or else the bootstrap.
func TestUpstreamBind(t *testing.T) {
	tests := map[string]struct {
		host             string
		cluster, manager *config.Bind
		want             string
	}{
		"nothing is said":                 {"127.0.0.1:0", nil, nil, "127.0.0.1"},
		"the cluster says":                {"127.0.0.1:0", bindTo("127.0.0.2:0", ""), nil, "127.0.0.2"},
		"the bootstrap says":              {"127.0.0.1:0", nil, bindTo("127.0.0.3:0", ""), "127.0.0.3"},
		"the cluster says otherwise":      {"127.0.0.1:0", bindTo("127.0.0.2:0", ""), bindTo("127.0.0.3:0", ""), "127.0.0.2"},
		"the cluster says that it may be": {"127.0.0.1:0", bindTo("", ""), bindTo("127.0.0.3:0", ""), "127.0.0.1"},
		"of IPv6":                         {"[::1]:0", bindTo("127.0.0.2:0", "[::1]:0"), nil, "::1"},
	}
	for name, test := range tests {
		for version, protocol := range map[string]config.Protocol{"HTTP/1": config.ProtocolHTTP1, "HTTP/2": config.ProtocolHTTP2} {
			t.Run(name+"/"+version, func(t *testing.T) {
				host, _ := newTeller(t, test.host)
				s := harness.NewSetup(host)
				s.Bind, s.Clusters[0].Bind, s.Clusters[0].Protocol = test.manager, test.cluster, protocol
				s.Clusters[0].HTTP2 = config.DefaultHTTP2()
				p := s.Start(t)
				if resp := p.Dial().Get("/"); resp.Body != test.want {
					t.Errorf("asked from %q, want %s", resp.Body, test.want)
				}
				wantStats(t, p, map[string]uint64{"bind_errors": 0})
			})
		}
	}
}

// TestUpstreamBindFails holds what becomes of requests when sockets cannot be bound.
func TestUpstreamBindFails(t *testing.T) {
	host, _ := newTeller(t, "127.0.0.1:0")
	for name, bind := range map[string]*config.Bind{"no such address": bindTo("192.0.2.1:0", ""), "other family": bindTo("[::1]:0", "")} {
		t.Run(name, func(t *testing.T) {
			s := harness.NewSetup(host)
			s.Clusters[0].Bind = bind
			p := s.Start(t)
			resp := p.Dial().Get("/")
			if resp.Status != 503 {
				t.Errorf("got %q", resp.Raw)
			}
			if o := p.Outcome(); o.Flags != "UF" {
				t.Errorf("outcome %v", o)
			}
			wantStats(t, p, map[string]uint64{"bind_errors": 1, "upstream_cx_connect_fail": 1, "upstream_cx_total": 0})
		})
	}
}

// TestUpstreamFreebind binds sockets to an address that this machine does not have, which is no error of binding then. The kernel still
// does not connect from there to itself.
func TestUpstreamFreebind(t *testing.T) {
	host, _ := newTeller(t, "127.0.0.1:0")
	s := harness.NewSetup(host)
	s.Clusters[0].Bind = bindTo("192.0.2.1:0", "")
	s.Clusters[0].Bind.V4.Options = []config.SocketOption{{Level: syscall.IPPROTO_IP, Name: syscall.IP_FREEBIND, Int: 1}}
	p := s.Start(t)
	if resp := p.Dial().Get("/"); resp.Status != 503 {
		t.Errorf("got %q", resp.Raw)
	}
	wantStats(t, p, map[string]uint64{"bind_errors": 0, "upstream_cx_connect_fail": 1})
}

// TestUpstreamBindEverywhere has connections bound that are not of requests: of a TCP proxy, of a mirror, of health checks.
func TestUpstreamBindEverywhere(t *testing.T) {
	t.Run("TCP proxy", func(t *testing.T) {
		host, _ := newTeller(t, "127.0.0.1:0")
		s := tcpSetup(host)
		s.Clusters[0].Bind = bindTo("127.0.0.2:0", "")
		if resp := s.Start(t).Dial().Get("/"); resp.Body != "127.0.0.2" {
			t.Errorf("asked from %q", resp.Body)
		}
	})
	t.Run("mirror", func(t *testing.T) {
		host, _ := newTeller(t, "127.0.0.1:0")
		mirror, asked := newTeller(t, "127.0.0.1:0")
		s := harness.NewSetup(host)
		s.Clusters = append(s.Clusters, harness.Cluster(mirrorName, mirror))
		s.Clusters[1].Bind = bindTo("127.0.0.2:0", "")
		s.Route(0).Forward.Mirrors = []config.MirrorPolicy{mirrorTo(mirrorName)}
		s.Start(t).Dial().Get("/")
		if from := <-asked; from != "127.0.0.2" {
			t.Errorf("asked from %q", from)
		}
	})
	t.Run("health check", func(t *testing.T) {
		for want, manager := range map[string]*config.Bind{"127.0.0.2": bindTo("127.0.0.2:0", ""), "127.0.0.1": nil} {
			host, asked := newTeller(t, "127.0.0.1:0")
			s := harness.NewSetup(host)
			s.Bind, s.Clusters[0].HealthCheck = manager, httpCheck()
			s.Start(t)
			if from := <-asked; from != want {
				t.Errorf("asked from %q, want %s", from, want)
			}
		}
	})
}
