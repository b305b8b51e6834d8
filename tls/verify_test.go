package tls

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// asked is what a test asks of client certificates, and what the client shows.
type asked struct {
	name string
	ask  func(v *config.TLSValidation)
	show []issued
	why  Refusal // NotRefused: let in
	text string  // of the error
}

// san asks for a name.
func san(kind config.SANType, match config.StringMatcher) func(*config.TLSValidation) {
	return func(v *config.TLSValidation) { v.SANs = append(v.SANs, config.SANMatcher{Type: kind, Match: match}) }
}

func exact(s string) config.StringMatcher { return config.StringMatcher{Value: s} }

// names gives a certificate DNS names.
func names(dns ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = dns }
}

func uris(t *testing.T, text ...string) func(*x509.Certificate) {
	t.Helper()
	var list []*url.URL
	for _, one := range text {
		u, err := url.Parse(one)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, u)
	}
	return func(c *x509.Certificate) { c.URIs = list }
}

// checkAll has the clients of all tests come in both versions. Where there is a validation context, one is always asked for
// a certificate and must show it.
func checkAll(t *testing.T, ours *authority, tests []asked) {
	t.Helper()
	server := tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256())))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := trusting(ours.cert)
			if test.ask != nil {
				test.ask(v)
			}
			d := downstreamOf(t, &config.DownstreamTLS{
				TLS: config.TLS{Certificates: []config.TLSCertificate{server}, Validation: v}, RequireClientCertificate: true,
			})
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				client := ours.client(test.show...)
				client.MaxVersion = version
				c, s := visit(t, d, client)
				if got := RefusalOf(s.err); got != test.why {
					t.Errorf("%s: refusal %d, want %d: %v", tls.VersionName(version), got, test.why, s.err)
				}
				if (s.err != nil) != (test.why != NotRefused) || (c.err != nil) != (test.why != NotRefused) {
					t.Errorf("%s: the server has %v, the client %v", tls.VersionName(version), s.err, c.err)
				}
				if s.err != nil && !strings.Contains(s.err.Error(), test.text) {
					t.Errorf("%s: %q, want %q", tls.VersionName(version), s.err, test.text)
				}
			}
		})
	}
}

