package resource_test

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	tlsTypes       = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
	certificateTLS = "tls_certificates: [{certificate_chain: {filename: /chain}, private_key: {filename: /key}}]"
)

// tlsSocket is a transport socket of a kind with the fields of its context.
func tlsSocket(kind, fields string) string {
	return "transport_socket: {name: any, typed_config: {'@type': " + tlsTypes + kind + "TlsContext, " + fields + "}}"
}

// upstreamTLS decodes a cluster whose TLS has the fields.
func upstreamTLS(t *testing.T, fields string) (*config.UpstreamTLS, error) {
	t.Helper()
	c, err := resource.Cluster(parse(t, "name: c\n"+tlsSocket("Upstream", fields), &clusterv3.Cluster{}))
	if err != nil {
		return nil, err
	}
	return c.TLS, nil
}

// downstreamTLS decodes the TLS of a filter chain with the fields.
func downstreamTLS(t *testing.T, fields string) (*config.DownstreamTLS, error) {
	t.Helper()
	return chainTLS(t, tlsSocket("Downstream", fields))
}

// chainTLS decodes a listener with one filter chain, which has a transport socket.
func chainTLS(t *testing.T, socket string) (*config.DownstreamTLS, error) {
	t.Helper()
	l, err := resource.Listener(parse(t, chainsWith("name: f, "+socket), &listenerv3.Listener{}))
	if err != nil {
		return nil, err
	}
	for chain := range l.FilterChains() {
		return chain.TLS, nil
	}
	return nil, nil
}

func sds(name string) config.SecretRef {
	return config.SecretRef{Name: name, SDS: config.Discovery{FetchTimeout: 15 * time.Second}}
}

// TestCommonTLS decodes what both sides have.
func TestCommonTLS(t *testing.T) {
	certificates := []config.TLSCertificate{{Chain: config.DataSource{File: "/chain"}, Key: config.DataSource{File: "/key"}}}
	for name, tc := range map[string]struct {
		text string
		want func(*config.TLS)
	}{
		"certificate": {certificateTLS, func(c *config.TLS) { c.Certificates = certificates }},
		"secret":      {"tls_certificate_sds_secret_configs: [{name: s, sds_config: {ads: {}}}]", func(c *config.TLS) { c.CertificateSecrets = []config.SecretRef{sds("s")} }},
		"secret of a file": {"tls_certificate_sds_secret_configs: [{name: s, sds_config: {path_config_source: {path: /s.yaml, watched_directory: {path: /}}, initial_fetch_timeout: 1s}}]", func(c *config.TLS) {
			c.CertificateSecrets = []config.SecretRef{{Name: "s", SDS: config.Discovery{Source: config.ConfigSource{Path: "/s.yaml", WatchedDirectory: "/"}, FetchTimeout: time.Second}}}
		}},
		"validation context": {certificateTLS + ", validation_context: {trusted_ca: {filename: /ca}, max_verify_depth: 2}", func(c *config.TLS) {
			c.Certificates, c.Validation = certificates, &config.TLSValidation{CA: config.DataSource{File: "/ca"}, MaxDepth: 2}
		}},
		"secret of a validation context": {certificateTLS + ", validation_context_sds_secret_config: {name: v, sds_config: {ads: {}}}", func(c *config.TLS) {
			c.Certificates, c.ValidationSecret = certificates, sds("v")
		}},
		// Names of the default are checked against the CA of the secret.
		"combined": {certificateTLS + ", combined_validation_context: {default_validation_context: {crl: {filename: /crl}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}, validation_context_sds_secret_config: {name: v, sds_config: {ads: {}}}}", func(c *config.TLS) {
			c.Certificates, c.ValidationSecret = certificates, sds("v")
			c.Validation = &config.TLSValidation{CRL: config.DataSource{File: "/crl"}, MaxDepth: -1, SANs: []config.SANMatcher{{Match: config.StringMatcher{Value: "a"}}}}
		}},
		"protocols":             {certificateTLS + ", alpn_protocols: [h2, http/1.1]", func(c *config.TLS) { c.Certificates, c.ALPN = certificates, []string{"h2", "http/1.1"} }},
		"protocols in one item": {certificateTLS + ", alpn_protocols: ['h2,http/1.1', x]", func(c *config.TLS) { c.Certificates, c.ALPN = certificates, []string{"h2", "http/1.1", "x"} }},
		"parameters": {certificateTLS + ", tls_params: {tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3, " +
			"cipher_suites: ['[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]', ECDHE-RSA-AES256-GCM-SHA384], ecdh_curves: [X25519MLKEM768, P-256]}", func(c *config.TLS) {
			c.Certificates, c.MinVersion, c.MaxVersion = certificates, config.TLS12, config.TLS13
			c.CipherSuites = []string{"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES256-GCM-SHA384"}
			c.Curves = []string{"X25519MLKEM768", "P-256"}
		}},
		"automatic versions": {certificateTLS + ", tls_params: {tls_minimum_protocol_version: TLS_AUTO}", func(c *config.TLS) { c.Certificates = certificates }},
	} {
		t.Run(name, func(t *testing.T) {
			up, down := &config.UpstreamTLS{MaxSessionKeys: 1}, &config.DownstreamTLS{}
			tc.want(&up.TLS)
			tc.want(&down.TLS)
			got, err := upstreamTLS(t, "common_tls_context: {"+tc.text+"}")
			checkEqual(t, got, up, err)
			server, err := downstreamTLS(t, "common_tls_context: {"+tc.text+"}")
			checkEqual(t, server, down, err)
		})
	}
}

