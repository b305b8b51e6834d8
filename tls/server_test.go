package tls

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestWhatIsRefused(t *testing.T) {
	ca := newAuthority(t, "ca")
	key, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224 := ecKey(t, elliptic.P224())
	good, goodKey, goodCA := certPEM(ca.issue(key).cert), keyPEM(t, key), certPEM(ca.cert)
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")})
	legacy := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("secret")})
	junk := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})
	badCert := pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: []byte("no DER")})
	later := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }
	named := func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: strings.Repeat("n", maxAuthorities)} }
	tests := []struct {
		name          string
		cert, key, ca []byte
		file, want    string // which is blamed, and for what
	}{
		{"certificate is no PEM", []byte("hello"), goodKey, nil, "cert.pem", "certificate file: it is not PEM"},
		{"certificate is empty", nil, goodKey, nil, "cert.pem", "it is not PEM"},
		{"certificate is a key", goodKey, goodKey, nil, "cert.pem", "there is no certificate in it"},
		{"certificate is no DER", badCert, goodKey, nil, "cert.pem", "certificate 1 of it cannot be parsed"},
		{"chain is cut", append(bytes.Clone(good), goodCA[:len(goodCA)/2]...), goodKey, nil, "cert.pem", "1 of its 2 PEM blocks cannot be read"},
		{"byte order mark", append([]byte("\ufeff"), append(bytes.Clone(good), goodCA...)...), goodKey, nil, "cert.pem", "1 of its 2 PEM blocks"},
		{"chain is long", bytes.Repeat(good, maxChain+1), goodKey, nil, "cert.pem", "it has 11 certificates, want at most 10"},
		{"certificate expired", certPEM(ca.issue(key, expired).cert), goodKey, nil, "cert.pem", "the certificate expired at 2"},
		{"certificate of the future", certPEM(ca.issue(key, later).cert), goodKey, nil, "cert.pem", "the certificate is not valid before 2"},
		{"large", bytes.Repeat([]byte{'\n'}, maxFile+1), goodKey, nil, "cert.pem", "it is larger than 1048576 bytes, want a file with the server's certificate"},
		{"key is no PEM", good, []byte("secret"), nil, "key.pem", "key file: it is not PEM"},
		{"key is a certificate", good, good, nil, "key.pem", "there is no private key in it"},
		{"key is no DER", good, junk, nil, "key.pem", "the private key cannot be parsed"},
		{"key is encrypted", good, encrypted, nil, "key.pem", "the private key is encrypted, want it without a passphrase"},
		{"key is encrypted as of old", good, legacy, nil, "key.pem", "the private key is encrypted"},
		{"key of another", good, keyPEM(t, other), nil, "key.pem", "the private key does not match the certificate"},
		{"key of another kind", good, keyPEM(t, ed25519.NewKeyFromSeed(make([]byte, 32))), nil, "key.pem", "does not match"},
		{"key is small", certPEM(ca.issue(weak).cert), keyPEM(t, weak), nil, "key.pem", "the RSA key has 1024 bits, want 2048 or more"},
		{"curve", certPEM(ca.issue(p224).cert), keyPEM(t, p224), nil, "key.pem", "want P-256, P-384 or P-521"},
		{"CA is no PEM", good, goodKey, []byte("hello"), "ca.pem", "client CA file: it is not PEM"},
		{"CA without certificate", good, goodKey, goodKey, "ca.pem", "there is no certificate in it"},
		{"CA expired", good, goodKey, certPEM(newAuthority(t, "old", expired).cert), "ca.pem", "every certificate in it is expired, the last since 2"},
		{"CA has too much to say", good, goodKey, certPEM(newAuthority(t, "big", named).cert), "ca.pem", "the names of its 1 certificates take"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFolder(t, test.cert, test.key, test.ca)
			_, err := NewServerContext(f.Files, "h2")
			if err == nil {
				t.Fatal("taken")
			}
			text := err.Error()
			if !strings.Contains(text, test.file+`": `) {
				t.Errorf("%q does not name the file %s", text, test.file)
			}
			if short := strings.NewReplacer(` "`+f.Cert+`"`, "", ` "`+f.Key+`"`, "", ` "`+f.ClientCA+`"`, "").Replace(text); !strings.Contains(short, test.want) {
				t.Errorf("%q, want it to say %q", short, test.want)
			}
			if strings.Contains(text, "\n") || strings.Contains(text, "secret") || strings.Contains(text, "c2VjcmV0") {
				t.Errorf("%q has more than a line, or what nobody should see", text)
			}
		})
	}
}

