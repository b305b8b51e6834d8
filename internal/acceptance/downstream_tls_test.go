package acceptance

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// secured has the only filter chain of s speak TLS with a certificate for proxy.test.
func secured(s *harness.Setup, a *harness.Authority, change func(*config.DownstreamTLS)) *harness.Setup {
	cert, key := a.Issue("proxy.test", "127.0.0.1")
	c := &config.DownstreamTLS{TLS: config.TLS{
		Certificates: []config.TLSCertificate{{Chain: config.DataSource{Inline: cert}, Key: config.DataSource{Inline: key}}},
		ALPN:         []string{"h2", "http/1.1"},
	}}
	if change != nil {
		change(c)
	}
	s.Listener.Default.TLS, s.Listener.Default.ConnectTimeout = c, config.DefaultTransportSocketTimeout
	return s
}

// tlsClient is an HTTP client that trusts a and speaks TLS as change says.
func tlsClient(t *testing.T, p *harness.Proxy, a *harness.Authority, http2 bool, change func(*tls.Config)) *http.Client {
	t.Helper()
	c := &tls.Config{RootCAs: a.Pool(), ServerName: "proxy.test"}
	if change != nil {
		change(c)
	}
	transport := &http.Transport{
		TLSClientConfig: c, ForceAttemptHTTP2: http2,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", p.Address())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// echoOrigin answers each request with its body and what it has seen of it.
func echoOrigin(t *testing.T) *harness.Origin {
	t.Helper()
	return harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			r, ok := p.ReadRequest()
			if !ok {
				return
			}
			if !p.Write("HTTP/1.1 200 OK\r\nx-proto: ", r.Fields.Get("x-forwarded-proto"), "\r\ncontent-length: ", strconv.Itoa(len(r.Body)), "\r\n\r\n", r.Body) {
				return
			}
		}
	})
}

// TestDownstreamTLS serves HTTP/1 and HTTP/2 to clients of TLS.
func TestDownstreamTLS(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 10_000)
	for _, test := range []struct {
		name    string
		http2   bool
		version uint16
		proto   string
	}{
		{"HTTP/1.1 over TLS 1.3", false, tls.VersionTLS13, "HTTP/1.1"},
		{"HTTP/1.1 over TLS 1.2", false, tls.VersionTLS12, "HTTP/1.1"},
		{"HTTP/2 over TLS 1.3", true, tls.VersionTLS13, "HTTP/2.0"},
		{"HTTP/2 over TLS 1.2", true, tls.VersionTLS12, "HTTP/2.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := harness.NewAuthority(t)
			p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, nil).Start(t)
			client := tlsClient(t, p, a, test.http2, func(c *tls.Config) { c.MaxVersion = test.version })
			for range 3 {
				r, err := client.Post("https://proxy.test/", "text/plain", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if r.StatusCode != 200 || r.Proto != test.proto || err != nil || string(got) != body || r.Header.Get("x-proto") != "https" {
					t.Fatalf("%s %s, %d bytes, %v, x-forwarded-proto %q", r.Status, r.Proto, len(got), err, r.Header.Get("x-proto"))
				}
			}
			if n := p.ListenerStat("ssl.handshake"); n != 1 {
				t.Errorf("%d handshakes, want one", n)
			}
			if total, active := p.HTTPStat("downstream_cx_ssl_total"), p.HTTPStat("downstream_cx_ssl_active"); total != 1 || active != 1 {
				t.Errorf("downstream_cx_ssl_total is %d, _active %d", total, active)
			}
			client.CloseIdleConnections()
		})
	}
}

