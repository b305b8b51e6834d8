package tls

import (
	"crypto/tls"
	"testing"
)

// TestSuiteName goes through all suites that are ever negotiated. Each handshake asks for a name.
func TestSuiteName(t *testing.T) {
	boring := map[string]string{
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":       "ECDHE-ECDSA-AES128-GCM-SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":         "ECDHE-RSA-AES128-GCM-SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384":       "ECDHE-ECDSA-AES256-GCM-SHA384",
		"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384":         "ECDHE-RSA-AES256-GCM-SHA384",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":   "ECDHE-RSA-CHACHA20-POLY1305",
	}
	for _, suite := range tls.CipherSuites() {
		want, old := boring[suite.Name]
		if !old {
			want = suite.Name
		}
		if got := suiteName(suite.ID); got != want {
			t.Errorf("%s: %q, want %q", suite.Name, got, want)
		}
		if suite.SupportedVersions[0] != tls.VersionTLS13 && !old {
			continue // none of ours: CBC
		}
		if n := testing.AllocsPerRun(100, func() { suiteName(suite.ID) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", suite.Name, n)
		}
	}
}