func TestUpstreamTLS(t *testing.T) {
	ca := &config.TLSValidation{CA: config.DataSource{File: "/ca"}, MaxDepth: -1}
	for text, want := range map[string]config.UpstreamTLS{
		"sni: a.test": {SNI: "a.test", MaxSessionKeys: 1},
		"sni: a.test, auto_host_sni: true, enforce_rsa_key_usage: true, allow_renegotiation: false": {SNI: "a.test", AutoHostSNI: true, MaxSessionKeys: 1},
		"max_session_keys: 0": {},
		"max_session_keys: 9": {MaxSessionKeys: 9},
		"sni: a.test, auto_sni_san_validation: true, common_tls_context: {validation_context: {trusted_ca: {filename: /ca}}}":         {SNI: "a.test", AutoSANValidation: true, MaxSessionKeys: 1, TLS: config.TLS{Validation: ca}},
		"auto_sni_san_validation: true, common_tls_context: {validation_context_sds_secret_config: {name: v, sds_config: {ads: {}}}}": {AutoSANValidation: true, MaxSessionKeys: 1, TLS: config.TLS{ValidationSecret: sds("v")}},
		"common_tls_context: {}": {MaxSessionKeys: 1},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := upstreamTLS(t, text)
			checkEqual(t, got, &want, err)
		})
	}
}

