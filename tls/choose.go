package tls

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// chooser picks one of several certificates for a client: by the name that it asks for, exact before wildcard, then by the
// kind of key that it can verify, and anything before RSA, which costs most. It does not change.
type chooser struct {
	all    []*shown
	byName map[string][]*shown // by lower-case name; that of a wildcard begins with "*."
	now    func() time.Time
}

func newChooser(all []*shown, now func() time.Time) *chooser {
	out := &chooser{all: slices.Clone(all), byName: make(map[string][]*shown), now: now}
	for _, one := range all {
		for _, name := range serverNames(one.chain[0]) {
			name = strings.ToLower(name)
			out.byName[name] = append(out.byName[name], one)
		}
	}
	for _, list := range out.byName {
		rsaLast(list)
	}
	rsaLast(out.all)
	return out
}

// serverNames are the names that a certificate is for: the common name counts only where there is no other kind of name
// (RFC 6125 section 6.4.4).
func serverNames(leaf *x509.Certificate) []string {
	others := len(leaf.DNSNames) + len(leaf.IPAddresses) + len(leaf.URIs) + len(leaf.EmailAddresses)
	if name := leaf.Subject.CommonName; others == 0 && name != "" {
		return []string{name}
	}
	return leaf.DNSNames
}

func rsaLast(list []*shown) {
	rank := func(s *shown) int {
		if s.chain[0].PublicKeyAlgorithm == x509.RSA {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b *shown) int { return rank(a) - rank(b) })
}

// choose has the signature of tls.Config.GetCertificate.
func (c *chooser) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	certificate := c.pick(hello).stapled(c.now())
	wire := hello.Conn
	if s, ok := wire.(*served); ok {
		wire = s.Conn
		switch {
		case !slices.Contains(hello.Extensions, statusRequest):
		case certificate.OCSPStaple == nil:
			s.staple = omitted
		default:
			s.staple = stapled
		}
	}
	return awaited(wire, certificate), nil
}

// statusRequest is the number of the extension by which a client asks for an OCSP response (RFC 6066 section 8).
const statusRequest = 5

func (c *chooser) pick(hello *tls.ClientHelloInfo) *shown {
	name := strings.ToLower(hello.ServerName)
	able := *hello
	able.ServerName = "" // SupportsCertificate is to look at keys alone
	_, parent, _ := strings.Cut(name, ".")
	for _, list := range [][]*shown{c.byName[name], c.byName["*."+parent], c.all} {
		for _, one := range list {
			if able.SupportsCertificate(&one.certificate) == nil {
				return one
			}
		}
	}
	return c.all[0]
}
