package tls

import (
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// both are the versions that are spoken.
var both = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// TestWhoIsAsked holds when clients are asked for a certificate, and when they must have one: names and hashes that are
// asked for would be of no use against one who shows nothing.
func TestWhoIsAsked(t *testing.T) {
	ours := newAuthority(t, "ours")
	key := ecKey(t, elliptic.P256())
	one := ours.issue(key)
	sum := sha256.Sum256(one.cert.RawSubjectPublicKeyInfo)
	pins := []string{base64.StdEncoding.EncodeToString(sum[:])}
	sans := []config.SANMatcher{{Match: exact("proxy.test")}}
	for _, test := range []struct {
		name            string
		validation      *config.TLSValidation
		required        bool
		asked, mustShow bool
	}{
		{"no validation context", nil, false, false, false},
		{"an empty one", trusting(), false, false, false},
		{"an empty one and required", trusting(), true, true, true},
		{"a CA", trusting(ours.cert), false, true, false},
		{"a CA and required", trusting(ours.cert), true, true, true},
		{"names", func() *config.TLSValidation { v := trusting(ours.cert); v.SANs = sans; return v }(), false, true, true},
		{"hashes", func() *config.TLSValidation { v := trusting(); v.SPKI = pins; return v }(), false, true, true},
		{"names, anybody accepted", func() *config.TLSValidation {
			v := trusting(ours.cert)
			v.SANs, v.AcceptUntrusted = sans, true
			return v
		}(), false, true, false},
		{"anybody accepted", func() *config.TLSValidation { v := trusting(); v.AcceptUntrusted = true; return v }(), false, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := downstreamOf(t, &config.DownstreamTLS{
				TLS:                      config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, ours.issue(key))}, Validation: test.validation},
				RequireClientCertificate: test.required,
			})
			for _, version := range both {
				asked := false
				client := ours.client()
				client.MaxVersion = version
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					return &tls.Certificate{}, nil
				}
				_, s := visit(t, d, client)
				if asked != test.asked {
					t.Errorf("%s: asked: %t", tls.VersionName(version), asked)
				}
				if got := RefusalOf(s.err) == NotShown; got != test.mustShow || got != (s.err != nil) {
					t.Errorf("%s: without a certificate: %v", tls.VersionName(version), s.err)
				}
				client = ours.client(one)
				client.MaxVersion = version
				c, s := visit(t, d, client)
				if c.err != nil || s.err != nil || (len(s.state.PeerCertificates) > 0) != test.asked {
					t.Errorf("%s: with a certificate: %v, %v, %d seen", tls.VersionName(version), c.err, s.err, len(s.state.PeerCertificates))
				}
			}
		})
	}
}

// TestAuthoritiesListed holds what clients are told about the authorities that are known.
func TestAuthoritiesListed(t *testing.T) {
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	key := ecKey(t, elliptic.P256())
	for _, hidden := range []bool{false, true} {
		v := trusting(ours.cert, other.cert)
		v.HideAuthorities = hidden
		d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, ours.issue(key))}, Validation: v}})
		var listed [][]byte
		client := ours.client()
		client.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			listed = info.AcceptableCAs
			return &tls.Certificate{}, nil
		}
		visit(t, d, client)
		want := [][]byte{ours.cert.RawSubject, other.cert.RawSubject}
		if hidden {
			want = nil
		}
		if !slices.EqualFunc(listed, want, slices.Equal) {
			t.Errorf("hidden: %t: %q", hidden, listed)
		}
	}
}