func TestDownstreamTLS(t *testing.T) {
	base := func(change func(*config.DownstreamTLS)) *config.DownstreamTLS {
		out := &config.DownstreamTLS{TLS: config.TLS{CertificateSecrets: []config.SecretRef{sds("a"), sds("b")}}}
		change(out)
		return out
	}
	const certificates = "tls_certificate_sds_secret_configs: [{name: a, sds_config: {ads: {}}}, {name: b, sds_config: {ads: {}}}]"
	for name, tc := range map[string]struct {
		fields, common string
		want           func(*config.DownstreamTLS)
	}{
		"nothing more": {"", "", func(*config.DownstreamTLS) {}},
		"flags": {"require_client_certificate: true, require_sni: true, disable_stateless_session_resumption: true, ", ", validation_context: {}", func(d *config.DownstreamTLS) {
			d.RequireClientCertificate, d.RequireSNI, d.DisableTickets, d.Validation = true, true, true, &config.TLSValidation{MaxDepth: -1}
		}},
		"flags that are not set": {"require_client_certificate: false, require_sni: false, disable_stateless_session_resumption: false, ", "", func(*config.DownstreamTLS) {}},
		"no effect":              {"disable_stateful_session_resumption: true, full_scan_certs_on_sni_mismatch: true, prefer_client_ciphers: true, session_timeout: 60s, ", "", func(*config.DownstreamTLS) {}},
		"ticket keys": {"session_ticket_keys: {keys: [" + ticketKeyText + ", {filename: /key}]}, ", "", func(d *config.DownstreamTLS) {
			d.TicketKeys = []config.DataSource{inlineSource(strings.Repeat("k", 80)), {File: "/key"}}
		}},
		"lenient":                 {"ocsp_staple_policy: LENIENT_STAPLING, ", "", func(*config.DownstreamTLS) {}},
		"strict":                  {"ocsp_staple_policy: STRICT_STAPLING, ", "", func(d *config.DownstreamTLS) { d.Stapling = config.StapleStrict }},
		"must":                    {"ocsp_staple_policy: MUST_STAPLE, ", "", func(d *config.DownstreamTLS) { d.Stapling = config.StapleMust }},
		"ticket keys of a secret": {"session_ticket_keys_sds_secret_config: {name: k, sds_config: {ads: {}}}, ", "", func(d *config.DownstreamTLS) { d.TicketKeySecret = sds("k") }},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := downstreamTLS(t, tc.fields+"common_tls_context: {"+certificates+tc.common+"}")
			checkEqual(t, got, base(tc.want), err)
			if err == nil && tc.want != nil {
				refs := len(got.Secrets())
				if want := 2 + len(got.TicketKeySecret.Name); refs != want {
					t.Errorf("%d secrets, want %d", refs, want)
				}
			}
		})
	}
}

