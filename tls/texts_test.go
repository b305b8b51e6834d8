package tls

import (
	"crypto/elliptic"
	"crypto/x509"
	"net"
	"net/url"
	"strings"
	"testing"
)

// TestTexts holds what is said of certificates, and that a certificate cannot end a line of a log.
func TestTexts(t *testing.T) {
	a := newAuthority(t, "ca")
	c := a.issue(ecKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.Subject.CommonName = "client\r\nx"
		c.DNSNames, c.IPAddresses = []string{"a.test", "b.test"}, []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "a"}, {Scheme: "spiffe", Host: "b"}}
	})
	p := Peer{Certificate: c.cert, own: a.cert}
	got := p.Texts()
	want := NameTexts{URI: "spiffe://a,spiffe://b", DNS: "a.test,b.test", IP: "192.0.2.1,2001:db8::1", Subject: got.Subject}
	if got.NameTexts != want || !strings.Contains(got.Subject, "CN=client") || strings.ContainsAny(got.Subject, "\r\n") {
		t.Errorf("got %+v", got.NameTexts)
	}
	if got.Issuer != "CN=ca" || len(got.Fingerprint256) != 64 || len(got.Fingerprint1) != 40 || !got.ValidFrom.Equal(c.cert.NotBefore) || !got.ValidUntil.Equal(c.cert.NotAfter) {
		t.Errorf("got %+v", got)
	}
	if pem, err := url.PathUnescape(got.PEM); err != nil || pem != string(certPEM(c.cert)) {
		t.Errorf("PEM %q, %v", got.PEM, err)
	}
	if p.Texts() != got {
		t.Error("the texts are made twice")
	}
	if own := p.OwnNames(); own == nil || own.Subject != "CN=ca" || p.OwnNames() != own {
		t.Errorf("our own are %+v", own)
	}
	none := Peer{}
	if none.Texts() != nil || none.OwnNames() != nil {
		t.Error("there are texts of no certificate")
	}
}
