package tls

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// ticketKey is a session ticket key of 80 equal bytes.
func ticketKey(b byte) config.DataSource { return inline(bytes.Repeat([]byte{b}, ticketKeySize)) }

// TestTickets has a client with a session of one context come to another: it is resumed where the keys are the same, and so
// are who we are and whom we trust.
func TestTickets(t *testing.T) {
	ours, theirs := newAuthority(t, "ours", signsLists), newAuthority(t, "theirs")
	key := ecKey(t, elliptic.P256())
	server, renewed, client := ours.issue(key), ours.issue(key), ours.issue(key)
	sum := sha256.Sum256(client.cert.RawSubjectPublicKeyInfo)
	pin := base64.StdEncoding.EncodeToString(sum[:])
	base := func() *config.DownstreamTLS {
		return &config.DownstreamTLS{
			TLS: config.TLS{
				Certificates: []config.TLSCertificate{tlsCertificate(t, server)}, Validation: trusting(ours.cert), ALPN: []string{"h2"},
			},
			RequireClientCertificate: true,
			TicketKeys:               []config.DataSource{ticketKey(1), ticketKey(2)},
		}
	}
	own := func(c *config.DownstreamTLS) { c.TicketKeys = nil }
	type change func(*config.DownstreamTLS)
	for _, test := range []struct {
		name        string
		first, next change
		same        bool // the same context, not an equal one
		resumed     bool
	}{
		{"own keys", own, own, true, true},
		{"own keys of another context", own, own, false, false},
		{"equal keys", nil, nil, false, true},
		{"another first key", nil, func(c *config.DownstreamTLS) { c.TicketKeys = []config.DataSource{ticketKey(3), ticketKey(1)} }, false, true},
		{"key not there yet", nil, func(c *config.DownstreamTLS) { c.TicketKeys = []config.DataSource{ticketKey(2)} }, false, false},
		{"key gone", nil, func(c *config.DownstreamTLS) { c.TicketKeys = []config.DataSource{ticketKey(3), ticketKey(2)} }, false, false},
		{"disabled then", nil, func(c *config.DownstreamTLS) { c.DisableTickets = true }, false, false},
		{"disabled before", func(c *config.DownstreamTLS) { c.DisableTickets = true }, nil, false, false},
		{"disabled, own keys", func(c *config.DownstreamTLS) { own(c); c.DisableTickets = true }, nil, true, false},
		{"other certificate", nil, func(c *config.DownstreamTLS) { c.Certificates[0] = tlsCertificate(t, renewed) }, false, false},
		{"one certificate more", nil, func(c *config.DownstreamTLS) { c.Certificates = append(c.Certificates, tlsCertificate(t, renewed)) }, false, false},
		{"other chain, same certificate", nil, func(c *config.DownstreamTLS) { c.Certificates[0] = tlsCertificate(t, server, theirs.cert) }, false, true},
		{"one CA more", nil, func(c *config.DownstreamTLS) { c.Validation = trusting(ours.cert, theirs.cert) }, false, false},
		{"pins", nil, func(c *config.DownstreamTLS) { c.Validation.SPKI = []string{pin} }, false, false},
		{"names", nil, func(c *config.DownstreamTLS) {
			c.Validation.SANs = []config.SANMatcher{{Match: exact("proxy.test")}}
		}, false, false},
		{"revocation list", nil, func(c *config.DownstreamTLS) { c.Validation.CRL = inline(ours.revokes(nil)) }, false, true}, // it is looked at again
		{"depth", nil, func(c *config.DownstreamTLS) { c.Validation.MaxDepth = 1 }, false, false},
		{"not required", nil, func(c *config.DownstreamTLS) { c.RequireClientCertificate = false }, false, false},
		{"nobody asked", nil, func(c *config.DownstreamTLS) { c.RequireClientCertificate, c.Validation = false, nil }, false, false},
		{"nobody asked before", func(c *config.DownstreamTLS) { c.RequireClientCertificate, c.Validation = false, nil }, nil, false, false},
		{"other protocols", nil, func(c *config.DownstreamTLS) { c.ALPN = []string{"http/1.1"} }, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, version := range both {
				var contexts []*Downstream
				for _, change := range []change{test.first, test.next} {
					c := base()
					if change != nil {
						change(c)
					}
					contexts = append(contexts, downstreamOf(t, c))
				}
				if test.same {
					contexts[1] = contexts[0]
				}
				config := ours.client(client)
				config.MaxVersion, config.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
				for i, d := range contexts {
					c, s := visit(t, d, config)
					want := test.resumed && i == 1
					if c.err != nil || s.err != nil || c.state.DidResume != want || s.state.DidResume != want {
						t.Errorf("%s, visit %d: resumed: %t: %v, %v", tls.VersionName(version), i, c.state.DidResume, c.err, s.err)
					}
				}
			}
		})
	}
}

