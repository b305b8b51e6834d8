package tls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
)

// Conn is a connection under TLS. It reads and writes on what it was made on, and blocks where that blocks.
type Conn struct {
	*tls.Conn
	own    *x509.Certificate // that is shown, nil when it may be one of several
	served *served           // nil on the client's side
	peers  *verifier         // of the certificates of clients; nil on the client's side, and where there is none
}

// served is the wire of a server, and what is to be known of the hello of its client.
type served struct {
	net.Conn
	staple stapling
}

// stapling is what became of a client's wish to see an OCSP response (RFC 6066 section 8).
type stapling uint8

const (
	notAsked stapling = iota
	stapled
	omitted   // there is none, or it is out of date
	unstapled // and so hands were not shaken
)

// Handshake shakes hands. On an error the peer has been told why, as far as it is to know; [RefusalOf] tells whether it was
// its certificate.
func (c Conn) Handshake() error { return c.Conn.HandshakeContext(context.Background()) }

// Peer describes how hands were shaken.
type Peer struct {
	// Version, CipherSuite and Curve are named as in statistics: "TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519".
	Version, CipherSuite, Curve string
	Resumed                     bool
	// Protocol is what was agreed on by ALPN, empty for nothing.
	Protocol string
	// ServerName is what the client has asked for.
	ServerName string
	// Certificate is the peer's, nil when it has shown none.
	Certificate *x509.Certificate
	// Validated says that a client's Certificate was found good by something that not every certificate is good for.
	Validated bool
	chain     []*x509.Certificate // as it was shown, Certificate first
	own       *x509.Certificate   // our own, nil when it may be one of several
	texts     *CertificateTexts   // of Certificate, once asked for
	ownTexts  *NameTexts          // of own, once asked for
}

// Peer returns how hands were shaken.
func (c Conn) Peer() Peer {
	state := c.ConnectionState()
	out := Peer{
		Version: versionName(state.Version), CipherSuite: suiteName(state.CipherSuite), Curve: curveName(state.CurveID),
		Resumed: state.DidResume, Protocol: state.NegotiatedProtocol, ServerName: state.ServerName,
		own: c.own,
	}
	if len(state.PeerCertificates) > 0 {
		out.Certificate, out.chain = state.PeerCertificates[0], state.PeerCertificates
		out.Validated = c.peers != nil && c.peers.validated(state.PeerCertificates)
	}
	return out
}

func versionName(version uint16) string {
	switch version {
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return "unknown"
}

// suiteName returns the name of a suite as BoringSSL has it, which is what statistics are tagged with.
func suiteName(suite uint16) string {
	// crypto/tls makes a list of all that it knows each time it is asked for a name.
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256:
		return "TLS_AES_128_GCM_SHA256"
	case tls.TLS_AES_256_GCM_SHA384:
		return "TLS_AES_256_GCM_SHA384"
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return "TLS_CHACHA20_POLY1305_SHA256"
	}
	for _, s := range suites {
		if s.id == suite {
			return s.name
		}
	}
	return tls.CipherSuiteName(suite)
}

func curveName(curve tls.CurveID) string {
	for _, c := range curves {
		if c.id == curve {
			return c.name
		}
	}
	if curve == 0 {
		return "unknown"
	}
	return curve.String() // of a default of crypto/tls that cannot be chosen by name
}
