package tls

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Counter is what handshakes are counted in, of stats.SSL: the stats.Block of a worker, or a stats.Scope.
type Counter interface{ Inc(i int) }

// Count counts in block how hands were shaken on c, or that they were not for the reason err. network tells that the reason is the
// network below, and not something that the peer said.
func Count(block Counter, c Conn, err error, network bool) {
	if err != nil {
		countFailure(block, err, network)
		if c.served != nil && c.served.staple == unstapled {
			countStaple(block, c.served)
		}
		return
	}
	peer := c.Peer()
	block.Inc(stats.SSLHandshake)
	if peer.Resumed {
		block.Inc(stats.SSLSessionReused)
	}
	switch {
	case peer.Certificate == nil:
		block.Inc(stats.SSLNoCertificate)
	case keyUsageInvalid(peer.Certificate):
		block.Inc(stats.SSLWasKeyUsageInvalid)
	}
	countNamed(block, "versions.", peer.Version)
	countNamed(block, "ciphers.", peer.CipherSuite)
	countNamed(block, "curves.", peer.Curve)
	if algorithm := signatureOf(&peer); algorithm != "" {
		countNamed(block, "sigalgs.", algorithm)
	}
	countStaple(block, c.served)
}

func countNamed(block Counter, family, name string) {
	if i, ok := stats.SSLNamed(family, name); ok {
		block.Inc(i)
	}
}

// keyUsageInvalid reports whether a certificate with an RSA key must not sign, which it has: all suites here are of ephemeral
// keys (RFC 8446 section 4.4.2.2).
func keyUsageInvalid(c *x509.Certificate) bool {
	return c.PublicKeyAlgorithm == x509.RSA && c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0
}

// signatureOf returns the algorithm that the peer has signed the handshake with, empty where it is not known: crypto/tls does
// not tell, but TLS 1.3 leaves an ECDSA or Ed25519 key no choice (RFC 8446 section 4.2.3).
func signatureOf(p *Peer) string {
	if p.Certificate == nil || p.Resumed || p.Version != versionName(tls.VersionTLS13) {
		return ""
	}
	switch key := p.Certificate.PublicKey.(type) {
	case ed25519.PublicKey:
		return "ed25519"
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return "ecdsa_secp256r1_sha256"
		case elliptic.P384():
			return "ecdsa_secp384r1_sha384"
		case elliptic.P521():
			return "ecdsa_secp521r1_sha512"
		}
	}
	return ""
}

func countStaple(block Counter, s *served) {
	if s == nil || s.staple == notAsked {
		return
	}
	block.Inc(stats.SSLOCSPStapleRequests)
	switch s.staple {
	case stapled:
		block.Inc(stats.SSLOCSPStapleResponses)
	case omitted:
		block.Inc(stats.SSLOCSPStapleOmitted)
	case unstapled:
		block.Inc(stats.SSLOCSPStapleFailed)
	}
}

func countFailure(block Counter, err error, network bool) {
	switch RefusalOf(err) {
	case NotShown:
		block.Inc(stats.SSLFailVerifyNoCert)
	case NotVerified:
		block.Inc(stats.SSLFailVerifyError)
	case WrongName:
		block.Inc(stats.SSLFailVerifySAN)
	case WrongHash:
		block.Inc(stats.SSLFailVerifyCertHash)
	}
	if !network {
		block.Inc(stats.SSLConnectionError)
	}
}
