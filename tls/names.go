package tls

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// sanMatch reports whether a certificate has a name that m matches.
func sanMatch(m *config.SANMatcher, c *x509.Certificate) bool {
	switch m.Type {
	case config.SANDNS:
		return slices.ContainsFunc(c.DNSNames, func(san string) bool {
			if m.Match.Kind == config.StringExact {
				return dnsMatch(m.Match.Value, san)
			}
			return m.Match.Matches(san)
		})
	case config.SANURI:
		for _, uri := range c.URIs {
			if m.Match.Matches(uri.String()) {
				return true
			}
		}
	case config.SANEmail:
		return slices.ContainsFunc(c.EmailAddresses, m.Match.Matches)
	case config.SANIP:
		for _, ip := range c.IPAddresses {
			if m.Match.Matches(ip.String()) {
				return true
			}
		}
	}
	return false
}

// dnsMatch reports whether a name is the DNS name of a certificate, whose first label may be "*" for any one label (RFC 9525
// section 6.3).
func dnsMatch(name, san string) bool {
	name, san = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(san)
	if strings.IndexByte(san, 0) >= 0 || name == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(san, "*."); ok {
		label, parent, found := strings.Cut(name, ".")
		return found && label != "" && parent == rest && strings.Contains(rest, ".")
	}
	return name == san
}
