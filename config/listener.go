package config

import (
	"iter"
	"net/netip"
	"reflect"
	"time"
)

// Defaults of envoy.config.listener.v3 and the HTTP connection manager, applied by decoders where a field is absent.
const (
	DefaultBufferLimit        = 1 << 20 // per_connection_buffer_limit_bytes
	DefaultMaxHeaderKB        = 60      // max_request_headers_kb
	DefaultMaxHeaderCount     = 100     // max_headers_count
	DefaultConnectionIdle     = time.Hour
	DefaultStreamIdle         = 5 * time.Minute
	DefaultRouteTimeout       = 15 * time.Second
	DefaultConnectTimeout     = 5 * time.Second
	DefaultDrainTimeout       = 5 * time.Second
	DefaultDelayedClose       = time.Second
	DefaultServerName         = "envoy"
	DefaultInitialFetchExpiry = 15 * time.Second // initial_fetch_timeout
)

// Listener is a socket to accept connections on and what to do with them.
type Listener struct {
	Name       string
	StatPrefix string // stat_prefix, empty: derived from the address
	// ModifyOnly has connections drain when the listener is changed or removed, and not when health checks are made to fail
	// (drain_type MODIFY_ONLY). Inbound is traffic_direction INBOUND, for drains of such listeners alone.
	ModifyOnly, Inbound bool
	Address             Address
	Socket              SocketSettings  // of Address
	Additional          []ListenAddress // additional_addresses
	// Unbound listeners have no sockets (bind_to_port: false): they get the connections that were meant for their addresses from
	// listeners with HandsOff. Their addresses are those of IP.
	Unbound bool
	// HandsOff has a connection whose original destination is known, by a listener filter, go to the listener of that address
	// (use_original_dst).
	HandsOff bool
	// BufferLimit is the soft limit in bytes of what is buffered per connection and direction.
	BufferLimit uint32
	// IgnoreGlobalConnLimit lets connections in beyond the limit on all listeners together (ignore_global_conn_limit,
	// bypass_overload_manager).
	IgnoreGlobalConnLimit bool
	// Filters look at connections, one after the other, before a filter chain is chosen.
	Filters []ListenerFilter
	// FiltersTimeout bounds the time that they take (listener_filters_timeout); 0 is no bound. A connection that is not through
	// by then is closed or, with ContinueOnTimeout, gets the filter chain for what is known of it.
	FiltersTimeout    time.Duration
	ContinueOnTimeout bool
	// AccessLogs are told of every connection that has ended, also of those that get no filter chain.
	AccessLogs []*AccessLog
	// Chains are filter_chains. Which of them a connection gets is what their matches say.
	Chains []*FilterChain
	// Default is default_filter_chain, for connections that no chain matches; nil closes them.
	Default *FilterChain
}

// FilterChain is what becomes of connections.
type FilterChain struct {
	Name string // may be empty
	// Match says which connections the chain is for. The default chain's is not looked at.
	Match ChainMatch
	// HTTP is the chain's HTTP connection manager, or TCP its TCP proxy: one of them is set.
	HTTP *HTTPConnectionManager
	TCP  *TCPProxy
	// TLS is the chain's transport socket, nil for plaintext.
	TLS *DownstreamTLS
	// ConnectTimeout bounds the handshake (transport_socket_connect_timeout); 0 does not.
	ConnectTimeout time.Duration
}

// ChainMatch is envoy.config.listener.v3.FilterChainMatch. What is empty fits every connection; of a list, one entry has to
// fit.
type ChainMatch struct {
	DestinationPort     uint16 // 1 to 65535, 0 is any
	DestinationPrefixes []netip.Prefix
	// ServerNames are lower-case, some of the form "*.suffix".
	ServerNames          []string
	TransportProtocol    string // such as "tls" and "raw_buffer"
	ApplicationProtocols []string
	// DirectSourcePrefixes is about the peer's own address, SourcePrefixes about the client's.
	DirectSourcePrefixes []netip.Prefix
	SourceType           SourceType
	SourcePrefixes       []netip.Prefix
	SourcePorts          []uint16 // 1 to 65535
}

// SourceType tells where a connection comes from.
type SourceType uint8

// The source types.
const (
	SourceAny      SourceType = iota
	SourceLocal               // a loopback address, or the address that the client has connected to
	SourceExternal            // any other
)

// FilterChains returns all chains of l, the default one last.
func (l *Listener) FilterChains() iter.Seq[*FilterChain] {
	return func(yield func(*FilterChain) bool) {
		for _, c := range l.Chains {
			if !yield(c) {
				return
			}
		}
		if l.Default != nil {
			yield(l.Default)
		}
	}
}

// SameButChains reports whether l and other differ in nothing but their filter chains.
func (l *Listener) SameButChains(other *Listener) bool {
	a, b := *l, *other
	a.Chains, a.Default, b.Chains, b.Default = nil, nil, nil, nil
	return reflect.DeepEqual(&a, &b)
}

// Managers returns the HTTP connection managers of l.
func (l *Listener) Managers() iter.Seq[*HTTPConnectionManager] {
	return func(yield func(*HTTPConnectionManager) bool) {
		for c := range l.FilterChains() {
			if c.HTTP != nil && !yield(c.HTTP) {
				return
			}
		}
	}
}

// Address is an IP address and port, or a Unix domain socket.
type Address struct {
	IP   string // textual IPv4 or IPv6 address, "" for a Unix domain socket
	Port uint32 // 0 to 65535; 0 for a listener means any free port
	Path string // of a Unix domain socket, with '@' first an abstract name (unix(7)); "" for none
}