// TestCertificateChosen has clients of several kinds ask several certificates' server for a name.
func TestCertificateChosen(t *testing.T) {
	ours := newAuthority(t, "ours")
	p256, p384 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	rsa := crypto.Signer(rsaKey(t))
	type shown struct {
		key   crypto.Signer
		names []string
	}
	const onlyRSA, only256, any = "RSA", "P-256", "any"
	for _, test := range []struct {
		name   string
		shown  []shown
		server string // name asked for
		client string
		want   int // index of the certificate
	}{
		{"one", []shown{{p256, []string{"a.test"}}}, "x.test", any, 0},
		{"exact", []shown{{p256, []string{"a.test"}}, {p256, []string{"b.test"}}}, "b.test", any, 1},
		{"case", []shown{{p256, []string{"a.test"}}, {p256, []string{"B.test"}}}, "b.TEST", any, 1},
		{"second name", []shown{{p256, []string{"a.test"}}, {p256, []string{"b.test", "c.test"}}}, "c.test", any, 1},
		{"wildcard", []shown{{p256, []string{"a.test"}}, {p256, []string{"*.b.test"}}}, "x.b.test", any, 1},
		{"wildcard is one label", []shown{{p256, []string{"a.test"}}, {p256, []string{"*.b.test"}}}, "y.x.b.test", any, 0},
		{"wildcard is a label", []shown{{p256, []string{"a.test"}}, {p256, []string{"*.b.test"}}}, "b.test", any, 0},
		{"exact before wildcard", []shown{{p256, []string{"*.b.test"}}, {p256, []string{"x.b.test"}}}, "x.b.test", any, 1},
		{"the first of two", []shown{{p256, []string{"a.test"}}, {p256, []string{"a.test"}}}, "a.test", any, 0},
		{"no name asked for", []shown{{p256, []string{"a.test"}}, {p256, []string{"b.test"}}}, "", any, 0},
		{"unknown name", []shown{{p256, []string{"a.test"}}, {p256, []string{"b.test"}}}, "c.test", any, 0},
		{"by the subject", []shown{{p256, []string{"a.test"}}, {p256, nil}}, "proxy.test", any, 1},
		{"ECDSA first", []shown{{rsa, []string{"a.test"}}, {p256, []string{"a.test"}}}, "a.test", any, 1},
		{"ECDSA first, no name", []shown{{rsa, []string{"a.test"}}, {p256, []string{"a.test"}}}, "", any, 1},
		{"ECDSA first, wildcard", []shown{{rsa, []string{"*.a.test"}}, {p256, []string{"*.a.test"}}}, "x.a.test", any, 1},
		{"name before kind", []shown{{rsa, []string{"a.test"}}, {p256, []string{"b.test"}}}, "a.test", any, 0},
		{"RSA only", []shown{{p256, []string{"a.test"}}, {rsa, []string{"a.test"}}}, "a.test", onlyRSA, 1},
		{"RSA only, no name", []shown{{p256, []string{"a.test"}}, {rsa, []string{"a.test"}}}, "", onlyRSA, 1},
		{"RSA only, unknown name", []shown{{p256, []string{"a.test"}}, {rsa, []string{"a.test"}}}, "c.test", onlyRSA, 1},
		{"RSA only, name of the other", []shown{{p256, []string{"a.test"}}, {rsa, []string{"b.test"}}}, "a.test", onlyRSA, 1},
		{"curve", []shown{{p384, []string{"a.test"}}, {p256, []string{"a.test"}}}, "a.test", only256, 1},
		{"curve, RSA", []shown{{p384, []string{"a.test"}}, {rsa, []string{"a.test"}}}, "a.test", only256, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &config.DownstreamTLS{}
			var want []*x509.Certificate
			for _, one := range test.shown {
				certificate := ours.issue(one.key, names(one.names...))
				want = append(want, certificate.cert)
				c.Certificates = append(c.Certificates, tlsCertificate(t, certificate))
			}
			d := downstreamOf(t, c)
			for _, version := range both {
				client := ours.client()
				client.InsecureSkipVerify, client.ServerName, client.MaxVersion = true, test.server, version
				// What a client of crypto/tls says that it can verify is fixed: the suites of TLS 1.2 and the curves are not.
				switch {
				case test.client == any:
				case version == tls.VersionTLS13:
					continue
				case test.client == onlyRSA:
					client.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
				default:
					client.CurvePreferences = []tls.CurveID{tls.CurveP256}
				}
				got, s := visit(t, d, client)
				if got.err != nil {
					t.Fatalf("%s: %v, %v", tls.VersionName(version), got.err, s.err)
				}
				if i := slices.IndexFunc(want, got.state.PeerCertificates[0].Equal); i != test.want {
					t.Errorf("%s: certificate %d, want %d", tls.VersionName(version), i, test.want)
				}
			}
		})
	}
}

