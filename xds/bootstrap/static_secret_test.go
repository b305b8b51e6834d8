package bootstrap

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

const someCertificate = "tls_certificate: {certificate_chain: {filename: /c}, private_key: {filename: /k}}"

// TestStaticSecrets decodes static_resources.secrets, which listeners, clusters and the cluster of the control plane can name.
func TestStaticSecrets(t *testing.T) {
	parse := func(text string) (*Bootstrap, error) {
		return Parse("f", []byte(text), protofile.YAML, Options{})
	}
	b, err := parse(`
node: {id: n1, cluster: c1}
static_resources:
  secrets:
  - {name: own, ` + someCertificate + `}
  - {name: token, generic_secret: {secret: {inline_string: a}}}
  - {name: ca, validation_context: {trusted_ca: {filename: /ca}}}
  clusters:
  - name: xds
    http2_protocol_options: {}
    load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}}]}]}
    transport_socket:
      name: dummy
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {validation_context_sds_secret_config: {name: ca}}
dynamic_resources:
  ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, len(b.Warnings), 0)
	ref := b.ADS.Servers[0].TLS.ValidationSecret
	equal(t, ref, config.SecretRef{Name: "ca", Static: true})
	byKey := b.SecretsByKey()
	equal(t, len(byKey), 2)
	equal(t, byKey[ref.Key()].Validation.CA, config.DataSource{File: "/ca"})
	equal(t, byKey[config.SecretRef{Name: "ca"}.Key()] == nil, true)
	wantError(t, b.CheckSecrets([]config.SecretRef{{Name: "streamed"}, {Name: "own", Static: true}, {Name: "token", Static: true}}),
		`secret "token" is not among static_resources.secrets, where one without sds_config must be`)

	for text, want := range map[string]string{
		"[{" + someCertificate + "}]":                                         "f: static_resources.secrets[0].name: must not be empty",
		"[{name: s, " + someCertificate + "}, {name: s, generic_secret: {}}]": `f: static_resources.secrets[1].name: "s" is the name of secrets[0] too`,
		"[{name: s}]": `f: static_resources.secrets[0]: secret "s": must have tls_certificate, validation_context or session_ticket_keys`,
		"[{name: s, tls_certificate: {certificate_chain: {filename: /c}}}]": `f: static_resources.secrets[0]: secret "s": tls_certificate.private_key: must be set`,
	} {
		_, err := parse("static_resources: {secrets: " + text + "}")
		wantError(t, err, want)
	}
}
