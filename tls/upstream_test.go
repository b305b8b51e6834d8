package tls

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// server returns a configuration of crypto/tls that shows a certificate.
func (one issued) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{one.cert.Raw}, PrivateKey: one.key}}}
}

// TestHostNames holds which name a host is asked for, and for which its certificate must be.
func TestHostNames(t *testing.T) {
	ours := newAuthority(t, "ours")
	key := ecKey(t, elliptic.P256())
	for _, test := range []struct {
		name        string
		c           config.UpstreamTLS
		host        string
		certificate []string // its names
		sni         string   // that is asked for
		why         Refusal
	}{
		{"nothing", config.UpstreamTLS{}, "", []string{"b.test"}, "", NotRefused},
		{"nothing, the host has a name", config.UpstreamTLS{}, "a.test", []string{"b.test"}, "", NotRefused},
		{"SNI", config.UpstreamTLS{SNI: "a.test"}, "", []string{"b.test"}, "a.test", NotRefused},
		{"SNI, the host has a name", config.UpstreamTLS{SNI: "a.test"}, "h.test", []string{"b.test"}, "a.test", NotRefused},
		{"the host's", config.UpstreamTLS{AutoHostSNI: true}, "h.test", []string{"b.test"}, "h.test", NotRefused},
		{"the host's before SNI", config.UpstreamTLS{SNI: "a.test", AutoHostSNI: true}, "h.test", []string{"b.test"}, "h.test", NotRefused},
		{"the host has none", config.UpstreamTLS{SNI: "a.test", AutoHostSNI: true}, "", []string{"b.test"}, "a.test", NotRefused},
		{"an IP is no name", config.UpstreamTLS{AutoHostSNI: true}, "192.0.2.1", []string{"b.test"}, "", NotRefused},
		{"checked", config.UpstreamTLS{SNI: "a.test", AutoSANValidation: true}, "", []string{"a.test"}, "a.test", NotRefused},
		{"checked, another", config.UpstreamTLS{SNI: "a.test", AutoSANValidation: true}, "", []string{"b.test"}, "a.test", WrongName},
		{"checked, wildcard", config.UpstreamTLS{SNI: "x.a.test", AutoSANValidation: true}, "", []string{"*.a.test"}, "x.a.test", NotRefused},
		{"checked, wildcard of its own", config.UpstreamTLS{SNI: "a.test", AutoSANValidation: true}, "", []string{"*.a.test"}, "a.test", WrongName},
		{"checked, wildcard of two labels", config.UpstreamTLS{SNI: "y.x.a.test", AutoSANValidation: true}, "", []string{"*.a.test"}, "y.x.a.test", WrongName},
		{"the host's, checked", config.UpstreamTLS{AutoHostSNI: true, AutoSANValidation: true}, "h.test", []string{"h.test"}, "h.test", NotRefused},
		{"the host's, checked, another", config.UpstreamTLS{SNI: "a.test", AutoHostSNI: true, AutoSANValidation: true}, "h.test", []string{"a.test"}, "h.test", WrongName},
		{"checked instead of the names asked for", config.UpstreamTLS{
			TLS: config.TLS{Validation: &config.TLSValidation{SANs: []config.SANMatcher{{Match: exact("b.test")}}}},
			SNI: "a.test", AutoSANValidation: true,
		}, "", []string{"a.test"}, "a.test", NotRefused},
		{"not checked, the names asked for are", config.UpstreamTLS{
			TLS: config.TLS{Validation: &config.TLSValidation{SANs: []config.SANMatcher{{Match: exact("b.test")}}}}, SNI: "a.test",
		}, "", []string{"a.test"}, "a.test", WrongName},
		{"nothing to check, the names asked for are", config.UpstreamTLS{
			TLS: config.TLS{Validation: &config.TLSValidation{SANs: []config.SANMatcher{{Match: exact("b.test")}}}}, AutoSANValidation: true,
		}, "", []string{"a.test"}, "", WrongName},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := test.c
			if c.Validation == nil {
				c.Validation = trusting()
			}
			c.Validation.CA, c.Validation.MaxDepth = inline(certPEM(ours.cert)), -1
			u := upstreamOf(t, &c)
			got, s := reach(t, u, test.host, ours.issue(key, names(test.certificate...)).server())
			if RefusalOf(got.err) != test.why || (got.err != nil) != (test.why != NotRefused) {
				t.Errorf("refusal %d, want %d: %v", RefusalOf(got.err), test.why, got.err)
			}
			if s.state.ServerName != test.sni {
				t.Errorf("asked for %q, want %q", s.state.ServerName, test.sni)
			}
			if test.why == WrongName && test.c.AutoSANValidation && test.sni != "" && !strings.Contains(got.err.Error(), `the certificate is not for "`+test.sni+`"`) {
				t.Errorf("%q", got.err)
			}
		})
	}
}

