package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Secrets are what SDS has delivered, by config.SecretRef.Key.
type Secrets map[string]*config.Secret

// CheckSecret reads what a secret has, and says what of it cannot be used. Whether it fits what names it is not looked at: a
// validation context may be a part of one.
func CheckSecret(s *config.Secret, now func() time.Time) error {
	switch {
	case s.Certificate != nil:
		if _, err := show(s.Certificate); err != nil {
			return fmt.Errorf("tls_certificate: %w", err)
		}
	case s.Validation != nil:
		v := &verifier{v: s.Validation, now: now}
		if err := v.read(); err != nil {
			return fmt.Errorf("validation_context: %w", err)
		}
	default:
		if _, err := ticketKeys(s.TicketKeys, [sha256.Size]byte{}); err != nil {
			return fmt.Errorf("session_ticket_keys: %w", err)
		}
	}
	return nil
}

// material is what a context is made of, with the secrets that it names.
type material struct {
	certificates []config.TLSCertificate
	names        []string              // of the secrets that certificates are of, "" for one of the configuration itself
	validation   *config.TLSValidation // nil: peers need not be anybody
	trust        string                // the name of the secret that validation is of, "" for none
	missing      string                // a secret that has not come, empty for none
}

// gather puts together what c says and what the secrets have that it names.
func gather(c *config.TLS, secrets Secrets) (m material, err error) {
	m.certificates = append(m.certificates, c.Certificates...)
	m.names = make([]string, len(m.certificates))
	for _, ref := range c.CertificateSecrets {
		switch s := secrets[ref.Key()]; {
		case s == nil:
			m.missing = ref.Name
		case s.Certificate == nil:
			return m, fmt.Errorf("secret %q is no certificate", ref.Name)
		default:
			m.certificates = append(m.certificates, *s.Certificate)
			m.names = append(m.names, ref.Name)
		}
	}
	m.validation = c.Validation
	if c.ValidationSecret.Name == "" {
		return m, nil
	}
	switch s := secrets[c.ValidationSecret.Key()]; {
	case s == nil:
		m.missing = c.ValidationSecret.Name
	case s.Validation == nil:
		return m, fmt.Errorf("secret %q is no validation context", c.ValidationSecret.Name)
	default:
		m.validation, m.trust = merge(c.Validation, s.Validation), c.ValidationSecret.Name
	}
	return m, nil
}

// merge lays a dynamic validation context over a default one as protobuf merges messages: what is set replaces, lists are
// joined.
func merge(base, over *config.TLSValidation) *config.TLSValidation {
	if base == nil {
		return over
	}
	out := *base
	if over.CA.IsSet() {
		out.CA, out.SystemRoots = over.CA, false
	}
	if over.SystemRoots {
		out.CA, out.SystemRoots = config.DataSource{}, true
	}
	if over.CRL.IsSet() {
		out.CRL = over.CRL
	}
	if len(over.SPIFFE) > 0 {
		out.SPIFFE = over.SPIFFE
	}
	if over.MaxDepth >= 0 {
		out.MaxDepth = over.MaxDepth
	}
	out.SANs = append(append([]config.SANMatcher(nil), base.SANs...), over.SANs...)
	out.SPKI = append(append([]string(nil), base.SPKI...), over.SPKI...)
	out.Hashes = append(append([]string(nil), base.Hashes...), over.Hashes...)
	out.AllowExpired = base.AllowExpired || over.AllowExpired
	out.AcceptUntrusted = base.AcceptUntrusted || over.AcceptUntrusted
	out.OnlyLeafCRL = base.OnlyLeafCRL || over.OnlyLeafCRL
	out.HideAuthorities = base.HideAuthorities || over.HideAuthorities
	return &out
}

// shown is a certificate that we show, and where it is from.
type shown struct {
	certificate tls.Certificate // without a staple
	chain       []*x509.Certificate
	place       string
	name        string  // in statistics
	staple      *staple // nil for none
	mustStaple  bool    // clients are told to take the certificate with a staple only
}

// show reads and checks all certificates.
func (m *material) show() (all []*shown, err error) {
	for i := range m.certificates {
		one, err := show(&m.certificates[i])
		if err != nil {
			return nil, err
		}
		if m.names[i] != "" {
			one.name = m.names[i]
		}
		all = append(all, one)
	}
	return all, nil
}

// show reads and checks a certificate and its key. One that has expired is shown, as by Envoy: peers judge that, and a control
// plane that cannot give a better one may serve peers that do not.
func show(c *config.TLSCertificate) (*shown, error) {
	chainBytes, err := read(roleCert, c.Chain)
	if err != nil {
		return nil, err
	}
	keyBytes, err := read(roleKey, c.Key)
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(chainBytes)
	if err != nil {
		return nil, within(roleCert, c.Chain, err)
	}
	var password []byte
	if c.Password.IsSet() {
		if password, err = read("password", c.Password); err != nil {
			return nil, err
		}
	}
	key, err := parseKey(keyBytes, password)
	if err == nil {
		err = checkKey(key, chain[0])
	}
	if err != nil {
		return nil, within(roleKey, c.Key, err)
	}
	out := &shown{certificate: tls.Certificate{PrivateKey: key, Leaf: chain[0]}, chain: chain, place: place(c.Chain), name: unnamed("cert", chainBytes)}
	out.mustStaple = mustStaple(chain[0])
	for _, one := range chain {
		out.certificate.Certificate = append(out.certificate.Certificate, one.Raw)
	}
	if c.OCSPStaple.IsSet() {
		if out.staple, err = readStaple(c.OCSPStaple, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ticketKeySize is the size of a session ticket key in bytes, as Envoy has them.
const ticketKeySize = 80

// errTicketKey is what is wrong with a ticket key.
var errTicketKey = errors.New("it is no session ticket key, want 80 bytes")

// ticketKeys returns the keys to seal and open tickets with. They are bound to identity: a ticket of a context that trusts
// others, or is somebody else, cannot be opened.
func ticketKeys(sources []config.DataSource, identity [sha256.Size]byte) ([][32]byte, error) {
	if len(sources) > maxTicketKeys {
		return nil, fmt.Errorf("there are %d session ticket keys, want at most %d", len(sources), maxTicketKeys)
	}
	var keys [][32]byte
	for _, source := range sources {
		key, err := read("session ticket key", source)
		if err != nil {
			return nil, err
		}
		if len(key) != ticketKeySize {
			return nil, within("session ticket key", source, errTicketKey)
		}
		keys = append(keys, sha256.Sum256(append(identity[:], key...)))
	}
	return keys, nil
}
