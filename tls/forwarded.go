package tls

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// ForwardedClientCert returns the element of x-forwarded-client-cert that describes the peer's certificate, which must be there,
// with the details that are asked for. By is who we are to the peer, where our certificate has a URI.
func (p *Peer) ForwardedClientCert(details config.ClientCertDetails) string {
	sum := sha256.Sum256(p.Certificate.Raw)
	var pairs []string
	if p.own != nil {
		for _, uri := range p.own.URIs {
			pairs = append(pairs, "By="+forwarded(uri.String()))
		}
	}
	pairs = append(pairs, "Hash="+hex.EncodeToString(sum[:]))
	encoded := func(certificates ...[]byte) string { return `"` + encodedPEM(certificates...) + `"` }
	if details.Cert {
		pairs = append(pairs, "Cert="+encoded(p.Certificate.Raw))
	}
	if details.Chain {
		var all [][]byte
		for _, one := range p.chain {
			all = append(all, one.Raw)
		}
		pairs = append(pairs, "Chain="+encoded(all...))
	}
	if details.Subject {
		pairs = append(pairs, "Subject="+quoted(p.Certificate.Subject.String()))
	}
	if details.URI {
		if len(p.Certificate.URIs) == 0 {
			pairs = append(pairs, "URI=")
		}
		for _, uri := range p.Certificate.URIs {
			pairs = append(pairs, "URI="+forwarded(uri.String()))
		}
	}
	if details.DNS {
		for _, name := range p.Certificate.DNSNames {
			pairs = append(pairs, "DNS="+forwarded(name))
		}
	}
	return strings.Join(pairs, ";")
}

// forwarded returns a value as it stands after "=": in quotes where it has a character that would end it. What is in a
// certificate must not be taken for another element.
func forwarded(value string) string {
	if strings.ContainsAny(value, "\",;= \t") || !visible(value) {
		return quoted(value)
	}
	return value
}

// quoted returns a value in quotes. Control characters, which a field cannot have, are left out.
func quoted(value string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ' || c == 0x7f:
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func visible(value string) bool {
	for i := range len(value) {
		if value[i] <= ' ' || value[i] == 0x7f {
			return false
		}
	}
	return true
}
