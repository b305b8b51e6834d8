package tls

import (
	"crypto/x509"
	"net"
	"slices"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// sanMatch reports whether a certificate has a name that m matches.
func sanMatch(m *config.SANMatcher, c *x509.Certificate) bool {
	matches := func(san string) bool { return whole(san) && m.Match.Matches(san) }
	switch m.Type {
	case config.SANDNS:
		return slices.ContainsFunc(c.DNSNames, func(san string) bool {
			if m.Match.Kind == config.StringExact {
				return dnsMatch(m.Match.Value, san)
			}
			return matches(san)
		})
	case config.SANURI:
		for _, uri := range c.URIs {
			if matches(uri.String()) {
				return true
			}
		}
	case config.SANEmail:
		return slices.ContainsFunc(c.EmailAddresses, matches)
	case config.SANIP:
		for _, ip := range c.IPAddresses {
			if matches(ip.String()) {
				return true
			}
		}
	}
	return false
}

// isFor reports whether a certificate is for a DNS name, or for an IP address (RFC 9525 sections 6.3 and 6.5).
func isFor(c *x509.Certificate, name string) bool {
	if ip := net.ParseIP(name); ip != nil {
		return slices.ContainsFunc(c.IPAddresses, ip.Equal)
	}
	return slices.ContainsFunc(c.DNSNames, func(san string) bool { return dnsMatch(name, san) })
}

// whole reports whether a name is what it looks like: one with NUL in it ends there for those who print it.
func whole(san string) bool { return strings.IndexByte(san, 0) < 0 }

// dnsMatch reports whether a name is the DNS name of a certificate, whose first label may be "*" for any one label (RFC 9525
// section 6.3).
func dnsMatch(name, san string) bool {
	name, san = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(san)
	if !whole(san) || name == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(san, "*."); ok {
		label, parent, found := strings.Cut(name, ".")
		return found && label != "" && parent == rest && strings.Contains(rest, ".")
	}
	return name == san
}