// TestTicketOutlives has a session resumed after what vouched for its client has ended: it is refused, though the ticket is
// good.
func TestTicketOutlives(t *testing.T) {
	ours := newAuthority(t, "ours", signsLists)
	key := ecKey(t, elliptic.P256())
	server := tlsCertificate(t, ours.issue(key))
	started := time.Now()
	short := ours.issue(key, func(c *x509.Certificate) { c.NotAfter = started.Add(time.Hour) })
	for _, test := range []struct {
		name  string
		later time.Duration // of the second visit
		good  bool
		crl   []byte
	}{
		{"in time", 30 * time.Minute, true, nil},
		{"expired", 2 * time.Hour, false, nil},
		{"revocation list out of date", 30 * time.Minute, false, ours.revokes(func(l *x509.RevocationList) { l.NextUpdate = started.Add(time.Minute) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, version := range both {
				now := started
				v := trusting(ours.cert)
				v.CRL = inline(test.crl)
				d, err := NewDownstream(&config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{server}, Validation: v}}, nil, func() time.Time { return now })
				if err != nil {
					t.Fatal(err)
				}
				client := ours.client(short)
				client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
				if c, s := visit(t, d, client); c.err != nil || s.err != nil {
					t.Fatal(c.err, s.err)
				}
				now = now.Add(test.later)
				c, s := visit(t, d, client)
				if test.good != (s.err == nil) || test.good != (c.err == nil) || test.good && !s.state.DidResume {
					t.Errorf("%s: resumed: %t: %v, %v", tls.VersionName(version), s.state.DidResume, s.err, c.err)
				}
				if !test.good && RefusalOf(s.err) != NotVerified {
					t.Errorf("%s: refusal %d: %v", tls.VersionName(version), RefusalOf(s.err), s.err)
				}
			}
		})
	}
}

// TestTicketOfRevoked has a session resumed where its client is revoked by now.
func TestTicketOfRevoked(t *testing.T) {
	ours := newAuthority(t, "ours", signsLists)
	key := ecKey(t, elliptic.P256())
	server, shown := tlsCertificate(t, ours.issue(key)), ours.issue(key)
	for _, version := range both {
		client := ours.client(shown)
		client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		for _, revoked := range []bool{false, true} {
			v := trusting(ours.cert)
			v.CRL = inline(ours.revokes(nil))
			if revoked {
				v.CRL = inline(ours.revokes(nil, shown.cert))
			}
			d := downstreamOf(t, &config.DownstreamTLS{
				TLS: config.TLS{Certificates: []config.TLSCertificate{server}, Validation: v}, TicketKeys: []config.DataSource{ticketKey(1)},
			})
			c, s := visit(t, d, client)
			if revoked != (RefusalOf(s.err) == NotVerified) || revoked != (c.err != nil) {
				t.Errorf("%s, revoked: %t: %v, %v", tls.VersionName(version), revoked, s.err, c.err)
			}
		}
	}
}

// TestTicketEnds has a ticket that is older than a ticket may be (RFC 8446 section 4.6.1).
func TestTicketEnds(t *testing.T) {
	ours := newAuthority(t, "ours")
	server := tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256()), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(1000 * time.Hour) }))
	for _, days := range []time.Duration{6, 8} {
		now := time.Now()
		clock := func() time.Time { return now }
		d, err := NewDownstream(&config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{server}}, TicketKeys: []config.DataSource{ticketKey(1)}}, nil, clock)
		if err != nil {
			t.Fatal(err)
		}
		client := ours.client()
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1) // whose clock stands still: it would offer it
		if c, s := visit(t, d, client); c.err != nil || s.err != nil {
			t.Fatal(c.err, s.err)
		}
		now = now.Add(days * 24 * time.Hour)
		if c, s := visit(t, d, client); c.err != nil || s.err != nil || s.state.DidResume != (days < 7) {
			t.Errorf("after %d days: resumed: %t: %v, %v", days, s.state.DidResume, c.err, s.err)
		}
	}
}

// TestTicketWithoutProtocol has clients resume whose protocols the server does not know, or knows by then: which of its
// configurations a handshake goes by is not theirs to see.
func TestTicketWithoutProtocol(t *testing.T) {
	ours := newAuthority(t, "ours")
	server := tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256())))
	for _, keys := range [][]config.DataSource{nil, {ticketKey(1)}} {
		for _, protocols := range [][2][]string{{{"x"}, {"x"}}, {nil, nil}, {{"x"}, {"h2"}}, {{"h2"}, {"x"}}} {
			for _, version := range both {
				d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{server}, ALPN: []string{"h2"}}, TicketKeys: keys})
				client := ours.client()
				client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
				for i, offered := range protocols {
					client.NextProtos = offered
					want := ""
					if slices.Contains(offered, "h2") {
						want = "h2"
					}
					c, s := visit(t, d, client)
					if c.err != nil || s.err != nil || s.state.DidResume != (i == 1) || s.state.NegotiatedProtocol != want {
						t.Errorf("%d keys, %s, %q: resumed: %t, protocol %q: %v, %v", len(keys), tls.VersionName(version), offered, s.state.DidResume, s.state.NegotiatedProtocol, c.err, s.err)
					}
				}
			}
		}
	}
}
