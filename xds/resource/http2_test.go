package resource_test

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// everyHTTP2Option sets every option of HTTP/2 that has a function to something else than its default.
const everyHTTP2Option = "hpack_table_size: 1, max_concurrent_streams: 2, initial_stream_window_size: 65536, " +
	"initial_connection_window_size: 65537, allow_connect: true, allow_metadata: true, max_outbound_frames: 3, " +
	"max_outbound_control_frames: 4, max_consecutive_inbound_frames_with_empty_payload: 0, " +
	"max_inbound_priority_frames_per_stream: 5, max_inbound_window_update_frames_per_data_frame_sent: 6, " +
	"override_stream_error_on_invalid_http_message: false, " +
	"connection_keepalive: {interval: 7s, timeout: 8s, interval_jitter: {value: 9}, connection_idle_interval: 10s}"

// allHTTP2Options is what everyHTTP2Option is decoded to.
func allHTTP2Options() config.HTTP2 {
	h := config.DefaultHTTP2()
	h.TableSize, h.MaxStreams, h.StreamWindow, h.ConnWindow = 1, 2, 65536, 65537
	h.AllowConnect, h.AllowMetadata = true, true
	h.MaxOutboundFrames, h.MaxOutboundControlFrames, h.MaxEmptyFrames = 3, 4, 0
	h.MaxPriorityFrames, h.MaxWindowUpdates = 5, 6
	h.StrictMessages = true
	h.KeepaliveInterval, h.KeepaliveTimeout, h.KeepaliveIdle, h.KeepaliveJitter = 7*time.Second, 8*time.Second, 10*time.Second, 9
	return h
}
