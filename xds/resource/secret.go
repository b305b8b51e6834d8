//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	secretFields         = fields{"name": decoded, "tls_certificate": decoded, "validation_context": decoded, "session_ticket_keys": decoded}
	tlsCertificateFields = fields{
		"certificate_chain": decoded, "private_key": decoded, "password": decoded, "ocsp_staple": decoded,
		"watched_directory": noEffect, // files are looked at themselves
	}
	dataSourceFields    = fields{"filename": decoded, "inline_bytes": decoded, "inline_string": decoded, "environment_variable": decoded}
	tlsValidationFields = fields{
		"trusted_ca": decoded, "system_root_certs": decoded, "crl": decoded, "match_typed_subject_alt_names": decoded,
		"match_subject_alt_names": decoded, "verify_certificate_spki": decoded, "verify_certificate_hash": decoded,
		"allow_expired_certificate": decoded, "trust_chain_verification": decoded, "only_verify_leaf_cert_crl": decoded,
		"max_verify_depth": decoded, "suppress_client_ca_list": decoded, "custom_validator_config": decoded,
		"watched_directory":                    noEffect, // files are looked at themselves
		"require_signed_certificate_timestamp": onlyFalse,
	}
	sanMatcherFields = fields{"san_type": decoded, "matcher": decoded}
	ticketKeysFields = fields{"keys": decoded}
)

// Bounds of a secret.
const (
	// ticketKeySize is the size of a session ticket key in bytes: a name and two keys (TlsSessionTicketKeys).
	ticketKeySize = 80
	// maxVerifyDepth is the API's own bound of max_verify_depth.
	maxVerifyDepth = 100
	// hashSize is the size of SHA-256 in bytes.
	hashSize = 32
)

// Secret decodes what a name stands for: a certificate with its key, what certificates of peers are verified against, or keys
// of session tickets. Whether certificate and key are good, and a pair, is found when they are put into force.
func Secret(s *tlsv3.Secret) (*config.Secret, error) {
	root := newReport("secret", s.GetName())
	if !root.validate(s) {
		return nil, root.err()
	}
	root.only(s, secretFields)
	out := &config.Secret{Name: s.GetName()}
	switch v := s.GetType().(type) {
	case *tlsv3.Secret_TlsCertificate:
		certificate := root.in("tls_certificate").tlsCertificate(v.TlsCertificate)
		out.Certificate = &certificate
	case *tlsv3.Secret_ValidationContext:
		out.Validation = root.in("validation_context").tlsValidation(v.ValidationContext)
	case *tlsv3.Secret_SessionTicketKeys:
		out.TicketKeys = root.in("session_ticket_keys").ticketKeys(v.SessionTicketKeys)
	case nil:
		root.errorf("must have tls_certificate, validation_context or session_ticket_keys")
	}
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}

func (a *at) tlsCertificate(c *tlsv3.TlsCertificate) config.TLSCertificate {
	a.only(c, tlsCertificateFields)
	out := config.TLSCertificate{
		Chain: a.in("certificate_chain").dataSource(c.GetCertificateChain()),
		Key:   a.in("private_key").dataSource(c.GetPrivateKey()),
	}
	if c.GetCertificateChain() == nil {
		a.in("certificate_chain").errorf("must be set")
	}
	if c.GetPrivateKey() == nil {
		a.in("private_key").errorf("must be set")
	}
	if c.GetPassword() != nil {
		out.Password = a.in("password").dataSource(c.GetPassword())
	}
	if c.GetOcspStaple() != nil {
		out.OCSPStaple = a.in("ocsp_staple").dataSource(c.GetOcspStaple())
	}
	return out
}

// DataSource returns where the bytes of a data source are. What else it says is not looked at.
func DataSource(d *corev3.DataSource) (out config.DataSource) {
	switch s := d.GetSpecifier().(type) {
	case *corev3.DataSource_Filename:
		out.File = s.Filename
	case *corev3.DataSource_InlineBytes:
		out.Inline = s.InlineBytes
	case *corev3.DataSource_InlineString:
		out.Inline = []byte(s.InlineString)
	case *corev3.DataSource_EnvironmentVariable:
		out.Variable = s.EnvironmentVariable
	}
	return out
}

// dataSource decodes where bytes are. Errors do not have any of the bytes, which may be a private key.
func (a *at) dataSource(d *corev3.DataSource) (out config.DataSource) {
	if d == nil {
		return out
	}
	a.only(d, dataSourceFields)
	out = DataSource(d)
	if !out.IsSet() {
		a.errorf("must have filename, inline_bytes, inline_string or environment_variable, and not an empty one")
	}
	return out
}