// ServerHeader tells what becomes of the server field of responses (server_header_transformation).
type ServerHeader uint8

// The transformations.
const (
	ServerOverwrite ServerHeader = iota
	ServerAppendIfAbsent
	ServerPassThrough
)

// UnderscoreAction tells what becomes of request fields with an underscore in the name
// (headers_with_underscores_action).
type UnderscoreAction uint8

// The actions.
const (
	UnderscoreAllow UnderscoreAction = iota
	UnderscoreReject
	UnderscoreDrop
)

// EscapedSlashes tells what becomes of a request whose path has an escaped slash, %2F or %5C
// (path_with_escaped_slashes_action).
type EscapedSlashes uint8

// The actions.
const (
	EscapedSlashesKeep                EscapedSlashes = iota
	EscapedSlashesReject                             // answered with 400
	EscapedSlashesUnescapeAndRedirect                // answered with 307 to the unescaped path
	EscapedSlashesUnescapeAndForward
)

// Codec is the codec_type of a connection manager.
type Codec uint8

// The codecs.
const (
	CodecAuto Codec = iota // whichever the first bytes are of
	CodecHTTP1
	CodecHTTP2
)

// HTTPConnectionManager is envoy.extensions.filters.network.http_connection_manager.v3 as far as it has a function here.
type HTTPConnectionManager struct {
	StatPrefix string

	// RouteConfigName names the RouteConfiguration asked for by RDS; it is empty when Routes holds an inline one.
	RouteConfigName string
	// RDS tells where RouteConfigName is asked for.
	RDS    Discovery
	Routes *RouteConfiguration
	// Scopes takes the place of RouteConfigName and Routes (scoped_routes), nil otherwise.
	Scopes *ScopedRoutes

	// Filters are the HTTP filters in order, without the terminal router.
	Filters []HTTPFilter
	Router  Router

	ServerName   string
	ServerHeader ServerHeader
	Via          string

	AccessLogs []*AccessLog
	LocalReply *LocalReply // nil without

	ForwardClientCert ForwardClientCert
	ClientCertDetails ClientCertDetails

	UseRemoteAddress    bool
	XFFNumTrustedHops   uint32
	OriginalIPs         []OriginalIP // original_ip_detection_extensions, in order; with neither of the two before
	SkipXFFAppend       bool
	InternalAddresses   []string // CIDR blocks of internal_address_config; none by default
	InternalUnixSockets bool     // clients on Unix domain sockets are internal (internal_address_config)
	// EarlyMutations are made in requests before anything else, one after the other (early_header_mutation_extensions).
	EarlyMutations []HeaderMutations
	// Scheme is that of all requests, "http" or "https", empty for what it is (scheme_to_overwrite). SchemeOfHost has it follow how
	// the host is spoken to (match_upstream).
	Scheme              string
	SchemeOfHost        bool
	AppendForwardedPort bool // append_x_forwarded_port

	GenerateRequestID         bool
	PreserveExternalRequestID bool
	KeepTraceReason           bool // leaves what a request ID from outside says of tracing in it (pack_trace_reason: false)
	AlwaysSetRequestID        bool // always_set_request_id_in_response
	Proxy100Continue          bool

	EscapedSlashes        EscapedSlashes
	NormalizePath         bool
	MergeSlashes          bool
	StripMatchingHostPort bool
	StripAnyHostPort      bool
	StripTrailingHostDot  bool
	// HostIsServerName refuses requests for another host than the one that the client asked for when hands were shaken.
	HostIsServerName bool

	// Codec is codec_type: which protocols clients may speak.
	Codec Codec
	// HTTP2 is http2_protocol_options.
	HTTP2 HTTP2

	AcceptHTTP10         bool
	DefaultHostForHTTP10 string
	EnableTrailers       bool
	HeaderCase           HeaderCase
	Underscores          UnderscoreAction
	MaxHeaderKB          uint32
	MaxHeaderCount       uint32

	// Timeouts. 0 means none, except where the default comment says otherwise.
	ConnectionIdle        time.Duration  // idle_timeout
	StreamIdle            time.Duration  // stream_idle_timeout
	StreamFlush           *time.Duration // stream_flush_timeout, nil for what StreamIdle is
	RequestTimeout        time.Duration  // request_timeout
	RequestHeadersTimeout time.Duration  // request_headers_timeout
	MaxConnectionDuration time.Duration  // max_connection_duration
	// ConnectionDurationJitter is how much longer that may be by chance, in percent of it, 0 to 100 (max_connection_duration_jitter).
	ConnectionDurationJitter float64
	MaxStreamDuration        time.Duration // max_stream_duration
	DrainTimeout             time.Duration
	DrainJitter              float64       // how much longer that may be by chance, in percent of it, 0 to 100 (drain_timeout_jitter)
	DelayedClose             time.Duration // delayed_close_timeout
	// MaxRequestsPerConnection closes a connection after so many requests, 0 means never.
	MaxRequestsPerConnection uint32

	// Upgrades holds the lower-case protocols that may be upgraded to (upgrade_configs), such as "websocket". "connect" stands
	// for the method CONNECT.
	Upgrades []Upgrade
}

// Upgrade allows or forbids one protocol of the Upgrade field.
type Upgrade struct {
	Type    string // lower-case
	Enabled bool
}

// Router is envoy.extensions.filters.http.router.v3.
type Router struct {
	SuppressEnvoyHeaders bool
}
