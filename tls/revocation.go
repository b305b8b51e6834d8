package tls

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// revoked returns why a chain is not good by the revocation lists: one of its certificates is on the list of its issuer, or
// there is no list of that issuer that is good now (RFC 5280 section 6.3).
func (v *verifier) revoked(chain []*x509.Certificate) error {
	for i := 0; i+1 < len(chain); i++ {
		if i > 0 && v.v.OnlyLeafCRL {
			return nil
		}
		certificate, issuer := chain[i], chain[i+1]
		known := false
		for _, list := range v.crls {
			if !bytes.Equal(list.RawIssuer, issuer.RawSubject) || list.CheckSignatureFrom(issuer) != nil {
				continue
			}
			if !list.NextUpdate.IsZero() && v.now().After(list.NextUpdate) {
				return fmt.Errorf("the revocation list of %q is out of date since %s", issuer.Subject, moment(list.NextUpdate))
			}
			known = true
			for _, entry := range list.RevokedCertificateEntries {
				if entry.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
					return fmt.Errorf("the certificate %x is revoked since %s", certificate.SerialNumber, moment(entry.RevocationTime))
				}
			}
		}
		if !known {
			return fmt.Errorf("there is no revocation list of %q", issuer.Subject)
		}
	}
	return nil
}

// parseRevocations returns the revocation lists of a data source.
func parseRevocations(source config.DataSource) ([]*x509.RevocationList, error) {
	if !source.IsSet() {
		return nil, nil
	}
	data, err := read("CRL", source)
	if err != nil {
		return nil, err
	}
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, within("CRL", source, err)
	}
	var lists []*x509.RevocationList
	for _, block := range blocks {
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, within("CRL", source, fmt.Errorf("list %d of it cannot be parsed: %w", len(lists)+1, err))
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, within("CRL", source, errors.New("there is no list in it, want blocks of -----BEGIN X509 CRL-----"))
	}
	return lists, nil
}
