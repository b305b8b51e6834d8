package tls

import (
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// identified gives a certificate URIs.
func identified(t *testing.T, uris ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, text := range uris {
			uri, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, uri)
		}
	}
}

// spiffe is a validation context of two trust domains.
func spiffe(one, two *authority) *config.TLSValidation {
	return &config.TLSValidation{MaxDepth: -1, SPIFFE: []config.TrustDomain{
		{Name: "one.test", Bundle: inline(certPEM(one.cert))}, {Name: "two.test", Bundle: inline(certPEM(two.cert))},
	}}
}

// TestSPIFFE verifies certificates by the authorities of their own trust domain, and of no other.
func TestSPIFFE(t *testing.T) {
	one, two := newAuthority(t, "one", signsLists), newAuthority(t, "two")
	key := ecKey(t, elliptic.P256())
	revoked := one.issue(key, identified(t, "spiffe://one.test/revoked"))
	none := func(*config.TLSValidation) {}
	uris := func(matchers ...config.SANMatcher) func(*config.TLSValidation) {
		return func(v *config.TLSValidation) { v.SANs = matchers }
	}
	workload := config.SANMatcher{Type: config.SANURI, Match: exact("spiffe://one.test/workload")}
	for _, test := range []struct {
		name string
		ask  func(*config.TLSValidation)
		show []issued
		want Refusal
	}{
		{"of the first domain", none, []issued{one.issue(key, identified(t, "spiffe://one.test/a"))}, NotRefused},
		{"of the second", none, []issued{two.issue(key, identified(t, "spiffe://two.test/a/b"))}, NotRefused},
		{"with a chain", none, func() []issued {
			under := one.under("between")
			return []issued{under.issue(key, identified(t, "spiffe://one.test/a")), {under.cert, under.key}}
		}(), NotRefused},
		{"none", none, nil, NotShown},
		{"of another domain's authority", none, []issued{two.issue(key, identified(t, "spiffe://one.test/a"))}, NotVerified},
		{"of a domain that is not known", none, []issued{one.issue(key, identified(t, "spiffe://three.test/a"))}, NotVerified},
		{"of a domain below", none, []issued{one.issue(key, identified(t, "spiffe://a.one.test/a"))}, NotVerified},
		{"with a port", none, []issued{one.issue(key, identified(t, "spiffe://one.test:1/a"))}, NotVerified},
		{"with a user", none, []issued{one.issue(key, identified(t, "spiffe://u@one.test/a"))}, NotVerified},
		{"without a path", none, []issued{one.issue(key, identified(t, "spiffe://one.test"))}, NotVerified},
		{"with a query", none, []issued{one.issue(key, identified(t, "spiffe://one.test/a?b"))}, NotVerified},
		{"with a fragment", none, []issued{one.issue(key, identified(t, "spiffe://one.test/a#b"))}, NotVerified},
		{"of another scheme", none, []issued{one.issue(key, identified(t, "https://one.test/a"))}, NotVerified},
		{"without an ID", none, []issued{one.issue(key)}, NotVerified},
		{"with two", none, []issued{one.issue(key, identified(t, "spiffe://one.test/a", "spiffe://two.test/a"))}, NotVerified},
		{"of an authority", none, []issued{one.issue(key, identified(t, "spiffe://one.test/a"), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })}, NotVerified},
		{"that may sign others", none, []issued{one.issue(key, identified(t, "spiffe://one.test/a"), func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })}, NotVerified},
		{"expired", none, []issued{one.issue(key, identified(t, "spiffe://one.test/a"), expired)}, NotVerified},
		{"expired, allowed", func(v *config.TLSValidation) { v.AllowExpired = true }, []issued{one.issue(key, identified(t, "spiffe://one.test/a"), expired)}, NotRefused},
		{"the untrusted accepted", func(v *config.TLSValidation) { v.AcceptUntrusted = true }, []issued{two.issue(key, identified(t, "spiffe://one.test/a"))}, NotVerified},
		{"a CA beside, of whom it is not", func(v *config.TLSValidation) { v.CA = inline(certPEM(two.cert)) }, []issued{one.issue(key, identified(t, "spiffe://one.test/a"))}, NotRefused},
		{"a CA beside, of whom it is", func(v *config.TLSValidation) { v.CA = inline(certPEM(two.cert)) }, []issued{two.issue(key, identified(t, "spiffe://one.test/a"))}, NotVerified},
		{"a name", uris(workload), []issued{one.issue(key, identified(t, "spiffe://one.test/workload"))}, NotRefused},
		{"another name", uris(workload), []issued{one.issue(key, identified(t, "spiffe://one.test/other"))}, WrongName},
		{"a name of another type", uris(workload, config.SANMatcher{Match: exact("proxy.test")}), []issued{one.issue(key, identified(t, "spiffe://one.test/other"))}, WrongName},
		{"revoked in the bundle", func(v *config.TLSValidation) {
			v.SPIFFE[0].Bundle = inline(append(certPEM(one.cert), one.revokes(nil, revoked.cert)...))
		}, []issued{revoked}, NotVerified},
		{"not revoked in the bundle", func(v *config.TLSValidation) {
			v.SPIFFE[0].Bundle = inline(append(certPEM(one.cert), one.revokes(nil, revoked.cert)...))
		}, []issued{one.issue(key, identified(t, "spiffe://one.test/a"))}, NotRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := spiffe(one, two)
			test.ask(v)
			d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, one.issue(key))}, Validation: v}})
			if _, s := visit(t, d, one.client(test.show...)); RefusalOf(s.err) != test.want || (s.err == nil) != (test.want == NotRefused) {
				t.Errorf("a client: %v, want %d", s.err, test.want)
			}
			if len(test.show) == 0 {
				return
			}
			u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{Validation: v}})
			server := &tls.Config{}
			shown := tls.Certificate{PrivateKey: test.show[0].key}
			for _, one := range test.show {
				shown.Certificate = append(shown.Certificate, one.cert.Raw)
			}
			server.Certificates = []tls.Certificate{shown}
			if c, _ := reach(t, u, "", server); RefusalOf(c.err) != test.want {
				t.Errorf("a host: %v, want %d", c.err, test.want)
			}
		})
	}
}

