package tls

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// chooser picks one of several certificates for a client: by the name that it asks for, exact before wildcard, then by the
// kind of key that it can verify, and anything before RSA, which costs most. It does not change.
type chooser struct {
	all    []*shown
	byName map[string][]*shown // by lower-case name; that of a wildcard begins with "*."
	policy config.StaplePolicy
	now    func() time.Time
}

func newChooser(all []*shown, policy config.StaplePolicy, now func() time.Time) *chooser {
	out := &chooser{all: slices.Clone(all), byName: make(map[string][]*shown), policy: policy, now: now}
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
	asks, now := slices.Contains(hello.Extensions, statusRequest), c.now()
	one := c.pick(hello, asks, now)
	certificate, wire := one.stapled(now), hello.Conn
	result := stapled
	switch {
	case !asks:
		result = notAsked
	case !one.may(c.policy, now):
		result = unstapled
	case certificate.OCSPStaple == nil:
		result = omitted
	}
	if s, ok := wire.(*served); ok {
		wire, s.staple = s.Conn, result
	}
	if result == unstapled {
		return nil, errNotStapled
	}
	return awaited(wire, certificate), nil
}

// statusRequest is the number of the extension by which a client asks for an OCSP response (RFC 6066 section 8).
const statusRequest = 5

// pick returns the first certificate that the client can verify and may be shown, else the first of all.
func (c *chooser) pick(hello *tls.ClientHelloInfo, asks bool, now time.Time) *shown {
	name := strings.ToLower(hello.ServerName)
	able := *hello
	able.ServerName = "" // SupportsCertificate is to look at keys alone
	_, parent, _ := strings.Cut(name, ".")
	for _, list := range [][]*shown{c.byName[name], c.byName["*."+parent], c.all} {
		for _, one := range list {
			if able.SupportsCertificate(&one.certificate) == nil && (!asks || one.may(c.policy, now)) {
				return one
			}
		}
	}
	return c.all[0]
}
