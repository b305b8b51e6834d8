package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// site is a CA with one key for all, and the files that the process is given.
type site struct {
	t               *testing.T
	ca              *x509.Certificate
	key             *ecdsa.PrivateKey
	cert, pkey, cas string
}

func newSite(t *testing.T) *site {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &site{t: t, key: key, cert: filepath.Join(dir, "cert.pem"), pkey: filepath.Join(dir, "key.pem"), cas: filepath.Join(dir, "ca.pem")}
	s.ca = s.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	s.write(s.cas, "CERTIFICATE", s.ca.Raw)
	s.write(s.cert, "CERTIFICATE", s.issue(2).Raw)
	s.writeKey(key)
	return s
}

func (s *site) sign(template *x509.Certificate) *x509.Certificate {
	s.t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(50*time.Hour)
	parent := s.ca
	if parent == nil {
		parent = template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, s.key.Public(), s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return certificate
}

func (s *site) issue(serial int64) *x509.Certificate {
	s.t.Helper()
	return s.sign(&x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"proxy.test"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (s *site) write(path, kind string, raw []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) writeKey(key *ecdsa.PrivateKey) {
	s.t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(s.pkey, "PRIVATE KEY", raw)
}

// credentials trust the site, and show a certificate of it if asked to.
func (s *site) credentials(show bool) credentials.TransportCredentials {
	roots := x509.NewCertPool()
	roots.AddCert(s.ca)
	config := &tls.Config{RootCAs: roots, ServerName: "proxy.test"}
	if show {
		config.Certificates = []tls.Certificate{{Certificate: [][]byte{s.issue(100).Raw}, PrivateKey: s.key}}
	}
	return credentials.NewTLS(config)
}

func (s *site) client(address string, c credentials.TransportCredentials) marchproxypb.ModuleServiceClient {
	s.t.Helper()
	connection, err := grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(c))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { connection.Close() })
	return marchproxypb.NewModuleServiceClient(connection)
}

// freePort returns a port that nobody listens on at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// serving returns the paths and serial numbers of /certs, of the chain and of the CAs.
func (r *running) serving(t *testing.T) string {
	t.Helper()
	type details []struct {
		Path   string
		Serial string `json:"serial_number"`
	}
	var shown struct {
		Certificates []struct {
			CA    details `json:"ca_cert"`
			Chain details `json:"cert_chain"`
		}
	}
	text := r.get(r.admin, "/certs")
	if err := json.Unmarshal([]byte(text), &shown); err != nil || len(shown.Certificates) != 1 {
		t.Fatalf("/certs: %v: %s", err, text)
	}
	c := shown.Certificates[0]
	return fmt.Sprint(c.Chain, c.CA)
}

func TestModuleServiceOverTLS(t *testing.T) {
	s := newSite(t)
	port := strconv.Itoa(freePort(t))
	path := write(t, fmt.Sprintf(listenerYAML, 0, "one"))
	r := startProxyIn(t, []string{"GRPC_PORT=" + port, "GRPC_TLS_CERT=" + s.cert, "GRPC_TLS_KEY=" + s.pkey, "GRPC_TLS_CLIENT_CA=" + s.cas}, path)
	address := net.JoinHostPort("127.0.0.1", port)
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	status := func(c marchproxypb.ModuleServiceClient) error {
		_, err := c.GetStatus(ctx, &marchproxypb.StatusRequest{})
		return err
	}
	first := s.client(address, s.credentials(true))
	if err := status(first); err != nil {
		t.Fatalf("with a certificate: %v", err)
	}
	if err := status(s.client(address, s.credentials(false))); err == nil {
		t.Error("without a certificate: answered")
	}
	if err := status(s.client(address, insecure.NewCredentials())); err == nil {
		t.Error("in plaintext: answered")
	}
	shows := func(serial string) string { return fmt.Sprintf("[{%s %s}] [{%s 01}]", s.cert, serial, s.cas) }
	if got := r.serving(t); got != shows("02") {
		t.Errorf("/certs: %s, want %s", got, shows("02"))
	}
	if got := r.get(r.admin, "/stats?filter=days_until_first"); got != "server.days_until_first_cert_expiring: 2\n" {
		t.Errorf("statistic %q, want 2 days", got)
	}

	s.write(s.cert, "CERTIFICATE", s.issue(3).Raw)
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, func() bool { return r.serving(t) == shows("03") })
	if err := status(first); err != nil {
		t.Errorf("connection from before the rotation: %v", err)
	}
	if err := status(s.client(address, s.credentials(true))); err != nil {
		t.Errorf("connection after the rotation: %v", err)
	}

	// A bad key refuses the reload as a whole: the bootstrap that came with it is not taken either.
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.writeKey(other)
	if err := os.WriteFile(path, []byte(fmt.Sprintf(listenerYAML, 0, "two")), 0o600); err != nil {
		t.Fatal(err)
	}
	answer, err := first.Reload(ctx, &marchproxypb.ReloadRequest{})
	if err != nil || answer.GetSuccess() || !strings.Contains(answer.GetMessage(), `key file "`+s.pkey+`": the private key does not match`) {
		t.Errorf("reload with another's key: %v, %v", answer, err)
	}
	if got := r.get(r.traffic(), "/"); got != "one" {
		t.Errorf("answer %q after a reload that failed, want one", got)
	}
	if err := status(s.client(address, s.credentials(true))); err != nil {
		t.Errorf("connection after a reload that failed: %v", err)
	}
	s.writeKey(s.key)
	if answer, err := first.Reload(ctx, &marchproxypb.ReloadRequest{}); err != nil || !answer.GetSuccess() {
		t.Errorf("reload: %v, %v", answer, err)
	}
	r.eventually(t, func() bool { return r.get(r.traffic(), "/") == "two" })
	r.endWithout(t, s)
}