func (a *at) tlsValidation(v *tlsv3.CertificateValidationContext) *config.TLSValidation {
	out := &config.TLSValidation{MaxDepth: -1}
	if v == nil {
		return out
	}
	a.only(v, tlsValidationFields)
	if v.GetTrustedCa() != nil {
		out.CA = a.in("trusted_ca").dataSource(v.GetTrustedCa())
	}
	out.SystemRoots = v.GetSystemRootCerts() != nil
	if out.SystemRoots && out.CA.IsSet() {
		a.in("system_root_certs").errorf("is not possible beside trusted_ca")
	}
	if v.GetCrl() != nil {
		out.CRL = a.in("crl").dataSource(v.GetCrl())
	}
	out.SANs = a.sanMatchers(v)
	if v.GetCustomValidatorConfig() != nil {
		out.SPIFFE = a.customValidator(v)
	}
	for i, pin := range v.GetVerifyCertificateSpki() {
		if sum, err := base64.StdEncoding.DecodeString(pin); err != nil || len(sum) != hashSize {
			a.item("verify_certificate_spki", i).errorf("%q is no SHA-256 in base64", pin)
		}
		out.SPKI = append(out.SPKI, pin)
	}
	for i, pin := range v.GetVerifyCertificateHash() {
		plain := strings.ToLower(strings.ReplaceAll(pin, ":", ""))
		if sum, err := hex.DecodeString(plain); err != nil || len(sum) != hashSize {
			a.item("verify_certificate_hash", i).errorf("%q is no SHA-256 in hexadecimal", pin)
		}
		out.Hashes = append(out.Hashes, plain)
	}
	out.AllowExpired = v.GetAllowExpiredCertificate()
	out.AcceptUntrusted = v.GetTrustChainVerification() == tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED
	out.OnlyLeafCRL = v.GetOnlyVerifyLeafCertCrl()
	out.HideAuthorities = v.GetSuppressClientCaList()
	if d := v.GetMaxVerifyDepth(); d != nil {
		if d.GetValue() > maxVerifyDepth {
			a.in("max_verify_depth").errorf("must be from 0 to %d", maxVerifyDepth)
		}
		out.MaxDepth = int(min(d.GetValue(), maxVerifyDepth))
	}
	return out
}

// needsTrust refuses what a validation context that nothing is laid over cannot check without a CA.
func (a *at) needsTrust(v *tlsv3.CertificateValidationContext) {
	if v.GetTrustedCa() != nil || v.GetSystemRootCerts() != nil || v.GetCustomValidatorConfig() != nil {
		return
	}
	if v.GetCrl() != nil {
		a.in("crl").errorf("needs trusted_ca")
	}
	if len(v.GetMatchTypedSubjectAltNames()) > 0 {
		a.in("match_typed_subject_alt_names").errorf("needs trusted_ca: anybody can make a certificate with any name")
	}
	if len(v.GetMatchSubjectAltNames()) > 0 {
		a.in("match_subject_alt_names").errorf("needs trusted_ca: anybody can make a certificate with any name")
	}
	if v.GetAllowExpiredCertificate() {
		a.in("allow_expired_certificate").errorf("needs trusted_ca: without it no time is looked at")
	}
}

// sanMatchers decodes the names that a certificate may have. One without a type is of every type; those count only where
// there are none with a type, as in Envoy.
func (a *at) sanMatchers(v *tlsv3.CertificateValidationContext) (out []config.SANMatcher) {
	for i, m := range v.GetMatchTypedSubjectAltNames() {
		place := a.item("match_typed_subject_alt_names", i)
		place.only(m, sanMatcherFields)
		matcher := place.in("matcher").stringMatcher(m.GetMatcher())
		switch t := m.GetSanType(); t {
		case tlsv3.SubjectAltNameMatcher_DNS:
			out = append(out, config.SANMatcher{Type: config.SANDNS, Match: matcher})
		case tlsv3.SubjectAltNameMatcher_URI:
			out = append(out, config.SANMatcher{Type: config.SANURI, Match: matcher})
		case tlsv3.SubjectAltNameMatcher_EMAIL:
			out = append(out, config.SANMatcher{Type: config.SANEmail, Match: matcher})
		case tlsv3.SubjectAltNameMatcher_IP_ADDRESS:
			out = append(out, config.SANMatcher{Type: config.SANIP, Match: matcher})
		default:
			place.in("san_type").errorf("%s is not supported, only DNS, URI, EMAIL and IP_ADDRESS", t)
		}
	}
	if len(v.GetMatchTypedSubjectAltNames()) > 0 {
		return out
	}
	for i, m := range v.GetMatchSubjectAltNames() {
		matcher := a.item("match_subject_alt_names", i).stringMatcher(m)
		for _, t := range []config.SANType{config.SANDNS, config.SANURI, config.SANEmail, config.SANIP} {
			out = append(out, config.SANMatcher{Type: t, Match: matcher})
		}
	}
	return out
}

// ticketKeys decodes keys of session tickets. The size of those in files is checked when they are read.
func (a *at) ticketKeys(k *tlsv3.TlsSessionTicketKeys) (out []config.DataSource) {
	a.only(k, ticketKeysFields)
	for i, key := range k.GetKeys() {
		source := a.item("keys", i).dataSource(key)
		if n := len(source.Inline); n > 0 && n != ticketKeySize {
			a.item("keys", i).errorf("has %d bytes, must have %d", n, ticketKeySize)
		}
		out = append(out, source)
	}
	if len(out) == 0 {
		a.in("keys").errorf("must not be empty")
	}
	return out
}
