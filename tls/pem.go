package tls

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const certificateBlock = "CERTIFICATE"

// pemBegin starts a block, RFC 7468 §2. Nothing else in a file of keys and certificates looks like it.
const pemBegin = "-----BEGIN "

var errNotPEM = errors.New("it is not PEM, want blocks that begin with -----BEGIN")

// decodePEM returns the blocks of a file. pem.Decode skips what it cannot read, which would silently shorten a chain whose
// file was only half written: blocks that begin are counted against it.
func decodePEM(data []byte) ([]*pem.Block, error) {
	begun := bytes.Count(data, []byte(pemBegin))
	var blocks []*pem.Block
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	switch {
	case begun == 0:
		return nil, errNotPEM
	case len(blocks) < begun:
		return nil, fmt.Errorf("%d of its %d PEM blocks cannot be read, want whole ones: it is damaged or was only half written",
			begun-len(blocks), begun)
	}
	return blocks, nil
}

// parseCertificates returns the certificates of a file, in order. Other blocks are passed over: a file may have the key too.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	var certificates []*x509.Certificate
	for _, block := range blocks {
		if block.Type != certificateBlock {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of it cannot be parsed: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, errors.New("there is no certificate in it, want blocks of -----BEGIN CERTIFICATE-----")
	}
	return certificates, nil
}
