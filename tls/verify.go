package tls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Refusal is why the certificate of a peer is not good enough, as it is counted.
type Refusal uint8

// The reasons, with their names in ssl.* statistics.
const (
	NotRefused  Refusal = iota
	NotShown            // fail_verify_no_cert
	NotVerified         // fail_verify_error
	WrongName           // fail_verify_san
	WrongHash           // fail_verify_cert_hash
)

// refusal is an error of verification.
type refusal struct {
	why Refusal
	err error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(why Refusal, format string, args ...any) error {
	return &refusal{why, fmt.Errorf(format, args...)}
}

// notShown is how crypto/tls says that a client has shown no certificate where one is required. It has no error of its own for that.
const notShown = "tls: client didn't provide a certificate"

// RefusalOf returns why a handshake failed, when it did for the certificate of the peer.
func RefusalOf(err error) Refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.why
	}
	if err != nil && err.Error() == notShown {
		return NotShown
	}
	return NotRefused
}

// verifier says which certificates of peers are good.
type verifier struct {
	v     *config.TLSValidation
	usage x509.ExtKeyUsage
	now   func() time.Time
	roots *x509.CertPool // nil: certificates need not lead anywhere
	// domains has a verifier for each trust domain of SPIFFE, nil when it is not asked for. Then there are no roots.
	domains map[string]*verifier
	sans    []config.SANMatcher
	cas     []*x509.Certificate
	crls    []*revocationList
	place   string // of the CA
	name    string // of the CA in statistics
	spki    map[[sha256.Size]byte]bool
	hashes  map[[sha256.Size]byte]bool
}

// newVerifier reads what v names.
func newVerifier(v *config.TLSValidation, usage x509.ExtKeyUsage, now func() time.Time) (*verifier, error) {
	out := &verifier{v: v, usage: usage, now: now}
	if err := checkTrust(v); err != nil {
		return nil, err
	}
	if err := out.read(); err != nil {
		return nil, err
	}
	return out, nil
}

// read reads what the validation context has.
func (v *verifier) read() error {
	v.sans = v.v.SANs
	switch {
	case len(v.v.SPIFFE) > 0:
		if err := v.trustDomains(); err != nil {
			return err
		}
	case v.v.SystemRoots:
		roots, err := x509.SystemCertPool()
		if err != nil {
			return fmt.Errorf("the roots of the operating system: %w", err)
		}
		v.roots = roots
	case v.v.CA.IsSet():
		if err := v.trust(v.v.CA); err != nil {
			return err
		}
	}
	if err := v.readRevocations(); err != nil {
		return err
	}
	v.spki, v.hashes = make(map[[sha256.Size]byte]bool), make(map[[sha256.Size]byte]bool)
	for _, pin := range v.v.SPKI {
		sum, err := base64.StdEncoding.DecodeString(pin)
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("%q is no SHA-256 in base64", pin)
		}
		v.spki[[sha256.Size]byte(sum)] = true
	}
	for _, pin := range v.v.Hashes {
		sum, err := hex.DecodeString(pin)
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("%q is no SHA-256 in hexadecimal", pin)
		}
		v.hashes[[sha256.Size]byte(sum)] = true
	}
	return nil
}

// checkTrust returns what of v would be of no use without a CA, as Envoy refuses it, or nil.
func checkTrust(v *config.TLSValidation) error {
	switch {
	case len(v.SPIFFE) > 0:
		return checkSPIFFE(v)
	case v.CA.IsSet() || v.SystemRoots:
		return nil
	case v.CRL.IsSet():
		return errors.New("crl needs trusted_ca")
	case len(v.SANs) > 0:
		return errors.New("match_typed_subject_alt_names needs trusted_ca: anybody can make a certificate with any name")
	case v.AllowExpired:
		return errors.New("allow_expired_certificate needs trusted_ca: without it no time is looked at")
	}
	return nil
}

