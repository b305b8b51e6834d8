package tls

import (
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// mustBeStapled has a certificate ask for a response to be shown with it: a list of the features 5 and 17.
func mustBeStapled(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: features, Value: []byte{0x30, 6, 2, 1, 17, 2, 1, 5}})
}

// otherFeature has a certificate ask for something else.
func otherFeature(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: features, Value: []byte{0x30, 3, 2, 1, 17}})
}

// helloWithout gives an extension of a client's hello a number that nobody knows.
type helloWithout struct {
	net.Conn
	extension string // type, length and beginning of the value
	done      bool
}

func (w *helloWithout) Write(b []byte) (int, error) {
	if w.done {
		return w.Conn.Write(b)
	}
	w.done = true
	return w.Conn.Write([]byte(strings.Replace(string(b), w.extension, "\xfe\xfe"+w.extension[2:], 1)))
}

// statusRequestExtension is what crypto/tls asks for a response with.
const statusRequestExtension = "\x00\x05\x00\x05\x01\x00\x00\x00\x00"

// TestStaplePolicy holds who gets which certificate, and what is counted, by the policy, the response and the certificate, as in Envoy.
func TestStaplePolicy(t *testing.T) {
	ours := newAuthority(t, "ours")
	plain, asking, other := ours.issue(ecKey(t, elliptic.P256())), ours.issue(ecKey(t, elliptic.P256()), mustBeStapled), ours.issue(ecKey(t, elliptic.P256()), otherFeature)
	const none, good, old = "no response", "a good response", "an old response"
	const responses, omitted, failed, refused = "ocsp_staple_responses", "ocsp_staple_omitted", "ocsp_staple_failed", "refused"
	for _, test := range []struct {
		one      issued
		response string
		want     map[config.StaplePolicy]string // what is counted, or that there is no such context
	}{
		{plain, none, map[config.StaplePolicy]string{config.StapleLenient: omitted, config.StapleStrict: omitted, config.StapleMust: refused}},
		{plain, good, map[config.StaplePolicy]string{config.StapleLenient: responses, config.StapleStrict: responses, config.StapleMust: responses}},
		{plain, old, map[config.StaplePolicy]string{config.StapleLenient: omitted, config.StapleStrict: failed, config.StapleMust: failed}},
		{asking, none, map[config.StaplePolicy]string{config.StapleLenient: refused, config.StapleStrict: refused, config.StapleMust: refused}},
		{asking, good, map[config.StaplePolicy]string{config.StapleLenient: responses, config.StapleStrict: responses, config.StapleMust: responses}},
		{asking, old, map[config.StaplePolicy]string{config.StapleLenient: failed, config.StapleStrict: failed, config.StapleMust: failed}},
		{other, none, map[config.StaplePolicy]string{config.StapleLenient: omitted, config.StapleStrict: omitted, config.StapleMust: refused}},
	} {
		for policy, want := range test.want {
			certificate := tlsCertificate(t, test.one)
			var response []byte
			switch test.response {
			case good:
				response = ours.vouches(test.one.cert, time.Now(), time.Hour)
			case old:
				response = ours.vouches(test.one.cert, time.Now().Add(-time.Hour), time.Minute)
			}
			certificate.OCSPStaple = inline(response)
			c := &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{certificate}}, Stapling: policy}
			d, err := NewDownstream(c, nil, time.Now)
			if want == refused {
				if !errors.Is(err, errMustStaple) && !errors.Is(err, errNoStaple) || !strings.HasPrefix(err.Error(), "certificate <inline>: ") {
					t.Errorf("policy %d, %s: %v, want it refused", policy, test.response, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, asks := range []bool{true, false} {
				for _, version := range both {
					got, shown := stapleCounts(t, d, ours, version, asks)
					expected := []string{want + " 1", "ocsp_staple_requests 1"}
					slices.Sort(expected)
					if !asks {
						expected = nil
					}
					if !slices.Equal(got, expected) {
						t.Errorf("policy %d, %s, asks: %t, %s: counted %q, want %q", policy, test.response, asks, tls.VersionName(version), got, expected)
					}
					if fine := want != failed || !asks; fine != shown {
						t.Errorf("policy %d, %s, asks: %t, %s: shaken: %t, want %t", policy, test.response, asks, tls.VersionName(version), shown, fine)
					}
				}
			}
		}
	}
}

// stapleCounts has a client come that asks for a response or does not, and returns what is counted of responses, and whether hands were
// shaken.
func stapleCounts(t *testing.T, d *Downstream, ours *authority, version uint16, asks bool) (counts []string, shaken bool) {
	client := ours.client()
	client.MaxVersion, client.MinVersion = version, version
	all := counted(t, func(block *stats.Block) {
		var conn Conn
		c, s := meet(t, func(wire net.Conn) (*tls.Conn, error) {
			if !asks {
				// Hands are not shaken with a hello that was changed, but the server has chosen a certificate by then.
				wire = &helloWithout{Conn: wire, extension: statusRequestExtension}
			}
			return tls.Client(wire, client), nil
		}, func(wire net.Conn) (_ *tls.Conn, err error) {
			conn, err = d.Server(wire)
			return conn.Conn, err
		})
		shaken = !errors.Is(s.err, errNotStapled)
		err := s.err
		if !asks && shaken {
			err = nil // the hello was not what the client thinks it was
		} else if (c.err == nil) != (s.err == nil) {
			t.Errorf("%v, and %v", c.err, s.err)
		}
		if conn.served != nil && err == nil {
			countStaple(block, conn.served)
			return
		}
		Count(block, conn, err, false)
	})
	for _, one := range all {
		if strings.HasPrefix(one, "ocsp_") {
			counts = append(counts, one)
		}
	}
	return counts, shaken
}

// TestStapleChoosesAnother shows another certificate where the one that would come first must not be shown.
func TestStapleChoosesAnother(t *testing.T) {
	ours := newAuthority(t, "ours")
	one, other := ours.issue(ecKey(t, elliptic.P256())), ours.issue(rsaKey(t))
	first, second := tlsCertificate(t, one), tlsCertificate(t, other)
	first.OCSPStaple = inline(ours.vouches(one.cert, time.Now().Add(-time.Hour), time.Minute))
	d := downstreamOf(t, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{first, second}}, Stapling: config.StapleStrict})
	c, s := visit(t, d, ours.client())
	if c.err != nil || s.err != nil || !c.state.PeerCertificates[0].Equal(other.cert) {
		t.Errorf("shown %v, %v, %v", c.state.PeerCertificates, c.err, s.err)
	}
}
