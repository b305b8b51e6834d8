package acceptance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestBadClientCertificates refuses each certificate that is not good, and counts it under its own reason and no other.
func TestBadClientCertificates(t *testing.T) {
	a, stranger := harness.NewAuthority(t), harness.NewAuthority(t)
	key := newECKey(t)
	pair := func(by *harness.Authority, change func(*x509.Certificate), names ...string) *tls.Certificate {
		cert, pemKey := by.IssueAs(key, change, names...)
		out, err := tls.X509KeyPair(cert, pemKey)
		if err != nil {
			t.Fatal(err)
		}
		return &out
	}
	good := pair(a, nil, "client.test")
	revoked := pair(a, nil, "client.test")
	pinned := sha256.Sum256(good.Leaf.Raw)
	base := func(c *config.TLSValidation) { c.SANs = sanExact("client.test") }
	sanOf := func(raw ...asn1.RawValue) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			value, err := asn1.Marshal(raw)
			if err != nil {
				t.Fatal(err)
			}
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value})
		}
	}
	dnsName := func(name string) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(name)}
	}
	// otherName with the name of the client as a UTF8String, of the type of user principal names.
	otherName := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(
		[]byte("\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x0d\x0c\x0b"), "client.test"...)}
	const failed, noCert, name, hash = "fail_verify_error", "fail_verify_no_cert", "fail_verify_san", "fail_verify_cert_hash"
	for what, test := range map[string]struct {
		ask  func(*config.TLSValidation)
		show *tls.Certificate
		stat string
	}{
		"none":                 {base, nil, noCert},
		"of another authority": {base, pair(stranger, nil, "client.test"), failed},
		"signed by itself":     {base, selfSigned(t, key), failed},
		"expired":              {base, pair(a, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "client.test"), failed},
		"not yet valid":        {base, pair(a, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, "client.test"), failed},
		"for servers alone":    {base, pair(a, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "client.test"), failed},
		"with an unknown extension": {base, pair(a, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, "client.test"), failed},
		"of a leaf": {base, ofLeaf(t, good, key), failed},
		"on the revocation list": {func(c *config.TLSValidation) {
			base(c)
			c.CRL = config.DataSource{Inline: a.Revokes(revoked.Leaf)}
		}, revoked, failed},
		"for another name":      {base, pair(a, nil, "other.test"), name},
		"without a name":        {base, pair(a, nil), name},
		"with the common name":  {base, pair(a, func(c *x509.Certificate) { c.Subject.CommonName = "client.test" }), name},
		"a name with NUL":       {base, pair(a, sanOf(dnsName("client.test\x00.evil.test"))), name},
		"an otherName":          {base, pair(a, sanOf(otherName)), name},
		"a wildcard of a label": {base, pair(a, sanOf(dnsName("c*.test"))), name},
		"a wildcard of all":     {base, pair(a, sanOf(dnsName("*.test"), dnsName("*"))), name},
		"wildcards of two labels": {func(c *config.TLSValidation) { c.SANs = sanExact("a.client.test") },
			pair(a, sanOf(dnsName("*.*.test"))), name},
		"of another hash": {func(c *config.TLSValidation) { c.Hashes = []string{hex.EncodeToString(pinned[:])} }, pair(a, nil, "client.test"), hash},
	} {
		t.Run(what, func(t *testing.T) {
			p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, func(c *config.DownstreamTLS) {
				c.RequireClientCertificate = true
				c.Validation = &config.TLSValidation{CA: config.DataSource{Inline: a.CA()}, MaxDepth: -1}
				test.ask(c.Validation)
			}).Start(t)
			for round, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				client := tlsClient(t, p, a, false, func(c *tls.Config) {
					c.MaxVersion = version
					if test.show != nil {
						c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return test.show, nil }
					}
				})
				if r, err := client.Get("https://proxy.test/"); err == nil {
					t.Fatalf("answered %s", r.Status)
				}
				p.Sync()
				for _, stat := range []string{failed, noCert, name, hash} {
					want := uint64(0)
					if stat == test.stat {
						want = uint64(round + 1)
					}
					if n := p.ListenerStat("ssl." + stat); n != want {
						t.Errorf("%s: %s is %d, want %d", tls.VersionName(version), stat, n, want)
					}
				}
				if n := p.ListenerStat("ssl.handshake"); n != 0 {
					t.Errorf("%s: %d handshakes", tls.VersionName(version), n)
				}
			}
		})
	}
	t.Run("a good one", func(t *testing.T) {
		p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, func(c *config.DownstreamTLS) {
			c.Validation = &config.TLSValidation{
				CA: config.DataSource{Inline: a.CA()}, CRL: config.DataSource{Inline: a.Revokes(revoked.Leaf)},
				Hashes: []string{hex.EncodeToString(pinned[:])}, MaxDepth: -1,
			}
			base(c.Validation)
		}).Start(t)
		client := tlsClient(t, p, a, false, func(c *tls.Config) { c.Certificates = []tls.Certificate{*good} })
		r, err := client.Get("https://proxy.test/")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
	})
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// selfSigned returns a certificate for client.test that nobody else has signed.
func selfSigned(t *testing.T, key *ecdsa.PrivateKey) *tls.Certificate {
	t.Helper()
	template := clientTemplate()
	return signedBy(t, template, template, key)
}

// ofLeaf returns a certificate for client.test that one has signed which is no authority.
func ofLeaf(t *testing.T, leaf *tls.Certificate, key *ecdsa.PrivateKey) *tls.Certificate {
	t.Helper()
	out := signedBy(t, clientTemplate(), leaf.Leaf, key)
	out.Certificate = append(out.Certificate, leaf.Certificate...)
	return out
}

func clientTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "client.test"}, DNSNames: []string{"client.test"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func signedBy(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *tls.Certificate {
	t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
	if err != nil {
		t.Fatal(err)
	}
	return &out
}
