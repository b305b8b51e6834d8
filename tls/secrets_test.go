package tls

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// ref is the name of a secret of the aggregated stream.
func ref(name string) config.SecretRef { return config.SecretRef{Name: name} }

// TestCheckSecret holds that a secret is refused for what it has, and not for what only what names it can tell.
func TestCheckSecret(t *testing.T) {
	ours := newAuthority(t, "ours")
	good, other := tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256()))), tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256())))
	mixed := config.TLSCertificate{Chain: good.Chain, Key: other.Key}
	text := config.DataSource{Inline: []byte("cert-data")}
	names := config.TLSValidation{SANs: trusting(ours.cert).SANs, MaxDepth: -1}
	for _, test := range []struct {
		name, refused string
		secret        config.Secret
	}{
		{"certificate", "", config.Secret{Certificate: &good}},
		{"no certificate", "tls_certificate: ", config.Secret{Certificate: &config.TLSCertificate{Chain: text, Key: good.Key}}},
		{"another's key", "tls_certificate: ", config.Secret{Certificate: &mixed}},
		{"CA", "", config.Secret{Validation: trusting(ours.cert)}},
		{"names without a CA", "", config.Secret{Validation: &names}},
		{"no CA", "validation_context: ", config.Secret{Validation: &config.TLSValidation{CA: text}}},
		{"keys", "", config.Secret{TicketKeys: []config.DataSource{ticketKey(1)}}},
		{"no keys", "session_ticket_keys: ", config.Secret{TicketKeys: []config.DataSource{text}}},
	} {
		err := CheckSecret(&test.secret, time.Now)
		if refused := err != nil; refused != (test.refused != "") || refused && !strings.HasPrefix(err.Error(), test.refused) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.refused)
		}
	}
}

// TestNotReady holds what is missing for how long, and that nobody shakes hands before.
func TestNotReady(t *testing.T) {
	ours := newAuthority(t, "ours")
	certificate := tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256())))
	elsewhere := config.SecretRef{Name: "cert", SDS: config.Discovery{Source: config.ConfigSource{Path: "/secrets"}}}
	full := Secrets{
		"cert":          {Name: "cert", Certificate: &certificate},
		elsewhere.Key(): {Name: "cert", Certificate: &certificate},
		"ca":            {Name: "ca", Validation: trusting(ours.cert)},
		"keys":          {Name: "keys", TicketKeys: []config.DataSource{ticketKey(1)}},
	}
	down := &config.DownstreamTLS{
		TLS:             config.TLS{CertificateSecrets: []config.SecretRef{ref("cert"), elsewhere}, ValidationSecret: ref("ca")},
		TicketKeySecret: ref("keys"),
	}
	up := &config.UpstreamTLS{TLS: config.TLS{CertificateSecrets: []config.SecretRef{ref("cert")}, ValidationSecret: ref("ca")}}
	wire, other := wires(t)
	for _, gone := range []string{"", "cert", elsewhere.Key(), "ca", "keys"} {
		secrets := Secrets{}
		for key, s := range full {
			if key != gone {
				secrets[key] = s
			}
		}
		missing, _, _ := strings.Cut(gone, "\x00")
		d, err := NewDownstream(down, secrets, time.Now)
		if err != nil || d.Missing() != missing {
			t.Errorf("without %q: a filter chain misses %q, %v", gone, d.Missing(), err)
		}
		if _, err := d.Server(wire); errors.Is(err, ErrNotReady) != (gone != "") || err != nil && !strings.HasPrefix(err.Error(), `secret "`+missing+`": `) {
			t.Errorf("without %q: a server: %v", gone, err)
		}
		if got := d.Certificates(time.Now()); (len(got.Chain) == 2) != (gone == "") || (len(got.CA) == 1) != (gone == "") {
			t.Errorf("without %q: %+v", gone, got)
		}
		u, err := NewUpstream(up, secrets, time.Now)
		if missing = strings.TrimPrefix(missing, "keys"); gone == elsewhere.Key() {
			missing = ""
		}
		if err != nil || u.Missing() != missing {
			t.Errorf("without %q: a cluster misses %q, %v", gone, u.Missing(), err)
		}
		if _, err := u.Client(other, Names{}, nil); errors.Is(err, ErrNotReady) != (missing != "") {
			t.Errorf("without %q: a client: %v", gone, err)
		}
		if got := u.Certificates(time.Now()); (len(got.Chain) == 1) != (missing == "") || (len(got.CA) == 1) != (missing == "") {
			t.Errorf("without %q: %+v", gone, got)
		}
	}
}

