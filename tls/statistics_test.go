package tls

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// counted runs f with a block of stats.SSL and returns what it has counted.
func counted(t *testing.T, f func(block *stats.Block)) []string {
	t.Helper()
	store := stats.NewStore(stats.Options{})
	scope := store.Scope("ssl.", stats.SSL)
	shard := store.NewShard(func(func()) bool { return false })
	f(shard.Block(scope))
	shard.Close()
	var out []string
	for sample := range store.Snapshot(t.Context()).All() {
		if sample.Value > 0 {
			out = append(out, fmt.Sprint(strings.TrimPrefix(sample.Name, "ssl."), " ", sample.Value))
		}
	}
	slices.Sort(out)
	return out
}

func TestCount(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	key := ecKey(t, elliptic.P256())
	server := tlsCertificate(t, ours.issue(key))
	right := ours.issue(key)
	pin := sha256.Sum256(right.cert.RawSubjectPublicKeyInfo)
	other := ours.issue(ecKey(t, elliptic.P256()))
	// Clients of crypto/tls ask for an OCSP response.
	noStaple := []string{"ocsp_staple_omitted 1", "ocsp_staple_requests 1"}
	for name, test := range map[string]struct {
		ask  func(v *config.TLSValidation)
		show []issued
		high uint16 // the client's last version
		want []string
	}{
		"TLS 1.3":                {nil, []issued{right}, 0, append([]string{"ciphers.TLS_AES_128_GCM_SHA256 1", "curves.X25519MLKEM768 1", "handshake 1", "sigalgs.ecdsa_secp256r1_sha256 1", "versions.TLSv1.3 1"}, noStaple...)},
		"TLS 1.2":                {nil, []issued{right}, tls.VersionTLS12, append([]string{"ciphers.ECDHE-ECDSA-AES128-GCM-SHA256 1", "curves.X25519 1", "handshake 1", "versions.TLSv1.2 1"}, noStaple...)},
		"none":                   {nil, nil, tls.VersionTLS12, append([]string{"ciphers.ECDHE-ECDSA-AES128-GCM-SHA256 1", "curves.X25519 1", "handshake 1", "no_certificate 1", "versions.TLSv1.2 1"}, noStaple...)},
		"another CA":             {nil, []issued{theirs.issue(key)}, 0, []string{"connection_error 1", "fail_verify_error 1"}},
		"a name":                 {san(config.SANDNS, exact("a.test")), []issued{right}, 0, []string{"connection_error 1", "fail_verify_san 1"}},
		"no certificate, a name": {san(config.SANDNS, exact("a.test")), nil, 0, []string{"connection_error 1", "fail_verify_no_cert 1"}},
		"a pin":                  {func(v *config.TLSValidation) { v.SPKI = []string{base64.StdEncoding.EncodeToString(pin[:])} }, []issued{other}, 0, []string{"connection_error 1", "fail_verify_cert_hash 1"}},
		"no version":             {nil, nil, tls.VersionTLS11, []string{"connection_error 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := trusting(ours.cert)
			if test.ask != nil {
				test.ask(v)
			}
			d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{server}, Validation: v}})
			client := ours.client(test.show...)
			client.MinVersion, client.MaxVersion = tls.VersionTLS10, test.high
			got := counted(t, func(block *stats.Block) {
				var conn Conn
				_, s := meet(t, func(wire net.Conn) (*tls.Conn, error) { return tls.Client(wire, client), nil }, func(wire net.Conn) (_ *tls.Conn, err error) {
					conn, err = d.Server(wire)
					return conn.Conn, err
				})
				Count(block, conn, s.err, false)
			})
			slices.Sort(test.want)
			if len(test.want) > 0 && test.want[0] == "ciphers.TLS_AES_128_GCM_SHA256 1" && !slices.Contains(got, test.want[0]) {
				t.Skipf("%q: another suite is faster here", got)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	if got := counted(t, func(block *stats.Block) { Count(block, Conn{}, errors.New("reset"), true) }); len(got) > 0 {
		t.Errorf("%q for the network", got)
	}
}

// TestCountResumed counts the sessions that are resumed among the handshakes.
func TestCountResumed(t *testing.T) {
	ours := newAuthority(t, "ours")
	d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, ours.issue(ecKey(t, elliptic.P256())))}}})
	client := ours.client()
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	got := counted(t, func(block *stats.Block) {
		for range 3 {
			var conn Conn
			_, s := meet(t, func(wire net.Conn) (*tls.Conn, error) { return tls.Client(wire, client), nil }, func(wire net.Conn) (_ *tls.Conn, err error) {
				conn, err = d.Server(wire)
				return conn.Conn, err
			})
			Count(block, conn, s.err, false)
		}
	})
	for _, want := range []string{"handshake 3", "session_reused 2", "no_certificate 3"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q, want %s", got, want)
		}
	}
}