// TestDownstreamTLSRefused closes connections on which hands cannot be shaken, and counts why.
func TestDownstreamTLSRefused(t *testing.T) {
	stranger := harness.NewAuthority(t)
	a := harness.NewAuthority(t)
	requireClients := func(c *config.DownstreamTLS) {
		c.RequireClientCertificate = true
		c.Validation = &config.TLSValidation{CA: config.DataSource{Inline: a.CA()}, SANs: sanExact("client.test"), MaxDepth: -1}
	}
	for _, test := range []struct {
		name   string
		server func(*config.DownstreamTLS)
		client func(*testing.T, *tls.Config)
		stat   string
	}{
		{"no version in common", func(c *config.DownstreamTLS) { c.MinVersion = config.TLS13 },
			func(_ *testing.T, c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "connection_error"},
		{"no certificate", requireClients, nil, "fail_verify_no_cert"},
		{"another authority's", requireClients, func(t *testing.T, c *tls.Config) { show(t, c, stranger, "client.test") }, "fail_verify_error"},
		{"another name", requireClients, func(t *testing.T, c *tls.Config) { show(t, c, a, "other.test") }, "fail_verify_san"},
		{"no name asked for", func(c *config.DownstreamTLS) { c.RequireSNI = true },
			func(_ *testing.T, c *tls.Config) { c.ServerName = "127.0.0.1" }, "connection_error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, test.server).Start(t)
			client := tlsClient(t, p, a, false, func(c *tls.Config) {
				if test.client != nil {
					test.client(t, c)
				}
			})
			if r, err := client.Get("https://proxy.test/"); err == nil {
				t.Fatalf("answered %s", r.Status)
			}
			p.Sync()
			if n := p.ListenerStat("ssl." + test.stat); n != 1 {
				t.Errorf("%s is %d", test.stat, n)
			}
			for p.ListenerStat("downstream_cx_active") != 0 { // until the client has closed its side
				p.Sync()
			}
			if n := p.HTTPStat("downstream_cx_total"); n != 0 {
				t.Errorf("%d connections got to HTTP", n)
			}
		})
	}
}

// show has a client show a certificate.
func show(t *testing.T, c *tls.Config, a *harness.Authority, names ...string) {
	t.Helper()
	cert, key := a.Issue(names...)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever authorities the server knows.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
}

// TestDownstreamTLSPlainClient closes the connection of a client that does not speak TLS.
func TestDownstreamTLSPlainClient(t *testing.T) {
	a := harness.NewAuthority(t)
	p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, nil).Start(t)
	c := p.Dial()
	c.Send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
	c.ExpectClosed()
	p.NoOutcome()
	if n := p.ListenerStat("ssl.connection_error"); n != 1 {
		t.Errorf("connection_error is %d", n)
	}
}

// TestDownstreamTLSSlow gives clients that do not shake hands no more time than transport_socket_connect_timeout, whatever they
// send meanwhile.
func TestDownstreamTLSSlow(t *testing.T) {
	a := harness.NewAuthority(t)
	p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, nil).Start(t)
	silent, slow := p.Dial(), p.Dial()
	slow.Send("\x16\x03\x01\x02\x00\x01")
	p.Sync()
	p.Advance(config.DefaultTransportSocketTimeout / 2)
	slow.Send("\x00")
	p.Sync()
	p.Advance(config.DefaultTransportSocketTimeout / 2)
	silent.ExpectClosed()
	slow.ExpectClosed()
	if n := p.ListenerStat("downstream_cx_transport_socket_connect_timeout"); n != 2 {
		t.Errorf("downstream_cx_transport_socket_connect_timeout is %d", n)
	}
}

// TestDownstreamTLSSecret refuses clients until the certificate has come, and takes the next one without a word to those who
// are connected.
func TestDownstreamTLSSecret(t *testing.T) {
	a := harness.NewAuthority(t)
	s := secured(harness.NewSetup(echoOrigin(t).Addr()), a, func(c *config.DownstreamTLS) {
		c.Certificates, c.CertificateSecrets = nil, []config.SecretRef{{Name: "server"}}
	})
	p := s.Start(t)
	rotate := func(names ...string) {
		cert, key := a.Issue(names...)
		p.Apply(config.Delta{Secrets: config.Changes[*config.Secret]{Set: map[string]*config.Secret{"server": {
			Name:        "server",
			Certificate: &config.TLSCertificate{Chain: config.DataSource{Inline: cert}, Key: config.DataSource{Inline: key}},
		}}}})
	}
	get := func(c *http.Client) error {
		r, err := c.Get("https://proxy.test/")
		if err == nil {
			_ = r.Body.Close()
		}
		return err
	}
	early := tlsClient(t, p, a, false, nil)
	if err := get(early); err == nil {
		t.Fatal("served without a certificate")
	}
	rotate("proxy.test")
	if err := get(early); err != nil {
		t.Fatal(err)
	}
	rotate("next.test")
	if err := get(early); err != nil {
		t.Errorf("a connection of before: %v", err)
	}
	if err := get(tlsClient(t, p, a, false, nil)); err == nil {
		t.Error("a new connection got the certificate of before")
	}
	if err := get(tlsClient(t, p, a, true, func(c *tls.Config) { c.ServerName = "next.test" })); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	if n := p.ListenerStat("ssl.handshake"); n < 2 {
		t.Errorf("%d handshakes", n)
	}
	if n := p.ListenerStat("server_ssl_socket_factory.downstream_context_secrets_not_ready"); n != 1 {
		t.Errorf("downstream_context_secrets_not_ready is %d", n)
	}
	if n := p.ListenerStat("server_ssl_socket_factory.ssl_context_update_by_sds"); n != 2 {
		t.Errorf("ssl_context_update_by_sds is %d", n)
	}
	if at := p.ListenerStat("ssl.certificate.server.expiration_unix_time_seconds"); at <= uint64(time.Now().Unix()) {
		t.Errorf("the certificate expires at %d", at)
	}
}

