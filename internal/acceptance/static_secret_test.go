package acceptance

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestStaticSecrets has a listener take its certificate, and what clients' certificates are held against, from
// static_resources.secrets.
func TestStaticSecrets(t *testing.T) {
	a := harness.NewAuthority(t)
	cert, key := a.Issue("proxy.test", "127.0.0.1")
	text := func(b []byte) string {
		quoted, err := json.Marshal(string(b))
		if err != nil {
			t.Fatal(err)
		}
		return string(quoted)
	}
	const manager = `
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: served}}}]}]}
`
	p := harness.StartBootstrap(t, 1, `
static_resources:
  secrets:
  - {name: own, tls_certificate: {certificate_chain: {inline_string: `+text(cert)+`}, private_key: {inline_string: `+text(key)+`}}}
  - {name: ca, validation_context: {trusted_ca: {inline_string: `+text(a.CA())+`}}}
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificate_sds_secret_configs: [{name: own}]
            validation_context_sds_secret_config: {name: ca}
      filters:`+manager)
	own, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(change func(*tls.Config)) (string, error) {
		resp, err := tlsClient(t, p, a, false, change).Get("https://proxy.test/")
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
		return string(body), err
	}
	if got, err := ask(func(c *tls.Config) { c.Certificates = []tls.Certificate{own} }); got != "served" || err != nil {
		t.Errorf("%q, %v with a certificate that the static CA has issued", got, err)
	}
	if got, err := ask(nil); err == nil {
		t.Errorf("%q without a certificate", got)
	}
}
