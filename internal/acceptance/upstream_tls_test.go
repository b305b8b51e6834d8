package acceptance

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// tlsOrigin is a server of net/http under TLS that tells what it got, and how.
type tlsOrigin struct {
	*harness.Authority
	address     netip.AddrPort
	connections atomic.Int64
}

func newTLSOrigin(t *testing.T, change func(*tls.Config)) *tlsOrigin {
	t.Helper()
	o := &tlsOrigin{Authority: harness.NewAuthority(t)}
	cert, key := o.Issue("origin.test", "127.0.0.1")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		state := r.TLS
		w.Header().Set("x-seen", strings.Join([]string{r.Proto, tls.VersionName(state.Version), state.ServerName, state.NegotiatedProtocol}, " "))
		if len(state.PeerCertificates) > 0 {
			w.Header().Set("x-client", state.PeerCertificates[0].Subject.CommonName)
		}
		_, _ = w.Write(body)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			o.connections.Add(1)
		}
	}
	if change != nil {
		change(server.TLS)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	o.address = netip.MustParseAddrPort(server.Listener.Addr().String())
	return o
}

// sanExact asks for a DNS name.
func sanExact(name string) []config.SANMatcher {
	return []config.SANMatcher{{Type: config.SANDNS, Match: config.StringMatcher{Value: name}}}
}

// setup leads to o under TLS that trusts it.
func (o *tlsOrigin) setup(change func(*config.UpstreamTLS)) *harness.Setup {
	s := harness.NewSetup(o.address)
	c := &config.UpstreamTLS{SNI: "origin.test", MaxSessionKeys: 1, TLS: config.TLS{
		Validation: &config.TLSValidation{CA: config.DataSource{Inline: o.CA()}, MaxDepth: -1},
	}}
	if change != nil {
		change(c)
	}
	s.Clusters[0].TLS = c
	return s
}

// TestUpstreamTLS carries requests over HTTP/1 and HTTP/2 to a host under TLS.
func TestUpstreamTLS(t *testing.T) {
	for _, test := range []struct {
		name   string
		http2  bool
		change func(*config.UpstreamTLS)
		seen   string
	}{
		{"TLS 1.2 is Envoy's default", false, nil, "HTTP/1.1 TLS 1.2 origin.test http/1.1"},
		{"TLS 1.3", false, func(c *config.UpstreamTLS) { c.MaxVersion = config.TLS13 }, "HTTP/1.1 TLS 1.3 origin.test http/1.1"},
		{"HTTP/2", true, func(c *config.UpstreamTLS) { c.MaxVersion = config.TLS13 }, "HTTP/2.0 TLS 1.3 origin.test h2"},
		{"own ALPN", false, func(c *config.UpstreamTLS) { c.ALPN = []string{"http/1.1", "other"} }, "HTTP/1.1 TLS 1.2 origin.test http/1.1"},
		{"no name, nothing verified", false, func(c *config.UpstreamTLS) { c.SNI, c.Validation = "", nil }, "HTTP/1.1 TLS 1.2  http/1.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newTLSOrigin(t, nil)
			s := o.setup(test.change)
			if test.http2 {
				speakHTTP2(s.Clusters[0])
			}
			p := s.Start(t)
			body := strings.Repeat("0123456789abcdef", 10_000)
			for range 3 {
				c := p.Dial()
				c.Send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 160000\r\n\r\n", body)
				r := c.ReadResponse("POST")
				if r.Status != 200 || r.Body != body || r.Fields.Get("x-seen") != test.seen {
					t.Fatalf("%d, %d bytes, seen %q, want %q", r.Status, len(r.Body), r.Fields.Get("x-seen"), test.seen)
				}
			}
			if n := o.connections.Load(); n != 1 {
				t.Errorf("%d connections, want one that is kept", n)
			}
		})
	}
}

