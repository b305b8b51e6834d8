package http2

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Options are the settings of one side of HTTP/2 connections, as a listener or a cluster chooses them: Envoy's
// Http2ProtocolOptions, and what of the common options concerns the codec. An Options is not changed while a connection uses
// it, and is shared by any number of them. OptionsOf makes one; a listener adds what concerns its clients: Underscores,
// MaxPrematureResets and PrematureResetAge.
type Options struct {
	// TableSize is what we announce as SETTINGS_HEADER_TABLE_SIZE, in bytes: hpack_table_size.
	TableSize uint32
	// MaxStreams is what we announce as SETTINGS_MAX_CONCURRENT_STREAMS, or open at a time as a client:
	// max_concurrent_streams.
	MaxStreams uint32
	// StreamWindow and ConnWindow are the windows that we grant, in bytes: initial_stream_window_size and
	// initial_connection_window_size. Both are 65,535 at least: so much a peer may send before it knows.
	StreamWindow, ConnWindow uint32
	// AllowConnect announces SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441): allow_connect.
	AllowConnect bool
	// AllowMetadata passes METADATA frames on in both directions; without it they are frames of an unknown type:
	// allow_metadata.
	AllowMetadata bool

	// HeaderBytes bounds the field section of a message and, separately, its trailers: the sum over all fields of name and
	// value and 32 bytes each (RFC 9113 section 6.5.2).
	HeaderBytes int
	// FieldCount bounds the field lines of a message and, separately, its trailers.
	FieldCount int
	// Underscores says what happens to request fields with an underscore in their name.
	Underscores UnderscoreAction

	// MaxOutboundFrames bounds the frames that wait for the peer to read them: max_outbound_frames.
	MaxOutboundFrames int
	// MaxOutboundControlFrames bounds those of them that answer frames of the peer (PING, SETTINGS and RST_STREAM):
	// max_outbound_control_frames.
	MaxOutboundControlFrames int
	// MaxEmptyFrames bounds consecutive HEADERS, CONTINUATION and DATA frames that carry nothing and end nothing:
	// max_consecutive_inbound_frames_with_empty_payload.
	MaxEmptyFrames int
	// MaxPriorityFrames bounds PRIORITY frames for each stream that is open, and for the connection by itself:
	// max_inbound_priority_frames_per_stream.
	MaxPriorityFrames int
	// MaxWindowUpdates bounds WINDOW_UPDATE frames for each DATA frame sent:
	// max_inbound_window_update_frames_per_data_frame_sent.
	MaxWindowUpdates int
	// MaxPrematureResets is the number of streams of a client that end before they were answered after which the
	// connection is closed if they are half of all: the runtime key overload.premature_reset_total_stream_count. The side of
	// the client does not need it.
	MaxPrematureResets int
	// PrematureResetAge is the age from which a stream that is reset is not counted:
	// overload.premature_reset_min_stream_lifetime_seconds.
	PrematureResetAge time.Duration

	// StrictMessages ends the connection after a malformed message, and not its stream only:
	// override_stream_error_on_invalid_http_message is false.
	StrictMessages bool

	// KeepaliveInterval is how often a PING is sent, 0 for never: connection_keepalive.interval.
	KeepaliveInterval time.Duration
	// KeepaliveTimeout is how long its answer may take: connection_keepalive.timeout.
	KeepaliveTimeout time.Duration
	// KeepaliveIdle is the time without a frame of the peer after which a PING precedes a new stream, 0 for never:
	// connection_keepalive.connection_idle_interval.
	KeepaliveIdle time.Duration
	// KeepaliveJitter is by how many percent the interval is made longer at most, at random:
	// connection_keepalive.interval_jitter.
	KeepaliveJitter uint32
}

// UnderscoreAction is Envoy's headers_with_underscores_action.
type UnderscoreAction uint8

// The actions.
const (
	UnderscoreAllow UnderscoreAction = iota
	UnderscoreReject
	UnderscoreDrop
)

// Limits that nobody needs to set.
const (
	// maxSettings is the number of parameters in a SETTINGS frame. There are eight of them to date (CVE-2020-11080).
	maxSettings = 32
	// settingsBurst and settingsPerSecond bound SETTINGS frames, each of which may change the windows of all streams or the
	// compression table (CVE-2026-78669, CVE-2026-97032). Estimators of bandwidth send one now and then.
	settingsBurst     = 100
	settingsPerSecond = 10
	// defaultTableSize is the initial value of SETTINGS_HEADER_TABLE_SIZE.
	defaultTableSize = 4 << 10
	// blockSlack is by how much a field block may exceed the limit on the fields in it before its connection ends: a frame, so
	// that who has sent a little too much gets an answer.
	blockSlack = minMaxFrameSize
	// maxMethodLength is far above any registered method (the longest has 17 characters).
	maxMethodLength = 64
	// maxHeads is how many response heads may wait to be read: the final one, and the informational ones before it, of which an
	// exchange takes 16.
	maxHeads = 16 + 1
	// maxSlack is how many bytes the streams of a connection to a host may leave untaken before that is held against the
	// connection. They belong to different clients, of whom some do not read; the others have to go on.
	maxSlack = 256 << 20
)

// OptionsOf returns the options that a configuration asks for, with limits on the bytes and number of the fields of a message.
func OptionsOf(h *config.HTTP2, headerKB, fieldCount uint32) *Options {
	return &Options{
		TableSize: h.TableSize, MaxStreams: h.MaxStreams, StreamWindow: h.StreamWindow, ConnWindow: h.ConnWindow,
		AllowConnect: h.AllowConnect, AllowMetadata: h.AllowMetadata,
		HeaderBytes: int(headerKB) << 10, FieldCount: int(fieldCount),
		MaxOutboundFrames: int(h.MaxOutboundFrames), MaxOutboundControlFrames: int(h.MaxOutboundControlFrames),
		MaxEmptyFrames: int(h.MaxEmptyFrames), MaxPriorityFrames: int(h.MaxPriorityFrames),
		MaxWindowUpdates:  int(h.MaxWindowUpdates),
		StrictMessages:    h.StrictMessages,
		KeepaliveInterval: h.KeepaliveInterval, KeepaliveTimeout: h.KeepaliveTimeout,
		KeepaliveIdle: h.KeepaliveIdle, KeepaliveJitter: h.KeepaliveJitter,
	}
}
