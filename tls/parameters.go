package tls

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// suites are the suites of TLS 1.2 by their OpenSSL names, and curves the groups by those of ecdh_curves. They are never written.
var (
	suites = []struct {
		name string
		id   uint16
	}{
		{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
		{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
		{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
	}
	curves = []struct {
		name string
		id   tls.CurveID
	}{
		{"X25519MLKEM768", tls.X25519MLKEM768}, {"X25519", tls.X25519}, {"P-256", tls.CurveP256}, {"P-384", tls.CurveP384},
		{"P-521", tls.CurveP521},
	}
)

// suiteOf returns the TLS 1.2 suite of an OpenSSL name.
func suiteOf(name string) (uint16, bool) {
	for _, s := range suites {
		if s.name == name {
			return s.id, true
		}
	}
	return 0, false
}

// curveOf returns the group of a name of ecdh_curves.
func curveOf(name string) (tls.CurveID, bool) {
	for _, c := range curves {
		if c.name == name {
			return c.id, true
		}
	}
	return 0, false
}

// parameters returns what both sides set of a configuration. maxVersion is the side's default, now the clock that the age
// of tickets goes by.
func parameters(c *config.TLS, maxVersion uint16, now func() time.Time) (*tls.Config, error) {
	out := baseConfig()
	out.Time = now
	out.NextProtos = c.ALPN
	out.MaxVersion = maxVersion
	// Records of 16 KiB from the beginning: the size that spares the most work is also what fits a turn's output.
	out.DynamicRecordSizingDisabled = true
	if c.MinVersion == config.TLS13 {
		out.MinVersion = tls.VersionTLS13
		out.MaxVersion = tls.VersionTLS13
	}
	switch c.MaxVersion {
	case config.TLS12:
		out.MaxVersion = tls.VersionTLS12
	case config.TLS13:
		out.MaxVersion = tls.VersionTLS13
	}
	if len(c.CipherSuites) > 0 {
		out.CipherSuites = nil
	}
	for _, name := range c.CipherSuites {
		suite, ok := suiteOf(name)
		if !ok {
			return nil, fmt.Errorf("cipher suite %q is not supported", name)
		}
		out.CipherSuites = append(out.CipherSuites, suite)
	}
	for _, name := range c.Curves {
		curve, ok := curveOf(name)
		if !ok {
			return nil, fmt.Errorf("curve %q is not supported", name)
		}
		out.CurvePreferences = append(out.CurvePreferences, curve)
	}
	return out, nil
}