// TestCommonTLSRefused holds what is wrong with either side's context.
func TestCommonTLSRefused(t *testing.T) {
	const ads = "sds_config: {ads: {}}"
	for text, want := range map[string]string{
		"custom_handshaker: {name: h, typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}}": "custom_handshaker: 'h' with type URL 'type.googleapis.com/google.protobuf.Empty' is not supported",
		"key_log: {path: /log}":                                             "key_log: is not supported",
		"tls_certificate_provider_instance: {instance_name: i}":             "tls_certificate_provider_instance: is not supported",
		"tls_certificate_sds_secret_configs: [{" + ads + "}]":               "tls_certificate_sds_secret_configs[0].name: value length must be at least 1 runes",
		"tls_certificate_sds_secret_configs: [{name: s, sds_config: {}}]":   "tls_certificate_sds_secret_configs[0].sds_config.config_source_specifier: value is required",
		`tls_certificate_sds_secret_configs: [{name: "a\0b", ` + ads + "}]": `tls_certificate_sds_secret_configs[0].name: "a\x00b" must not contain NUL`,
		"combined_validation_context: {}":                                   "combined_validation_context.default_validation_context: value is required\n" + "combined_validation_context.validation_context_sds_secret_config: value is required",
		"combined_validation_context: {default_validation_context: {}, validation_context_sds_secret_config: {name: v, " + ads + "}, validation_context_certificate_provider_instance: {instance_name: i}}": "combined_validation_context.validation_context_certificate_provider_instance: is not supported",
		"validation_context: {crl: {filename: /crl}}":                                                 "validation_context.crl: needs trusted_ca",
		"validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}": "validation_context.match_typed_subject_alt_names: needs trusted_ca: anybody can make a certificate with any name",
		"validation_context: {match_subject_alt_names: [{exact: a}]}":                                 "validation_context.match_subject_alt_names: needs trusted_ca: anybody can make a certificate with any name",
		"validation_context: {allow_expired_certificate: true}":                                       "validation_context.allow_expired_certificate: needs trusted_ca: without it no time is looked at",
		"alpn_protocols: [h2, '']":                                                                    "alpn_protocols[1]: has 0 bytes, must have from 1 to 255",
		"alpn_protocols: ['h2,']":                                                                     "alpn_protocols[0]: has 0 bytes, must have from 1 to 255",
		"alpn_protocols: [" + strings.Repeat("p", 256) + "]":                                          "alpn_protocols[0]: has 256 bytes, must have from 1 to 255",
		"tls_params: {tls_minimum_protocol_version: TLSv1_0}":                                         "tls_params.tls_minimum_protocol_version: TLSv1_0 is not supported, only TLS_AUTO, TLSv1_2 and TLSv1_3",
		"tls_params: {tls_maximum_protocol_version: TLSv1_1}":                                         "tls_params.tls_maximum_protocol_version: TLSv1_1 is not supported, only TLS_AUTO, TLSv1_2 and TLSv1_3",
		"tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_2}":  "tls_params: tls_minimum_protocol_version is above tls_maximum_protocol_version",
		"tls_params: {cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256, AES128-SHA]}":                      "tls_params.cipher_suites[1]: \"AES128-SHA\" is not supported, only ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384, ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-CHACHA20-POLY1305",
		"tls_params: {cipher_suites: ['[ECDHE-RSA-AES128-GCM-SHA256']}":                               "tls_params.cipher_suites[0]: \"[ECDHE-RSA-AES128-GCM-SHA256\" must be a name, or names between [ and ] with | between them",
		"tls_params: {cipher_suites: ['ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-AES256-GCM-SHA384']}":    "tls_params.cipher_suites[0]: \"ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-AES256-GCM-SHA384\" must be a name, or names between [ and ] with | between them",
		"tls_params: {ecdh_curves: [P-224]}":                                                          "tls_params.ecdh_curves[0]: \"P-224\" is not supported, only X25519MLKEM768, X25519, P-256, P-384, P-521",
		"tls_params: {signature_algorithms: [ecdsa_secp256r1_sha256]}":                                "tls_params.signature_algorithms: is not supported",
		"tls_params: {compliance_policies: [FIPS_202205]}":                                            "tls_params.compliance_policies: is not supported",
	} {
		t.Run(want, func(t *testing.T) {
			const at = "transport_socket.typed_config.common_tls_context."
			check := func(err error, prefix string) {
				t.Helper()
				lines := strings.Split(want, "\n")
				for i := range lines {
					lines[i] = prefix + at + lines[i]
				}
				checkError(t, err, strings.Join(lines, "\n"))
			}
			_, err := upstreamTLS(t, "common_tls_context: {"+text+"}")
			check(err, `cluster "c": `)
			if strings.HasPrefix(text, "tls_certificate_") {
				return
			}
			_, err = downstreamTLS(t, "common_tls_context: {"+certificateTLS+", "+text+"}")
			check(err, `listener "l": filter_chains[0].`)
		})
	}
}

func TestUpstreamTLSRefused(t *testing.T) {
	for text, want := range map[string]string{
		"allow_renegotiation: true":        "allow_renegotiation: true is not supported, only false",
		"sni: " + strings.Repeat("a", 256): "sni: value length must be at most 255 bytes",
		"auto_sni_san_validation: true":    "auto_sni_san_validation: needs trusted_ca",
		"auto_sni_san_validation: true, common_tls_context: {validation_context: {}}":                                                                                                        "auto_sni_san_validation: needs trusted_ca",
		"common_tls_context: {tls_certificates: [{certificate_chain: {filename: /a}, private_key: {filename: /b}}], tls_certificate_sds_secret_configs: [{name: s, sds_config: {ads: {}}}]}": "common_tls_context: has 2 certificates, a client shows one at most",
		"common_tls_context: {tls_certificates: [{certificate_chain: {filename: /a}}]}":                                                                                                      "common_tls_context.tls_certificates[0].private_key: must be set",
	} {
		t.Run(want, func(t *testing.T) {
			_, err := upstreamTLS(t, text)
			checkError(t, err, `cluster "c": transport_socket.typed_config.`+want)
		})
	}
}

