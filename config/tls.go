package config

import (
	"slices"
	"time"
)

// DownstreamTLS is envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext as far as it has a function here.
type DownstreamTLS struct {
	TLS
	RequireClientCertificate bool
	// RequireSNI refuses clients that do not say which server they want.
	RequireSNI bool
	// DisableTickets is disable_stateless_session_resumption. There is no other resumption.
	DisableTickets bool
	// TicketKeys are session_ticket_keys, 80 bytes each: the first seals, all open. Without any the process makes its own.
	TicketKeys []DataSource
	// TicketKeySecret is a Secret with them; without a name there is none.
	TicketKeySecret SecretRef
	Stapling        StaplePolicy
}

// StaplePolicy tells which certificates are shown to a client that asks for an OCSP response (ocsp_staple_policy). One whose
// must-staple extension asks for a response (RFC 7633) is shown by StapleMust, whatever the policy.
type StaplePolicy uint8

// The policies.
const (
	StapleLenient StaplePolicy = iota // any, with its response where that is good
	StapleStrict                      // those without a response, and those whose response is good
	StapleMust                        // those whose response is good
)

// UpstreamTLS is envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext as far as it has a function here.
type UpstreamTLS struct {
	TLS
	// SNI is the server name that is asked for, empty for none.
	SNI string
	// AutoHostSNI asks for the endpoint's host name where it has one.
	AutoHostSNI bool
	// AutoSANValidation has the certificate checked for the name that was asked for.
	AutoSANValidation bool
	// MaxSessionKeys bounds the sessions that are kept for resumption; 0 keeps none.
	MaxSessionKeys uint32
	// PerName has MaxSessionKeys be for each name that requests ask for (auto_sni).
	PerName bool
}

// TLS is envoy.extensions.transport_sockets.tls.v3.CommonTlsContext: what both sides of a connection have.
type TLS struct {
	Certificates []TLSCertificate
	// CertificateSecrets are the Secrets with certificates, beside or instead of Certificates.
	CertificateSecrets []SecretRef
	// Validation says which certificates of the peer are good. Where ValidationSecret has a name too, what that Secret has is
	// laid over it (combined_validation_context). Without either any certificate is.
	Validation       *TLSValidation
	ValidationSecret SecretRef
	ALPN             []string
	// MinVersion and MaxVersion bound the versions; the zero value is the side's default.
	MinVersion, MaxVersion TLSVersion
	// CipherSuites are those of TLS 1.2 by their OpenSSL names, in order of preference, none for the default. A group of
	// equal preference, "[a|b]", is taken apart.
	CipherSuites []string
	// Curves are the names of key exchange groups (ecdh_curves), none for the default.
	Curves []string
}

// HasTrust reports whether the certificate of a peer must lead to an authority, as far as is known before a Secret has come.
func (t *TLS) HasTrust() bool {
	v := t.Validation
	return t.ValidationSecret.Name != "" || v != nil && (v.CA.IsSet() || v.SystemRoots || len(v.SPIFFE) > 0)
}

// Secrets returns the Secrets that t takes part of what it needs from.
func (t *TLS) Secrets() []SecretRef {
	refs := slices.Clone(t.CertificateSecrets)
	if t.ValidationSecret.Name != "" {
		refs = append(refs, t.ValidationSecret)
	}
	return refs
}

// Secrets returns the Secrets that d takes part of what it needs from.
func (d *DownstreamTLS) Secrets() []SecretRef {
	refs := d.TLS.Secrets()
	if d.TicketKeySecret.Name != "" {
		refs = append(refs, d.TicketKeySecret)
	}
	return refs
}

// SecretRef is the name of a Secret, and where it comes from (SdsSecretConfig).
type SecretRef struct {
	Name string
	// Static tells that the bootstrap has the Secret (static_resources.secrets): without an sds_config.
	Static bool
	SDS    Discovery
}

// Key returns the name under which a Snapshot holds the Secret. The key of a static one is none of any ConfigSource.
func (r SecretRef) Key() string {
	if r.Static {
		return r.Name + "\x00static"
	}
	return r.SDS.Source.Key(r.Name)
}

