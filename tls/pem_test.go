package tls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
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
		s := &ServerContext{files: Files{Cert: "c", Key: "k", ClientCA: "a"}, now: time.Now}
		g, err := s.build(contents{cert, key, ca})
		if (g == nil) == (err == nil) {
			t.Errorf("%v, %v", g, err)
		}
		if signer, err := parseKey(key, []byte("password")); err == nil && signer.Public() == nil {
			t.Error("a key without a public half")
		}
	})
}

// FuzzValidation reads any CA bundle and any revocation lists. Either there is an error, or every list that was begun counts.
func FuzzValidation(f *testing.F) {
	block := func(kind string) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("x")}) }
	f.Add(block(certificateBlock), block(revocationBlock))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	ca, err := x509.ParseCertificate(raw)
	if err != nil {
		f.Fatal(err)
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(2), RevocationTime: time.Now()}},
	}, ca, key)
	if err != nil {
		f.Fatal(err)
	}
	lists := pem.EncodeToMemory(&pem.Block{Type: revocationBlock, Bytes: list})
	f.Add(certPEM(ca), lists)
	f.Add(append(certPEM(ca), lists...), lists)
	f.Fuzz(func(t *testing.T, cas, crl []byte) {
		v := &config.TLSValidation{CA: inline(cas), CRL: inline(crl), MaxDepth: -1}
		got, err := newVerifier(v, x509.ExtKeyUsageClientAuth, time.Now)
		if (got == nil) == (err == nil) {
			t.Fatalf("%v beside %v", got, err)
		}
		if got == nil {
			return
		}
		begun := bytes.Count(slices.Concat(cas, []byte{'\n'}, crl), []byte(pemBegin+revocationBlock+"-----"))
		if v.CA.IsSet() && len(got.crls) != begun {
			t.Errorf("%d lists of %d", len(got.crls), begun)
		}
		_ = got.verify([]*x509.Certificate{ca}, "")
	})
}
