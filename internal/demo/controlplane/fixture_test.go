package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// identity is PEM of a self-signed certificate and its key.
type identity struct{ chain, key string }

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "demo"},
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"demo.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{
		chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key:   string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})),
	}
}

// fixture replaces @chain, @key and @ca in JSON strings, and back again.
type fixture struct{ site, ca identity }

func newFixture(t *testing.T) fixture {
	return fixture{site: newIdentity(t), ca: newIdentity(t)}
}

func (f fixture) pairs() [][2]string {
	return [][2]string{{"@chain", quoted(f.site.chain)}, {"@key", quoted(f.site.key)}, {"@ca", quoted(f.ca.chain)}}
}

func (f fixture) fill(text string) string {
	for _, p := range f.pairs() {
		text = strings.ReplaceAll(text, p[0], p[1])
	}
	return text
}

func (f fixture) strip(text string) string {
	for _, p := range f.pairs() {
		text = strings.ReplaceAll(text, p[1], p[0])
	}
	return text
}

// quoted returns the inside of text as a JSON string.
func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data[1 : len(data)-1])
}

// mustDecode returns a valid configuration.
func mustDecode(t *testing.T, text string) Config {
	t.Helper()
	config, err := DecodeConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	return config
}

const twoServices = `{"version":"1",
"services":[{"name":"blue","hosts":["127.0.0.1"],"port":18081},{"name":"green","hosts":["127.0.0.1"],"port":18082}],
"routes":[{"name":"hello","prefix":"/","cluster_name":"blue"},{"name":"green","prefix":"/green","cluster_name":"green"}]}`

// start returns a server that is closed with the test.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	server, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return server
}
