package stats

import "strings"

// The statistics of Listener.
const (
	ListenerDownstreamCxDestroy = iota
	ListenerDownstreamCxOverflow
	ListenerDownstreamCxOverloadReject
	ListenerDownstreamCxTotal
	ListenerDownstreamCxTransportSocketConnectTimeout
	ListenerDownstreamGlobalCxOverflow
	ListenerDownstreamListenerFilterError
	ListenerDownstreamListenerFilterRemoteClose
	ListenerDownstreamPreCxTimeout
	ListenerNoFilterChainMatch
	ListenerDownstreamCxActive
	ListenerDownstreamPreCxActive
	ListenerDownstreamCxLengthMs
)

// Listener is the schema of "listener.<address>.".
var Listener = NewSchema([]Def{
	ListenerDownstreamCxDestroy:                       {Name: "downstream_cx_destroy"},
	ListenerDownstreamCxOverflow:                      {Name: "downstream_cx_overflow"},
	ListenerDownstreamCxOverloadReject:                {Name: "downstream_cx_overload_reject"},
	ListenerDownstreamCxTotal:                         {Name: "downstream_cx_total"},
	ListenerDownstreamCxTransportSocketConnectTimeout: {Name: "downstream_cx_transport_socket_connect_timeout"},
	ListenerDownstreamGlobalCxOverflow:                {Name: "downstream_global_cx_overflow"},
	ListenerDownstreamListenerFilterError:             {Name: "downstream_listener_filter_error"},
	ListenerDownstreamListenerFilterRemoteClose:       {Name: "downstream_listener_filter_remote_close"},
	ListenerDownstreamPreCxTimeout:                    {Name: "downstream_pre_cx_timeout"},
	ListenerNoFilterChainMatch:                        {Name: "no_filter_chain_match"},
	ListenerDownstreamCxActive:                        {Name: "downstream_cx_active", Kind: Gauge},
	ListenerDownstreamPreCxActive:                     {Name: "downstream_pre_cx_active", Kind: Gauge},
	ListenerDownstreamCxLengthMs:                      {Name: "downstream_cx_length_ms", Kind: Histogram, Unit: Milliseconds},
}...)

// The statistics of ListenerWorker.
const (
	ListenerWorkerDownstreamCxTotal = iota
	ListenerWorkerDownstreamCxActive
)

// ListenerWorker is the schema of "listener.<address>.worker_<n>.".
var ListenerWorker = NewSchema([]Def{
	ListenerWorkerDownstreamCxTotal:  {Name: "downstream_cx_total"},
	ListenerWorkerDownstreamCxActive: {Name: "downstream_cx_active", Kind: Gauge},
}...)

// The statistics of ListenerHTTP.
const (
	ListenerHTTPDownstreamRqStatus = iota
)

// ListenerHTTP is the schema of "listener.<address>.http.<stat_prefix>.".
var ListenerHTTP = NewSchema([]Def{
	ListenerHTTPDownstreamRqStatus: {Name: "downstream_rq_", Kind: StatusClass},
}...)

// The statistics of SSL.
const (
	SSLConnectionError = iota
	SSLFailVerifyCertHash
	SSLFailVerifyError
	SSLFailVerifyNoCert
	SSLFailVerifySAN
	SSLHandshake
	SSLNoCertificate
	SSLOCSPStapleFailed
	SSLOCSPStapleOmitted
	SSLOCSPStapleRequests
	SSLOCSPStapleResponses
	SSLSessionReused
	SSLWasKeyUsageInvalid
	SSLVersionTLS10
	SSLVersionTLS11
	SSLVersionTLS12
	SSLVersionTLS13
	SSLCipherTLS13AES128GCMSHA256
	SSLCipherTLS13AES256GCMSHA384
	SSLCipherTLS13CHACHA20POLY1305SHA256
	SSLCipherECDHEECDSAAES128GCMSHA256
	SSLCipherECDHEECDSAAES256GCMSHA384
	SSLCipherECDHEECDSACHACHA20POLY1305
	SSLCipherECDHEECDSAAES128SHA
	SSLCipherECDHEECDSAAES256SHA
	SSLCipherECDHERSAAES128GCMSHA256
	SSLCipherECDHERSAAES256GCMSHA384
	SSLCipherECDHERSACHACHA20POLY1305
	SSLCipherECDHERSAAES128SHA
	SSLCipherECDHERSAAES256SHA
	SSLCipherAES128GCMSHA256
	SSLCipherAES256GCMSHA384
	SSLCipherAES128SHA
	SSLCipherAES256SHA
	SSLCurveX25519
	SSLCurveP256
	SSLCurveP384
	SSLCurveP521
	SSLCurveX25519MLKEM768
	SSLSigAlgEcdsaSecp256r1Sha256
	SSLSigAlgEcdsaSecp384r1Sha384
	SSLSigAlgEcdsaSecp521r1Sha512
	SSLSigAlgEd25519
	SSLSigAlgRSAPssRsaeSha256
	SSLSigAlgRSAPssRsaeSha384
	SSLSigAlgRSAPssRsaeSha512
	SSLSigAlgRSAPkcs1Sha256
	SSLSigAlgRSAPkcs1Sha384
	SSLSigAlgRSAPkcs1Sha512
)