func TestChainOfClients(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	key := ecKey(t, elliptic.P256())
	middle := ours.under("middle")
	lower := middle.under("lower")
	old := ours.under("old", expired)
	gone := newAuthority(t, "gone", expired)
	strict := ours.under("strict", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"inside.test"} })
	alone := issued{sign(t, ours.issue(key).cert, ours.issue(key).cert, key.Public(), key), key}
	later := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }
	forServers := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	noCA := ours.issue(key)
	depth := func(n int) func(*config.TLSValidation) { return func(v *config.TLSValidation) { v.MaxDepth = n } }
	allowExpired := func(v *config.TLSValidation) { v.AllowExpired = true }
	untrusted := func(v *config.TLSValidation) { v.AcceptUntrusted = true }
	deep := []issued{lower.issue(key), {lower.cert, lower.key}, {middle.cert, middle.key}}
	checkAll(t, ours, []asked{
		{"good", nil, []issued{ours.issue(key)}, NotRefused, ""},
		{"through others", nil, deep, NotRefused, ""},
		{"others in any order", nil, []issued{deep[0], deep[2], deep[1]}, NotRefused, ""},
		{"with the root", nil, []issued{ours.issue(key), {ours.cert, ours.key}}, NotRefused, ""},
		{"the root trusted is between", func(v *config.TLSValidation) { v.CA = inline(certPEM(middle.cert)) }, deep[:2], NotRefused, ""},
		{"itself trusted", func(v *config.TLSValidation) { v.CA = inline(certPEM(noCA.cert)) }, []issued{noCA}, NotRefused, ""},
		{"none", nil, nil, NotShown, notShown},
		{"expired", nil, []issued{ours.issue(key, expired)}, NotVerified, "certificate has expired or is not yet valid: current time"},
		{"not valid yet", nil, []issued{ours.issue(key, later)}, NotVerified, "is before"},
		{"expired between", nil, []issued{old.issue(key), {old.cert, old.key}}, NotVerified, "certificate has expired or is not yet valid"},
		{"for servers", nil, []issued{ours.issue(key, forServers)}, NotVerified, "certificate specifies an incompatible key usage"},
		{"of another CA", nil, []issued{theirs.issue(key)}, NotVerified, "certificate signed by unknown authority"},
		{"of a CA of the same name", nil, []issued{newAuthority(t, "ours").issue(key)}, NotVerified, "certificate signed by unknown authority"},
		{"self-signed", nil, []issued{alone}, NotVerified, "certificate signed by unknown authority"},
		{"without what is between", nil, deep[:1], NotVerified, "certificate signed by unknown authority"},
		{"of one that is no CA", nil, []issued{(&authority{t, ours.serials, noCA.cert, noCA.key}).issue(key), noCA}, NotVerified, "certificate signed by unknown authority"},
		{"outside of what its CA may issue", nil, []issued{strict.issue(key), {strict.cert, strict.key}}, NotVerified, `"proxy.test" is not permitted by any constraint`},
		{"too long", nil, append([]issued{ours.issue(key)}, slices.Repeat([]issued{{theirs.cert, theirs.key}}, maxChain)...), NotVerified, "the peer has shown 11 certificates, want at most 10"},

		// The depth counts the root and not the certificate itself; 0 is as good as 1.
		{"depth 3", depth(3), deep, NotRefused, ""},
		{"depth 2 and more", depth(2), deep, NotVerified, "there are more than 1 certificates between it and a root"},
		{"depth 1", depth(1), []issued{ours.issue(key)}, NotRefused, ""},
		{"depth 1 and more", depth(1), []issued{middle.issue(key), {middle.cert, middle.key}}, NotVerified, "there are more than 0 certificates between it and a root"},
		{"depth 0", depth(0), []issued{ours.issue(key)}, NotRefused, ""},

		{"expired and allowed", allowExpired, []issued{ours.issue(key, expired)}, NotRefused, ""},
		{"not valid yet and allowed", allowExpired, []issued{ours.issue(key, later)}, NotRefused, ""},
		{"expired between and allowed", allowExpired, []issued{old.issue(key), {old.cert, old.key}}, NotRefused, ""},
		{"expired before its CA began", func(v *config.TLSValidation) {
			next := *ours
			next.cert = sign(t, func() *x509.Certificate {
				c := *ours.cert
				c.NotBefore = time.Now().Add(-time.Second)
				return &c
			}(), ours.cert, ours.key.Public(), ours.key)
			v.CA, v.AllowExpired = inline(certPEM(next.cert)), true
		}, []issued{ours.issue(key, expired)}, NotRefused, ""},
		{"of an expired CA and allowed", func(v *config.TLSValidation) { v.CA, v.AllowExpired = inline(certPEM(gone.cert)), true }, []issued{gone.issue(key)}, NotRefused, ""},
		{"allowed and of another CA", allowExpired, []issued{theirs.issue(key, expired)}, NotVerified, "certificate signed by unknown authority"},
		{"allowed and for servers", allowExpired, []issued{ours.issue(key, expired, forServers)}, NotVerified, "incompatible key usage"},

		{"untrusted and accepted", untrusted, []issued{theirs.issue(key)}, NotRefused, ""},
		{"self-signed and accepted", untrusted, []issued{alone}, NotRefused, ""},
		{"none, others accepted", untrusted, nil, NotShown, notShown},
		{"of another name and accepted", func(v *config.TLSValidation) {
			untrusted(v)
			san(config.SANDNS, exact("other.test"))(v)
		}, []issued{ours.issue(key)}, NotRefused, ""},
		{"not pinned and accepted", func(v *config.TLSValidation) {
			untrusted(v)
			v.SPKI = []string{base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))}
		}, []issued{ours.issue(key)}, NotRefused, ""},
	})
}

