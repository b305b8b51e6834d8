//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"slices"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	downstreamTLSMessage = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
	upstreamTLSMessage   = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
)

var (
	downstreamTLSFields = fields{
		"common_tls_context": decoded, "require_client_certificate": decoded, "require_sni": decoded,
		"session_ticket_keys": decoded, "session_ticket_keys_sds_secret_config": decoded,
		"disable_stateless_session_resumption": decoded, "ocsp_staple_policy": decoded,
		"disable_stateful_session_resumption": noEffect, // there is no such resumption
		// A certificate is picked among all of them whatever the name, and the order of cipher suites is the safest for both.
		"full_scan_certs_on_sni_mismatch": noEffect, "prefer_client_ciphers": noEffect,
		"session_timeout": noEffect, // a hint; tickets live for as long as their keys
	}
	upstreamTLSFields = fields{
		"common_tls_context": decoded, "sni": decoded, "auto_host_sni": decoded, "auto_sni_san_validation": decoded,
		"max_session_keys":      decoded,
		"enforce_rsa_key_usage": noEffect, // Envoy ignores it too
		"allow_renegotiation":   onlyFalse,
	}
	commonTLSFields = fields{
		"tls_params": decoded, "tls_certificates": decoded, "tls_certificate_sds_secret_configs": decoded,
		"validation_context": decoded, "validation_context_sds_secret_config": decoded, "combined_validation_context": decoded,
		"alpn_protocols": decoded,
	}
	combinedValidationFields = fields{"default_validation_context": decoded, "validation_context_sds_secret_config": decoded}
	tlsParametersFields      = fields{
		"tls_minimum_protocol_version": decoded, "tls_maximum_protocol_version": decoded, "cipher_suites": decoded,
		"ecdh_curves": decoded,
	}
	sdsSecretFields = fields{"name": decoded, "sds_config": decoded}
)

// cipherSuites are the suites of TLS 1.2 that may be chosen, by their OpenSSL names: forward secrecy and authenticated
// encryption only (RFC 9325 section 4.2).
var cipherSuites = []string{
	"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
}

// curves are the groups for the exchange of keys that may be chosen.
var curves = []string{"X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"}

// maxALPN is the length in bytes of the longest protocol name (RFC 7301 section 3.1).
const maxALPN = 255

// downstreamTLS decodes the TLS of a filter chain.
func (a *at) downstreamTLS(c *tlsv3.DownstreamTlsContext) *config.DownstreamTLS {
	a.only(c, downstreamTLSFields)
	out := &config.DownstreamTLS{
		RequireClientCertificate: c.GetRequireClientCertificate().GetValue(),
		RequireSNI:               c.GetRequireSni().GetValue(),
		DisableTickets:           c.GetDisableStatelessSessionResumption(),
		Stapling:                 a.in("ocsp_staple_policy").staplePolicy(c.GetOcspStaplePolicy()),
	}
	common := a.in("common_tls_context")
	common.commonTLS(c.GetCommonTlsContext(), &out.TLS)
	if len(out.Certificates) == 0 && len(out.CertificateSecrets) == 0 {
		common.errorf("must have tls_certificates or tls_certificate_sds_secret_configs: No TLS certificates found for server context")
	}
	if out.RequireClientCertificate && out.Validation == nil && out.ValidationSecret.Name == "" {
		common.errorf("must have a validation context that require_client_certificate can go by")
	}
	switch k := c.GetSessionTicketKeysType().(type) {
	case *tlsv3.DownstreamTlsContext_SessionTicketKeys:
		out.TicketKeys = a.in("session_ticket_keys").ticketKeys(k.SessionTicketKeys)
	case *tlsv3.DownstreamTlsContext_SessionTicketKeysSdsSecretConfig:
		out.TicketKeySecret = a.in("session_ticket_keys_sds_secret_config").sdsSecret(k.SessionTicketKeysSdsSecretConfig)
	}
	return out
}

func (a *at) staplePolicy(p tlsv3.DownstreamTlsContext_OcspStaplePolicy) config.StaplePolicy {
	switch p {
	case tlsv3.DownstreamTlsContext_LENIENT_STAPLING:
		return config.StapleLenient
	case tlsv3.DownstreamTlsContext_STRICT_STAPLING:
		return config.StapleStrict
	case tlsv3.DownstreamTlsContext_MUST_STAPLE:
		return config.StapleMust
	default:
		a.errorf("%s is not supported, only LENIENT_STAPLING, STRICT_STAPLING and MUST_STAPLE", p)
		return config.StapleLenient
	}
}

// upstreamTLS decodes the TLS of a cluster.
func (a *at) upstreamTLS(c *tlsv3.UpstreamTlsContext) *config.UpstreamTLS {
	a.only(c, upstreamTLSFields)
	out := &config.UpstreamTLS{
		SNI: c.GetSni(), AutoHostSNI: c.GetAutoHostSni(), AutoSANValidation: c.GetAutoSniSanValidation(),
		MaxSessionKeys: orUint32(c.GetMaxSessionKeys(), 1),
	}
	a.in("common_tls_context").commonTLS(c.GetCommonTlsContext(), &out.TLS)
	if out.AutoSANValidation && !out.HasTrust() {
		a.in("auto_sni_san_validation").errorf("needs trusted_ca")
	}
	if n := len(out.Certificates) + len(out.CertificateSecrets); n > 1 {
		a.in("common_tls_context").errorf("has %d certificates, a client shows one at most", n)
	}
	return out
}