// TLSVersion is a version of TLS.
type TLSVersion uint8

// The versions.
const (
	TLSAuto TLSVersion = iota // tls_minimum_protocol_version and its like are not set
	TLS12
	TLS13
)

// DataSource is where bytes are: in the configuration itself, in a file, or in a variable of the environment. They are what
// it was when it was put into force; a file may change.
type DataSource struct {
	Inline   []byte
	File     string // path, empty for none
	Variable string // name, empty for none
}

// IsSet reports whether d says anything.
func (d DataSource) IsSet() bool { return len(d.Inline) > 0 || d.File != "" || d.Variable != "" }

// TLSCertificate is a certificate that we show, with its private key.
type TLSCertificate struct {
	Chain, Key DataSource
	// Password decrypts Key where that is encrypted; unset for one that is not.
	Password DataSource
	// OCSPStaple is a response in DER that is shown with it.
	OCSPStaple DataSource
}

// TLSValidation is envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext as far as it has a function here.
type TLSValidation struct {
	CA DataSource
	// SystemRoots takes the roots of the operating system for CA.
	SystemRoots bool
	CRL         DataSource
	// SPIFFE are the trust domains that a certificate must be of (custom_validator_config), none for any certificate that leads to CA,
	// which has no say otherwise.
	SPIFFE []TrustDomain
	// SANs are the names of which a certificate must have one, any of them; none asks for no name.
	SANs []SANMatcher
	// SPKI are the hashes of public keys, SHA-256 in base64, and Hashes those of whole certificates, SHA-256 in hexadecimal
	// with or without colons: a certificate must be of one of either.
	SPKI, Hashes []string
	// MaxDepth bounds the certificates after the peer's, the root included, -1 for no bound of its own. 0 and 1 are the same:
	// the root has issued the peer's.
	MaxDepth int
	// AllowExpired takes certificates whose time is over, or not yet there.
	AllowExpired bool
	// AcceptUntrusted takes any certificate, whatever else is asked for (ACCEPT_UNTRUSTED).
	AcceptUntrusted bool
	// OnlyLeafCRL looks only the peer's own certificate up in CRL.
	OnlyLeafCRL bool
	// HideAuthorities does not tell clients which authorities are known (suppress_client_ca_list).
	HideAuthorities bool
}

// TrustDomain is a trust domain of SPIFFE, and the authorities whose certificates are good in it.
type TrustDomain struct {
	Name   string // without "spiffe://"
	Bundle DataSource
}

// SANType is a kind of subject alternative name.
type SANType uint8

// The kinds.
const (
	SANDNS SANType = iota
	SANURI
	SANEmail
	SANIP
)

// SANMatcher is a name that a certificate may have.
type SANMatcher struct {
	Type  SANType
	Match StringMatcher
}

// Secret is envoy.extensions.transport_sockets.tls.v3.Secret: one of its fields is set.
type Secret struct {
	Name        string
	Certificate *TLSCertificate
	Validation  *TLSValidation
	TicketKeys  []DataSource
}

// DefaultTransportSocketTimeout is transport_socket_connect_timeout of a filter chain with TLS that does not set it. Envoy has
// none, and a client that does not shake hands holds memory.
const DefaultTransportSocketTimeout = 15 * time.Second

// ForwardClientCert tells what becomes of x-forwarded-client-cert in requests (forward_client_cert_details).
type ForwardClientCert uint8

// What may become of it. Without a client certificate, it is taken out, but for the last.
const (
	ClientCertSanitize          ForwardClientCert = iota // taken out
	ClientCertForwardOnly                                // passed on as it is
	ClientCertAppendForward                              // and the client's certificate added
	ClientCertSanitizeSet                                // replaced by the client's certificate
	ClientCertAlwaysForwardOnly                          // passed on as it is, whoever sends it
)

// ClientCertDetails are what x-forwarded-client-cert has of a client's certificate beside its hash
// (set_current_client_cert_details).
type ClientCertDetails struct{ Cert, Chain, Subject, URI, DNS bool }
