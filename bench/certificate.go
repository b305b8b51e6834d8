package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// certificateLife is longer than any run.
	certificateLife = 30 * 24 * time.Hour
	// clockSlack is how far clocks of one machine are apart: not at all, but a certificate begins with a whole second.
	clockSlack = time.Hour
	// keySuffix is of the file of a key: see peer.Spec.
	keySuffix = ".key"
)

// makeCertificate writes what all proxies show their clients, when there is a scenario under TLS.
func (l *lab) makeCertificate() error {
	if !slices.ContainsFunc(l.options.Scenarios, func(s Scenario) bool { return s.Traffic.TLS }) {
		return nil
	}
	l.certificate = filepath.Join(l.dir, "tls.pem")
	return writeCertificate(l.certificate, time.Now())
}

// writeCertificate makes a key of ECDSA P-256 and a certificate that it has signed itself, for addresses and names of this
// machine, and writes both as PEM: the certificate to path, the key to path with keySuffix.
func writeCertificate(path string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    now.Add(-clockSlack),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(path, "CERTIFICATE", certificate); err != nil {
		return err
	}
	return writePEM(path+keySuffix, "PRIVATE KEY", private)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