// waitingWire is a wire whose user has others to serve.
type waitingWire struct {
	net.Conn
	waits int
}

func (w *waitingWire) Await(f func()) {
	w.waits++
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// TestSlowKeyWaits has only RSA keys sign elsewhere, and only where the wire knows how to wait.
func TestSlowKeyWaits(t *testing.T) {
	ours := newAuthority(t, "ours")
	for _, test := range []struct {
		one   issued
		waits int
	}{{ours.issue(slowKey(t)), 1}, {ours.issue(rsaKey(t)), 0}, {ours.issue(ecKey(t, elliptic.P256())), 0}} {
		d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, test.one)}}})
		for _, version := range both {
			client := ours.client()
			client.MaxVersion = version
			wire := new(waitingWire)
			c, s := meet(t, func(wire net.Conn) (*tls.Conn, error) { return tls.Client(wire, client), nil }, func(end net.Conn) (*tls.Conn, error) {
				wire.Conn = end
				conn, err := d.Server(wire)
				return conn.Conn, err
			})
			if c.err != nil || s.err != nil || wire.waits != test.waits {
				t.Errorf("%s in %s: waited %d times, %v, %v", test.one.cert.PublicKeyAlgorithm, tls.VersionName(version), wire.waits, c.err, s.err)
			}
			if c, s := visit(t, d, client); c.err != nil || s.err != nil {
				t.Errorf("on a wire that cannot wait: %v, %v", c.err, s.err)
			}
		}
	}
}

// TestSlowClientKeyWaits is TestSlowKeyWaits for the certificate that a host is shown.
func TestSlowClientKeyWaits(t *testing.T) {
	ours := newAuthority(t, "ours")
	for _, test := range []struct {
		one   issued
		waits int
	}{{ours.issue(slowKey(t)), 1}, {ours.issue(rsaKey(t)), 0}, {ours.issue(ecKey(t, elliptic.P256())), 0}} {
		for _, version := range []config.TLSVersion{config.TLS12, config.TLS13} {
			u := upstreamOf(t, &config.UpstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{tlsCertificate(t, test.one)}, MaxVersion: version}})
			server := ours.issue(ecKey(t, elliptic.P256())).server()
			server.ClientAuth = tls.RequireAnyClientCert
			wire := new(waitingWire)
			c, s := meet(t, func(end net.Conn) (*tls.Conn, error) {
				wire.Conn = end
				conn, err := u.Client(wire, Names{}, nil)
				return conn.Conn, err
			}, func(wire net.Conn) (*tls.Conn, error) { return tls.Server(wire, server), nil })
			if c.err != nil || s.err != nil || wire.waits != test.waits {
				t.Errorf("%s: waited %d times, %v, %v", test.one.cert.PublicKeyAlgorithm, wire.waits, c.err, s.err)
			}
			if c, s := reach(t, u, "", server); c.err != nil || s.err != nil {
				t.Errorf("on a wire that cannot wait: %v, %v", c.err, s.err)
			}
		}
	}
}

