package conformance

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/xml"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// tlsSuites are the suites that clients get, by their OpenSSL names: ephemeral keys and authenticated encryption only.
var tlsSuites = map[string][]string{
	"TLSv1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
	"TLSv1.2": {
		"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
		"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305",
	},
}

// startWithTLS starts a proxy with a certificate of ECDSA for one.test and one of RSA for two.test. The listener mutual asks for
// certificates of the authority, whose own is in the file that is returned.
func startWithTLS(t *testing.T) (p *process.Proxy, a *harness.Authority, ca string) {
	t.Helper()
	a = harness.NewAuthority(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	one, two := certificate(a.Issue("one.test")), certificate(a.IssueAs(key, nil, "two.test"))
	s := process.NewSetup()
	mutual := process.NewListener("mutual")
	s.Listeners = append(s.Listeners, mutual)
	for _, l := range s.Listeners {
		l.Chain = process.Fields{"transport_socket": process.ServerTLS(one, two)}
		l.Routes = []process.Fields{process.Direct("/", 200, "served")}
	}
	mutual.Chain = process.Fields{"transport_socket": process.MutualTLS(a.CA(), one, two)}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, ca, a.CA())
	return s.Start(t), a, ca
}

func certificate(cert, key []byte) process.Certificate {
	return process.Certificate{Chain: cert, Key: key}
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSSLScan has sslscan look for all that should not be there: old versions, other suites, renegotiation, compression,
// Heartbleed.
func TestSSLScan(t *testing.T) {
	sslscan := installed(t, "sslscan")
	p, _, _ := startWithTLS(t)
	path := filepath.Join(t.TempDir(), "report.xml")
	mustOutput(t, sslscan, "--no-colour", "--xml="+path, "--sni-name=one.test", p.Address())
	var report struct {
		Protocols []struct {
			Type    string `xml:"type,attr"`
			Version string `xml:"version,attr"`
			Enabled bool   `xml:"enabled,attr"`
		} `xml:"ssltest>protocol"`
		Renegotiation []struct {
			Supported bool `xml:"supported,attr"`
		} `xml:"ssltest>renegotiation"`
		Compression []struct {
			Supported bool `xml:"supported,attr"`
		} `xml:"ssltest>compression"`
		Heartbleed []struct {
			Vulnerable bool `xml:"vulnerable,attr"`
		} `xml:"ssltest>heartbleed"`
		Ciphers []struct {
			Version string `xml:"sslversion,attr"`
			Name    string `xml:"cipher,attr"`
			Status  string `xml:"status,attr"`
		} `xml:"ssltest>cipher"`
		Subjects []string `xml:"ssltest>certificates>certificate>subject"`
	}
	if err := xml.Unmarshal([]byte(readFile(t, path)), &report); err != nil {
		t.Fatal(err)
	}
	enabled := 0
	for _, v := range report.Protocols {
		if want := v.Type == "tls" && (v.Version == "1.2" || v.Version == "1.3"); v.Enabled != want {
			t.Errorf("%s %s is enabled: %t", v.Type, v.Version, v.Enabled)
		} else if want {
			enabled++
		}
	}
	if enabled != 2 || len(report.Protocols) < 6 {
		t.Errorf("sslscan has tried %v", report.Protocols)
	}
	got := make(map[string][]string)
	for _, c := range report.Ciphers {
		got[c.Version] = append(got[c.Version], c.Name)
	}
	for version, want := range tlsSuites {
		slices.Sort(got[version])
		if !slices.Equal(got[version], slices.Sorted(slices.Values(want))) {
			t.Errorf("%s is spoken with %q, want %q", version, got[version], want)
		}
	}
	if len(got) != len(tlsSuites) {
		t.Errorf("suites of versions %v", got)
	}
	for _, r := range append(report.Renegotiation, report.Compression...) {
		if r.Supported {
			t.Error("renegotiation or compression is supported")
		}
	}
	for _, h := range report.Heartbleed {
		if h.Vulnerable {
			t.Error("vulnerable to Heartbleed")
		}
	}
	if !slices.Equal(report.Subjects, []string{"one.test"}) {
		t.Errorf("sslscan was shown %q", report.Subjects)
	}
}

// sclient runs openssl s_client with what to type, and returns what it wrote and how it ended.
func sclient(t *testing.T, input io.Reader, address string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	cmd := exec.CommandContext(ctx, installed(t, "openssl"), append([]string{"s_client", "-connect", address}, args...)...)
	cmd.Stdin = input
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestSClient has openssl s_client ask for names, protocols, tickets and versions.
func TestSClient(t *testing.T) {
	p, _, ca := startWithTLS(t)
	trusting := []string{"-CAfile", ca, "-verify_return_error"}
	session := filepath.Join(t.TempDir(), "session.pem")
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"ECDSA by name", []string{"-servername", "one.test"}, []string{"subject=CN = one.test", "Peer signature type: ECDSA", "TLSv1.3"}},
		{"RSA by name", []string{"-servername", "two.test"}, []string{"subject=CN = two.test", "Peer signature type: RSA-PSS"}},
		{"another name", []string{"-servername", "three.test"}, []string{"subject=CN = one.test"}},
		{"no name", []string{"-noservername"}, []string{"subject=CN = one.test"}},
		{"a client that knows RSA alone", []string{"-servername", "one.test", "-tls1_2", "-cipher", "aRSA"}, []string{"subject=CN = two.test"}},
		{"HTTP/2", []string{"-servername", "one.test", "-alpn", "h2,http/1.1"}, []string{"ALPN protocol: h2\n"}},
		{"HTTP/1.1", []string{"-servername", "one.test", "-alpn", "acme-tls/1,http/1.1"}, []string{"ALPN protocol: http/1.1\n"}},
		{"another protocol", []string{"-servername", "one.test", "-alpn", "acme-tls/1"}, []string{"No ALPN negotiated"}},
		{"no compression, no early data", []string{"-servername", "one.test", "-tls1_3"}, []string{"Compression: NONE", "Max Early Data: 0"}},
		{"a ticket of TLS 1.2", []string{"-servername", "one.test", "-tls1_2", "-sess_out", session}, []string{"New, TLSv1.2", "TLS session ticket:"}},
		{"with the ticket", []string{"-servername", "one.test", "-tls1_2", "-sess_in", session}, []string{"Reused, TLSv1.2"}},
	} {
		out, err := sclient(t, strings.NewReader("Q\n"), p.Address(), append(test.args, trusting...)...)
		if err != nil {
			t.Errorf("%s: %v\n%s", test.name, err, out)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: there is no %q in\n%s", test.name, want, out)
			}
		}
	}
	for name, args := range map[string][]string{
		"TLS 1.1":           {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"},
		"TLS 1.0":           {"-tls1", "-cipher", "ALL:@SECLEVEL=0"},
		"CBC":               {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"},
		"RSA key exchange":  {"-tls1_2", "-cipher", "kRSA"},
		"ephemeral DH":      {"-tls1_2", "-cipher", "kDHE"},
		"no authentication": {"-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"},
	} {
		if out, err := sclient(t, strings.NewReader("Q\n"), p.Address(), append(args, "-servername", "one.test")...); err == nil {
			t.Errorf("%s is spoken:\n%s", name, out)
		}
	}
}

// TestSClientRenegotiates ends the connection of a client that would shake hands again.
func TestSClientRenegotiates(t *testing.T) {
	p, _, _ := startWithTLS(t)
	input, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	defer typed.Close() // not before: s_client would leave
	if _, err := typed.WriteString("R\n"); err != nil {
		t.Fatal(err)
	}
	out, err := sclient(t, input, p.Address(), "-servername", "one.test", "-tls1_2")
	if err == nil || !strings.Contains(out, "RENEGOTIATING") || !strings.Contains(out, "alert unexpected message") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCurlCertificates has curl show certificates, and none, where they are asked for.
func TestCurlCertificates(t *testing.T) {
	curl := installed(t, "curl")
	p, a, ca := startWithTLS(t)
	_, port, err := net.SplitHostPort(p.ListenerAddress("mutual"))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--silent", "--show-error", "--cacert", ca, "--resolve", "one.test:" + port + ":127.0.0.1", "https://one.test:" + port + "/"}
	files := func(cert, key []byte) []string {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "cert.pem"), cert)
		writeFile(t, filepath.Join(dir, "key.pem"), key)
		return []string{"--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem")}
	}
	good := files(a.Issue("client.test"))
	for _, version := range [][]string{{"--tlsv1.3"}, {"--tls-max", "1.2"}} {
		for _, protocol := range []string{"--http1.1", "--http2"} {
			shown := slices.Concat(good, version, []string{protocol}, args)
			if out := mustOutput(t, curl, shown...); out != "served" {
				t.Errorf("%v %s: %q", version, protocol, out)
			}
			for name, bad := range map[string][]string{"none": nil, "a stranger's": files(harness.NewAuthority(t).Issue("client.test"))} {
				if out, err := output(t, curl, slices.Concat(bad, version, []string{protocol}, args)...); err == nil {
					t.Errorf("%v %s, with %s: %q", version, protocol, name, out)
				}
			}
		}
	}
}
