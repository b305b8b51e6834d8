package http2

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// faultCase is a mistake of a peer, and what it costs.
type faultCase struct {
	name string
	rfc  string // section of RFC 9113 that says so, unless it names another
	play func(p *peer)
	want string // frames that answer it, one a line
}

const (
	tooLarge   = minMaxFrameSize + 1
	selfBlock  = "\x00\x00\x00\x01\x10" // priority fields of a stream 1 that depends on itself
	otherBlock = "\x00\x00\x00\x03\x10" // of one that depends on stream 3
)

// serverFaults are mistakes of clients. Settings have been exchanged, but where the name says otherwise.
var serverFaults = []faultCase{
	// Frames in general.
	{"DATA above SETTINGS_MAX_FRAME_SIZE", "4.2", func(p *peer) { p.post(1).data(1, 0, strings.Repeat("x", tooLarge)) },
		"GOAWAY 1 FRAME_SIZE_ERROR frame exceeds SETTINGS_MAX_FRAME_SIZE"},
	{"HEADERS above SETTINGS_MAX_FRAME_SIZE", "4.2", func(p *peer) { p.raw(http2.FrameHeaders, 0, 1, strings.Repeat("x", tooLarge)) },
		"GOAWAY 0 FRAME_SIZE_ERROR frame exceeds SETTINGS_MAX_FRAME_SIZE"},
	{"unknown frame above SETTINGS_MAX_FRAME_SIZE", "4.2", func(p *peer) { p.raw(0xee, 0, 0, strings.Repeat("x", tooLarge)) },
		"GOAWAY 0 FRAME_SIZE_ERROR frame exceeds SETTINGS_MAX_FRAME_SIZE"},
	{"PUSH_PROMISE", "8.4", func(p *peer) { p.post(1).raw(http2.FramePushPromise, endHeaders, 1, "\x00\x00\x00\x02") },
		"GOAWAY 1 PROTOCOL_ERROR PUSH_PROMISE without push"},
	{"RST_STREAM of 3 bytes", "6.4", func(p *peer) { p.post(1).raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00") },
		"GOAWAY 1 FRAME_SIZE_ERROR frame of a wrong size"},
	{"RST_STREAM of 5 bytes", "6.4", func(p *peer) { p.post(1).raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00\x00\x00") },
		"GOAWAY 1 FRAME_SIZE_ERROR frame of a wrong size"},
	{"RST_STREAM on stream 0", "6.4", func(p *peer) { p.reset(0, http2.ErrCodeCancel) },
		"GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	// A stream error would do; section 5.4.1 lets it be one of the connection.
	{"PRIORITY of 4 bytes", "6.3", func(p *peer) { p.post(1).raw(http2.FramePriority, 0, 1, "\x00\x00\x00\x00") },
		"GOAWAY 1 FRAME_SIZE_ERROR malformed frame"},
	{"PRIORITY on stream 0", "6.3", func(p *peer) { p.priority(0, 3) }, "GOAWAY 0 PROTOCOL_ERROR malformed frame"},
	{"PRIORITY of a stream that depends on itself", "RFC 7540 section 5.3.1", func(p *peer) { p.post(1).priority(1, 1) },
		"RST_STREAM 1 PROTOCOL_ERROR"},

	// SETTINGS.
	{"SETTINGS on a stream", "6.5", func(p *peer) { p.raw(http2.FrameSettings, 0, 1, "") }, "GOAWAY 0 PROTOCOL_ERROR malformed frame"},
	{"SETTINGS of 5 bytes", "6.5", func(p *peer) { p.raw(http2.FrameSettings, 0, 0, "\x00\x03\x00\x00\x00") },
		"GOAWAY 0 FRAME_SIZE_ERROR malformed frame"},
	{"SETTINGS acknowledgement with a parameter", "6.5", func(p *peer) {
		p.raw(http2.FrameSettings, http2.FlagSettingsAck, 0, "\x00\x03\x00\x00\x00\x01")
	}, "GOAWAY 0 FRAME_SIZE_ERROR acknowledgement of SETTINGS has a payload"},
	{"ENABLE_PUSH 2", "6.5.2", func(p *peer) { p.settings(http2.Setting{ID: http2.SettingEnablePush, Val: 2}) },
		"GOAWAY 0 PROTOCOL_ERROR setting has a value that it may not have"},
	{"INITIAL_WINDOW_SIZE 2^31", "6.5.2", func(p *peer) { p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}) },
		"GOAWAY 0 FLOW_CONTROL_ERROR malformed frame"},
	{"MAX_FRAME_SIZE 2^14-1", "6.5.2", func(p *peer) { p.settings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1<<14 - 1}) },
		"GOAWAY 0 PROTOCOL_ERROR setting has a value that it may not have"},
	{"MAX_FRAME_SIZE 2^24", "6.5.2", func(p *peer) { p.settings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 24}) },
		"GOAWAY 0 PROTOCOL_ERROR setting has a value that it may not have"},
	{"ENABLE_CONNECT_PROTOCOL 2", "RFC 8441 section 3", func(p *peer) {
		p.settings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 2})
	}, "GOAWAY 0 PROTOCOL_ERROR setting has a value that it may not have"},
	{"INITIAL_WINDOW_SIZE that takes a stream's window above 2^31-1", "6.9.2", func(p *peer) {
		p.post(1).windowUpdate(1, maxWindow-initialWindow).settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: initialWindow + 1})
	}, "GOAWAY 1 FLOW_CONTROL_ERROR stream window exceeds 2^31-1"},

	// PING and GOAWAY.
	{"PING of 7 bytes", "6.7", func(p *peer) { p.ping("1234567") }, "GOAWAY 0 FRAME_SIZE_ERROR malformed frame"},
	{"PING of 9 bytes", "6.7", func(p *peer) { p.ping("123456789") }, "GOAWAY 0 FRAME_SIZE_ERROR malformed frame"},
	{"PING on a stream", "6.7", func(p *peer) { p.raw(http2.FramePing, 0, 1, "12345678") }, "GOAWAY 0 PROTOCOL_ERROR malformed frame"},
	{"GOAWAY on a stream", "6.8", func(p *peer) { p.raw(http2.FrameGoAway, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00") },
		"GOAWAY 0 PROTOCOL_ERROR malformed frame"},
	{"GOAWAY of 7 bytes", "6.8", func(p *peer) { p.raw(http2.FrameGoAway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00") },
		"GOAWAY 0 FRAME_SIZE_ERROR malformed frame"},

	// WINDOW_UPDATE.
	{"WINDOW_UPDATE of 3 bytes", "6.9", func(p *peer) { p.raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x01") },
		"GOAWAY 0 FRAME_SIZE_ERROR frame of a wrong size"},
	{"WINDOW_UPDATE of 5 bytes", "6.9", func(p *peer) { p.raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00\x01") },
		"GOAWAY 0 FRAME_SIZE_ERROR frame of a wrong size"},
	{"WINDOW_UPDATE of the connection by 0", "6.9", func(p *peer) { p.windowUpdate(0, 0) }, "GOAWAY 0 PROTOCOL_ERROR WINDOW_UPDATE by 0"},
	{"WINDOW_UPDATE of a stream by 0", "6.9", func(p *peer) { p.post(1).windowUpdate(1, 0) }, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"WINDOW_UPDATE with the reserved bit and 0", "6.9", func(p *peer) { p.post(1).raw(http2.FrameWindowUpdate, 0, 1, "\x80\x00\x00\x00") },
		"RST_STREAM 1 PROTOCOL_ERROR"},
	{"connection window above 2^31-1", "6.9.1", func(p *peer) { p.windowUpdate(0, maxWindow-initialWindow+1) },
		"GOAWAY 0 FLOW_CONTROL_ERROR connection window exceeds 2^31-1"},
	{"stream window above 2^31-1", "6.9.1", func(p *peer) { p.post(1).windowUpdate(1, maxWindow-initialWindow+1) },
		"RST_STREAM 1 FLOW_CONTROL_ERROR"},

	// Identifiers and states.
	{"even stream", "5.1.1", func(p *peer) { p.get(2) },
		"GOAWAY 0 PROTOCOL_ERROR stream identifier is not the initiator's or not the next"},
	{"HEADERS on stream 0", "6.2", func(p *peer) { p.get(0) }, "GOAWAY 0 PROTOCOL_ERROR HEADERS on stream 0"},
	{"DATA on stream 0", "6.1", func(p *peer) { p.data(0, 0, "x") }, "GOAWAY 0 PROTOCOL_ERROR DATA on stream 0"},
	{"stream below one that was opened", "5.1.1", func(p *peer) { p.post(5).post(3) },
		"GOAWAY 5 PROTOCOL_ERROR stream identifier is not the initiator's or not the next"},
	{"DATA on an idle stream", "5.1", func(p *peer) { p.data(1, 0, "x") }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"DATA on an idle stream of ours", "5.1", func(p *peer) { p.data(2, 0, "x") }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"RST_STREAM on an idle stream", "5.1", func(p *peer) { p.reset(1, http2.ErrCodeCancel) }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"WINDOW_UPDATE on an idle stream", "5.1", func(p *peer) { p.windowUpdate(1, 1) }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"DATA on a half-closed stream", "5.1", func(p *peer) { p.get(1).data(1, 0, "x") }, "RST_STREAM 1 STREAM_CLOSED"},
	{"HEADERS on a half-closed stream", "5.1", func(p *peer) { p.get(1).get(1) }, "RST_STREAM 1 STREAM_CLOSED"},
	{"DATA on a stream that the client reset", "5.1", func(p *peer) { p.post(1).reset(1, http2.ErrCodeCancel).data(1, 0, "x") },
		"RST_STREAM 1 STREAM_CLOSED"},
	{"HEADERS on a stream that the client reset", "5.1", func(p *peer) { p.post(1).reset(1, http2.ErrCodeCancel).get(1) },
		"GOAWAY 1 STREAM_CLOSED frame on a closed stream"},
	{"DATA on a stream that a later one has closed", "5.1.1", func(p *peer) { p.post(3).data(1, 0, "x") },
		"RST_STREAM 1 STREAM_CLOSED"},

	// Padding.
	{"DATA padded by its own length", "6.1", func(p *peer) { p.post(1).data(1, padded, "\x03ab") },
		"GOAWAY 1 PROTOCOL_ERROR padding is longer than the frame"},
	{"padded DATA of no bytes", "6.1", func(p *peer) { p.post(1).data(1, padded, "") }, "GOAWAY 1 FRAME_SIZE_ERROR frame of a wrong size"},
	{"HEADERS padded by their own length", "6.2", func(p *peer) { p.raw(http2.FrameHeaders, endHeaders|padded, 1, "\x03\x82\x84") },
		"GOAWAY 0 PROTOCOL_ERROR padding is longer than the frame"},
	{"padded HEADERS of no bytes", "6.2", func(p *peer) { p.raw(http2.FrameHeaders, endHeaders|padded, 1, "") },
		"GOAWAY 0 FRAME_SIZE_ERROR frame of a wrong size"},
	{"HEADERS too short for their priority", "6.2", func(p *peer) { p.raw(http2.FrameHeaders, endHeaders|priority, 1, "\x00\x00\x00\x00") },
		"GOAWAY 0 FRAME_SIZE_ERROR frame of a wrong size"},
	{"HEADERS of a stream that depends on itself", "RFC 7540 section 5.3.1", func(p *peer) {
		p.raw(http2.FrameHeaders, endHeaders|endStream|priority, 1, selfBlock+string(p.encode(getFields...)))
	}, "RST_STREAM 1 PROTOCOL_ERROR"},

	// Field blocks.
	{"frame of another type in a field block", "4.3", func(p *peer) { p.raw(http2.FrameHeaders, 0, 1, "").ping("12345678") },
		"GOAWAY 0 PROTOCOL_ERROR field block is interrupted"},
	{"unknown frame in a field block", "5.5", func(p *peer) { p.raw(http2.FrameHeaders, 0, 1, "").raw(0xee, 0, 1, "") },
		"GOAWAY 0 PROTOCOL_ERROR field block is interrupted"},
	{"CONTINUATION of another stream", "6.10", func(p *peer) { p.raw(http2.FrameHeaders, 0, 1, "\x82").continuation(3, endHeaders, "\x84") },
		"GOAWAY 0 PROTOCOL_ERROR field block is interrupted"},
	{"HEADERS in a field block", "4.3", func(p *peer) { p.raw(http2.FrameHeaders, 0, 1, "\x82").get(3) },
		"GOAWAY 0 PROTOCOL_ERROR field block is interrupted"},
	{"CONTINUATION without HEADERS", "6.10", func(p *peer) { p.continuation(1, endHeaders, "\x82") },
		"GOAWAY 0 PROTOCOL_ERROR CONTINUATION without HEADERS"},
	{"CONTINUATION after END_HEADERS", "6.10", func(p *peer) { p.post(1).continuation(1, endHeaders, "\x82") },
		"GOAWAY 1 PROTOCOL_ERROR CONTINUATION without HEADERS"},
	{"index that is not in a table", "RFC 7541 section 2.3.3", func(p *peer) { p.raw(http2.FrameHeaders, endHeaders|endStream, 1, "\xff\x7f") },
		"GOAWAY 1 COMPRESSION_ERROR field block cannot be decoded"},
	{"table size update after a field", "RFC 7541 section 4.2", func(p *peer) { p.raw(http2.FrameHeaders, endHeaders|endStream, 1, "\x82\x20") },
		"GOAWAY 1 COMPRESSION_ERROR field block cannot be decoded"},
	{"field block that ends in a field", "4.3", func(p *peer) { p.raw(http2.FrameHeaders, endHeaders|endStream, 1, "\x82\x40\x05ab") },
		"GOAWAY 1 COMPRESSION_ERROR field block cannot be decoded"},
	{"undecodable trailers", "4.3", func(p *peer) { p.post(1).raw(http2.FrameHeaders, endHeaders|endStream, 1, "\xff\x7f") },
		"GOAWAY 1 COMPRESSION_ERROR field block cannot be decoded"},
	{"undecodable block on a half-closed stream", "4.3", func(p *peer) { p.get(1).raw(http2.FrameHeaders, endHeaders, 1, "\xff\x7f") },
		"GOAWAY 1 COMPRESSION_ERROR field block cannot be decoded"},

	// Messages.
	{"trailers without END_STREAM", "8.1", func(p *peer) { p.post(1).headers(1, 0, "x", "y") }, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"trailers with a pseudo-header field", "8.1", func(p *peer) { p.post(1).headers(1, endStream, ":path", "/") }, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"trailers with a connection's field", "8.2.2", func(p *peer) { p.post(1).headers(1, endStream, "connection", "close") },
		"RST_STREAM 1 PROTOCOL_ERROR"},
	{"less DATA than content-length", "8.1.1", func(p *peer) {
		p.headers(1, 0, with(postFields, "content-length", "3")...).data(1, endStream, "ab")
	}, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"more DATA than content-length", "8.1.1", func(p *peer) {
		p.headers(1, 0, with(postFields, "content-length", "3")...).data(1, 0, "abcd")
	}, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"trailers before content-length is met", "8.1.1", func(p *peer) {
		p.headers(1, 0, with(postFields, "content-length", "3")...).headers(1, endStream, "x", "y")
	}, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"no DATA and a content-length", "8.1.1", func(p *peer) { p.headers(1, endStream, with(postFields, "content-length", "3")...) },
		"RST_STREAM 1 PROTOCOL_ERROR"},
}

// TestServerFaults has a client make each mistake on a connection of its own.
func TestServerFaults(t *testing.T) {
	for _, c := range serverFaults {
		t.Run(c.name, func(t *testing.T) {
			s, p := newServer(t, testOptions())
			c.play(p)
			p.finish(&s.conn)
			checkFault(t, c, p, &s.conn, s.ends)
		})
	}
}

// checkFault compares what has come of a mistake. A connection that goes on must be of use.
func checkFault(t *testing.T, c faultCase, p *peer, conn *conn, ends []error) {
	t.Helper()
	p.want(strings.Split(c.want, "\n")...)
	if strings.Contains(c.want, "GOAWAY") {
		wantEnded(t, ends, ErrProtocol)
		return
	}
	if conn.dead {
		t.Fatalf("the connection has ended: %v", ends)
	}
	p.ping("to go on").turn()
	p.want("PING ACK to go on")
}

// serverPrefaces are beginnings of a connection that are none.
var serverPrefaces = []faultCase{
	{"another protocol", "3.4", func(p *peer) { p.WriteString("GET / HTTP/1.1\r\n\r\n") }, "GOAWAY 0 PROTOCOL_ERROR invalid connection preface"},
	{"preface with a wrong end", "3.4", func(p *peer) { p.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r") },
		"GOAWAY 0 PROTOCOL_ERROR invalid connection preface"},
	{"first frame is not SETTINGS", "3.4", func(p *peer) { p.WriteString(http2.ClientPreface); p.get(1) },
		"GOAWAY 0 PROTOCOL_ERROR first frame is not SETTINGS"},
	{"first frame is an acknowledgement of SETTINGS", "3.4", func(p *peer) { p.WriteString(http2.ClientPreface); p.settingsAck() },
		"GOAWAY 0 PROTOCOL_ERROR first frame is not SETTINGS"},
	{"first frame is an acknowledgement with a payload, which is still to come", "6.5", func(p *peer) {
		p.WriteString(http2.ClientPreface)
		p.WriteString("\x00\x00\x01\x04\x01\x00\x00\x00\x00")
	}, "GOAWAY 0 FRAME_SIZE_ERROR acknowledgement of SETTINGS has a payload"},
	{"first frame is of an unknown type", "3.4", func(p *peer) { p.WriteString(http2.ClientPreface); p.raw(0xee, 0, 0, "") },
		"GOAWAY 0 PROTOCOL_ERROR first frame is not SETTINGS"},
}

// TestServerPrefaceFaults has clients begin wrongly.
func TestServerPrefaceFaults(t *testing.T) {
	for _, c := range serverPrefaces {
		t.Run(c.name, func(t *testing.T) {
			s, p := newRig(t).server(testOptions())
			c.play(p)
			p.finish(&s.conn)
			got := p.take()
			if len(got) < 2 || !slices.Equal(got[2:], []string{c.want}) { // our SETTINGS and WINDOW_UPDATE are before it
				t.Errorf("frames %q, want %q at the end", got, c.want)
			}
			wantEnded(t, s.ends, ErrProtocol)
		})
	}
}
