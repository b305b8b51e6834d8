package acceptance

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// matching returns a route that answers with body where the client's certificate is as asked.
func matching(body string, presented, validated *bool) *config.Route {
	r := harness.Direct("/", 200, body)
	r.Name, r.Match.CertificatePresented, r.Match.CertificateValidated = body, presented, validated
	return r
}

// TestTLSContextMatch holds which certificates of clients routes tell apart, on the first connection and on one that resumes its
// session.
func TestTLSContextMatch(t *testing.T) {
	a, stranger := harness.NewAuthority(t), harness.NewAuthority(t)
	verified := config.TLSValidation{CA: config.DataSource{Inline: a.CA()}, MaxDepth: -1}
	untrusted := verified
	untrusted.AcceptUntrusted = true
	for _, test := range []struct {
		name       string
		validation *config.TLSValidation
		of         *harness.Authority // of the client's certificate, nil for none
		want       string
	}{
		{"nothing is asked", nil, a, "none"},
		{"none is shown", &verified, nil, "none"},
		{"a good one", &verified, a, "validated"},
		{"none is shown where any is accepted", &untrusted, nil, "none"},
		{"a good one where any is accepted", &untrusted, a, "validated"},
		{"a stranger's where any is accepted", &untrusted, stranger, "presented"},
		{"one that nothing is known of", &config.TLSValidation{MaxDepth: -1, AcceptUntrusted: true}, a, "presented"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := secured(harness.NewSetup(), a, func(c *config.DownstreamTLS) { c.Validation = test.validation })
			s.SetRoutes(matching("none", new(false), new(false)), matching("presented", new(true), new(false)), matching("validated", nil, new(true)))
			p := s.Start(t)
			client := tlsClient(t, p, a, false, func(c *tls.Config) {
				c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				if test.of != nil {
					show(t, c, test.of, "client.test")
				}
			})
			for range 2 {
				r, err := client.Get("https://proxy.test/")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if string(body) != test.want || err != nil {
					t.Errorf("got %d %q, %v, want %q", r.StatusCode, body, err, test.want)
				}
				client.CloseIdleConnections()
			}
			if n := p.ListenerStat("ssl.session_reused"); n != 1 {
				t.Errorf("%d sessions were resumed, want 1", n)
			}
		})
	}
}

// TestTLSContextMatchInPlaintext holds that a client without TLS has shown no certificate, whatever it says of itself.
func TestTLSContextMatchInPlaintext(t *testing.T) {
	s := harness.NewSetup()
	s.HTTP().UseRemoteAddress = false
	s.SetRoutes(matching("presented", new(true), nil), matching("validated", nil, new(true)), matching("neither", new(false), new(false)))
	resp := s.Start(t).Dial().Get("/", "x-forwarded-proto: https", "x-forwarded-client-cert: Hash=00")
	if resp.Body != "neither" {
		t.Errorf("got %q", resp.Raw)
	}
}