// TestHostCertificates holds which certificates of hosts are good.
func TestHostCertificates(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	key := ecKey(t, elliptic.P256())
	one := ours.issue(key)
	sum := sha256.Sum256(one.cert.RawSubjectPublicKeyInfo)
	pin := base64.StdEncoding.EncodeToString(sum[:])
	pinned := func(pins ...string) *config.TLSValidation {
		v := trusting()
		v.SPKI = pins
		return v
	}
	for _, test := range []struct {
		name       string
		validation *config.TLSValidation
		show       issued
		why        Refusal
	}{
		{"none checked", nil, theirs.issue(key, expired), NotRefused},
		{"nothing to check by", trusting(), theirs.issue(key, expired), NotRefused},
		{"CA", trusting(ours.cert), one, NotRefused},
		{"another CA", trusting(ours.cert), theirs.issue(key), NotVerified},
		{"expired", trusting(ours.cert), ours.issue(key, expired), NotVerified},
		{"pin", pinned(pin), theirs.issue(key), NotRefused},
		{"another pin", pinned(pin), ours.issue(ecKey(t, elliptic.P256())), WrongHash},
		{"system", &config.TLSValidation{SystemRoots: true, MaxDepth: -1}, one, NotVerified},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, version := range []config.TLSVersion{config.TLS12, config.TLS13} {
				u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{Validation: test.validation, MaxVersion: version}})
				c, s := reach(t, u, "", test.show.server())
				if RefusalOf(c.err) != test.why || (c.err != nil) != (test.why != NotRefused) {
					t.Errorf("refusal %d, want %d: %v", RefusalOf(c.err), test.why, c.err)
				}
				if test.why != NotRefused && version == config.TLS12 && s.err == nil {
					t.Error("the host was not told")
				}
			}
		})
	}
}

// TestNameWithoutTrust refuses to check a name that anybody could claim.
func TestNameWithoutTrust(t *testing.T) {
	for _, v := range []*config.TLSValidation{nil, trusting()} {
		_, err := NewUpstream(&config.UpstreamTLS{TLS: config.TLS{Validation: v}, SNI: "a.test", AutoSANValidation: true}, nil, time.Now)
		if err == nil || err.Error() != "auto_sni_san_validation needs trusted_ca" {
			t.Errorf("%+v: %v", v, err)
		}
	}
}

// TestNamesOfRequests holds what goes before what the context says, and that no name is taken for verified where nothing is.
func TestNamesOfRequests(t *testing.T) {
	ours := newAuthority(t, "ours")
	server := ours.issue(ecKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"a.test"}, []net.IP{net.IPv4(10, 0, 0, 1)}
	}).server()
	trust, none := trusting(ours.cert), &config.TLSValidation{MaxDepth: -1}
	for _, test := range []struct {
		validation *config.TLSValidation
		names      Names
		asked      string
		why        Refusal
	}{
		{trust, Names{Host: "host.test"}, "host.test", NotRefused},
		{trust, Names{Host: "host.test", SNI: "a.test"}, "a.test", NotRefused},
		{trust, Names{SNI: "10.0.0.1"}, "context.test", NotRefused},
		{trust, Names{SNI: "a.test", SAN: "a.test"}, "a.test", NotRefused},
		{trust, Names{SNI: "b.test", SAN: "a.test"}, "b.test", NotRefused},
		{trust, Names{SNI: "b.test", SAN: "b.test"}, "b.test", WrongName},
		{trust, Names{SAN: "10.0.0.1"}, "context.test", NotRefused},
		{trust, Names{SAN: "10.0.0.2"}, "context.test", WrongName},
		{trust, Names{SAN: "::ffff:10.0.0.1"}, "context.test", NotRefused},
		{nil, Names{SAN: "a.test"}, "context.test", NotVerified},
		{none, Names{SAN: "a.test"}, "context.test", NotVerified},
	} {
		u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{Validation: test.validation}, SNI: "context.test", AutoHostSNI: true})
		c, s := reachBy(t, u, test.names, server)
		if RefusalOf(c.err) != test.why || (c.err != nil) != (test.why != NotRefused) {
			t.Errorf("%+v: refusal %d, want %d: %v", test.names, RefusalOf(c.err), test.why, c.err)
		}
		if s.state.ServerName != test.asked {
			t.Errorf("%+v: asked for %q, want %q", test.names, s.state.ServerName, test.asked)
		}
	}
}

// TestClientCertificateShown shows a host what it asks for, whatever authorities it says that it knows.
func TestClientCertificateShown(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	middle := ours.under("middle")
	own := middle.issue(ecKey(t, elliptic.P256()))
	for _, version := range []config.TLSVersion{config.TLS12, config.TLS13} {
		for _, knows := range []*authority{nil, ours, theirs} {
			u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, own, middle.cert)}, MaxVersion: version}})
			server := ours.issue(ecKey(t, elliptic.P256())).server()
			server.ClientAuth = tls.RequireAnyClientCert
			if knows != nil {
				server.ClientCAs = knows.client().RootCAs
			}
			c, s := reach(t, u, "", server)
			if c.err != nil || s.err != nil || len(s.state.PeerCertificates) != 2 || !s.state.PeerCertificates[0].Equal(own.cert) {
				t.Errorf("%v, %v, %d certificates", c.err, s.err, len(s.state.PeerCertificates))
			}
			got := u.Certificates(time.Now())
			if len(got.Chain) != 2 || len(got.CA) != 0 {
				t.Errorf("%+v", got)
			}
		}
		u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{MaxVersion: version}})
		server := ours.issue(ecKey(t, elliptic.P256())).server()
		server.ClientAuth = tls.RequestClientCert
		if c, s := reach(t, u, "", server); c.err != nil || s.err != nil || len(s.state.PeerCertificates) != 0 {
			t.Errorf("without one: %v, %v", c.err, s.err)
		}
	}
}