func (a *at) commonTLS(c *tlsv3.CommonTlsContext, out *config.TLS) {
	if c == nil {
		return
	}
	a.only(c, commonTLSFields)
	for i, certificate := range c.GetTlsCertificates() {
		out.Certificates = append(out.Certificates, a.item("tls_certificates", i).tlsCertificate(certificate))
	}
	for i, secret := range c.GetTlsCertificateSdsSecretConfigs() {
		ref := a.item("tls_certificate_sds_secret_configs", i).sdsSecret(secret)
		if slices.Contains(out.CertificateSecrets, ref) {
			a.item("tls_certificate_sds_secret_configs", i).errorf("secret %q is named before", ref.Name)
		}
		out.CertificateSecrets = append(out.CertificateSecrets, ref)
	}
	switch v := c.GetValidationContextType().(type) {
	case *tlsv3.CommonTlsContext_ValidationContext:
		place := a.in("validation_context")
		out.Validation = place.tlsValidation(v.ValidationContext)
		place.needsTrust(v.ValidationContext)
	case *tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig:
		out.ValidationSecret = a.in("validation_context_sds_secret_config").sdsSecret(v.ValidationContextSdsSecretConfig)
	case *tlsv3.CommonTlsContext_CombinedValidationContext:
		place := a.in("combined_validation_context")
		place.only(v.CombinedValidationContext, combinedValidationFields)
		out.Validation = place.in("default_validation_context").tlsValidation(v.CombinedValidationContext.GetDefaultValidationContext())
		out.ValidationSecret = place.in("validation_context_sds_secret_config").sdsSecret(v.CombinedValidationContext.GetValidationContextSdsSecretConfig())
	}
	for i, item := range c.GetAlpnProtocols() {
		for name := range strings.SplitSeq(item, ",") { // as Envoy has it
			if name == "" || len(name) > maxALPN {
				a.item("alpn_protocols", i).errorf("has %d bytes, must have from 1 to %d", len(name), maxALPN)
			}
			out.ALPN = append(out.ALPN, name)
		}
	}
	a.in("tls_params").tlsParameters(c.GetTlsParams(), out)
}

func (a *at) tlsParameters(p *tlsv3.TlsParameters, out *config.TLS) {
	if p == nil {
		return
	}
	a.only(p, tlsParametersFields)
	out.MinVersion = a.in("tls_minimum_protocol_version").tlsVersion(p.GetTlsMinimumProtocolVersion())
	out.MaxVersion = a.in("tls_maximum_protocol_version").tlsVersion(p.GetTlsMaximumProtocolVersion())
	if out.MaxVersion == config.TLS12 && out.MinVersion == config.TLS13 {
		a.errorf("tls_minimum_protocol_version is above tls_maximum_protocol_version")
	}
	for i, entry := range p.GetCipherSuites() {
		place := a.item("cipher_suites", i)
		for _, name := range place.suiteGroup(entry) {
			place.oneOf(name, cipherSuites)
			out.CipherSuites = append(out.CipherSuites, name)
		}
	}
	for i, name := range p.GetEcdhCurves() {
		a.item("ecdh_curves", i).oneOf(name, curves)
		out.Curves = append(out.Curves, name)
	}
}

// suiteGroup takes an item of cipher_suites apart: "a", or "[a|b]" for suites of equal preference.
func (a *at) suiteGroup(item string) []string {
	inner, opened := strings.CutPrefix(item, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if opened != closed || !opened && strings.Contains(item, "|") {
		a.errorf("%q must be a name, or names between [ and ] with | between them", item)
		return nil
	}
	return strings.Split(inner, "|")
}

// oneOf refuses a name that is not among those known.
func (a *at) oneOf(name string, known []string) {
	if !slices.Contains(known, name) {
		a.errorf("%q is not supported, only %s", name, strings.Join(known, ", "))
	}
}

// tlsVersion decodes a bound of versions. Those before TLS 1.2 are not spoken (RFC 8996), whatever the bound.
func (a *at) tlsVersion(v tlsv3.TlsParameters_TlsProtocol) config.TLSVersion {
	switch v {
	case tlsv3.TlsParameters_TLS_AUTO:
		return config.TLSAuto
	case tlsv3.TlsParameters_TLSv1_2:
		return config.TLS12
	case tlsv3.TlsParameters_TLSv1_3:
		return config.TLS13
	default:
		a.errorf("%s is not supported, only TLS_AUTO, TLSv1_2 and TLSv1_3", v)
		return config.TLSAuto
	}
}

// sdsSecret decodes which secret is asked for.
func (a *at) sdsSecret(s *tlsv3.SdsSecretConfig) (out config.SecretRef) {
	if s == nil {
		a.errorf("must be set")
		return out
	}
	a.only(s, sdsSecretFields)
	if out.Name = a.in("name").asked(s.GetName()); out.Name == "" {
		a.in("name").errorf("must not be empty")
	}
	if s.GetSdsConfig() == nil {
		out.Static = true
		return out
	}
	out.SDS = a.in("sds_config").configSource(s.GetSdsConfig())
	return out
}