func TestDownstreamALPN(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256())))
	for _, test := range []struct {
		server, client []string
		want           string
	}{
		{nil, nil, ""},
		{nil, []string{"h2"}, ""},
		{[]string{"h2", "http/1.1"}, nil, ""},
		{[]string{"h2", "http/1.1"}, []string{"http/1.1", "h2"}, "h2"},
		{[]string{"http/1.1", "h2"}, []string{"h2", "http/1.1"}, "http/1.1"},
		{[]string{"h2", "http/1.1"}, []string{"http/1.1"}, "http/1.1"},
		// As in Envoy the handshake goes on without one.
		{[]string{"h2", "http/1.1"}, []string{"acme-tls/1"}, ""},
		{[]string{"h2"}, []string{"a\r\nb"}, ""},
		{[]string{"h2"}, []string{"http/1.1"}, ""},
	} {
		for _, requireSNI := range []bool{false, true} {
			d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{one}, ALPN: test.server}, RequireSNI: requireSNI})
			for _, version := range both {
				client := ours.client()
				client.NextProtos, client.MaxVersion = test.client, version
				c, s := visit(t, d, client)
				if c.err != nil || s.err != nil || s.state.NegotiatedProtocol != test.want {
					t.Errorf("%q meets %q in %s: %q, %v, %v", test.client, test.server, tls.VersionName(version), s.state.NegotiatedProtocol, c.err, s.err)
				}
			}
		}
	}
}

func TestRequireSNI(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256())))
	for _, required := range []bool{false, true} {
		d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{one}}, RequireSNI: required})
		for _, name := range []string{"", "192.0.2.1", "proxy.test"} { // no name is an IP (RFC 6066 section 3)
			client := ours.client()
			client.ServerName, client.InsecureSkipVerify = name, true
			c, s := visit(t, d, client)
			if refused := required && name != "proxy.test"; refused != errors.Is(s.err, errNoServerName) || refused != (c.err != nil) {
				t.Errorf("required: %t, name %q: %v, %v", required, name, s.err, c.err)
			}
		}
	}
}

// TestStaple shows an OCSP response for as long as it is good, and to those who ask for one.
func TestStaple(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := ours.issue(ecKey(t, elliptic.P256()))
	start := time.Now()
	for name, test := range map[string]struct {
		until time.Duration // of the response, 0 when it does not say
		later time.Duration // when the client comes
		shown bool
	}{
		"good":    {time.Hour, time.Minute, true},
		"old":     {time.Hour, 61 * time.Minute, false},
		"no time": {0, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			response := ours.vouches(one.cert, start, test.until)
			certificate := tlsCertificate(t, one)
			certificate.OCSPStaple = inline(response)
			now := start
			d, err := NewDownstream(&config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{certificate}}}, nil, func() time.Time { return now })
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(test.later)
			for _, version := range both {
				client := ours.client()
				client.MaxVersion = version
				c, _ := visit(t, d, client)
				if c.err != nil || slices.Equal(c.state.OCSPResponse, response) != test.shown || test.shown != (c.state.OCSPResponse != nil) {
					t.Errorf("%s: %d bytes, %v", tls.VersionName(version), len(c.state.OCSPResponse), c.err)
				}
			}
		})
	}
}

func TestStapleRefused(t *testing.T) {
	ours := newAuthority(t, "ours")
	one, other := ours.issue(ecKey(t, elliptic.P256())), ours.issue(ecKey(t, elliptic.P256()))
	for want, response := range map[string][]byte{
		"OCSP staple <inline>: it is not about the certificate that it goes with":             ours.vouches(other.cert, time.Now(), time.Hour),
		"OCSP staple <inline>: it cannot be parsed, want a response in DER: asn1: ":           []byte("response"),
		"OCSP staple <inline>: it cannot be parsed, want a response in DER: ocsp: error from": ocsp.TryLaterErrorResponse,
	} {
		certificate := tlsCertificate(t, one)
		certificate.OCSPStaple = inline(response)
		_, err := NewDownstream(&config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{certificate}}}, nil, time.Now)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestPeer holds what is told about how hands were shaken.