// TestContextsRefused holds what is wrong with contexts whatever their peers do, in the words of the error. None of them has
// any part of a private key.
func TestContextsRefused(t *testing.T) {
	ours := newAuthority(t, "ours", signsLists)
	key, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	one := ours.issue(key)
	good := tlsCertificate(t, one)
	private := keyPEM(t, key)
	dir := t.TempDir()
	large, absent := filepath.Join(dir, "large.pem"), filepath.Join(dir, "absent.pem")
	if err := os.WriteFile(large, append(private, bytes.Repeat([]byte{'\n'}, maxFile)...), 0o600); err != nil {
		t.Fatal(err)
	}
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")})
	cut := private[:len(private)-40]
	t.Setenv("KEY_OF_TEST", string(keyPEM(t, other)))
	secrets := Secrets{
		"cert": {Certificate: &good}, "ca": {Validation: trusting(ours.cert)}, "keys": {TicketKeys: []config.DataSource{ticketKey(1)}},
		"bad pair": {Certificate: &config.TLSCertificate{Chain: good.Chain, Key: inline(keyPEM(t, other))}},
	}
	type change func(d *config.DownstreamTLS, c *config.TLS)
	keyed := func(source config.DataSource) change {
		return func(_ *config.DownstreamTLS, c *config.TLS) { c.Certificates[0].Key = source }
	}
	chained := func(source config.DataSource) change {
		return func(_ *config.DownstreamTLS, c *config.TLS) { c.Certificates[0].Chain = source }
	}
	validated := func(f func(v *config.TLSValidation)) change {
		return func(_ *config.DownstreamTLS, c *config.TLS) { c.Validation = trusting(); f(c.Validation) }
	}
	tickets := func(keys ...config.DataSource) change {
		return func(d *config.DownstreamTLS, _ *config.TLS) {
			if d != nil {
				d.TicketKeys = keys
			}
		}
	}
	const onlyDownstream, either = true, false
	for _, test := range []struct {
		name   string
		change change
		only   bool
		want   string
	}{
		{"nothing", func(*config.DownstreamTLS, *config.TLS) {}, either, ""},
		{"no certificate", func(_ *config.DownstreamTLS, c *config.TLS) { c.Certificates = nil }, onlyDownstream, "there is no certificate to show"},
		{"chain absent", chained(config.DataSource{File: absent}), either, `certificate file "` + absent + `": no such file or directory`},
		{"chain is a directory", chained(config.DataSource{File: dir}), either, `certificate file "` + dir + `": it is not a regular file`},
		{"chain has nothing", chained(config.DataSource{}), either, "certificate: there is nothing, want a file name, bytes or a variable"},
		{"chain is the key", chained(inline(private)), either, "certificate <inline>: there is no certificate in it, want blocks of -----BEGIN CERTIFICATE-----"},
		{"chain is cut", chained(inline(append(certPEM(one.cert), certPEM(ours.cert)[:50]...))), either, "certificate <inline>: 1 of its 2 PEM blocks cannot be read, want whole ones: it is damaged or was only half written"},
		{"chain is long", chained(inline(bytes.Repeat(certPEM(one.cert), maxChain+1))), either, "certificate <inline>: it has 11 certificates, want at most 10: the server's, then its chain"},
		{"expired", chained(inline(certPEM(ours.issue(key, expired).cert))), either, ""},
		{"key absent", keyed(config.DataSource{File: absent}), either, `key file "` + absent + `": no such file or directory`},
		{"key is large", keyed(config.DataSource{File: large}), either, `key file "` + large + `": it is larger than 1048576 bytes`},
		{"inline key is large", keyed(inline(append(private, bytes.Repeat([]byte{'\n'}, maxFile)...))), either, "key <inline>: it is larger than 1048576 bytes"},
		{"variable not set", keyed(config.DataSource{Variable: "NO_KEY_OF_TEST"}), either, "key: the environment variable NO_KEY_OF_TEST is not set"},
		{"key of another in a variable", keyed(config.DataSource{Variable: "KEY_OF_TEST"}), either, "key <environment variable KEY_OF_TEST>: the private key does not match the certificate, want the one that the certificate was issued for"},
		{"key of another", keyed(inline(keyPEM(t, other))), either, "key <inline>: the private key does not match the certificate"},
		{"key is the chain", keyed(inline(certPEM(one.cert))), either, "key <inline>: there is no private key in it, want a block of -----BEGIN PRIVATE KEY-----"},
		{"key is encrypted", keyed(inline(encrypted)), either, "key <inline>: the private key is encrypted, want it without a passphrase"},
		{"key is cut", keyed(inline(cut)), either, "key <inline>: 1 of its 1 PEM blocks cannot be read"},
		{"key is no PEM", keyed(inline([]byte(base64.StdEncoding.EncodeToString(private)))), either, "key <inline>: it is not PEM, want blocks that begin with -----BEGIN"},
		{"second certificate", func(_ *config.DownstreamTLS, c *config.TLS) {
			c.Certificates = append(c.Certificates, config.TLSCertificate{Chain: good.Chain, Key: inline(keyPEM(t, other))})
		}, either, "key <inline>: the private key does not match the certificate"},
		{"staple absent", func(_ *config.DownstreamTLS, c *config.TLS) { c.Certificates[0].OCSPStaple.File = absent }, either, `OCSP staple file "` + absent + `": no such file or directory`},
		{"CA absent", validated(func(v *config.TLSValidation) { v.CA.File = absent }), either, `trusted CA file "` + absent + `": no such file or directory`},
		{"CA is no PEM", validated(func(v *config.TLSValidation) { v.CA = inline([]byte("hello")) }), either, "trusted CA <inline>: it is not PEM"},
		{"CA expired", validated(func(v *config.TLSValidation) { v.CA = inline(certPEM(newAuthority(t, "old", expired).cert)) }), either, ""},
		{"CRL absent", validated(func(v *config.TLSValidation) { v.CA, v.CRL.File = inline(certPEM(ours.cert)), absent }), either, `CRL file "` + absent + `": no such file or directory`},
		{"CRL alone", validated(func(v *config.TLSValidation) { v.CRL = inline(ours.revokes(nil)) }), either, "crl needs trusted_ca"},
		{"names alone", validated(func(v *config.TLSValidation) { v.SANs = []config.SANMatcher{{Match: exact("a.test")}} }), either, "match_typed_subject_alt_names needs trusted_ca: anybody can make a certificate with any name"},
		{"allowed to expire alone", validated(func(v *config.TLSValidation) { v.AllowExpired = true }), either, "allow_expired_certificate needs trusted_ca: without it no time is looked at"},
		{"key pin", validated(func(v *config.TLSValidation) { v.SPKI = []string{"AAAA"} }), either, `"AAAA" is no SHA-256 in base64`},
		{"hash", validated(func(v *config.TLSValidation) { v.Hashes = []string{"00:11"} }), either, `"00:11" is no SHA-256 in hexadecimal`},
		{"suite", func(_ *config.DownstreamTLS, c *config.TLS) { c.CipherSuites = []string{"AES128-SHA"} }, either, `cipher suite "AES128-SHA" is not supported`},
		{"curve", func(_ *config.DownstreamTLS, c *config.TLS) { c.Curves = []string{"P-224"} }, either, `curve "P-224" is not supported`},
		{"secret is no certificate", func(_ *config.DownstreamTLS, c *config.TLS) { c.CertificateSecrets = []config.SecretRef{ref("ca")} }, either, `secret "ca" is no certificate`},
		{"secret is no validation context", func(_ *config.DownstreamTLS, c *config.TLS) { c.ValidationSecret = ref("cert") }, either, `secret "cert" is no validation context`},
		{"secret is no ticket key", func(d *config.DownstreamTLS, _ *config.TLS) { d.TicketKeySecret = ref("cert") }, onlyDownstream, `secret "cert" has no session ticket keys`},
		{"bad pair of a secret", func(_ *config.DownstreamTLS, c *config.TLS) {
			c.CertificateSecrets = []config.SecretRef{ref("bad pair")}
		}, either, "key <inline>: the private key does not match the certificate"},
		{"ticket key is short", tickets(ticketKey(1), inline(make([]byte, ticketKeySize-1))), onlyDownstream, "session ticket key <inline>: it is no session ticket key, want 80 bytes"},
		{"ticket key absent", tickets(config.DataSource{File: absent}), onlyDownstream, `session ticket key file "` + absent + `": no such file or directory`},
		{"too many ticket keys", tickets(bytesTimes(maxTicketKeys + 1)...), onlyDownstream, "there are 17 session ticket keys, want at most 16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{good}}}
			test.change(d, &d.TLS)
			context, err := NewDownstream(d, secrets, time.Now)
			checkRefused(t, err, test.want, private, keyPEM(t, other))
			if (context == nil) != (err != nil) {
				t.Errorf("%v beside %v", context, err)
			}
			if test.only {
				return
			}
			u := &config.UpstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{good}}}
			test.change(nil, &u.TLS)
			up, err := NewUpstream(u, secrets, time.Now)
			checkRefused(t, err, test.want, private, keyPEM(t, other))
			if (up == nil) != (err != nil) {
				t.Errorf("%v beside %v", up, err)
			}
		})
	}
}