// trust reads the CA bundle. One in which all has expired is taken: it verifies nobody, which shows in the handshakes.
func (v *verifier) trust(source config.DataSource) error {
	const role = "trusted CA"
	data, err := read(role, source)
	if err != nil {
		return err
	}
	if v.cas, err = parseCertificates(data); err == nil {
		_, err = v.parseRevocations(data)
	}
	if err != nil {
		return within(role, source, err)
	}
	v.place, v.name = place(source), unnamed("ca_cert", data)
	v.roots = x509.NewCertPool()
	for _, ca := range v.cas {
		v.roots.AddCert(v.timed(ca))
	}
	return nil
}

// verify checks the certificates that a peer has shown, its own first. name, when it is not empty, is what it must be for
// instead of the names asked for. As in Envoy, one who accepts the untrusted accepts whatever is wrong.
func (v *verifier) verify(shown []*x509.Certificate, name string) error {
	if len(shown) > maxChain {
		return refuse(NotVerified, "the peer has shown %d certificates, want at most %d", len(shown), maxChain)
	}
	if v.v.AcceptUntrusted && v.domains == nil {
		return nil
	}
	return v.check(shown, name)
}

// validated reports whether certificates that were accepted are good for more than that they were shown.
func (v *verifier) validated(shown []*x509.Certificate) bool {
	switch {
	case !v.trusts() && len(v.spki)+len(v.hashes) == 0:
		return false // whatever is shown is good
	case v.v.AcceptUntrusted:
		return v.check(shown, "") == nil
	}
	return true
}

// check is verify for whoever is not trusted unseen.
func (v *verifier) check(shown []*x509.Certificate, name string) error {
	leaf := shown[0]
	if err := v.verifyChain(leaf, shown[1:]); err != nil {
		return &refusal{NotVerified, err}
	}
	switch {
	case name != "":
		if !isFor(leaf, name) {
			return refuse(WrongName, "the certificate is not for %q", name)
		}
	case len(v.sans) > 0 && !slices.ContainsFunc(v.sans, func(m config.SANMatcher) bool { return sanMatch(&m, leaf) }):
		return refuse(WrongName, "the certificate has none of the subject alternative names that are asked for")
	}
	if len(v.spki)+len(v.hashes) > 0 && !v.hashes[sha256.Sum256(leaf.Raw)] && !v.spki[sha256.Sum256(leaf.RawSubjectPublicKeyInfo)] {
		return refuse(WrongHash, "the certificate is none of those that are pinned")
	}
	return nil
}

// verifyChain looks for a way from a certificate to a root.
func (v *verifier) verifyChain(leaf *x509.Certificate, others []*x509.Certificate) error {
	switch {
	case v.domains != nil:
		domain, err := v.domainOf(leaf)
		if err != nil {
			return err
		}
		return domain.verifyChain(leaf, others)
	case v.roots == nil:
		return nil
	}
	options := x509.VerifyOptions{
		Roots: v.roots, Intermediates: x509.NewCertPool(), CurrentTime: v.now(), KeyUsages: []x509.ExtKeyUsage{v.usage},
	}
	for _, one := range others {
		options.Intermediates.AddCert(v.timed(one))
	}
	chains, err := v.timed(leaf).Verify(options)
	if err != nil {
		return err
	}
	if v.v.MaxDepth >= 0 {
		between := max(0, v.v.MaxDepth-1)
		chains = slices.DeleteFunc(chains, func(chain []*x509.Certificate) bool { return len(chain)-2 > between })
		if len(chains) == 0 {
			return fmt.Errorf("there are more than %d certificates between it and a root", between)
		}
	}
	if len(v.crls) == 0 {
		return nil
	}
	for _, chain := range chains {
		if err = v.revoked(chain); err == nil {
			return nil
		}
	}
	return err
}

// timed returns a certificate as far as its time matters: where those that are expired are allowed, it is a copy that is
// valid for ever.
func (v *verifier) timed(c *x509.Certificate) *x509.Certificate {
	if !v.v.AllowExpired {
		return c
	}
	forever := *c
	forever.NotBefore, forever.NotAfter = time.Unix(0, 0), time.Unix(1<<40, 0)
	return &forever
}
