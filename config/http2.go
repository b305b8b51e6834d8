package config

import "time"

// HTTP2 is envoy.config.core.v3.Http2ProtocolOptions. DefaultHTTP2 has the defaults; the zero value has no meaning.
type HTTP2 struct {
	TableSize    uint32 // hpack_table_size, bytes
	MaxStreams   uint32 // max_concurrent_streams
	StreamWindow uint32 // initial_stream_window_size, bytes
	ConnWindow   uint32 // initial_connection_window_size, bytes

	AllowConnect  bool
	AllowMetadata bool

	MaxOutboundFrames        uint32
	MaxOutboundControlFrames uint32
	MaxEmptyFrames           uint32 // max_consecutive_inbound_frames_with_empty_payload
	MaxPriorityFrames        uint32 // max_inbound_priority_frames_per_stream
	MaxWindowUpdates         uint32 // max_inbound_window_update_frames_per_data_frame_sent

	// StrictMessages ends the connection after a malformed message, and not its stream only.
	StrictMessages bool

	// connection_keepalive. An interval of 0 sends no pings.
	KeepaliveInterval time.Duration
	KeepaliveTimeout  time.Duration
	KeepaliveIdle     time.Duration // connection_idle_interval
	KeepaliveJitter   uint32        // interval_jitter, percent
}

// Defaults of envoy.config.core.v3.Http2ProtocolOptions, with Envoy's reasons where it gives any.
const (
	DefaultHTTP2TableSize    = 4 << 10 // RFC 7541
	DefaultHTTP2MaxStreams   = 1024    // "for safety and should be sufficient for most use cases"
	DefaultHTTP2StreamWindow = 16 << 20
	DefaultHTTP2ConnWindow   = 24 << 20

	// Frames that wait are memory that a peer has us hold by not reading (CVE-2019-9512, 9514, 9515).
	DefaultHTTP2Outbound = 10_000
	DefaultHTTP2Control  = 1_000
	// Empty frames "have no legitimate use and are abusive" (CVE-2019-9518).
	DefaultHTTP2EmptyFrames = 1
	// The priority tree was for reordering now and then (CVE-2019-9513). We have none; the frames cost time still.
	DefaultHTTP2Priority = 100
	// One update for each frame is basic flow control, two is with an estimate of the bandwidth (CVE-2019-9511, 9517).
	DefaultHTTP2WindowUpdates = 10

	DefaultHTTP2Jitter = 15
)

// DefaultHTTP2 returns what applies where nothing is set.
func DefaultHTTP2() HTTP2 {
	return HTTP2{
		TableSize: DefaultHTTP2TableSize, MaxStreams: DefaultHTTP2MaxStreams,
		StreamWindow: DefaultHTTP2StreamWindow, ConnWindow: DefaultHTTP2ConnWindow,
		MaxOutboundFrames: DefaultHTTP2Outbound, MaxOutboundControlFrames: DefaultHTTP2Control,
		MaxEmptyFrames: DefaultHTTP2EmptyFrames, MaxPriorityFrames: DefaultHTTP2Priority, MaxWindowUpdates: DefaultHTTP2WindowUpdates,
		KeepaliveJitter: DefaultHTTP2Jitter,
	}
}
