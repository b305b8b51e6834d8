package managed

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestRotation replaces the certificate of a listener, and what certificates of clients are verified against, again and again
// under traffic: on connections that stay, by handshakes anew and by resumed ones. None of it fails.
func TestRotation(t *testing.T) {
	rotations := count(50, 1000)
	ours, theirs := harness.NewAuthority(t), harness.NewAuthority(t)
	origin := harness.NewOrigin(t, func(p *harness.Peer) {
		for {
			if _, ok := p.ReadRequest(); !ok || !p.Write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi") {
				return
			}
		}
	})
	s := harness.NewSetup(origin.Addr())
	s.Listener.Default.ConnectTimeout = config.DefaultTransportSocketTimeout
	s.Listener.Default.TLS = &config.DownstreamTLS{TLS: config.TLS{
		CertificateSecrets: []config.SecretRef{{Name: "server"}}, ValidationSecret: config.SecretRef{Name: "clients"},
		ALPN: []string{"h2", "http/1.1"},
	}}
	p := s.Start(t)
	rotate := func() {
		cert, key := ours.Issue("proxy.test")
		p.Apply(config.Delta{Secrets: config.Changes[*config.Secret]{Set: map[string]*config.Secret{
			"server":  {Name: "server", Certificate: &config.TLSCertificate{Chain: config.DataSource{Inline: cert}, Key: config.DataSource{Inline: key}}},
			"clients": {Name: "clients", Validation: &config.TLSValidation{CA: config.DataSource{Inline: theirs.CA()}, MaxDepth: -1}},
		}}})
	}
	rotate()
	cert, key := theirs.Issue("client.test")
	shown, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var requests, handshakes, resumed atomic.Int64
	client := func(shape func(*http.Transport)) *http.Client {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: ours.Pool(), ServerName: "proxy.test", Certificates: []tls.Certificate{shown}},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", p.Address())
			},
		}
		shape(transport)
		transport.TLSClientConfig.VerifyConnection = func(state tls.ConnectionState) error {
			handshakes.Add(1)
			if state.DidResume {
				resumed.Add(1)
			}
			return nil
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	var clients sync.WaitGroup
	for name, c := range map[string]*http.Client{
		"HTTP/1.1 on a connection that stays": client(func(*http.Transport) {}),
		"HTTP/2 on a connection that stays":   client(func(h *http.Transport) { h.ForceAttemptHTTP2 = true }),
		"handshakes anew": client(func(h *http.Transport) {
			h.DisableKeepAlives = true
		}),
		"resumed handshakes": client(func(h *http.Transport) {
			h.DisableKeepAlives = true
			h.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}),
	} {
		clients.Go(func() {
			for ctx.Err() == nil {
				r, err := c.Get("https://proxy.test/")
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				body, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if err != nil || r.StatusCode != http.StatusOK || string(body) != "hi" {
					t.Errorf("%s: %s, %q, %v", name, r.Status, body, err)
					return
				}
				requests.Add(1)
			}
		})
	}
	for range rotations {
		// The next comes when there was traffic under this one.
		for before := handshakes.Load(); handshakes.Load() < before+2 && !t.Failed(); {
			p.Sync()
		}
		rotate()
	}
	stop()
	clients.Wait()
	for _, stat := range []string{"connection_error", "fail_verify_error", "fail_verify_no_cert", "fail_verify_san", "fail_verify_cert_hash"} {
		if n := p.Stat("listener." + strings.ReplaceAll(p.Address(), ":", "_") + ".ssl." + stat); n != 0 {
			t.Errorf("%s is %d", stat, n)
		}
	}
	if handshakes.Load() < int64(2*rotations) {
		t.Errorf("%d handshakes in %d rotations", handshakes.Load(), rotations)
	}
	t.Logf("%d rotations, %d handshakes, %d of them resumed, %d requests", rotations, handshakes.Load(), resumed.Load(), requests.Load())
}
