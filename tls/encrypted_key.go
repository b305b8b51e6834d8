package tls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// Limits of an encrypted key.
const (
	// maxIterations bounds how often a password is hashed: more than three times what is advised for SHA-256 today. It takes half a second.
	maxIterations = 2_000_000
	// maxSalt bounds the salt, in bytes. Those in use have 8 or 16.
	maxSalt = 128
)

// Errors about encrypted keys. They have nothing of the key or its password.
var (
	errPassword     = errors.New("the private key cannot be decrypted with the password, want the one that it was encrypted with")
	errOldEncrypted = errors.New("the private key is encrypted in the old way of PEM, want ENCRYPTED PRIVATE KEY (PKCS #8)")
	errEncryption   = errors.New("how the private key is encrypted is not supported, want PBES2 with PBKDF2 and AES in CBC mode, as openssl pkcs8 has it")
)

// What RFC 8018 calls by numbers: appendix A.2 to A.4, B.1 and B.2.
var (
	idPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	idPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	prfs     = []struct {
		id   asn1.ObjectIdentifier
		hash func() hash.Hash
	}{
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New}, // also where none is named
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, sha256.New},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
	}
	ciphers = []struct {
		id  asn1.ObjectIdentifier
		key int // its size in bytes
	}{
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32},
	}
)

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958 section 3).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// pbes2 are the parameters of PBES2 (RFC 8018 appendix A.4), and pbkdf2Of those of PBKDF2 (appendix A.2).
type (
	pbes2    struct{ Derivation, Cipher pkix.AlgorithmIdentifier }
	pbkdf2Of struct {
		Salt       []byte
		Iterations int
		KeySize    int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

// decryptKey returns the PKCS #8 key that is inside an encrypted one.
func decryptKey(sealed, password []byte) ([]byte, error) {
	var (
		outer  encryptedKey
		scheme pbes2
		iv     []byte
	)
	if rest, err := asn1.Unmarshal(sealed, &outer); err != nil || len(rest) > 0 {
		return nil, errBadKey
	}
	if !outer.Algorithm.Algorithm.Equal(idPBES2) {
		return nil, errEncryption
	}
	if _, err := asn1.Unmarshal(outer.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, errBadKey
	}
	size := 0
	for _, c := range ciphers {
		if c.id.Equal(scheme.Cipher.Algorithm) {
			size = c.key
		}
	}
	if size == 0 || !scheme.Derivation.Algorithm.Equal(idPBKDF2) {
		return nil, errEncryption
	}
	key, err := derive(&scheme.Derivation, password, size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errBadKey
	}
	if _, err := asn1.Unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil || len(iv) != aes.BlockSize ||
		len(outer.Data) == 0 || len(outer.Data)%aes.BlockSize != 0 {
		return nil, errBadKey
	}
	plain := make([]byte, len(outer.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, outer.Data)
	return unpadded(plain)
}

// derive makes a key of size bytes of a password (RFC 8018 section 5.2).
func derive(a *pkix.AlgorithmIdentifier, password []byte, size int) ([]byte, error) {
	var p pbkdf2Of
	if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil || p.Iterations < 1 || p.KeySize != 0 && p.KeySize != size {
		return nil, errBadKey
	}
	if p.Iterations > maxIterations || len(p.Salt) > maxSalt {
		return nil, fmt.Errorf("the private key is encrypted with %d iterations and a salt of %d bytes, want at most %d and %d",
			p.Iterations, len(p.Salt), maxIterations, maxSalt)
	}
	of := sha1.New
	if len(p.PRF.Algorithm) > 0 {
		of = nil
	}
	for _, prf := range prfs {
		if prf.id.Equal(p.PRF.Algorithm) {
			of = prf.hash
		}
	}
	if of == nil {
		return nil, errEncryption
	}
	key, err := pbkdf2.Key(of, string(password), p.Salt, p.Iterations, size)
	if err != nil {
		return nil, errEncryption // in FIPS mode
	}
	return key, nil
}

// unpadded takes the padding off (RFC 8018 section 6.1.1): what is none was decrypted with another password. Nobody is told more of it,
// and nobody can try again with other bytes.
func unpadded(plain []byte) ([]byte, error) {
	n := int(plain[len(plain)-1])
	if n < 1 || n > aes.BlockSize {
		return nil, errPassword
	}
	for _, b := range plain[len(plain)-n:] {
		if int(b) != n {
			return nil, errPassword
		}
	}
	return plain[:len(plain)-n], nil
}