// nulName is a certificate template's extension of names with a DNS name and an e-mail address that have NUL in them.
func nulName(t *testing.T, tag int, name string) func(*x509.Certificate) {
	t.Helper()
	raw, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(name)}})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *x509.Certificate) {
		c.DNSNames = nil
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: raw}}
	}
}

// otherName gives a certificate a name of a kind that nobody asks for, a user principal name.
func otherName(t *testing.T, name string) func(*x509.Certificate) {
	t.Helper()
	value, err := asn1.MarshalWithParams(name, "utf8")
	if err != nil {
		t.Fatal(err)
	}
	id, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	explicit, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: value})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(id, explicit...)}})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *x509.Certificate) {
		c.DNSNames = nil
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: raw}}
	}
}

func TestNamesOfClients(t *testing.T) {
	ours := newAuthority(t, "ours")
	key := ecKey(t, elliptic.P256())
	const emailTag, dnsTag = 1, 2
	of := func(change ...func(*x509.Certificate)) []issued { return []issued{ours.issue(key, change...)} }
	ips := func(list ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, text := range list {
				c.IPAddresses = append(c.IPAddresses, net.ParseIP(text))
			}
		}
	}
	emails := func(list ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = list }
	}
	dns := func(s string) func(*config.TLSValidation) { return san(config.SANDNS, exact(s)) }
	kind := func(k config.StringKind, s string) config.StringMatcher {
		return config.StringMatcher{Kind: k, Value: s}
	}
	const none = "the certificate has none of the subject alternative names that are asked for"
	checkAll(t, ours, []asked{
		{"exact", dns("a.test"), of(names("b.test", "a.test")), NotRefused, ""},
		{"either of two", func(v *config.TLSValidation) { dns("x.test")(v); dns("a.test")(v) }, of(names("a.test")), NotRefused, ""},
		{"case", dns("a.TEST"), of(names("A.test")), NotRefused, ""},
		{"another", dns("a.test"), of(names("b.test")), WrongName, none},
		{"a part", dns("a.test"), of(names("aa.test", "a.test.com", "test")), WrongName, none},
		{"no names", dns("a.test"), of(names()), WrongName, none},
		{"only the subject", dns("proxy.test"), of(names()), WrongName, none},
		{"wildcard", dns("a.deep.test"), of(names("*.deep.test")), NotRefused, ""},
		{"wildcard for more than a label", dns("b.a.deep.test"), of(names("*.deep.test")), WrongName, none},
		{"wildcard for none", dns("deep.test"), of(names("*.deep.test")), WrongName, none},
		{"wildcard in the middle", dns("a.b.deep.test"), of(names("a.*.deep.test")), WrongName, none},
		{"wildcard for a part", dns("ab.deep.test"), of(names("a*.deep.test")), WrongName, none},
		{"wildcard of a top level", dns("a.test"), of(names("*.test")), WrongName, none},
		{"prefix", san(config.SANDNS, kind(config.StringPrefix, "a.")), of(names("a.test")), NotRefused, ""},
		{"suffix", san(config.SANDNS, kind(config.StringSuffix, ".test")), of(names("a.test")), NotRefused, ""},
		{"contains", san(config.SANDNS, kind(config.StringContains, "b")), of(names("abc.test")), NotRefused, ""},
		{"expression", san(config.SANDNS, config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile(`^(?:[a-c]\.test)$`)}), of(names("b.test")), NotRefused, ""},
		{"not the expression", san(config.SANDNS, config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile(`^(?:[a-c]\.test)$`)}), of(names("d.test")), WrongName, none},
		{"NUL", dns("a.test"), of(nulName(t, dnsTag, "a.test\x00.evil.test")), WrongName, none},
		{"NUL and a prefix", san(config.SANDNS, kind(config.StringPrefix, "a.test")), of(nulName(t, dnsTag, "a.test\x00.evil.test")), WrongName, none},
		{"NUL and a suffix", san(config.SANDNS, kind(config.StringSuffix, ".a.test")), of(nulName(t, dnsTag, "evil.test\x00.a.test")), WrongName, none},
		{"NUL in an address", san(config.SANEmail, kind(config.StringSuffix, "@a.test")), of(nulName(t, emailTag, "evil\x00@a.test")), WrongName, none},
		{"other name", dns("a.test"), of(otherName(t, "a.test")), WrongName, none},
		{"URI", san(config.SANURI, exact("spiffe://a.test/ns/x")), of(uris(t, "spiffe://a.test/ns/x")), NotRefused, ""},
		{"another URI", san(config.SANURI, exact("spiffe://a.test/ns/x")), of(uris(t, "spiffe://a.test/ns/y")), WrongName, none},
		{"URI as DNS", san(config.SANURI, exact("a.test")), of(names("a.test")), WrongName, none},
		{"address", san(config.SANEmail, exact("a@b.test")), of(emails("a@b.test")), NotRefused, ""},
		{"another address", san(config.SANEmail, exact("a@b.test")), of(emails("b@b.test")), WrongName, none},
		{"IPv4", san(config.SANIP, exact("192.0.2.1")), of(ips("192.0.2.1")), NotRefused, ""},
		{"IPv6", san(config.SANIP, exact("2001:db8::1")), of(ips("2001:db8:0::1")), NotRefused, ""},
		{"another IP", san(config.SANIP, exact("192.0.2.1")), of(ips("192.0.2.2")), WrongName, none},
		{"IP as DNS", san(config.SANIP, exact("192.0.2.1")), of(names("192.0.2.1")), WrongName, none},
		{"DNS as IP", dns("192.0.2.1"), of(names(), ips("192.0.2.1")), WrongName, none},
	})
}