// TestAdminOverTLS has the admin interface ask for certificates of a CA, takes files over that have changed, and refuses
// what would change the server.
func TestAdminOverTLS(t *testing.T) {
	s := newSite(t)
	path := write(t, fmt.Sprintf(listenerYAML, 0, "one"))
	client := func(show bool) *http.Client {
		c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "proxy.test"}
		c.RootCAs.AddCert(s.ca)
		if show {
			c.Certificates = []tls.Certificate{{Certificate: [][]byte{s.issue(100).Raw}, PrivateKey: s.key}}
		}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
	}
	r := startProxyFor(t, client(true), []string{
		"ENVOY_ADMIN_TLS_CERT=" + s.cert, "ENVOY_ADMIN_TLS_KEY=" + s.pkey, "ENVOY_ADMIN_TLS_CLIENT_CA=" + s.cas, "ENVOY_ADMIN_READ_ONLY=true",
	}, path)
	if answer, err := client(false).Get("https://" + r.admin + "/ready"); err == nil {
		t.Errorf("without a certificate: %s", answer.Status)
	}
	if answer, err := http.Get("http://" + r.admin + "/ready"); err == nil {
		t.Errorf("in plaintext: %s", answer.Status)
	}
	old := client(true)
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	if answer, err := old.Get("https://" + r.admin + "/ready"); err == nil {
		t.Errorf("over TLS 1.1: %s", answer.Status)
	}
	answer, err := r.client.Post("https://"+r.admin+"/quitquitquit", "", nil)
	if err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a command that changes the server: %v, %v", answer, err)
	}
	shows := func(serial string) string { return fmt.Sprintf("[{%s %s}] [{%s 01}]", s.cert, serial, s.cas) }
	s.write(s.cert, "CERTIFICATE", s.issue(3).Raw)
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, func() bool { return r.serving(t) == shows("03") })
	r.endWithout(t, s)
}

// TestFaceAddresses has each face listen on an address of its own.
func TestFaceAddresses(t *testing.T) {
	port := strconv.Itoa(freePort(t))
	env := []string{
		"GRPC_ADDRESS=127.0.0.2", "METRICS_ADDRESS=127.0.0.3", "HEALTH_ADDRESS=127.0.0.4", "ENVOY_ADMIN_ADDRESS=127.0.0.5",
		"GRPC_PORT=" + port, "METRICS_PORT=" + port, "HEALTH_PORT=" + port, "ENVOY_ADMIN_PORT=" + port,
	}
	_, listeners, _ := strings.Cut(fmt.Sprintf(listenerYAML, 0, "one"), "static_resources:")
	r := startProxyIn(t, env, write(t, "static_resources:"+listeners))
	if want := "127.0.0.5:" + port; r.admin != want {
		t.Errorf("admin listens on %s, want %s", r.admin, want)
	}
	for address, want := range map[string]string{"127.0.0.3": "# HELP", "127.0.0.4": "no such path, want /healthz or /ready"} {
		if got := r.get(address+":"+port, "/metrics"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %.80q, want %q", address, got, want)
		}
	}
	for address, open := range map[string]bool{"127.0.0.1": false, "127.0.0.2": true} {
		c, err := net.Dial("tcp", address+":"+port)
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != open {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// endWithout ends the process and looks for the key in what it said.
func (r *running) endWithout(t *testing.T, s *site) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("ended with %v; stderr: %s", err, r.stderr)
	}
	key, err := os.ReadFile(s.pkey)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(key)) {
		if strings.Contains(r.stderr.String(), strings.TrimSpace(line)) {
			t.Errorf("the log has a line of the key")
		}
	}
}
