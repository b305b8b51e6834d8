package controlplane

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode/utf8"
)

// validateCertificates returns the certificates by name.
func (c *Config) validateCertificates() (map[string]*Certificate, error) {
	names := make(map[string]int, len(c.Certificates))
	byName := make(map[string]*Certificate, len(c.Certificates))
	for i := range c.Certificates {
		path := fmt.Sprintf("certificates[%d]", i)
		certificate := &c.Certificates[i]
		if err := checkName(path, "certificates", certificate.Name, i, names); err != nil {
			return nil, err
		}
		if err := certificate.validate(path); err != nil {
			return nil, err
		}
		byName[certificate.Name] = certificate
	}
	for name := range byName {
		if _, ok := byName[validationName(name)]; ok {
			return nil, fieldErrorf(fmt.Sprintf("certificates[%d].name", names[validationName(name)]),
				"%q is what the CA of certificate %q is called", validationName(name), name)
		}
	}
	return byName, c.validateClientAuth()
}

func (c *Certificate) validate(path string) error {
	if !utf8.ValidString(c.CertChain) || !utf8.ValidString(c.PrivateKey) || !utf8.ValidString(c.CACert) {
		return fieldErrorf(path, "has bytes that are not UTF-8, which PEM never has")
	}
	if c.PrivateKey == "" && c.CACert == "" {
		return fieldErrorf(path, "neither private_key nor ca_cert: nothing to use it for")
	}
	if c.PrivateKey == "" && c.CertChain != "" {
		return fieldErrorf(path+".private_key", "missing for cert_chain")
	}
	if c.RequireClient && (c.PrivateKey == "" || c.CACert == "") {
		return fieldErrorf(path+".require_client", "true needs a private_key to serve with and a ca_cert to verify clients with")
	}
	if c.CACert != "" {
		if _, err := parseCertificates(c.CACert); err != nil {
			return fieldErrorf(path+".ca_cert", "%s", err)
		}
	}
	if c.PrivateKey == "" {
		return nil
	}
	chain, err := parseCertificates(c.CertChain)
	if err != nil {
		return fieldErrorf(path+".cert_chain", "%s", err)
	}
	if err := checkKey(c.PrivateKey, chain[0]); err != nil {
		return fieldErrorf(path+".private_key", "%s", err)
	}
	return nil
}

// validateClientAuth refuses certificates that ask the one listener they share for different things of its clients.
func (c *Config) validateClientAuth() error {
	first := -1
	for i, certificate := range c.Certificates {
		if certificate.PrivateKey == "" {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		want := c.Certificates[first]
		if certificate.RequireClient != want.RequireClient {
			return fieldErrorf(fmt.Sprintf("certificates[%d].require_client", i),
				"%t, but certificates[%d] says %t and both are served by the one listener", certificate.RequireClient, first, want.RequireClient)
		}
		if want.RequireClient && certificate.CACert != want.CACert {
			return fieldErrorf(fmt.Sprintf("certificates[%d].ca_cert", i),
				"not that of certificates[%d], and the one listener verifies clients with one", first)
		}
	}
	return nil
}

func parseCertificates(text string) ([]*x509.Certificate, error) {
	var parsed []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %q where CERTIFICATE is expected", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d is not a certificate: %w", len(parsed)+1, err)
		}
		parsed = append(parsed, certificate)
	}
	if len(parsed) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return parsed, nil
}

// checkKey reports whether text is the private key of leaf. Its errors never quote the key.
func checkKey(text string, leaf *x509.Certificate) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("not a private key in PEM")
	}
	key, err := parseKey(block.Bytes)
	if err != nil {
		return err
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return errors.New("not the key of the first certificate in cert_chain")
	}
	return nil
}

// parseKey reads the three encodings keys come in: PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) and SEC 1 (RFC 5915).
func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("not a private key in PKCS #8, PKCS #1 or SEC 1")
}
