package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// serial gives every certificate of the tests another number.
type serial struct{ last atomic.Int64 }

func (s *serial) next() *big.Int { return big.NewInt(0x0a00 + s.last.Add(1)) }

// authority issues certificates.
type authority struct {
	t       *testing.T
	serials *serial
	cert    *x509.Certificate
	key     crypto.Signer
}

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T, name string, change ...func(*x509.Certificate)) *authority {
	t.Helper()
	a := &authority{t: t, serials: new(serial), key: ecKey(t, elliptic.P256())}
	template := &x509.Certificate{
		SerialNumber: a.serials.next(), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	for _, f := range change {
		f(template)
	}
	a.cert = sign(t, template, template, a.key.Public(), a.key)
	return a
}

// issue returns a certificate for proxy.test, for servers and clients, with what change makes of it.
func (a *authority) issue(key crypto.Signer, change ...func(*x509.Certificate)) issued {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: a.serials.next(), Subject: pkix.Name{CommonName: "proxy.test"}, DNSNames: []string{"proxy.test"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100*time.Hour + time.Minute),
	}
	for _, f := range change {
		f(template)
	}
	return issued{sign(a.t, template, a.cert, key.Public(), a.key), key}
}

func sign(t *testing.T, template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

func certPEM(list ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range list {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})...)
	}
	return text
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// folder has the files of a context.
type folder struct {
	t *testing.T
	Files
}

// newFolder writes files; without a CA, clients need no certificate.
func newFolder(t *testing.T, cert, key, ca []byte) *folder {
	t.Helper()
	dir := t.TempDir()
	f := &folder{t, Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}}
	if ca != nil {
		f.ClientCA = filepath.Join(dir, "ca.pem")
		f.write(f.ClientCA, ca)
	}
	f.write(f.Cert, cert)
	f.write(f.Key, key)
	return f
}

// pair writes a certificate and its key.
func (f *folder) pair(i issued) {
	f.t.Helper()
	f.write(f.Cert, certPEM(i.cert))
	f.write(f.Key, keyPEM(f.t, i.key))
}

func (f *folder) write(path string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) context() *ServerContext {
	f.t.Helper()
	s, err := NewServerContext(f.Files, "h2")
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// echo serves a context on a socket: what connections send they get back.
func echo(t *testing.T, s *ServerContext) (address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", s.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				b := make([]byte, 1)
				for {
					if _, err := conn.Read(b); err != nil {
						return
					}
					if _, err := conn.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// client returns a configuration that trusts a and shows the certificates.
func (a *authority) client(show ...issued) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	config := &tls.Config{RootCAs: roots, ServerName: "proxy.test", NextProtos: []string{"h2"}}
	if len(show) > 0 {
		// Not Certificates: of those a client shows only what the server says it would accept.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c := &tls.Certificate{PrivateKey: show[0].key}
			for _, one := range show {
				c.Certificate = append(c.Certificate, one.cert.Raw)
			}
			return c, nil
		}
	}
	return config
}

// dial shakes hands and has a byte echoed: with TLS 1.3 that is when a client learns that its certificate was refused.
func dial(address string, config *tls.Config) (*tls.Conn, error) {
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	if err := ping(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func ping(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte{'x'}); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

func serials(list []CertificateDetails) []string {
	var numbers []string
	for _, d := range list {
		numbers = append(numbers, d.SerialNumber)
	}
	return numbers
}
