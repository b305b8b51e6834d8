package stats

// The statistics of TLSInspector.
const (
	TLSInspectorClientHelloTooLarge = iota
	TLSInspectorTLSFound
	TLSInspectorTLSNotFound
	TLSInspectorALPNFound
	TLSInspectorALPNNotFound
	TLSInspectorSNIFound
	TLSInspectorSNINotFound
	TLSInspectorBytesProcessed
)

// TLSInspector is the schema of "tls_inspector.".
var TLSInspector = NewSchema([]Def{
	TLSInspectorClientHelloTooLarge: {Name: "client_hello_too_large"},
	TLSInspectorTLSFound:            {Name: "tls_found"},
	TLSInspectorTLSNotFound:         {Name: "tls_not_found"},
	TLSInspectorALPNFound:           {Name: "alpn_found"},
	TLSInspectorALPNNotFound:        {Name: "alpn_not_found"},
	TLSInspectorSNIFound:            {Name: "sni_found"},
	TLSInspectorSNINotFound:         {Name: "sni_not_found"},
	TLSInspectorBytesProcessed:      {Name: "bytes_processed", Kind: Histogram, Unit: Bytes},
}...)

// The statistics of HTTPInspector.
const (
	HTTPInspectorReadError = iota
	HTTPInspectorHTTP10Found
	HTTPInspectorHTTP11Found
	HTTPInspectorHTTP2Found
	HTTPInspectorHTTPNotFound
)

// HTTPInspector is the schema of "http_inspector.".
var HTTPInspector = NewSchema([]Def{
	HTTPInspectorReadError:    {Name: "read_error"},
	HTTPInspectorHTTP10Found:  {Name: "http10_found"},
	HTTPInspectorHTTP11Found:  {Name: "http11_found"},
	HTTPInspectorHTTP2Found:   {Name: "http2_found"},
	HTTPInspectorHTTPNotFound: {Name: "http_not_found"},
}...)

// The statistics of ProxyProtocol.
const (
	ProxyProtocolNotFoundAllowed = iota
	ProxyProtocolNotFoundDisallowed
	ProxyProtocolV1Found
	ProxyProtocolV1Disallowed
	ProxyProtocolV1Error
	ProxyProtocolV2Found
	ProxyProtocolV2Disallowed
	ProxyProtocolV2Error
)

// ProxyProtocol is the schema of "proxy_proto." and "proxy_proto.<stat_prefix>.".
var ProxyProtocol = NewSchema([]Def{
	ProxyProtocolNotFoundAllowed:    {Name: "not_found_allowed"},
	ProxyProtocolNotFoundDisallowed: {Name: "not_found_disallowed"},
	ProxyProtocolV1Found:            {Name: "versions.v1.found"},
	ProxyProtocolV1Disallowed:       {Name: "versions.v1.disallowed"},
	ProxyProtocolV1Error:            {Name: "versions.v1.error"},
	ProxyProtocolV2Found:            {Name: "versions.v2.found"},
	ProxyProtocolV2Disallowed:       {Name: "versions.v2.disallowed"},
	ProxyProtocolV2Error:            {Name: "versions.v2.error"},
}...)
