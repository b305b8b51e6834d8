package tls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

// sec1 is an ECDSA key as openssl ecparam writes it: the parameters in a block of their own first.
type sec1 struct {
	key *ecdsa.PrivateKey
	pem []byte
}

func newSEC1(t *testing.T) sec1 {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 5, 43, 129, 4, 0, 34}})
	return sec1{key, append(text, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})...)}
}

// FuzzFiles reads any three files. Either all of what they begin is there, or there is an error.
func FuzzFiles(f *testing.F) {
	block := pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: []byte("x")})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	f.Add(block, key, block)
	f.Add(append(bytes.Clone(block), block[:20]...), []byte(nil), []byte("-----BEGIN CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, cert, key, ca []byte) {
		for _, data := range [][]byte{cert, key, ca} {
			if blocks, err := decodePEM(data); err == nil && len(blocks) < bytes.Count(data, []byte(pemBegin)) {
				t.Errorf("%d blocks of %q", len(blocks), data)
			}
		}
		g, err := Files{Cert: "c", Key: "k", ClientCA: "a"}.build(contents{cert, key, ca}, time.Now())
		if (g == nil) == (err == nil) {
			t.Errorf("%v, %v", g, err)
		}
		if signer, err := parseKey(key); err == nil && signer.Public() == nil {
			t.Error("a key without a public half")
		}
	})
}