// TestCountStaple counts what clients get that ask for an OCSP response, and says until when it is good.
func TestCountStaple(t *testing.T) {
	ours := newAuthority(t, "ours")
	one := ours.issue(ecKey(t, elliptic.P256()))
	start := time.Now().Truncate(time.Second)
	certificate := tlsCertificate(t, one)
	certificate.OCSPStaple = inline(ours.vouches(one.cert, start, time.Hour))
	now := start
	d, err := NewDownstream(&config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{certificate}}}, nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if at := d.FirstStapleExpiring(); !at.Equal(start.Add(time.Hour)) {
		t.Errorf("the response is good until %s", at)
	}
	for _, test := range []struct {
		later time.Duration
		what  string
	}{{0, "responses"}, {2 * time.Hour, "omitted"}} {
		now = start.Add(test.later)
		got := counted(t, func(block *stats.Block) {
			var conn Conn
			meet(t, func(wire net.Conn) (*tls.Conn, error) { return tls.Client(wire, ours.client()), nil }, func(wire net.Conn) (_ *tls.Conn, err error) {
				conn, err = d.Server(wire)
				return conn.Conn, err
			})
			Count(block, conn, nil, false)
		})
		for _, want := range []string{"ocsp_staple_requests 1", "ocsp_staple_" + test.what + " 1"} {
			if !slices.Contains(got, want) {
				t.Errorf("after %s: %q, want %s", test.later, got, want)
			}
		}
	}
}

// TestExpirations holds until when certificates are valid, and what they are called: by their secrets, or by their bytes.
func TestExpirations(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	one, two := ours.issue(ecKey(t, elliptic.P256())), ours.issue(ecKey(t, elliptic.P256()), expired)
	first, second := tlsCertificate(t, one), tlsCertificate(t, two)
	c := &config.DownstreamTLS{TLS: config.TLS{
		Certificates: []config.TLSCertificate{first}, CertificateSecrets: []config.SecretRef{{Name: "secret"}},
		Validation: trusting(ours.cert, others.cert),
	}}
	secrets := Secrets{"secret": {Name: "secret", Certificate: &second}, "ca": {Name: "ca", Validation: trusting(others.cert)}}
	names := func(c *config.DownstreamTLS) string {
		d, err := NewDownstream(c, secrets, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range d.Expirations() {
			out = append(out, fmt.Sprint(e.Name, " ", e.At.Unix()))
		}
		return strings.Join(out, ", ")
	}
	hash := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b))[:8] }
	leaves := fmt.Sprintf("unnamed_cert_%s %d, secret %d, ", hash(first.Chain.Inline), one.cert.NotAfter.Unix(), two.cert.NotAfter.Unix())
	if got, want := names(c), leaves+fmt.Sprintf("unnamed_ca_cert_%s %d", hash(c.Validation.CA.Inline), ours.cert.NotAfter.Unix()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.ValidationSecret.Name = "ca"
	if got, want := names(c), leaves+fmt.Sprintf("ca %d", others.cert.NotAfter.Unix()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestKeyUsageInvalid counts a peer whose RSA key must not sign.
func TestKeyUsageInvalid(t *testing.T) {
	ours := newAuthority(t, "ours")
	usage := func(u x509.KeyUsage) func(*x509.Certificate) { return func(c *x509.Certificate) { c.KeyUsage = u } }
	for name, test := range map[string]struct {
		cert    *x509.Certificate
		invalid bool
	}{
		"signs":       {ours.issue(rsaKey(t)).cert, false},
		"enciphers":   {ours.issue(rsaKey(t), usage(x509.KeyUsageKeyEncipherment)).cert, true},
		"not said":    {ours.issue(rsaKey(t), usage(0)).cert, false},
		"ECDSA, sure": {ours.issue(ecKey(t, elliptic.P256()), usage(x509.KeyUsageKeyAgreement)).cert, false},
	} {
		if got := keyUsageInvalid(test.cert); got != test.invalid {
			t.Errorf("%s: %t", name, got)
		}
	}
}