// TestDownstreamTLSFiles takes files over that have changed, keeps what is in force when they cannot be used, and lets those who
// are connected go on.
func TestDownstreamTLSFiles(t *testing.T) {
	a := harness.NewAuthority(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	rotate := func(names ...string) {
		c, k := a.Issue(names...)
		for path, text := range map[string][]byte{cert: c, key: k} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	rotate("proxy.test")
	s := secured(harness.NewSetup(echoOrigin(t).Addr()), a, func(c *config.DownstreamTLS) {
		c.Certificates = []config.TLSCertificate{{Chain: config.DataSource{File: cert}, Key: config.DataSource{File: key}}}
	})
	s.Quiet = true
	p := s.Start(t)
	get := func(c *http.Client) error {
		r, err := c.Get("https://proxy.test/")
		if err == nil {
			_ = r.Body.Close()
		}
		return err
	}
	named := func(name string) *http.Client {
		return tlsClient(t, p, a, false, func(c *tls.Config) { c.ServerName = name })
	}
	early := named("proxy.test")
	if err := get(early); err != nil {
		t.Fatal(err)
	}
	rotate("next.test")
	if err := get(named("proxy.test")); err != nil {
		t.Errorf("before the files are looked at: %v", err)
	}
	p.Server.ReloadTLS([]string{cert, key})
	if err := get(named("next.test")); err != nil {
		t.Errorf("after: %v", err)
	}
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Server.ReloadTLS([]string{key})
	if err := get(named("next.test")); err != nil {
		t.Errorf("after files that cannot be used: %v", err)
	}
	if err := get(early); err != nil {
		t.Errorf("a connection of before: %v", err)
	}
}

// TestForwardedClientCert holds what becomes of x-forwarded-client-cert, by the modes and by whether the client has shown a
// certificate.
func TestForwardedClientCert(t *testing.T) {
	a := harness.NewAuthority(t)
	all := config.ClientCertDetails{Subject: true, URI: true, DNS: true}
	own := `Hash=*;Subject="CN=client.test";URI=spiffe://a/b;DNS=client.test`
	for _, test := range []struct {
		mode          config.ForwardClientCert
		shown, absent string // what the host sees when the client has shown a certificate, and when not
	}{
		{config.ClientCertSanitize, "", ""},
		{config.ClientCertForwardOnly, "theirs", ""},
		{config.ClientCertAppendForward, "theirs," + own, ""},
		{config.ClientCertSanitizeSet, own, ""},
		{config.ClientCertAlwaysForwardOnly, "theirs", "theirs"},
	} {
		origin := harness.NewOrigin(t, func(p *harness.Peer) {
			for {
				r, ok := p.ReadRequest()
				if !ok || !p.Write("HTTP/1.1 200 OK\r\nx-seen: ", r.Fields.Get("x-forwarded-client-cert"), "\r\ncontent-length: 0\r\n\r\n") {
					return
				}
			}
		})
		s := secured(harness.NewSetup(origin.Addr()), a, func(c *config.DownstreamTLS) {
			c.Validation = &config.TLSValidation{CA: config.DataSource{Inline: a.CA()}, MaxDepth: -1}
		})
		s.HTTP().ForwardClientCert, s.HTTP().ClientCertDetails = test.mode, all
		p := s.Start(t)
		for _, shows := range []bool{true, false} {
			client := tlsClient(t, p, a, false, func(c *tls.Config) {
				if shows {
					show(t, c, a, "client.test", "spiffe://a/b")
				}
			})
			r, err := http.NewRequest(http.MethodGet, "https://proxy.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("x-forwarded-client-cert", "theirs")
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			want := test.absent
			if shows {
				want = test.shown
			}
			got := hashes.ReplaceAllString(answer.Header.Get("x-seen"), "Hash=*")
			if got != want {
				t.Errorf("mode %d, shown: %t: %q, want %q", test.mode, shows, got, want)
			}
		}
	}
}

var hashes = regexp.MustCompile("Hash=[0-9a-f]{64}")
