package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Errors about keys are made of these words alone: those of a parser could repeat what it read.
var (
	errNoKey        = errors.New("there is no private key in it, want a block of -----BEGIN PRIVATE KEY-----")
	errEncryptedKey = errors.New("the private key is encrypted, want it without a passphrase")
	errBadKey       = errors.New("the private key cannot be parsed, want RSA, ECDSA or Ed25519 as PKCS #8, PKCS #1 or SEC 1")
	errMismatch     = errors.New("the private key does not match the certificate, want the one that the certificate was issued for")
	errCurve        = errors.New("the curve of the ECDSA key is not supported, want P-256, P-384 or P-521")
)

// parseKey returns the first private key of a file, which may be encrypted with the password, nil for none.
func parseKey(data, password []byte) (crypto.Signer, error) {
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return parseKeyBlock(block, password)
		}
	}
	return nil, errNoKey
}

func parseKeyBlock(block *pem.Block, password []byte) (crypto.Signer, error) {
	// RFC 1421 §4.6.1.1 has the type of the processing in a header, PKCS #8 has it in the label.
	old := strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
	switch sealed := strings.HasPrefix(block.Type, "ENCRYPTED"); {
	case (sealed || old) && password == nil:
		return nil, errEncryptedKey
	case old:
		return nil, errOldEncrypted
	case sealed:
		plain, err := decryptKey(block.Bytes, password)
		if err != nil {
			return nil, err
		}
		key, err := x509.ParsePKCS8PrivateKey(plain)
		if err != nil {
			return nil, errPassword // what was decrypted ends like padding by chance
		}
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, errBadKey
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, errBadKey // of a kind that only agrees on keys, as X25519
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return nil, errBadKey
}

// checkKey returns why a key cannot serve with a certificate, or nil.
func checkKey(key crypto.Signer, leaf *x509.Certificate) error {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits {
			return fmt.Errorf("the RSA key has %d bits, want %d or more", bits, minRSABits)
		}
		return checkPublic(public.Equal(leaf.PublicKey))
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P224() {
			return errCurve
		}
		return checkPublic(public.Equal(leaf.PublicKey))
	case ed25519.PublicKey:
		return checkPublic(public.Equal(leaf.PublicKey))
	}
	return errBadKey
}

func checkPublic(equal bool) error {
	if !equal {
		return errMismatch
	}
	return nil
}
