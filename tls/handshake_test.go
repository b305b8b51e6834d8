package tls

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
)

func TestClientCertificates(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	key := ecKey(t, elliptic.P256())
	server := ours.issue(key)
	f := newFolder(t, certPEM(server.cert), keyPEM(t, key), certPEM(ours.cert))
	address := echo(t, f.context())
	right := ours.issue(key)
	tests := []struct {
		name string
		show []issued
		want string // of the error; "" for a connection
	}{
		{"right", []issued{right}, ""},
		{"none", nil, "certificate required"},
		{"of another CA", []issued{theirs.issue(key)}, "unknown certificate authority"},
		{"of a CA of the same name", []issued{newAuthority(t, "ours").issue(key)}, "unknown certificate authority"},
		{"expired", []issued{ours.issue(key, expired)}, "expired certificate"},
		{"for servers only", []issued{ours.issue(key, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})}, "bad certificate"},
		{"with a chain that leads elsewhere", []issued{theirs.issue(key), {theirs.cert, theirs.key}}, "unknown certificate authority"},
	}
	for _, test := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(test.name+" "+tls.VersionName(version), func(t *testing.T) {
				config := ours.client(test.show...)
				config.MaxVersion = version
				conn, err := dial(address, config)
				if err == nil {
					defer conn.Close()
				}
				switch {
				case test.want == "" && err != nil:
					t.Errorf("refused: %v", err)
				case test.want != "" && err == nil:
					t.Error("let in")
				case test.want != "" && version == tls.VersionTLS13 && !strings.Contains(err.Error(), test.want):
					t.Errorf("%v, want %q", err, test.want)
				}
			})
		}
	}
}

func TestVersionsAndSuites(t *testing.T) {
	ca := newAuthority(t, "ca")
	rsaKey, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey := ecKey(t, elliptic.P256())
	withRSA := echo(t, newFolder(t, certPEM(ca.issue(rsaKey).cert), keyPEM(t, rsaKey), nil).context())
	withECDSA := echo(t, newFolder(t, certPEM(ca.issue(ecdsaKey).cert), keyPEM(t, ecdsaKey), nil).context())
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if len(suite.SupportedVersions) == 1 && suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		t.Run(suite.Name, func(t *testing.T) {
			address := withRSA
			if strings.Contains(suite.Name, "ECDSA") {
				address = withECDSA
			}
			config := ca.client()
			config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{suite.ID}
			good := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && !strings.Contains(suite.Name, "CBC") && !strings.Contains(suite.Name, "RC4")
			conn, err := dial(address, config)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != good {
				t.Errorf("err = %v, want a connection: %t", err, good)
			}
		})
	}
	for _, test := range []struct {
		name     string
		min, max uint16
		want     uint16 // 0 for none
	}{
		{"TLS 1.0", tls.VersionTLS10, tls.VersionTLS10, 0},
		{"TLS 1.1", tls.VersionTLS10, tls.VersionTLS11, 0},
		{"TLS 1.2", tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS12},
		{"any", tls.VersionTLS10, 0, tls.VersionTLS13},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, address := range []string{withRSA, withECDSA} {
				config := ca.client()
				config.MinVersion, config.MaxVersion = test.min, test.max
				var got uint16
				conn, err := dial(address, config)
				if err == nil {
					got = conn.ConnectionState().Version
					conn.Close()
				}
				if got != test.want {
					t.Errorf("%#x, %v, want %#x", got, err, test.want)
				}
			}
		})
	}
}

func TestALPN(t *testing.T) {
	ca := newAuthority(t, "ca")
	key := ecKey(t, elliptic.P256())
	address := echo(t, newFolder(t, certPEM(ca.issue(key).cert), keyPEM(t, key), nil).context())
	config := ca.client()
	config.NextProtos = []string{"http/1.1", "h2"}
	conn, err := dial(address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("protocol %q, want h2", got)
	}
	config.NextProtos = []string{"acme-tls/1"}
	if conn, err := dial(address, config); err == nil {
		conn.Close()
		t.Error("a client without h2 was let in")
	}
}

// TestNoResumption holds that every connection is verified anew: what a client was allowed before says nothing about now.
func TestNoResumption(t *testing.T) {
	ca := newAuthority(t, "ca")
	key := ecKey(t, elliptic.P256())
	f := newFolder(t, certPEM(ca.issue(key).cert), keyPEM(t, key), certPEM(ca.cert))
	s := f.context()
	address := echo(t, s)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := ca.client(ca.issue(key))
		config.MaxVersion = version
		config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		for range 2 {
			conn, err := dial(address, config)
			if err != nil {
				t.Fatal(err)
			}
			if conn.ConnectionState().DidResume {
				t.Errorf("%s: resumed", tls.VersionName(version))
			}
			conn.Close()
		}
		f.write(f.ClientCA, certPEM(newAuthority(t, "next").cert))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if conn, err := dial(address, config); err == nil {
			conn.Close()
			t.Errorf("%s: a client of the CA before was let in", tls.VersionName(version))
		}
		f.write(f.ClientCA, certPEM(ca.cert))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}
