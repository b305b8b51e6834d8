package tls

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

const revocationBlock = "X509 CRL"

// revocationList is a CRL (RFC 5280 section 5) made ready for handshakes, which must neither search it nor hash it whole.
type revocationList struct {
	*x509.RevocationList
	revoked map[string]time.Time // by serial number, in big-endian bytes
	// signedBy are the certificates that are known to have signed it, by their DER.
	signedBy map[string]bool
}

// newRevocationList makes list ready. What of it is critical and not understood makes it useless: it may not be about all
// certificates of its issuer, or about those of others (RFC 5280 section 5.2).
func newRevocationList(list *x509.RevocationList) (*revocationList, error) {
	out := &revocationList{
		RevocationList: list, revoked: make(map[string]time.Time, len(list.RevokedCertificateEntries)), signedBy: make(map[string]bool),
	}
	if err := checkCritical(list.Extensions); err != nil {
		return nil, err
	}
	for i := range list.RevokedCertificateEntries {
		entry := &list.RevokedCertificateEntries[i]
		if err := checkCritical(entry.Extensions); err != nil {
			return nil, err
		}
		out.revoked[string(entry.SerialNumber.Bytes())] = entry.RevocationTime
	}
	return out, nil
}

func checkCritical(extensions []pkix.Extension) error {
	for _, e := range extensions {
		if e.Critical {
			return fmt.Errorf("has the critical extension %s, which is not supported", e.Id)
		}
	}
	return nil
}

// isOf reports whether the list is of an issuer, and has its signature.
func (l *revocationList) isOf(issuer *x509.Certificate) (named, signed bool) {
	if !bytes.Equal(l.RawIssuer, issuer.RawSubject) {
		return false, false
	}
	return true, l.signedBy[string(issuer.Raw)] || l.CheckSignatureFrom(issuer) == nil
}

// revoked returns why a chain is not good by the revocation lists: one of its certificates is on the list of its issuer, or
// there is no list of that issuer that is good now (RFC 5280 section 6.3).
func (v *verifier) revoked(chain []*x509.Certificate) error {
	for i := 0; i+1 < len(chain); i++ {
		if i > 0 && v.v.OnlyLeafCRL {
			return nil
		}
		if err := v.revokedBy(chain[i+1], chain[i]); err != nil {
			return err
		}
	}
	return nil
}

// revokedBy is revoked for one certificate. Of several lists of its issuer all that are good count.
func (v *verifier) revokedBy(issuer, certificate *x509.Certificate) error {
	why := fmt.Errorf("there is no revocation list of %q", issuer.Subject)
	known, now := false, v.now()
	for _, list := range v.crls {
		named, signed := list.isOf(issuer)
		switch {
		case !named:
		case !signed:
			why = fmt.Errorf("the revocation list of %q is not signed by it", issuer.Subject)
		case now.Before(list.ThisUpdate):
			why = fmt.Errorf("the revocation list of %q is not in force before %s", issuer.Subject, moment(list.ThisUpdate))
		case !list.NextUpdate.IsZero() && now.After(list.NextUpdate):
			why = fmt.Errorf("the revocation list of %q is out of date since %s", issuer.Subject, moment(list.NextUpdate))
		default:
			if since, ok := list.revoked[string(certificate.SerialNumber.Bytes())]; ok {
				return fmt.Errorf("the certificate %x is revoked since %s", certificate.SerialNumber, moment(since))
			}
			known = true
		}
	}
	if known {
		return nil
	}
	return why
}

// readRevocations reads the lists that the configuration names. Those in the CA bundle are there already.
func (v *verifier) readRevocations() error {
	const role = "CRL"
	if !v.v.CRL.IsSet() {
		return nil
	}
	data, err := read(role, v.v.CRL)
	if err != nil {
		return err
	}
	lists, err := v.parseRevocations(data)
	if err == nil && lists == 0 {
		err = errors.New("there is no list in it, want blocks of -----BEGIN " + revocationBlock + "-----")
	}
	if err != nil {
		return within(role, v.v.CRL, err)
	}
	return nil
}

// parseRevocations adds the revocation lists of PEM blocks, and returns how many there are.
func (v *verifier) parseRevocations(data []byte) (int, error) {
	blocks, err := decodePEM(data)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, block := range blocks {
		if block.Type != revocationBlock {
			continue
		}
		n++
		if err := v.addRevocations(block); err != nil {
			return n, fmt.Errorf("list %d of it %w", n, err)
		}
	}
	return n, nil
}

func (v *verifier) addRevocations(block *pem.Block) error {
	parsed, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return fmt.Errorf("cannot be parsed: %w", err)
	}
	list, err := newRevocationList(parsed)
	if err != nil {
		return err
	}
	for _, ca := range v.cas {
		if _, signed := list.isOf(ca); signed {
			list.signedBy[string(ca.Raw)] = true
		}
	}
	v.crls = append(v.crls, list)
	return nil
}
