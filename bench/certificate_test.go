package bench

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWriteCertificate(t *testing.T) {
	now := time.Now()
	path := filepath.Join(t.TempDir(), "tls.pem")
	if err := writeCertificate(path, now); err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(decode(t, path, "CERTIFICATE"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := certificate.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	key, err := x509.ParsePKCS8PrivateKey(decode(t, path+keySuffix, "PRIVATE KEY"))
	if err != nil {
		t.Fatal(err)
	}
	if own, ok := key.(*ecdsa.PrivateKey); !ok || own.Curve.Params().Name != "P-256" || !own.PublicKey.Equal(certificate.PublicKey) {
		t.Errorf("key %T, want that of the certificate, of ECDSA P-256", key)
	}
	if info, err := os.Stat(path + keySuffix); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v, want mode 0600", info.Mode(), err)
	}
}

// decode returns the only block of a file.
func decode(t *testing.T, path, kind string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(rest) != 0 {
		t.Fatalf("%s: want one block of type %s", path, kind)
	}
	return block.Bytes
}

func TestCertificateOnlyWhereNeeded(t *testing.T) {
	l := &lab{dir: t.TempDir(), options: Options{Scenarios: []Scenario{{}}}}
	if err := l.makeCertificate(); err != nil || l.certificate != "" {
		t.Errorf("without TLS: %q, %v", l.certificate, err)
	}
	l.options.Scenarios = tlsScenarios()[:1]
	if err := l.makeCertificate(); err != nil || filepath.Dir(l.certificate) != l.dir {
		t.Errorf("with TLS: %q, %v", l.certificate, err)
	}
}