// TestSPIFFEShown lists the authorities of all trust domains.
func TestSPIFFEShown(t *testing.T) {
	one, two := newAuthority(t, "one"), newAuthority(t, "two")
	server := one.issue(ecKey(t, elliptic.P256()))
	d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, server)}, Validation: spiffe(one, two)}})
	ca := d.Certificates(time.Now()).CA
	if len(ca) != 2 || ca[0].Path != "one.test: <inline>" {
		t.Errorf("the authorities are %+v", ca)
	}
	var listed [][]byte
	client := one.client()
	client.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		listed = r.AcceptableCAs
		return &tls.Certificate{}, nil
	}
	visit(t, d, client)
	if len(listed) != 2 || string(listed[0]) != string(one.cert.RawSubject) || string(listed[1]) != string(two.cert.RawSubject) {
		t.Errorf("clients are told of %q", listed)
	}
}

// TestSPIFFERefused holds what cannot be of use beside trust domains, and which bundles cannot be read.
func TestSPIFFERefused(t *testing.T) {
	one, two := newAuthority(t, "one", signsLists), newAuthority(t, "two")
	server := tlsCertificate(t, one.issue(ecKey(t, elliptic.P256())))
	for want, change := range map[string]func(*config.TLSValidation){
		errRevokedBesideSPIFFE.Error():                              func(v *config.TLSValidation) { v.CRL = inline(one.revokes(nil)) },
		errNamesBesideSPIFFE.Error():                                func(v *config.TLSValidation) { v.SANs = []config.SANMatcher{{Match: exact("a")}} },
		`trust domain "two.test": trusted CA <inline>: it is not P`: func(v *config.TLSValidation) { v.SPIFFE[1].Bundle = inline([]byte("text")) },
	} {
		v := spiffe(one, two)
		change(v)
		_, err := NewDownstream(&config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{server}, Validation: v}}, nil, time.Now)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := NewUpstream(&config.UpstreamTLS{AutoSANValidation: true, TLS: config.TLS{Validation: spiffe(one, two)}}, nil, time.Now); errors.Is(err, errNameWithoutTrust) {
		t.Error("trust domains are no trust")
	}
}