func TestPinsOfClients(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	key := ecKey(t, elliptic.P256())
	one, other := ours.issue(key), ours.issue(ecKey(t, elliptic.P256()))
	again := ours.issue(key) // of the same key
	foreign := theirs.issue(key)
	spki := func(of issued) string {
		sum := sha256.Sum256(of.cert.RawSubjectPublicKeyInfo)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	hash := func(of issued) string {
		sum := sha256.Sum256(of.cert.Raw)
		return hex.EncodeToString(sum[:])
	}
	pin := func(spki, hashes []string) func(*config.TLSValidation) {
		return func(v *config.TLSValidation) { v.SPKI, v.Hashes = spki, hashes }
	}
	withoutCA := func(f func(*config.TLSValidation)) func(*config.TLSValidation) {
		return func(v *config.TLSValidation) {
			f(v)
			v.CA = config.DataSource{}
		}
	}
	const text = "the certificate is none of those that are pinned"
	checkAll(t, ours, []asked{
		{"key", pin([]string{spki(other), spki(one)}, nil), []issued{one}, NotRefused, ""},
		{"key of another certificate", pin([]string{spki(one)}, nil), []issued{again}, NotRefused, ""},
		{"another key", pin([]string{spki(other)}, nil), []issued{one}, WrongHash, text},
		{"certificate", pin(nil, []string{hash(one)}), []issued{one}, NotRefused, ""},
		{"another certificate", pin(nil, []string{hash(one)}), []issued{again}, WrongHash, text},
		{"either, by the key", pin([]string{spki(one)}, []string{hash(other)}), []issued{one}, NotRefused, ""},
		{"either, by the certificate", pin([]string{spki(other)}, []string{hash(one)}), []issued{one}, NotRefused, ""},
		{"neither", pin([]string{spki(other)}, []string{hash(other)}), []issued{one}, WrongHash, text},
		{"of another CA", pin([]string{spki(one)}, nil), []issued{foreign}, NotVerified, "certificate signed by unknown authority"},
		{"the CA's key", pin([]string{spki(issued{ours.cert, ours.key})}, nil), []issued{one}, WrongHash, text},
		{"without a CA", withoutCA(pin([]string{spki(one)}, nil)), []issued{foreign}, NotRefused, ""},
		{"without a CA, another", withoutCA(pin([]string{spki(other)}, nil)), []issued{foreign}, WrongHash, text},
	})
}