// SSL is the schema of "listener.<address>.ssl." and "cluster.<name>.ssl.". Versions, ciphers, curves and signature algorithms
// appear when they are first used.
var SSL = NewSchema([]Def{
	SSLConnectionError:                   {Name: "connection_error"},
	SSLFailVerifyCertHash:                {Name: "fail_verify_cert_hash"},
	SSLFailVerifyError:                   {Name: "fail_verify_error"},
	SSLFailVerifyNoCert:                  {Name: "fail_verify_no_cert"},
	SSLFailVerifySAN:                     {Name: "fail_verify_san"},
	SSLHandshake:                         {Name: "handshake"},
	SSLNoCertificate:                     {Name: "no_certificate"},
	SSLOCSPStapleFailed:                  {Name: "ocsp_staple_failed"},
	SSLOCSPStapleOmitted:                 {Name: "ocsp_staple_omitted"},
	SSLOCSPStapleRequests:                {Name: "ocsp_staple_requests"},
	SSLOCSPStapleResponses:               {Name: "ocsp_staple_responses"},
	SSLSessionReused:                     {Name: "session_reused"},
	SSLWasKeyUsageInvalid:                {Name: "was_key_usage_invalid"},
	SSLVersionTLS10:                      {Name: "versions.TLSv1", Dynamic: true},
	SSLVersionTLS11:                      {Name: "versions.TLSv1.1", Dynamic: true},
	SSLVersionTLS12:                      {Name: "versions.TLSv1.2", Dynamic: true},
	SSLVersionTLS13:                      {Name: "versions.TLSv1.3", Dynamic: true},
	SSLCipherTLS13AES128GCMSHA256:        {Name: "ciphers.TLS_AES_128_GCM_SHA256", Dynamic: true},
	SSLCipherTLS13AES256GCMSHA384:        {Name: "ciphers.TLS_AES_256_GCM_SHA384", Dynamic: true},
	SSLCipherTLS13CHACHA20POLY1305SHA256: {Name: "ciphers.TLS_CHACHA20_POLY1305_SHA256", Dynamic: true},
	SSLCipherECDHEECDSAAES128GCMSHA256:   {Name: "ciphers.ECDHE-ECDSA-AES128-GCM-SHA256", Dynamic: true},
	SSLCipherECDHEECDSAAES256GCMSHA384:   {Name: "ciphers.ECDHE-ECDSA-AES256-GCM-SHA384", Dynamic: true},
	SSLCipherECDHEECDSACHACHA20POLY1305:  {Name: "ciphers.ECDHE-ECDSA-CHACHA20-POLY1305", Dynamic: true},
	SSLCipherECDHEECDSAAES128SHA:         {Name: "ciphers.ECDHE-ECDSA-AES128-SHA", Dynamic: true},
	SSLCipherECDHEECDSAAES256SHA:         {Name: "ciphers.ECDHE-ECDSA-AES256-SHA", Dynamic: true},
	SSLCipherECDHERSAAES128GCMSHA256:     {Name: "ciphers.ECDHE-RSA-AES128-GCM-SHA256", Dynamic: true},
	SSLCipherECDHERSAAES256GCMSHA384:     {Name: "ciphers.ECDHE-RSA-AES256-GCM-SHA384", Dynamic: true},
	SSLCipherECDHERSACHACHA20POLY1305:    {Name: "ciphers.ECDHE-RSA-CHACHA20-POLY1305", Dynamic: true},
	SSLCipherECDHERSAAES128SHA:           {Name: "ciphers.ECDHE-RSA-AES128-SHA", Dynamic: true},
	SSLCipherECDHERSAAES256SHA:           {Name: "ciphers.ECDHE-RSA-AES256-SHA", Dynamic: true},
	SSLCipherAES128GCMSHA256:             {Name: "ciphers.AES128-GCM-SHA256", Dynamic: true},
	SSLCipherAES256GCMSHA384:             {Name: "ciphers.AES256-GCM-SHA384", Dynamic: true},
	SSLCipherAES128SHA:                   {Name: "ciphers.AES128-SHA", Dynamic: true},
	SSLCipherAES256SHA:                   {Name: "ciphers.AES256-SHA", Dynamic: true},
	SSLCurveX25519:                       {Name: "curves.X25519", Dynamic: true},
	SSLCurveP256:                         {Name: "curves.P-256", Dynamic: true},
	SSLCurveP384:                         {Name: "curves.P-384", Dynamic: true},
	SSLCurveP521:                         {Name: "curves.P-521", Dynamic: true},
	SSLCurveX25519MLKEM768:               {Name: "curves.X25519MLKEM768", Dynamic: true},
	SSLSigAlgEcdsaSecp256r1Sha256:        {Name: "sigalgs.ecdsa_secp256r1_sha256", Dynamic: true},
	SSLSigAlgEcdsaSecp384r1Sha384:        {Name: "sigalgs.ecdsa_secp384r1_sha384", Dynamic: true},
	SSLSigAlgEcdsaSecp521r1Sha512:        {Name: "sigalgs.ecdsa_secp521r1_sha512", Dynamic: true},
	SSLSigAlgEd25519:                     {Name: "sigalgs.ed25519", Dynamic: true},
	SSLSigAlgRSAPssRsaeSha256:            {Name: "sigalgs.rsa_pss_rsae_sha256", Dynamic: true},
	SSLSigAlgRSAPssRsaeSha384:            {Name: "sigalgs.rsa_pss_rsae_sha384", Dynamic: true},
	SSLSigAlgRSAPssRsaeSha512:            {Name: "sigalgs.rsa_pss_rsae_sha512", Dynamic: true},
	SSLSigAlgRSAPkcs1Sha256:              {Name: "sigalgs.rsa_pkcs1_sha256", Dynamic: true},
	SSLSigAlgRSAPkcs1Sha384:              {Name: "sigalgs.rsa_pkcs1_sha384", Dynamic: true},
	SSLSigAlgRSAPkcs1Sha512:              {Name: "sigalgs.rsa_pkcs1_sha512", Dynamic: true},
}...)

// The statistics of SSLSocketFactory.
const (
	SSLSocketFactoryDownstreamContextSecretsNotReady = iota
	SSLSocketFactorySSLContextUpdateBySds
	SSLSocketFactoryUpstreamContextSecretsNotReady
)

// SSLSocketFactory is the schema of "listener.<address>.server_ssl_socket_factory." and "cluster.<name>.client_ssl_socket_factory.".
var SSLSocketFactory = NewSchema([]Def{
	SSLSocketFactoryDownstreamContextSecretsNotReady: {Name: "downstream_context_secrets_not_ready"},
	SSLSocketFactorySSLContextUpdateBySds:            {Name: "ssl_context_update_by_sds"},
	SSLSocketFactoryUpstreamContextSecretsNotReady:   {Name: "upstream_context_secrets_not_ready"},
}...)

// SSLNamed returns the statistic of SSL with a name in a family, such as "TLSv1.3" in "versions.". It does not allocate.
func SSLNamed(family, name string) (index int, ok bool) {
	for i := range SSL.Len() {
		if rest, found := strings.CutPrefix(SSL.Def(i).Name, family); found && rest == name {
			return i, true
		}
	}
	return 0, false
}
