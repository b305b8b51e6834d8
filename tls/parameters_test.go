package tls

import (
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestVersions meets peers of every version, on both sides.
func TestVersions(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := ours.issue(ecKey(t, elliptic.P256()))
	certificate := tlsCertificate(t, one)
	const none = 0
	for _, test := range []struct {
		low, high           config.TLSVersion
		server12, client12, // with a peer of TLS 1.2, and before
		server13, client13 uint16 // with one of TLS 1.2 and 1.3
	}{
		{config.TLSAuto, config.TLSAuto, tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS12},
		{config.TLSAuto, config.TLS12, tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS12},
		{config.TLSAuto, config.TLS13, tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS13},
		{config.TLS12, config.TLSAuto, tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS12},
		{config.TLS12, config.TLS12, tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS12},
		{config.TLS13, config.TLSAuto, none, none, tls.VersionTLS13, tls.VersionTLS13},
		{config.TLS13, config.TLS13, none, none, tls.VersionTLS13, tls.VersionTLS13},
	} {
		t.Run(fmt.Sprint(test.low, " to ", test.high), func(t *testing.T) {
			common := config.TLS{MinVersion: test.low, MaxVersion: test.high}
			u := upstreamOf(t, &config.UpstreamTLS{TLS: common})
			common.Certificates = []config.TLSCertificate{certificate}
			d := downstreamOf(t, &config.DownstreamTLS{TLS: common})
			for _, peer := range []struct {
				high           uint16
				server, client uint16
			}{
				{tls.VersionTLS11, none, none}, {tls.VersionTLS12, test.server12, test.client12}, {tls.VersionTLS13, test.server13, test.client13},
			} {
				client := ours.client()
				client.MinVersion, client.MaxVersion = tls.VersionTLS10, peer.high
				c, s := visit(t, d, client)
				checkVersion(t, "a client of "+tls.VersionName(peer.high), c, s, peer.server)
				server := one.server()
				server.MinVersion, server.MaxVersion = tls.VersionTLS10, peer.high
				c, s = reach(t, u, "", server)
				checkVersion(t, "a server of "+tls.VersionName(peer.high), c, s, peer.client)
			}
		})
	}
}

func checkVersion(t *testing.T, peer string, c, s end, want uint16) {
	t.Helper()
	if failed := c.err != nil && s.err != nil; failed != (want == 0) || !failed && (c.err != nil || s.err != nil || s.state.Version != want) {
		t.Errorf("%s: %#x, %v, %v, want %#x", peer, s.state.Version, c.err, s.err, want)
	}
}

// TestSuites chooses among the suites of TLS 1.2, on both sides.
func TestSuites(t *testing.T) {
	ours := newAuthority(t, "ours")
	ecdsa, rsa := ours.issue(ecKey(t, elliptic.P256())), ours.issue(rsaKey(t))
	all := []string{
		"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
		"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
	}
	for _, name := range all {
		one, other := ecdsa, rsa
		if strings.Contains(name, "RSA-AES") && !strings.Contains(name, "ECDSA") || strings.HasPrefix(name, "ECDHE-RSA") {
			one, other = rsa, ecdsa
		}
		id, _ := suiteOf(name)
		for _, chosen := range [][]string{nil, all, {name}} {
			d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, other), tlsCertificate(t, one)}, CipherSuites: chosen}})
			client := ours.client()
			client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{id}
			if c, s := visit(t, d, client); c.err != nil || suiteName(s.state.CipherSuite) != name {
				t.Errorf("a client of %s: %s, %v", name, suiteName(s.state.CipherSuite), c.err)
			}
			u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{CipherSuites: chosen}})
			server := one.server()
			server.CipherSuites = []uint16{id}
			if c, s := reach(t, u, "", server); c.err != nil || suiteName(s.state.CipherSuite) != name {
				t.Errorf("a server of %s: %s, %v", name, suiteName(s.state.CipherSuite), c.err)
			}
		}
		others := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == name })
		d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, one)}, CipherSuites: others}})
		client := ours.client()
		client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{id}
		if c, s := visit(t, d, client); c.err == nil || s.err == nil {
			t.Errorf("a client of %s alone is let in", name)
		}
	}
	// None with CBC, RC4 or an exchange of keys by RSA is there to be chosen.
	for _, suite := range tls.InsecureCipherSuites() {
		d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, ecdsa), tlsCertificate(t, rsa)}}})
		client := ours.client()
		client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{suite.ID}
		if c, s := visit(t, d, client); c.err == nil || s.err == nil {
			t.Errorf("a client of %s is let in", suite.Name)
		}
	}
}

// TestCurves chooses among the groups for the exchange of keys, on both sides.
func TestCurves(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := ours.issue(ecKey(t, elliptic.P256()))
	for _, test := range []struct {
		chosen []string
		peer   []tls.CurveID
		want   string // empty for none
	}{
		{nil, nil, "X25519MLKEM768"},
		{nil, []tls.CurveID{tls.X25519}, "X25519"},
		{[]string{"P-256"}, nil, "P-256"},
		{[]string{"P-384"}, nil, "P-384"},
		{[]string{"P-521"}, nil, "P-521"},
		{[]string{"X25519"}, nil, "X25519"},
		{[]string{"X25519MLKEM768", "X25519"}, nil, "X25519MLKEM768"},
		{[]string{"X25519MLKEM768", "X25519"}, []tls.CurveID{tls.X25519, tls.CurveP256}, "X25519"},
		{[]string{"X25519"}, []tls.CurveID{tls.CurveP256}, ""},
	} {
		common := config.TLS{Curves: test.chosen, MaxVersion: config.TLS13}
		u := upstreamOf(t, &config.UpstreamTLS{TLS: common})
		common.Certificates = []config.TLSCertificate{tlsCertificate(t, one)}
		d := downstreamOf(t, &config.DownstreamTLS{TLS: common})
		client, server := ours.client(), one.server()
		client.CurvePreferences, server.CurvePreferences = test.peer, test.peer
		c, s := visit(t, d, client)
		if test.want == "" && c.err == nil || test.want != "" && (c.err != nil || curveName(s.state.CurveID) != test.want) {
			t.Errorf("%q meets a client of %v: %s, %v", test.chosen, test.peer, curveName(s.state.CurveID), c.err)
		}
		c, s = reach(t, u, "", server)
		if test.want == "" && c.err == nil || test.want != "" && (c.err != nil || curveName(s.state.CurveID) != test.want) {
			t.Errorf("%q meets a server of %v: %s, %v", test.chosen, test.peer, curveName(s.state.CurveID), c.err)
		}
	}
}
