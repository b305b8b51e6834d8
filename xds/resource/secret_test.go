package resource_test

import (
	"strings"
	"testing"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	spkiPin  = "NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="
	hashPin  = "df6ff72fe9116521268f6f2dd4966f51df479883fe7037b39f75916ac3049d1a"
	hashPin2 = "DF:6F:F7:2F:E9:11:65:21:26:8F:6F:2D:D4:96:6F:51:DF:47:98:83:FE:70:37:B3:9F:75:91:6A:C3:04:9D:1A"
)

// ticketKeyText is a session ticket key of 80 bytes, in YAML.
var ticketKeyText = "{inline_string: " + strings.Repeat("k", 80) + "}"

const spiffeType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"

// trusted is a validation context of trust domains.
func trusted(domains string) string {
	return "validation_context: {custom_validator_config: {name: spiffe, typed_config: {'@type': " + spiffeType + ", trust_domains: [" + domains + "]}}}"
}

// inlineSource is bytes of the configuration itself.
func inlineSource(text string) config.DataSource { return config.DataSource{Inline: []byte(text)} }

func TestSecret(t *testing.T) {
	validation := func(change func(*config.TLSValidation)) func(*config.Secret) {
		return func(s *config.Secret) {
			s.Validation = &config.TLSValidation{MaxDepth: -1}
			change(s.Validation)
		}
	}
	sans := func(list ...config.SANMatcher) func(*config.Secret) {
		return validation(func(v *config.TLSValidation) { v.CA, v.SANs = config.DataSource{File: "/ca"}, list })
	}
	for name, tc := range map[string]struct {
		text string
		want func(*config.Secret)
	}{
		"certificate": {"tls_certificate: {certificate_chain: {inline_bytes: Y2hhaW4=}, private_key: {inline_bytes: a2V5}}", func(s *config.Secret) {
			s.Certificate = &config.TLSCertificate{Chain: inlineSource("chain"), Key: inlineSource("key")}
		}},
		"certificate as text": {"tls_certificate: {certificate_chain: {inline_string: chain}, private_key: {inline_string: key}}", func(s *config.Secret) {
			s.Certificate = &config.TLSCertificate{Chain: inlineSource("chain"), Key: inlineSource("key")}
		}},
		"certificate with a password": {"tls_certificate: {certificate_chain: {inline_string: chain}, private_key: {filename: /key}, password: {filename: /password}}", func(s *config.Secret) {
			s.Certificate = &config.TLSCertificate{Chain: inlineSource("chain"), Key: config.DataSource{File: "/key"}, Password: config.DataSource{File: "/password"}}
		}},
		"certificate of files": {"tls_certificate: {certificate_chain: {filename: /chain}, private_key: {environment_variable: KEY}, ocsp_staple: {filename: /staple}, watched_directory: {path: /}}", func(s *config.Secret) {
			s.Certificate = &config.TLSCertificate{Chain: config.DataSource{File: "/chain"}, Key: config.DataSource{Variable: "KEY"}, OCSPStaple: config.DataSource{File: "/staple"}}
		}},
		"validation context": {"validation_context: {}", validation(func(*config.TLSValidation) {})},
		"a CA":               {"validation_context: {trusted_ca: {filename: /ca}, watched_directory: {path: /}}", validation(func(v *config.TLSValidation) { v.CA.File = "/ca" })},
		"roots of the system": {"validation_context: {system_root_certs: {}}", validation(func(v *config.TLSValidation) {
			v.SystemRoots = true
		})},
		"all of a validation context": {"validation_context: {trusted_ca: {inline_string: ca}, crl: {inline_string: crl}, verify_certificate_spki: [" + spkiPin + "], verify_certificate_hash: [" + hashPin + ", '" + hashPin2 + "'], " +
			"allow_expired_certificate: true, trust_chain_verification: ACCEPT_UNTRUSTED, only_verify_leaf_cert_crl: true, max_verify_depth: 0, suppress_client_ca_list: true, require_signed_certificate_timestamp: false}",
			validation(func(v *config.TLSValidation) {
				v.CA, v.CRL, v.SPKI, v.Hashes = inlineSource("ca"), inlineSource("crl"), []string{spkiPin}, []string{hashPin, hashPin}
				v.AllowExpired, v.AcceptUntrusted, v.OnlyLeafCRL, v.MaxDepth, v.HideAuthorities = true, true, true, 0, true
			})},
		"names": {"validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: A.test}}, {san_type: URI, matcher: {prefix: 'spiffe://'}}, " +
			"{san_type: EMAIL, matcher: {suffix: '@A', ignore_case: true}}, {san_type: IP_ADDRESS, matcher: {safe_regex: {regex: '10[.].*'}}}]}",
			sans(config.SANMatcher{Type: config.SANDNS, Match: config.StringMatcher{Value: "A.test"}},
				config.SANMatcher{Type: config.SANURI, Match: config.StringMatcher{Kind: config.StringPrefix, Value: "spiffe://"}},
				config.SANMatcher{Type: config.SANEmail, Match: config.StringMatcher{Kind: config.StringSuffix, Value: "@a", IgnoreCase: true}},
				config.SANMatcher{Type: config.SANIP, Match: config.StringMatcher{Kind: config.StringRegex, Regex: anchored("10[.].*")}})},
		"names of any type": {"validation_context: {trusted_ca: {filename: /ca}, match_subject_alt_names: [{exact: a}]}",
			sans(config.SANMatcher{Type: config.SANDNS, Match: config.StringMatcher{Value: "a"}}, config.SANMatcher{Type: config.SANURI, Match: config.StringMatcher{Value: "a"}},
				config.SANMatcher{Type: config.SANEmail, Match: config.StringMatcher{Value: "a"}}, config.SANMatcher{Type: config.SANIP, Match: config.StringMatcher{Value: "a"}})},
		// Those with a type replace the others, as in Envoy: together they would let more in.
		"names of both kinds": {"validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}], match_subject_alt_names: [{exact: b}]}",
			sans(config.SANMatcher{Type: config.SANDNS, Match: config.StringMatcher{Value: "a"}})},
		// They may be laid over a CA.
		"names alone": {"validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}", validation(func(v *config.TLSValidation) {
			v.SANs = []config.SANMatcher{{Match: config.StringMatcher{Value: "a"}}}
		})},
		"trust domains": {"validation_context: {custom_validator_config: {name: spiffe, typed_config: {'@type': " + spiffeType + ", trust_domains: [{name: a.test, trust_bundle: {filename: /a}}, {name: b.test, trust_bundle: {inline_string: b}}]}}, match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: 'spiffe://a.test/'}}]}",
			validation(func(v *config.TLSValidation) {
				v.SPIFFE = []config.TrustDomain{{Name: "a.test", Bundle: config.DataSource{File: "/a"}}, {Name: "b.test", Bundle: inlineSource("b")}}
				v.SANs = []config.SANMatcher{{Type: config.SANURI, Match: config.StringMatcher{Kind: config.StringPrefix, Value: "spiffe://a.test/"}}}
			})},
		"revocation list alone": {"validation_context: {crl: {inline_string: crl}}", validation(func(v *config.TLSValidation) { v.CRL = inlineSource("crl") })},
		"ticket keys": {"session_ticket_keys: {keys: [" + ticketKeyText + ", {filename: /key}]}", func(s *config.Secret) {
			s.TicketKeys = []config.DataSource{inlineSource(strings.Repeat("k", 80)), {File: "/key"}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := &config.Secret{Name: "s"}
			tc.want(want)
			got, err := resource.Secret(parse(t, "name: s\n"+tc.text, &tlsv3.Secret{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestSecretRefused(t *testing.T) {
	const chain = "tls_certificate: {certificate_chain: {inline_string: chain}, "
	for text, want := range map[string]string{
		"": "must have tls_certificate, validation_context or session_ticket_keys",
		"generic_secret: {secret: {inline_string: private}}": "generic_secret: is not supported",
		"tls_certificate: {}":                                "tls_certificate.certificate_chain: must be set\nsecret \"s\": tls_certificate.private_key: must be set",
		chain + "}":                                          "tls_certificate.private_key: must be set",
		"tls_certificate: {private_key: {inline_string: private}}":                                                                          "tls_certificate.certificate_chain: must be set",
		chain + "private_key: {}}":                                                                                                          "tls_certificate.private_key.specifier: value is required",
		chain + "private_key: {inline_string: ''}}":                                                                                         "tls_certificate.private_key: must have filename, inline_bytes, inline_string or environment_variable, and not an empty one",
		chain + "private_key: {filename: ''}}":                                                                                              "tls_certificate.private_key.filename: value length must be at least 1 runes",
		chain + "private_key: {inline_string: private}, password: {inline_string: ''}}":                                                     "tls_certificate.password: must have filename, inline_bytes, inline_string or environment_variable, and not an empty one",
		chain + "private_key: {inline_string: private}, pkcs12: {filename: /x}}":                                                            "tls_certificate.pkcs12: is not supported",
		chain + "private_key_provider: {provider_name: p}}":                                                                                 "tls_certificate.private_key_provider: is not supported\nsecret \"s\": tls_certificate.private_key: must be set",
		chain + "private_key: {inline_string: private}, ocsp_staple: {inline_bytes: ''}}":                                                   "tls_certificate.ocsp_staple: must have filename, inline_bytes, inline_string or environment_variable, and not an empty one",
		"validation_context: {trusted_ca: {filename: /ca}, system_root_certs: {}}":                                                          "validation_context.system_root_certs: is not possible beside trusted_ca",
		"validation_context: {verify_certificate_spki: [AAAA]}":                                                                             "validation_context.verify_certificate_spki[0]: value length must be at least 44 runes",
		"validation_context: {verify_certificate_spki: [" + spkiPin + ", '" + strings.Repeat("!", 44) + "']}":                               `validation_context.verify_certificate_spki[1]: "` + strings.Repeat("!", 44) + `" is no SHA-256 in base64`,
		"validation_context: {verify_certificate_hash: ['00:11']}":                                                                          "validation_context.verify_certificate_hash[0]: value length must be at least 64 runes",
		"validation_context: {verify_certificate_hash: ['" + strings.Repeat("x", 64) + "']}":                                                `validation_context.verify_certificate_hash[0]: "` + strings.Repeat("x", 64) + `" is no SHA-256 in hexadecimal`,
		"validation_context: {max_verify_depth: 101}":                                                                                       "validation_context.max_verify_depth: value must be less than or equal to 100",
		"validation_context: {require_signed_certificate_timestamp: true}":                                                                  "validation_context.require_signed_certificate_timestamp: true is not supported, only false",
		"validation_context: {custom_validator_config: {name: spiffe, typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}}}": "validation_context.custom_validator_config: 'spiffe' with type URL 'type.googleapis.com/google.protobuf.Empty' is not supported, only " + spiffeType,
		trusted(""): "validation_context.custom_validator_config.typed_config.trust_domains: value must contain at least 1 item(s)",
		trusted("{name: a, trust_bundle: {filename: /a}}, {name: a, trust_bundle: {filename: /b}}"): "validation_context.custom_validator_config.typed_config.trust_domains[1].name: Multiple trust bundles are given for one trust domain for a",
		trusted(strings.Repeat("{name: a, trust_bundle: {filename: /a}}, ", 101)):                   "validation_context.custom_validator_config.typed_config.trust_domains: has 101 trust domains, must have from 1 to 100",
		trusted("{name: a}"): "validation_context.custom_validator_config.typed_config.trust_domains[0].trust_bundle: must be set",
		trusted("{name: '', trust_bundle: {filename: /a}}"):                                                                                                     "validation_context.custom_validator_config.typed_config.trust_domains[0].name: value length must be at least 1 runes",
		trusted("{name: a, trust_bundle: {filename: /a}, workload_trust_domain: b}"):                                                                            "validation_context.custom_validator_config.typed_config.trust_domains[0].workload_trust_domain: is not supported",
		strings.Replace(trusted("{name: a, trust_bundle: {filename: /a}}"), "{", "{crl: {filename: /c}, ", 1):                                                   "validation_context.crl: is not possible beside custom_validator_config, want the lists in the trust bundles",
		strings.Replace(trusted("{name: a, trust_bundle: {filename: /a}}"), "{", "{trust_chain_verification: ACCEPT_UNTRUSTED, ", 1):                            "validation_context.trust_chain_verification: is not possible beside custom_validator_config",
		strings.Replace(trusted("{name: a, trust_bundle: {filename: /a}}"), "{", "{match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}], ", 1): "validation_context.match_typed_subject_alt_names[0].san_type: DNS is not possible beside custom_validator_config, only URI",
		"validation_context: {ca_certificate_provider_instance: {instance_name: i}}":                                                                            "validation_context.ca_certificate_provider_instance: is not supported",
		"validation_context: {match_typed_subject_alt_names: [{san_type: OTHER_NAME, matcher: {exact: a}, oid: 1.2.3}]}":                                        "validation_context.match_typed_subject_alt_names[0].oid: is not supported\nsecret \"s\": validation_context.match_typed_subject_alt_names[0].san_type: OTHER_NAME is not supported, only DNS, URI, EMAIL and IP_ADDRESS",
		"validation_context: {match_typed_subject_alt_names: [{matcher: {exact: a}}]}":                                                                          "validation_context.match_typed_subject_alt_names[0].san_type: value must not be in list [SAN_TYPE_UNSPECIFIED]",
		"validation_context: {match_typed_subject_alt_names: [{san_type: DNS}]}":                                                                                "validation_context.match_typed_subject_alt_names[0].matcher: value is required",
		"validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}, {san_type: DNS, matcher: {safe_regex: {regex: '['}}}]}":     "validation_context.match_typed_subject_alt_names[1].matcher.safe_regex.regex: error parsing regexp: missing closing ]: `[`",
		"session_ticket_keys: {}":                                              "session_ticket_keys.keys: value must contain at least 1 item(s)",
		"session_ticket_keys: {keys: [{inline_string: private}]}":              "session_ticket_keys.keys[0]: has 7 bytes, must have 80",
		"session_ticket_keys: {keys: [" + ticketKeyText + ", {filename: ''}]}": "session_ticket_keys.keys[1].filename: value length must be at least 1 runes",
	} {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Secret(parse(t, "name: s\n"+text, &tlsv3.Secret{}))
			checkError(t, err, `secret "s": `+want)
			if strings.Contains(err.Error(), "private\"") || strings.Contains(err.Error(), "kkkk") {
				t.Errorf("the error has bytes of the secret: %v", err)
			}
		})
	}
}
