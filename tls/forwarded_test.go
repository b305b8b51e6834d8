package tls

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestForwardedClientCertElements holds every detail, and that nothing in a certificate is taken for another element.
func TestForwardedClientCertElements(t *testing.T) {
	a := newAuthority(t, "ca")
	hostile := &url.URL{Scheme: "spiffe", Opaque: `//a;URI=spiffe://root,Hash="b"`}
	c := a.issue(ecKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.Subject.CommonName = "a\";URI=\\b\r\nx: y"
		c.URIs = []*url.URL{hostile, {Scheme: "spiffe", Host: "b", Path: "/c"}}
	})
	p := Peer{Certificate: c.cert, chain: []*x509.Certificate{c.cert, a.cert}, own: &x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "own"}}}}
	sum := sha256.Sum256(c.cert.Raw)
	base := "By=spiffe://own;Hash=" + hex.EncodeToString(sum[:])
	if got := p.ForwardedClientCert(config.ClientCertDetails{}); got != base {
		t.Errorf("%s, want %s", got, base)
	}
	got := p.ForwardedClientCert(config.ClientCertDetails{Cert: true, Chain: true, Subject: true, URI: true, DNS: true})
	if strings.ContainsAny(got, "\r\n") {
		t.Errorf("it has a line end: %q", got)
	}
	var keys []string
	for _, pair := range elements(t, got) {
		keys = append(keys, pair[0])
		switch pair[0] {
		case "Cert", "Chain":
			text, err := url.PathUnescape(pair[1])
			want := string(certPEM(c.cert))
			if pair[0] == "Chain" {
				want += string(certPEM(a.cert))
			}
			if err != nil || text != want {
				t.Errorf("%s: %q, %v", pair[0], text, err)
			}
		case "Subject":
			if want := strings.NewReplacer("\r", "", "\n", "").Replace(c.cert.Subject.String()); pair[1] != want {
				t.Errorf("subject %q, want %q", pair[1], want)
			}
		case "URI":
			if pair[1] != c.cert.URIs[0].String() && pair[1] != "spiffe://b/c" {
				t.Errorf("URI %q", pair[1])
			}
		}
	}
	if want := "By Hash Cert Chain Subject URI URI DNS"; strings.Join(keys, " ") != want {
		t.Errorf("elements %q, want %s", keys, want)
	}
}

// elements takes an element of x-forwarded-client-cert apart as a reader does that knows quotes and backslashes.
func elements(t *testing.T, text string) (pairs [][2]string) {
	t.Helper()
	for text != "" {
		key, rest, ok := strings.Cut(text, "=")
		if !ok {
			t.Fatalf("%q has no value", text)
		}
		var value strings.Builder
		if strings.HasPrefix(rest, `"`) {
			i := 1
			for ; i < len(rest) && rest[i] != '"'; i++ {
				if rest[i] == '\\' {
					i++
				}
				value.WriteByte(rest[i])
			}
			rest = rest[i+1:]
		} else {
			end := strings.IndexAny(rest, ";,")
			if end < 0 {
				end = len(rest)
			}
			value.WriteString(rest[:end])
			rest = rest[end:]
		}
		pairs = append(pairs, [2]string{key, value.String()})
		text = strings.TrimPrefix(rest, ";")
	}
	return pairs
}
