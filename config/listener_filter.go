package config

import "time"

// Defaults of listener filters.
const (
	DefaultListenerFiltersTimeout = 15 * time.Second // listener_filters_timeout
	DefaultMaxClientHello         = 16 << 10         // max_client_hello_size
)

// ListenerFilter is one entry of listener_filters: it looks at a connection before its filter chain is chosen.
type ListenerFilter struct {
	Name string
	// Config is a TLSInspector, HTTPInspector, ProxyProtocol or OriginalDst.
	Config any
}

// TLSInspector is envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector.
type TLSInspector struct {
	MaxClientHello uint32 // in bytes, 256 to 16384
	// CloseOnError closes connections that do not begin with a ClientHello (close_connection_on_client_hello_parsing_errors).
	CloseOnError bool
}

// HTTPInspector is envoy.extensions.filters.listener.http_inspector.v3.HttpInspector.
type HTTPInspector struct{}

// OriginalDst is envoy.extensions.filters.listener.original_dst.v3.OriginalDst.
type OriginalDst struct{}

// ProxyProtocol is envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.
type ProxyProtocol struct {
	AllowWithout bool // allow_requests_without_proxy_protocol
	// DisallowV1 and DisallowV2 are disallowed_versions. They are not both set.
	DisallowV1, DisallowV2 bool
	StatPrefix             string
}