func TestMissingFiles(t *testing.T) {
	ca := newAuthority(t, "ca")
	key := ecKey(t, elliptic.P256())
	good := newFolder(t, certPEM(ca.issue(key).cert), keyPEM(t, key), certPEM(ca.cert)).Files
	for _, test := range []struct {
		name   string
		change func(*Files)
		want   string
	}{
		{"no name of a certificate", func(f *Files) { f.Cert = "" }, "no certificate file is named"},
		{"no name of a key", func(f *Files) { f.Key = "" }, "no key file is named"},
		{"no certificate", func(f *Files) { f.Cert += "x" }, `cert.pemx": no such file or directory, want a file with the server's certificate and chain in PEM`},
		{"no key", func(f *Files) { f.Key += "x" }, `key.pemx": no such file or directory, want a file with the certificate's private key`},
		{"no CA", func(f *Files) { f.ClientCA += "x" }, `ca.pemx": no such file or directory, want a file with the certificates`},
		{"folder", func(f *Files) { f.Key = t.TempDir() }, "it is not a regular file"},
		{"device", func(f *Files) { f.Key = "/dev/zero" }, "it is not a regular file"},
	} {
		f := good
		test.change(&f)
		if _, err := NewServerContext(f, "h2"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestKindsOfKeys(t *testing.T) {
	ca := newAuthority(t, "ca")
	rsaKey, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey := newSEC1(t)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})
	for _, test := range []struct {
		name string
		cert []byte
		key  []byte
	}{
		{"RSA", certPEM(ca.issue(rsaKey).cert), keyPEM(t, rsaKey)},
		{"RSA PKCS #1", certPEM(ca.issue(rsaKey).cert), pkcs1},
		{"Ed25519", certPEM(ca.issue(edKey).cert), keyPEM(t, edKey)},
		{"ECDSA SEC 1", certPEM(ca.issue(ecdsaKey.key).cert), ecdsaKey.pem},
		{"after other blocks", certPEM(ca.issue(rsaKey).cert), append(certPEM(ca.cert), pkcs1...)},
		{"certificate after a key", append(bytes.Clone(pkcs1), certPEM(ca.issue(rsaKey).cert)...), pkcs1},
	} {
		f := newFolder(t, test.cert, test.key, nil)
		s, err := NewServerContext(f.Files, "h2")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		conn, err := dial(echo(t, s), ca.client())
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		conn.Close()
	}
}

func TestReloadKeepsWhatItHad(t *testing.T) {
	ca := newAuthority(t, "ca")
	key := ecKey(t, elliptic.P256())
	first := ca.issue(key)
	f := newFolder(t, certPEM(first.cert), keyPEM(t, key), nil)
	s := f.context()
	address := echo(t, s)
	before := serials(s.Certificates().Chain)
	for _, broken := range []func(){
		func() { f.write(f.Cert, []byte("broken")) },
		func() { f.pair(ca.issue(key, expired)) },
		func() { f.pair(issued{ca.issue(key).cert, ecKey(t, elliptic.P256())}) },
		func() { _ = os.Remove(f.Key) },
	} {
		broken()
		if err := s.Reload(); err == nil {
			t.Fatal("taken")
		}
		conn, err := dial(address, ca.client())
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(first.cert.SerialNumber) != 0 {
			t.Errorf("serial number %v, want that of the first", got)
		}
		conn.Close()
		if got := serials(s.Certificates().Chain); !reflect.DeepEqual(got, before) {
			t.Errorf("certificates %v, want %v", got, before)
		}
	}
}

func TestStageChangesNothing(t *testing.T) {
	ca := newAuthority(t, "ca")
	key := ecKey(t, elliptic.P256())
	f := newFolder(t, certPEM(ca.issue(key).cert), keyPEM(t, key), nil)
	s := f.context()
	before := serials(s.Certificates().Chain)
	f.pair(ca.issue(key))
	install, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	if got := serials(s.Certificates().Chain); !reflect.DeepEqual(got, before) {
		t.Errorf("certificates %v before install, want %v", got, before)
	}
	install()
	if got := serials(s.Certificates().Chain); reflect.DeepEqual(got, before) {
		t.Error("certificates are the same after install")
	}
}

// TestRotation rotates while connections are made and used. None may fail, and those that were there must go on.
func TestRotation(t *testing.T) {
	const rotations, dialers, longLived = 30, 4, 8
	ca := newAuthority(t, "ca")
	key := ecKey(t, elliptic.P256())
	client := ca.client(ca.issue(key))
	f := newFolder(t, certPEM(ca.issue(key).cert), keyPEM(t, key), certPEM(ca.cert))
	s := f.context()
	address := echo(t, s)
	var old []net.Conn
	for range longLived {
		conn, err := dial(address, client)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		old = append(old, conn)
	}
	var stop atomic.Bool
	var handshakes atomic.Int64
	var dialing sync.WaitGroup
	for range dialers {
		dialing.Go(func() {
			for !stop.Load() {
				conn, err := dial(address, client)
				if err != nil {
					t.Errorf("handshake during a rotation: %v", err)
					return
				}
				conn.Close()
				handshakes.Add(1)
			}
		})
	}
	var last issued
	for range rotations {
		// Another key each time: a certificate with the key of another generation would fail the handshake.
		last = ca.issue(ecKey(t, elliptic.P256()))
		f.pair(last)
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
		for _, conn := range old {
			if err := ping(conn); err != nil {
				t.Errorf("connection from before: %v", err)
			}
		}
	}
	stop.Store(true)
	dialing.Wait()
	conn, err := dial(address, client)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(last.cert.SerialNumber) != 0 {
		t.Errorf("serial number %v, want %v of the last rotation", got, last.cert.SerialNumber)
	}
	if handshakes.Load() == 0 {
		t.Error("there were no handshakes during the rotations")
	}
}

func TestCertificates(t *testing.T) {
	ca := newAuthority(t, "ca")
	key := ecKey(t, elliptic.P256())
	uri, err := url.Parse("spiffe://test/proxy")
	if err != nil {
		t.Fatal(err)
	}
	leaf := ca.issue(key, func(c *x509.Certificate) {
		c.DNSNames = []string{"proxy.test", "*.proxy.test"}
		c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1), net.ParseIP("fd00::1")}
		c.URIs = []*url.URL{uri}
	})
	old := newAuthority(t, "old", expired)
	f := newFolder(t, certPEM(leaf.cert, ca.cert), keyPEM(t, key), certPEM(old.cert, ca.cert))
	s := f.context()
	got := s.Certificates()
	want := Certificates{
		Chain: []CertificateDetails{
			{
				Path: f.Cert, SerialNumber: "0a02", DNSNames: []string{"proxy.test", "*.proxy.test"}, URIs: []string{"spiffe://test/proxy"},
				IPAddresses: []string{"10.0.0.1", "fd00::1"}, ValidFrom: leaf.cert.NotBefore, ExpirationTime: leaf.cert.NotAfter, DaysUntilExpiration: 4,
			},
			{Path: f.Cert, SerialNumber: "0a01", ValidFrom: ca.cert.NotBefore, ExpirationTime: ca.cert.NotAfter, DaysUntilExpiration: 41},
		},
		CA: []CertificateDetails{
			{Path: f.ClientCA, SerialNumber: "0a01", ValidFrom: old.cert.NotBefore, ExpirationTime: old.cert.NotAfter},
			{Path: f.ClientCA, SerialNumber: "0a01", ValidFrom: ca.cert.NotBefore, ExpirationTime: ca.cert.NotAfter, DaysUntilExpiration: 41},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if days := s.DaysUntilFirstExpiring(); days != 0 {
		t.Errorf("%d days, want 0: a CA is expired", days)
	}
	f.write(f.ClientCA, certPEM(ca.cert))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if days := s.DaysUntilFirstExpiring(); days != 4 {
		t.Errorf("%d days, want 4", days)
	}
}
