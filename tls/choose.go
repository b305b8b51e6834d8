package tls

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
)

// chooser picks one of several certificates for a client: by the name that it asks for, exact before wildcard, then by the
// kind of key that it can verify, and anything before RSA, which costs most. It does not change.
type chooser struct {
	all    []*tls.Certificate
	byName map[string][]*tls.Certificate // by lower-case name; that of a wildcard begins with "*."
}

func newChooser(shown []*shown) *chooser {
	out := &chooser{byName: make(map[string][]*tls.Certificate)}
	for _, one := range shown {
		out.all = append(out.all, &one.certificate)
		for _, name := range serverNames(one.chain[0]) {
			name = strings.ToLower(name)
			out.byName[name] = append(out.byName[name], &one.certificate)
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

func rsaLast(list []*tls.Certificate) {
	rank := func(c *tls.Certificate) int {
		if c.Leaf.PublicKeyAlgorithm == x509.RSA {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b *tls.Certificate) int { return rank(a) - rank(b) })
}

// choose has the signature of tls.Config.GetCertificate.
func (c *chooser) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	able := *hello
	able.ServerName = "" // SupportsCertificate is to look at keys alone
	_, parent, _ := strings.Cut(name, ".")
	for _, list := range [][]*tls.Certificate{c.byName[name], c.byName["*."+parent], c.all} {
		for _, one := range list {
			if able.SupportsCertificate(one) == nil {
				return awaited(hello, one), nil
			}
		}
	}
	return awaited(hello, c.all[0]), nil
}
