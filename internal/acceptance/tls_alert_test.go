package acceptance

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestDownstreamTLSAlert holds that a client is told why hands cannot be shaken with it.
func TestDownstreamTLSAlert(t *testing.T) {
	a := harness.NewAuthority(t)
	p := secured(harness.NewSetup(echoOrigin(t).Addr()), a, func(c *config.DownstreamTLS) { c.MinVersion = config.TLS13 }).Start(t)
	client := tlsClient(t, p, a, false, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	_, err := client.Get("https://proxy.test/")
	const protocolVersion = tls.AlertError(70) // RFC 8446 section 6
	if err == nil || !strings.HasSuffix(err.Error(), protocolVersion.Error()) {
		t.Errorf("the client fails with %v", err)
	}
}
