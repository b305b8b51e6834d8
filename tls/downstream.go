package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// ErrNotReady is why hands are not shaken while a secret is missing.
var ErrNotReady = errors.New("a secret of the TLS context has not come yet")

var (
	errNoServerName = errors.New("the client does not say which server it wants")
	errNothingShown = errors.New("there is no certificate to show")
)

// Downstream is the TLS of a filter chain. It does not change, and its methods may be called from any goroutine.
type Downstream struct {
	config  *tls.Config // nil while a secret is missing
	missing string
	shown   []*shown
	peers   *verifier
	files   []File
	own     *x509.Certificate // where there is only one
}

// NewDownstream returns the context of c. The files that it names are read now. While one of the secrets that it names has
// not come, the context is there and not ready.
func NewDownstream(c *config.DownstreamTLS, secrets Secrets, now func() time.Time) (*Downstream, error) {
	m, err := gather(&c.TLS, secrets)
	if err != nil {
		return nil, err
	}
	keys := c.TicketKeys
	if c.TicketKeySecret.Name != "" {
		switch s := secrets[c.TicketKeySecret.Key()]; {
		case s == nil:
			m.missing = c.TicketKeySecret.Name
		case s.TicketKeys == nil:
			return nil, fmt.Errorf("secret %q has no session ticket keys", c.TicketKeySecret.Name)
		default:
			keys = s.TicketKeys
		}
	}
	if m.missing != "" {
		return &Downstream{missing: m.missing}, nil
	}
	d := &Downstream{files: filesOf(&m, keys)}
	if d.config, err = parameters(&c.TLS, tls.VersionTLS13, now); err != nil {
		return nil, err
	}
	identity := sha256.New()
	if d.shown, err = m.show(); err != nil {
		return nil, err
	}
	for _, one := range d.shown {
		identity.Write(one.chain[0].Raw)
	}
	if len(d.shown) == 0 {
		return nil, errNothingShown
	}
	if len(d.shown) == 1 {
		d.own = d.shown[0].chain[0]
	}
	if err := checkStaples(d.shown, c.Stapling); err != nil {
		return nil, err
	}
	d.config.GetCertificate = newChooser(d.shown, c.Stapling, now).choose
	if m.validation != nil {
		if err := d.askClients(c.RequireClientCertificate, m.validation, now, identity); err != nil {
			return nil, err
		}
		d.peers.called(m.trust)
	}
	if err := d.tickets(c, keys, [sha256.Size]byte(identity.Sum(nil))); err != nil {
		return nil, err
	}
	d.hearClients(c)
	return d, nil
}

// hearClients decides about what clients say before anything is said to them.
func (d *Downstream) hearClients(c *config.DownstreamTLS) {
	plain := d.config.Clone()
	plain.NextProtos = nil
	d.config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c.RequireSNI && hello.ServerName == "" {
			return nil, errNoServerName
		}
		// crypto/tls would end the handshake when no protocol is common to both (RFC 7301 section 3.2). Envoy goes on without.
		if !slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(c.ALPN, p) }) {
			return plain, nil
		}
		return nil, nil
	}
}

// askClients has clients asked for a certificate, and those that show one checked. What they are checked by is written to
// identity.
func (d *Downstream) askClients(required bool, v *config.TLSValidation, now func() time.Time, identity io.Writer) error {
	var err error
	if d.peers, err = newVerifier(v, x509.ExtKeyUsageClientAuth, now); err != nil {
		return err
	}
	switch demand := demandOf(v); {
	case demand == mayShow && !required:
		return nil
	case demand == mustShow:
		required = true
	}
	// crypto/tls would verify the certificate too, before their number is looked at, and not by all that is asked for.
	d.config.ClientAuth = tls.RequestClientCert
	if required {
		d.config.ClientAuth = tls.RequireAnyClientCert // which has an alert for it
	}
	if !v.HideAuthorities {
		if err := checkListed(d.peers.cas); err != nil {
			return within("trusted CA", v.CA, err)
		}
		d.config.ClientCAs = d.peers.listed()
	}
	// Of what crypto/tls offers only this is called for resumed sessions too, which must not outlive what vouched for them.
	d.config.VerifyConnection = func(state tls.ConnectionState) error {
		switch {
		case len(state.PeerCertificates) > 0:
			return d.peers.verify(state.PeerCertificates, "")
		case required:
			return refuse(NotShown, "the client has shown no certificate")
		}
		return nil
	}
	for _, ca := range d.peers.cas {
		_, _ = identity.Write(ca.Raw)
	}
	for _, domain := range v.SPIFFE {
		_, _ = fmt.Fprintf(identity, "%q %d ", domain.Name, len(d.peers.domains[domain.Name].cas))
	}
	_, _ = fmt.Fprintf(identity, "%t %t %t %d %v %v %v", required, v.AllowExpired, v.AcceptUntrusted, v.MaxDepth, v.SANs, v.SPKI, v.Hashes)
	return nil
}