// TestUpstreamTLSRefused answers with 503 when hands cannot be shaken, and counts why.
func TestUpstreamTLSRefused(t *testing.T) {
	stranger := harness.NewAuthority(t)
	for _, test := range []struct {
		name   string
		origin func(*tls.Config)
		change func(*config.UpstreamTLS)
		stat   string
	}{
		{"another authority", nil, func(c *config.UpstreamTLS) { c.Validation.CA.Inline = stranger.CA() }, "ssl.fail_verify_error"},
		{"another name", nil, func(c *config.UpstreamTLS) { c.Validation.SANs = sanExact("other.test") }, "ssl.fail_verify_san"},
		{"not the name asked for", nil, func(c *config.UpstreamTLS) { c.SNI, c.AutoSANValidation = "other.test", true }, "ssl.fail_verify_san"},
		{"another certificate", nil, func(c *config.UpstreamTLS) { c.Validation.Hashes = []string{strings.Repeat("ab", 32)} }, "ssl.fail_verify_cert_hash"},
		{"no version in common", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, nil, "ssl.connection_error"},
		{"no protocol in common", func(c *tls.Config) { c.NextProtos = []string{"other"} }, nil, "ssl.connection_error"},
		{"it wants a certificate", func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, nil, "ssl.connection_error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newTLSOrigin(t, test.origin)
			p := o.setup(test.change).Start(t)
			r := p.Dial().Get("/")
			if r.Status != 503 {
				t.Fatalf("answered %d", r.Status)
			}
			if out := p.Outcome(); out.Flags != "UF" {
				t.Errorf("flags %s, details %s", out.Flags, out.Details)
			}
			if n := p.ClusterStat(test.stat); n != 1 {
				t.Errorf("%s is %d", test.stat, n)
			}
			if n := p.ClusterStat("upstream_cx_connect_fail"); n != 1 {
				t.Errorf("upstream_cx_connect_fail is %d", n)
			}
		})
	}
}

// TestUpstreamTLSClientCertificate shows the host a certificate.
func TestUpstreamTLSClientCertificate(t *testing.T) {
	o := newTLSOrigin(t, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
	cert, key := o.Issue("proxy.test")
	p := o.setup(func(c *config.UpstreamTLS) {
		c.Certificates = []config.TLSCertificate{{Chain: config.DataSource{Inline: cert}, Key: config.DataSource{Inline: key}}}
	}).Start(t)
	if r := p.Dial().Get("/"); r.Status != 200 || r.Fields.Get("x-client") != "proxy.test" {
		t.Errorf("%d, the host saw %q", r.Status, r.Fields.Get("x-client"))
	}
}

// TestUpstreamTLSStalled gives a host that does not shake hands no more time than connect_timeout.
func TestUpstreamTLSStalled(t *testing.T) {
	greeted := make(chan struct{})
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		p.ReadBytes(5)
		close(greeted)
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].TLS = &config.UpstreamTLS{}
	p := s.Start(t)
	c := p.Dial()
	c.Send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
	<-greeted
	p.Sync()
	p.Advance(config.DefaultConnectTimeout)
	if r := c.ReadResponse("GET"); r.Status != 503 {
		t.Errorf("answered %d", r.Status)
	}
	if out := p.Outcome(); out.Flags != "UF" || p.ClusterStat("upstream_cx_connect_timeout") != 1 {
		t.Errorf("%v, upstream_cx_connect_timeout is %d", out, p.ClusterStat("upstream_cx_connect_timeout"))
	}
}

// TestUpstreamTLSPlainHost tells a host that does not speak TLS.
func TestUpstreamTLSPlainHost(t *testing.T) {
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		p.Write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
		p.UntilClosed()
	})
	s := harness.NewSetup(origin.Addr())
	s.Clusters[0].TLS = &config.UpstreamTLS{}
	p := s.Start(t)
	if r := p.Dial().Get("/"); r.Status != 503 || p.ClusterStat("ssl.connection_error") != 1 {
		t.Errorf("answered %d, ssl.connection_error is %d", r.Status, p.ClusterStat("ssl.connection_error"))
	}
}

// TestUpstreamTLSSecret has requests fail until the secret that a context names has come, and again changes what the host is
// asked for when another comes.
func TestUpstreamTLSSecret(t *testing.T) {
	o := newTLSOrigin(t, nil)
	s := o.setup(func(c *config.UpstreamTLS) { c.Validation, c.ValidationSecret.Name = nil, "ca" })
	p := s.Start(t)
	secret := func(ca []byte) {
		p.Apply(config.Delta{Secrets: config.Changes[*config.Secret]{Set: map[string]*config.Secret{
			"ca": {Name: "ca", Validation: &config.TLSValidation{CA: config.DataSource{Inline: ca}, MaxDepth: -1}},
		}}})
	}
	want := func(status int) {
		t.Helper()
		if r := p.Dial().Get("/"); r.Status != status {
			t.Errorf("answered %d, want %d", r.Status, status)
		}
		p.Outcome()
	}
	want(503)
	secret(o.CA())
	want(200)
	want(200)
	secret(harness.NewAuthority(t).CA())
	want(503) // the kept connection was made when another authority was trusted
	secret(o.CA())
	want(200)
	for name, n := range map[string]uint64{"upstream_context_secrets_not_ready": 1, "ssl_context_update_by_sds": 3} {
		if got := p.ClusterStat("client_ssl_socket_factory." + name); got != n {
			t.Errorf("%s is %d, want %d", name, got, n)
		}
	}
}
