package tls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
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
	if c.AutoSANValidation && (u.peers == nil || u.peers.roots == nil) {
		return nil, errNameWithoutTrust
	}
	// Certificates are checked by the verifier, and where there is none, as in Envoy, not at all.
	u.config.InsecureSkipVerify = true
	if c.MaxSessionKeys > 0 {
		u.config.SessionTicketsDisabled = false
		u.config.ClientSessionCache = tls.NewLRUClientSessionCache(int(min(c.MaxSessionKeys, maxSessions)))
	}
	return u, nil
}

// errNameWithoutTrust is why a name is not checked: anybody can make a certificate with it.
var errNameWithoutTrust = errors.New("auto_sni_san_validation needs trusted_ca")

// maxSessions bounds the sessions kept of a cluster, whatever max_session_keys says: each has some KiB.
const maxSessions = 1024

// Files returns the files that the context is made of. The slice is read-only.
func (u *Upstream) Files() []File { return u.files }

// Missing returns the name of a secret that has not come, empty when the context is ready.
func (u *Upstream) Missing() string { return u.missing }

// Client returns the client's side of a connection on wire to a host. name is the host name of the endpoint, empty for none;
// alpn are the protocols to offer where the context has none. Nothing is written before Handshake.
func (u *Upstream) Client(wire net.Conn, name string, alpn []string) (Conn, error) {
	if u.config == nil {
		return Conn{}, fmt.Errorf("secret %q: %w", u.missing, ErrNotReady)
	}
	own := u.config.Clone()
	own.ServerName = u.asked.SNI
	if u.asked.AutoHostSNI && name != "" {
		own.ServerName = name
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
	if u.peers != nil {
		own.VerifyConnection = func(state tls.ConnectionState) error { return u.peers.verify(state.PeerCertificates, must) }
	}
	return Conn{tls.Client(wire, own), nil, nil}, nil
}

// Dial opens a connection to a host and shakes hands on it, both before ctx ends; a nil u is plaintext. name and alpn are as for
// Client. It blocks, so it is not for traffic.
func (u *Upstream) Dial(ctx context.Context, network, address, name string, alpn []string) (net.Conn, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil || u == nil {
		return raw, err
	}
	c, err := u.Client(raw, name, alpn)
	if err == nil {
		err = c.HandshakeContext(ctx)
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