func TestPeer(t *testing.T) {
	ours := newAuthority(t, "ours")
	key := ecKey(t, elliptic.P256())
	d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{
		Certificates: []config.TLSCertificate{tlsCertificate(t, ours.issue(key)), tlsCertificate(t, ours.issue(rsaKey(t)))},
		Validation:   trusting(ours.cert), ALPN: []string{"h2"},
	}})
	shown := ours.issue(key)
	for name, test := range map[string]struct {
		change func(*tls.Config)
		want   Peer
	}{
		"1.3":  {func(*tls.Config) {}, Peer{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Curve: "X25519MLKEM768"}},
		"P256": {func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.SecP256r1MLKEM768} }, Peer{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Curve: "SecP256r1MLKEM768"}},
		"P384": {func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.SecP384r1MLKEM1024} }, Peer{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Curve: "SecP384r1MLKEM1024"}},
		"1.2":  {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, Peer{Version: "TLSv1.2", CipherSuite: "ECDHE-ECDSA-AES128-GCM-SHA256", Curve: "X25519"}},
		"RSA": {func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites, c.CurvePreferences = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}, []tls.CurveID{tls.CurveP384}
		}, Peer{Version: "TLSv1.2", CipherSuite: "ECDHE-RSA-CHACHA20-POLY1305", Curve: "P-384"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := ours.client(shown)
			test.change(client)
			var made Conn
			_, s := meet(t, func(wire net.Conn) (*tls.Conn, error) { return tls.Client(wire, client), nil }, func(wire net.Conn) (conn *tls.Conn, err error) {
				made, err = d.Server(wire)
				return made.Conn, err
			})
			if s.err != nil {
				t.Fatal(s.err)
			}
			got := made.Peer()
			if got.Certificate == nil || !got.Certificate.Equal(shown.cert) {
				t.Errorf("certificate %v", got.Certificate)
			}
			got.Certificate, got.chain, got.own = nil, nil, nil
			test.want.Protocol, test.want.ServerName, test.want.Validated = "h2", "proxy.test", true
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
	if got := (Conn{Conn: tls.Client(nil, &tls.Config{})}).Peer(); got.Certificate != nil || got.Version != "unknown" || got.Curve != "unknown" {
		t.Errorf("before the handshake: %+v", got)
	}
}

// TestDownstreamCertificates holds what is told of the certificates that are shown and asked for.
func TestDownstreamCertificates(t *testing.T) {
	ours := newAuthority(t, "ours")
	middle := ours.under("middle")
	f := newFolder(t, nil, nil, nil)
	one := middle.issue(ecKey(t, elliptic.P256()))
	f.write(f.Cert, append(certPEM(one.cert), certPEM(middle.cert)...))
	f.write(f.Key, keyPEM(t, one.key))
	second := ours.issue(ecKey(t, elliptic.P384()))
	t.Setenv("CHAIN_OF_TEST", string(certPEM(second.cert)))
	c := &config.DownstreamTLS{TLS: config.TLS{
		Certificates: []config.TLSCertificate{
			{Chain: config.DataSource{File: f.Cert}, Key: config.DataSource{File: f.Key}},
			{Chain: config.DataSource{Variable: "CHAIN_OF_TEST"}, Key: inline(keyPEM(t, second.key))},
		},
		Validation: trusting(ours.cert),
	}}
	got := downstreamOf(t, c).Certificates(time.Now())
	var text []string
	for _, d := range append(got.Chain, got.CA...) {
		text = append(text, fmt.Sprint(d.Path, " ", d.SerialNumber, " ", d.DaysUntilExpiration))
	}
	number := func(c *x509.Certificate) string { return fmt.Sprintf("%04x", c.SerialNumber) }
	want := []string{
		f.Cert + " " + number(one.cert) + " 4", f.Cert + " " + number(middle.cert) + " 41",
		"<environment variable CHAIN_OF_TEST> " + number(second.cert) + " 4", "<inline> " + number(ours.cert) + " 41",
	}
	if !slices.Equal(text, want) {
		t.Errorf("got  %q\nwant %q", text, want)
	}
	c.Validation = nil
	if got := downstreamOf(t, c).Certificates(time.Now()); len(got.CA) > 0 {
		t.Errorf("%+v without a validation context", got.CA)
	}
}

// TestBigNames bounds the names that a handshake lists, and only those.
func TestBigNames(t *testing.T) {
	big := newAuthority(t, "big", func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: strings.Repeat("n", maxAuthorities)} })
	v := trusting(big.cert)
	c := &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, big.issue(ecKey(t, elliptic.P256())))}, Validation: v}}
	if _, err := NewDownstream(c, nil, time.Now); err == nil || !strings.HasPrefix(err.Error(), "trusted CA <inline>: the names of its 1 certificates take") {
		t.Errorf("listed: %v", err)
	}
	v.HideAuthorities = true
	downstreamOf(t, c)
	upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{Validation: trusting(big.cert)}})
}
