package tls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Upstream is the TLS of a cluster. It does not change, and its methods may be called from any goroutine.
type Upstream struct {
	config  *tls.Config // nil while a secret is missing
	missing string
	asked   *config.UpstreamTLS
	shown   []*shown
	peers   *verifier // nil: any certificate is good
	files   []File
}

// NewUpstream returns the context of c. The files that it names are read now. While one of the secrets that it names has not
// come, the context is there and not ready.
func NewUpstream(c *config.UpstreamTLS, secrets Secrets, now func() time.Time) (*Upstream, error) {
	m, err := gather(&c.TLS, secrets)
	if err != nil {
		return nil, err
	}
	if m.missing != "" {
		return &Upstream{missing: m.missing}, nil
	}
	u := &Upstream{asked: c, files: filesOf(&m, nil)}
	// Envoy's clients speak no more than TLS 1.2 unless they are told to.
	if u.config, err = parameters(&c.TLS, tls.VersionTLS12, now); err != nil {
		return nil, err
	}
	if u.shown, err = m.show(); err != nil {
		return nil, err
	}
	if m.validation != nil {
		if u.peers, err = newVerifier(m.validation, x509.ExtKeyUsageServerAuth, now); err != nil {
			return nil, err
		}
		u.peers.called(m.trust)
	}
	if c.AutoSANValidation && (u.peers == nil || !u.peers.trusts()) {
		return nil, errNameWithoutTrust
	}
	// Certificates are checked by the verifier, and where there is none, as in Envoy, not at all.
	u.config.InsecureSkipVerify = true
	if c.MaxSessionKeys > 0 {
		u.config.SessionTicketsDisabled = false
		size := min(c.MaxSessionKeys, maxSessions)
		if c.PerName {
			size = maxSessions // of each name one is kept
		}
		u.config.ClientSessionCache = tls.NewLRUClientSessionCache(int(size))
	}
	return u, nil
}

// errNameWithoutTrust is why a name is not checked: anybody can make a certificate with it.
var (
	errNameWithoutTrust  = errors.New("auto_sni_san_validation needs trusted_ca")
	errNamesWithoutTrust = refuse(NotVerified, "auto_san_validation needs trusted_ca")
)

// maxSessions bounds the sessions kept of a cluster, whatever max_session_keys says: each has some KiB.
const maxSessions = 1024

// Files returns the files that the context is made of. The slice is read-only.
func (u *Upstream) Files() []File { return u.files }

// Missing returns the name of a secret that has not come, empty when the context is ready.
func (u *Upstream) Missing() string { return u.missing }

// Names are what a host is asked for by, and what it must prove.
type Names struct {
	Host string // of the endpoint, empty for none
	SNI  string // goes before what the context says, empty for none. An address is none.
	SAN  string // the name, or address, that the certificate must be for whatever the context says, empty for none
}

// Client returns the client's side of a connection on wire to a host. alpn are the protocols to offer where the context has none.
// Nothing is written before Handshake.
func (u *Upstream) Client(wire net.Conn, names Names, alpn []string) (Conn, error) {
	if u.config == nil {
		return Conn{}, fmt.Errorf("secret %q: %w", u.missing, ErrNotReady)
	}
	own := u.config.Clone()
	own.ServerName = u.asked.SNI
	switch _, noName := netip.ParseAddr(names.SNI); {
	case names.SNI != "" && noName != nil:
		own.ServerName = names.SNI
	case u.asked.AutoHostSNI && names.Host != "":
		own.ServerName = names.Host
	}
	if len(own.NextProtos) == 0 {
		own.NextProtos = alpn
	}
	if len(u.shown) > 0 {
		// Not Certificates: of those a client of crypto/tls shows only what the host says that it would take, and one that is
		// told what is missing is easier to help than one that sees nothing.
		shown := awaited(wire, &u.shown[0].certificate)
		own.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }
	}
	must := ""
	if u.asked.AutoSANValidation {
		must = own.ServerName
	}
	if names.SAN != "" {
		must = names.SAN
	}
	switch {
	case names.SAN != "" && (u.peers == nil || !u.peers.trusts()):
		own.VerifyConnection = func(tls.ConnectionState) error { return errNamesWithoutTrust }
	case u.peers != nil:
		own.VerifyConnection = func(state tls.ConnectionState) error { return u.peers.verify(state.PeerCertificates, must) }
	}
	return Conn{Conn: tls.Client(wire, own)}, nil
}

// Dial opens a connection to a host by the dialer and shakes hands on it, both before ctx ends; a nil u is plaintext. name is the
// host name of the endpoint, empty for none; first is sent before anything else; alpn is as for Client. shaken, when not nil, is told how hands were shaken. Dial blocks, so
// it is not for traffic.
func (u *Upstream) Dial(
	ctx context.Context, dialer *net.Dialer, network, address, name string, first []byte, alpn []string, shaken func(Conn, error),
) (net.Conn, error) {
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if len(first) > 0 {
		if _, err := raw.Write(first); err != nil { // a new socket has room for it, so this does not wait
			_ = raw.Close()
			return nil, err
		}
	}
	if u == nil {
		return raw, nil
	}
	c, err := u.Client(raw, Names{Host: name}, alpn)
	if err == nil {
		err = c.HandshakeContext(ctx)
		if shaken != nil {
			shaken(c, err)
		}
	}
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return c, nil
}

// Certificates returns what hosts are shown, and what theirs are verified against.
func (u *Upstream) Certificates(now time.Time) Certificates {
	return certificatesOf(u.shown, u.peers, now)
}

// DaysUntilFirstExpiring returns the least CertificateDetails.DaysUntilExpiration of Certificates, NoCertificate without any.
func (u *Upstream) DaysUntilFirstExpiring(now time.Time) uint64 {
	return daysUntilFirst(u.shown, u.peers, now)
}