func bytesTimes(n int) (keys []config.DataSource) {
	for i := range n {
		keys = append(keys, ticketKey(byte(i)))
	}
	return keys
}

// checkRefused checks the beginning of an error, and that it has nothing of the keys in it in any form.
func checkRefused(t *testing.T, err error, want string, keys ...[]byte) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("%v, want %s", err, want)
	}
	for _, key := range keys {
		block, _ := pem.Decode(key)
		tail := block.Bytes[len(block.Bytes)-8:]
		lines := bytes.Split(key, []byte{'\n'})
		for _, part := range []string{string(tail), hex.EncodeToString(tail), string(lines[1][:12]), string(lines[2][:12])} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%q has a part of a private key", err)
			}
		}
	}
}

// TestMerge lays a secret over a default validation context field by field.
func TestMerge(t *testing.T) {
	file := func(name string) config.DataSource { return config.DataSource{File: name} }
	sans := func(list ...string) (out []config.SANMatcher) {
		for _, name := range list {
			out = append(out, config.SANMatcher{Match: exact(name)})
		}
		return out
	}
	full := config.TLSValidation{
		CA: file("ca"), CRL: file("crl"), SANs: sans("a"), SPKI: []string{"s"}, Hashes: []string{"h"}, MaxDepth: 3,
		AllowExpired: true, AcceptUntrusted: true, OnlyLeafCRL: true, HideAuthorities: true,
	}
	for name, test := range map[string]struct{ base, over, want config.TLSValidation }{
		"over nothing": {config.TLSValidation{MaxDepth: -1}, full, full},
		"nothing over": {full, config.TLSValidation{MaxDepth: -1}, full},
		"both": {
			full,
			config.TLSValidation{CA: file("ca2"), CRL: file("crl2"), SANs: sans("b"), SPKI: []string{"s2"}, Hashes: []string{"h2"}, MaxDepth: 0},
			config.TLSValidation{
				CA: file("ca2"), CRL: file("crl2"), SANs: sans("a", "b"), SPKI: []string{"s", "s2"}, Hashes: []string{"h", "h2"}, MaxDepth: 0,
				AllowExpired: true, AcceptUntrusted: true, OnlyLeafCRL: true, HideAuthorities: true,
			},
		},
		"trust domains over others": {
			config.TLSValidation{SPIFFE: []config.TrustDomain{{Name: "a"}}, MaxDepth: -1}, config.TLSValidation{SPIFFE: []config.TrustDomain{{Name: "b"}}, MaxDepth: -1},
			config.TLSValidation{SPIFFE: []config.TrustDomain{{Name: "b"}}, MaxDepth: -1},
		},
		"a CA over trust domains": {
			config.TLSValidation{SPIFFE: []config.TrustDomain{{Name: "a"}}, MaxDepth: -1}, config.TLSValidation{CA: file("ca"), MaxDepth: -1},
			config.TLSValidation{SPIFFE: []config.TrustDomain{{Name: "a"}}, CA: file("ca"), MaxDepth: -1},
		},
		"roots of the system over a CA": {config.TLSValidation{CA: file("ca")}, config.TLSValidation{SystemRoots: true}, config.TLSValidation{SystemRoots: true}},
		"a CA over roots of the system": {config.TLSValidation{SystemRoots: true}, config.TLSValidation{CA: file("ca")}, config.TLSValidation{CA: file("ca")}},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.base
			if got := merge(&test.base, &test.over); !reflect.DeepEqual(normal(*got), normal(test.want)) {
				t.Errorf("got  %+v\nwant %+v", *got, test.want)
			}
			if !reflect.DeepEqual(before, test.base) {
				t.Error("the default has changed")
			}
		})
	}
	if over := new(config.TLSValidation); merge(nil, over) != over {
		t.Error("without a default the secret is not taken")
	}
}