func TestUpstreamALPN(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := ours.issue(ecKey(t, elliptic.P256()))
	for _, test := range []struct {
		context, fallback, server []string
		want                      string
	}{
		{nil, nil, []string{"h2"}, ""},
		{[]string{"h2", "http/1.1"}, nil, []string{"http/1.1"}, "http/1.1"},
		{[]string{"h2"}, []string{"http/1.1"}, []string{"http/1.1", "h2"}, "h2"},
		{nil, []string{"h2", "http/1.1"}, []string{"h2"}, "h2"},
		{[]string{"h2"}, nil, nil, ""},
	} {
		u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{ALPN: test.context}})
		server := one.server()
		server.NextProtos = test.server
		c, _ := meet(t, func(wire net.Conn) (*tls.Conn, error) {
			conn, err := u.Client(wire, Names{}, test.fallback)
			return conn.Conn, err
		}, func(wire net.Conn) (*tls.Conn, error) { return tls.Server(wire, server), nil })
		if c.err != nil || c.state.NegotiatedProtocol != test.want {
			t.Errorf("%q, else %q, with %q: %q, %v", test.context, test.fallback, test.server, c.state.NegotiatedProtocol, c.err)
		}
	}
}

// TestSessions holds when sessions with hosts are resumed.
func TestSessions(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	one := ours.issue(ecKey(t, elliptic.P256()), names("a.test"))
	server := one.server()
	visits := func(t *testing.T, u *Upstream, hosts ...string) (resumed []bool) {
		t.Helper()
		for _, host := range hosts {
			c, s := reach(t, u, host, server)
			if c.err != nil || s.err != nil {
				t.Fatalf("%v, %v", c.err, s.err)
			}
			resumed = append(resumed, s.state.DidResume)
		}
		return resumed
	}
	for _, version := range []config.TLSVersion{config.TLS12, config.TLS13} {
		base := config.UpstreamTLS{TLS: config.TLS{Validation: trusting(ours.cert), MaxVersion: version}, AutoHostSNI: true, MaxSessionKeys: 1}
		if got := visits(t, upstreamOf(t, &base), "a.test", "a.test", "b.test", "b.test", "a.test"); !slices.Equal(got, []bool{false, true, false, true, false}) {
			t.Errorf("one session kept: resumed: %v", got)
		}
		more := base
		more.MaxSessionKeys = 2
		if got := visits(t, upstreamOf(t, &more), "a.test", "b.test", "a.test", "b.test"); !slices.Equal(got, []bool{false, false, true, true}) {
			t.Errorf("two kept: resumed: %v", got)
		}
		each := base
		each.PerName = true
		if got := visits(t, upstreamOf(t, &each), "a.test", "b.test", "a.test", "b.test"); !slices.Equal(got, []bool{false, false, true, true}) {
			t.Errorf("one kept of each name: resumed: %v", got)
		}
		none := base
		none.MaxSessionKeys = 0
		if got := visits(t, upstreamOf(t, &none), "a.test", "a.test"); !slices.Equal(got, []bool{false, false}) {
			t.Errorf("none kept: resumed: %v", got)
		}
		// Another context begins with nothing, be it equal.
		visits(t, upstreamOf(t, &base), "a.test")
		if got := visits(t, upstreamOf(t, &base), "a.test"); got[0] {
			t.Error("a session of another context is resumed")
		}
		other := base
		other.Validation = trusting(theirs.cert)
		if c, _ := reach(t, upstreamOf(t, &other), "a.test", server); RefusalOf(c.err) != NotVerified {
			t.Errorf("with another CA: %v", c.err)
		}
	}
}

// TestSessionOutlives has the certificate of a host expire before its session does.
func TestSessionOutlives(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := ours.issue(ecKey(t, elliptic.P256()))
	for _, version := range []config.TLSVersion{config.TLS12, config.TLS13} {
		now := time.Now()
		u, err := NewUpstream(&config.UpstreamTLS{TLS: config.TLS{Validation: trusting(ours.cert), MaxVersion: version}, SNI: "a.test", MaxSessionKeys: 1}, nil, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		server := one.server()
		if c, s := reach(t, u, "", server); c.err != nil || s.err != nil {
			t.Fatal(c.err, s.err)
		}
		now = one.cert.NotAfter.Add(time.Second)
		if c, _ := reach(t, u, "", server); RefusalOf(c.err) != NotVerified {
			t.Errorf("%v", c.err)
		}
	}
}