func TestDownstreamTLSRefused(t *testing.T) {
	const common = ", common_tls_context: {" + certificateTLS + "}"
	for text, want := range map[string]string{
		"require_sni: true":                                              "common_tls_context: must have tls_certificates or tls_certificate_sds_secret_configs: No TLS certificates found for server context",
		"common_tls_context: {}":                                         "common_tls_context: must have tls_certificates or tls_certificate_sds_secret_configs: No TLS certificates found for server context",
		"require_client_certificate: true" + common:                      "common_tls_context: must have a validation context that require_client_certificate can go by",
		"ocsp_staple_policy: 7" + common:                                 "ocsp_staple_policy: value must be one of the defined enum values",
		"session_ticket_keys: {keys: []}" + common:                       "session_ticket_keys.keys: value must contain at least 1 item(s)",
		"session_ticket_keys: {keys: [{inline_string: short}]}" + common: "session_ticket_keys.keys[0]: has 5 bytes, must have 80",
		"session_timeout: -1s" + common:                                  "session_timeout: value must be inside range [0s, 1193046h28m16s)",
		"common_tls_context: {tls_certificate_sds_secret_configs: [{name: s, sds_config: {ads: {}}}, {name: s, sds_config: {ads: {}}}]}": "common_tls_context.tls_certificate_sds_secret_configs[1]: secret \"s\" is named before",
	} {
		t.Run(want, func(t *testing.T) {
			_, err := downstreamTLS(t, text)
			checkError(t, err, `listener "l": filter_chains[0].transport_socket.typed_config.`+want)
		})
	}
}

// TestTLSAsJSON decodes contexts in the form of a TypedStruct, whose errors must not repeat the bytes of a key.
func TestTLSAsJSON(t *testing.T) {
	for _, form := range []string{"xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"} {
		socket := func(kind, value string) string {
			return "transport_socket: {name: any, typed_config: {'@type': type.googleapis.com/" + form + ", type_url: " + tlsTypes + kind + "TlsContext, value: {" + value + "}}}"
		}
		cluster := func(value string) (*config.UpstreamTLS, error) {
			c, err := resource.Cluster(parse(t, "name: c\n"+socket("Upstream", value), &clusterv3.Cluster{}))
			if err != nil {
				return nil, err
			}
			return c.TLS, nil
		}
		const value = "sni: a.test, common_tls_context: {alpn_protocols: [h2], tls_certificates: [{certificate_chain: {inline_string: chain}, private_key: {inline_bytes: a2V5}}]}"
		got, err := cluster(value)
		checkEqual(t, got, &config.UpstreamTLS{SNI: "a.test", MaxSessionKeys: 1, TLS: config.TLS{
			ALPN: []string{"h2"}, Certificates: []config.TLSCertificate{{Chain: inlineSource("chain"), Key: inlineSource("key")}},
		}}, err)
		_, err = cluster("allow_renegotiation: true")
		checkError(t, err, `cluster "c": transport_socket.typed_config.allow_renegotiation: true is not supported, only false`)
		for _, bad := range []string{"inline_bytes: 'very private!'", "inline_string: [very private!]", "very private!: x, inline_bytes: {very private!: 1}"} {
			_, err = cluster("common_tls_context: {tls_certificates: [{private_key: {" + bad + "}}]}")
			if err == nil || !strings.HasPrefix(err.Error(), `cluster "c": transport_socket.typed_config: cannot be decoded as envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`) {
				t.Errorf("%s: %v", bad, err)
			} else if strings.Contains(err.Error(), "very private!") {
				t.Errorf("the error has bytes of the key: %v", err)
			}
		}
		down, err := chainTLS(t, socket("Downstream", "common_tls_context: {"+certificateTLS+"}"))
		checkEqual(t, down, &config.DownstreamTLS{TLS: config.TLS{Certificates: []config.TLSCertificate{
			{Chain: config.DataSource{File: "/chain"}, Key: config.DataSource{File: "/key"}},
		}}}, err)
	}
}
