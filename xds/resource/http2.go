//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	http2Fields = fields{
		"hpack_table_size": decoded, "max_concurrent_streams": decoded, "initial_stream_window_size": decoded,
		"initial_connection_window_size": decoded, "allow_connect": decoded, "allow_metadata": decoded,
		"max_outbound_frames": decoded, "max_outbound_control_frames": decoded,
		"max_consecutive_inbound_frames_with_empty_payload":    decoded,
		"max_inbound_priority_frames_per_stream":               decoded,
		"max_inbound_window_update_frames_per_data_frame_sent": decoded,
		"stream_error_on_invalid_http_messaging":               onlyTrue, // false cannot be told from nothing
		"override_stream_error_on_invalid_http_message":        decoded,
		"connection_keepalive":                                 decoded,

		"use_oghttp2_codec":       noEffect, // there is one codec
		"enable_huffman_encoding": noEffect, // a choice between CPU time and bytes, which the codec makes for each string
	}
	keepaliveFields = fields{
		"interval": decoded, "timeout": decoded, "interval_jitter": decoded, "connection_idle_interval": decoded,
	}
)

// http2 decodes the options of HTTP/2, over the defaults where o is nil.
func (a *at) http2(o *corev3.Http2ProtocolOptions) config.HTTP2 {
	out := config.DefaultHTTP2()
	if o == nil {
		return out
	}
	a.only(o, http2Fields)
	out.TableSize = orUint32(o.GetHpackTableSize(), out.TableSize)
	out.MaxStreams = orUint32(o.GetMaxConcurrentStreams(), out.MaxStreams)
	out.StreamWindow = orUint32(o.GetInitialStreamWindowSize(), out.StreamWindow)
	out.ConnWindow = orUint32(o.GetInitialConnectionWindowSize(), out.ConnWindow)
	out.AllowConnect, out.AllowMetadata = o.GetAllowConnect(), o.GetAllowMetadata()
	out.MaxOutboundFrames = orUint32(o.GetMaxOutboundFrames(), out.MaxOutboundFrames)
	out.MaxOutboundControlFrames = orUint32(o.GetMaxOutboundControlFrames(), out.MaxOutboundControlFrames)
	out.MaxEmptyFrames = orUint32(o.GetMaxConsecutiveInboundFramesWithEmptyPayload(), out.MaxEmptyFrames)
	out.MaxPriorityFrames = orUint32(o.GetMaxInboundPriorityFramesPerStream(), out.MaxPriorityFrames)
	out.MaxWindowUpdates = orUint32(o.GetMaxInboundWindowUpdateFramesPerDataFrameSent(), out.MaxWindowUpdates)
	if strict := o.GetOverrideStreamErrorOnInvalidHttpMessage(); strict != nil {
		out.StrictMessages = !strict.GetValue()
	}
	a.in("connection_keepalive").keepalive(o.GetConnectionKeepalive(), &out)
	return out
}

// keepalive decodes connection_keepalive.
func (a *at) keepalive(k *corev3.KeepaliveSettings, out *config.HTTP2) {
	if k == nil {
		return
	}
	a.only(k, keepaliveFields)
	out.KeepaliveInterval = a.duration("interval", k.GetInterval(), 0)
	out.KeepaliveTimeout = a.positive("timeout", k.GetTimeout(), 0)
	out.KeepaliveIdle = a.duration("connection_idle_interval", k.GetConnectionIdleInterval(), 0)
	if k.GetTimeout() == nil {
		a.in("timeout").errorf("must be set")
	}
	if jitter := k.GetIntervalJitter(); jitter != nil {
		v := jitter.GetValue()
		if v < 0 || v > 100 {
			a.in("interval_jitter").errorf("must be from 0 to 100 percent")
			return
		}
		out.KeepaliveJitter = uint32(v)
	}
}