// demand is what a validation context alone asks of clients.
type demand uint8

const (
	mayShow  demand = iota // nothing: there is nothing to check a certificate by
	isAsked                // that one who shows a certificate shows a good one
	mustShow               // that a certificate be shown: names and hashes would not hold against one who shows none
)

// demandOf returns what v asks of clients, as Envoy has it.
func demandOf(v *config.TLSValidation) demand {
	switch {
	case len(v.SPIFFE) > 0:
		return mustShow
	case v.AcceptUntrusted:
		return isAsked
	case len(v.SANs)+len(v.SPKI)+len(v.Hashes) > 0:
		return mustShow
	case v.CA.IsSet() || v.SystemRoots:
		return isAsked
	}
	return mayShow
}

// tickets decides about the resumption of sessions. Without keys of the configuration, each context makes its own, so that
// a session ends with the context that it was begun in.
func (d *Downstream) tickets(c *config.DownstreamTLS, sources []config.DataSource, identity [sha256.Size]byte) error {
	d.config.SessionTicketsDisabled = c.DisableTickets
	if c.DisableTickets || len(sources) == 0 {
		return nil
	}
	keys, err := ticketKeys(sources, identity)
	if err != nil {
		return err
	}
	d.config.SetSessionTicketKeys(keys)
	return nil
}

// Files returns the files that the context is made of. The slice is read-only.
func (d *Downstream) Files() []File { return d.files }

// Missing returns the name of a secret that has not come, empty when the context is ready.
func (d *Downstream) Missing() string { return d.missing }

// Server returns the server's side of a connection on wire. Nothing is read before Handshake.
func (d *Downstream) Server(wire net.Conn) (Conn, error) {
	if d.config == nil {
		return Conn{}, fmt.Errorf("secret %q: %w", d.missing, ErrNotReady)
	}
	served := &served{Conn: wire}
	return Conn{tls.Server(served, d.config), d.own, served, d.peers}, nil
}

// Certificates returns what clients are shown, and what theirs are verified against.
func (d *Downstream) Certificates(now time.Time) Certificates {
	return certificatesOf(d.shown, d.peers, now)
}

func certificatesOf(shown []*shown, peers *verifier, now time.Time) (out Certificates) {
	for _, one := range shown {
		out.Chain = append(out.Chain, describe(one.chain, one.place, now)...)
	}
	if peers != nil {
		out.CA = describe(peers.cas, peers.place, now)
	}
	return out
}

// DaysUntilFirstExpiring returns the least CertificateDetails.DaysUntilExpiration of Certificates, NoCertificate without any.
func (d *Downstream) DaysUntilFirstExpiring(now time.Time) uint64 {
	return daysUntilFirst(d.shown, d.peers, now)
}

func daysUntilFirst(shown []*shown, peers *verifier, now time.Time) uint64 {
	days := uint64(NoCertificate)
	for _, one := range shown {
		for _, c := range one.chain {
			days = min(days, daysUntil(c.NotAfter, now))
		}
	}
	if peers != nil {
		for _, c := range peers.cas {
			days = min(days, daysUntil(c.NotAfter, now))
		}
	}
	return days
}