// normal has no list for an empty one.
func normal(v config.TLSValidation) config.TLSValidation {
	if len(v.SANs) == 0 {
		v.SANs = nil
	}
	if len(v.SPKI) == 0 {
		v.SPKI = nil
	}
	if len(v.Hashes) == 0 {
		v.Hashes = nil
	}
	return v
}

// TestCombined has clients checked by both halves of a combined validation context.
func TestCombined(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	key := ecKey(t, elliptic.P256())
	c := &config.DownstreamTLS{TLS: config.TLS{
		Certificates:     []config.TLSCertificate{tlsCertificate(t, ours.issue(key))},
		Validation:       &config.TLSValidation{MaxDepth: -1, SANs: []config.SANMatcher{{Match: config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile("^good")}}}},
		ValidationSecret: ref("ca"),
	}}
	d, err := NewDownstream(c, Secrets{"ca": {Validation: trusting(ours.cert)}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		show issued
		want Refusal
	}{
		{ours.issue(key, names("good.test")), NotRefused},
		{ours.issue(key, names("bad.test")), WrongName},
		{theirs.issue(key, names("good.test")), NotVerified},
	} {
		if _, s := visit(t, d, ours.client(test.show)); RefusalOf(s.err) != test.want {
			t.Errorf("%v: %v, want %d", test.show.cert.DNSNames, s.err, test.want)
		}
	}
}
