package http2

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// clientFaults are mistakes of hosts. Settings have been exchanged, a GET is open on stream 1 and a POST on stream 3.
var clientFaults = []faultCase{
	// Frames in general.
	{"DATA above SETTINGS_MAX_FRAME_SIZE", "4.2", func(p *peer) { p.ok(1).data(1, 0, strings.Repeat("x", tooLarge)) },
		"GOAWAY 0 FRAME_SIZE_ERROR frame exceeds SETTINGS_MAX_FRAME_SIZE"},
	{"PUSH_PROMISE", "8.4", func(p *peer) { p.raw(http2.FramePushPromise, endHeaders, 1, "\x00\x00\x00\x02\x82") },
		"GOAWAY 0 PROTOCOL_ERROR PUSH_PROMISE without push"},
	{"RST_STREAM of 3 bytes", "6.4", func(p *peer) { p.raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00") },
		"GOAWAY 0 FRAME_SIZE_ERROR frame of a wrong size"},
	{"RST_STREAM on an idle stream", "5.1", func(p *peer) { p.reset(5, http2.ErrCodeCancel) },
		"GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"RST_STREAM on a stream of the host's", "5.1", func(p *peer) { p.reset(2, http2.ErrCodeCancel) },
		"GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},

	// SETTINGS.
	{"ENABLE_PUSH 1", "6.5.2", func(p *peer) { p.settings(http2.Setting{ID: http2.SettingEnablePush, Val: 1}) },
		"GOAWAY 0 PROTOCOL_ERROR server enables push"},
	{"MAX_FRAME_SIZE 0", "6.5.2", func(p *peer) { p.settings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 0}) },
		"GOAWAY 0 PROTOCOL_ERROR setting has a value that it may not have"},
	{"INITIAL_WINDOW_SIZE 2^31", "6.5.2", func(p *peer) { p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}) },
		"GOAWAY 0 FLOW_CONTROL_ERROR malformed frame"},
	{"ENABLE_CONNECT_PROTOCOL taken back", "RFC 8441 section 3", func(p *peer) {
		p.settings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		p.settings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 0})
	}, "SETTINGS ACK\nGOAWAY 0 PROTOCOL_ERROR extended CONNECT is taken back"},

	// WINDOW_UPDATE.
	{"WINDOW_UPDATE of the connection by 0", "6.9", func(p *peer) { p.windowUpdate(0, 0) }, "GOAWAY 0 PROTOCOL_ERROR WINDOW_UPDATE by 0"},
	{"WINDOW_UPDATE of a stream by 0", "6.9", func(p *peer) { p.windowUpdate(3, 0) }, "RST_STREAM 3 PROTOCOL_ERROR"},
	{"WINDOW_UPDATE on an idle stream", "5.1", func(p *peer) { p.windowUpdate(5, 1) }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"connection window above 2^31-1", "6.9.1", func(p *peer) { p.windowUpdate(0, maxWindow-initialWindow+1) },
		"GOAWAY 0 FLOW_CONTROL_ERROR connection window exceeds 2^31-1"},
	{"stream window above 2^31-1", "6.9.1", func(p *peer) { p.windowUpdate(3, maxWindow-initialWindow+1) },
		"RST_STREAM 3 FLOW_CONTROL_ERROR"},

	// Identifiers and states.
	{"HEADERS on an idle stream", "5.1", func(p *peer) { p.ok(5) }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"HEADERS on a stream of the host's", "5.1.1", func(p *peer) { p.ok(2) }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"DATA on an idle stream", "5.1", func(p *peer) { p.data(5, 0, "x") }, "GOAWAY 0 PROTOCOL_ERROR frame on an idle stream"},
	{"DATA on stream 0", "6.1", func(p *peer) { p.data(0, 0, "x") }, "GOAWAY 0 PROTOCOL_ERROR DATA on stream 0"},
	{"DATA before the head", "8.1", func(p *peer) { p.data(1, 0, "x") }, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"DATA on a half-closed stream", "5.1", func(p *peer) { p.headers(3, endStream, ":status", "200").data(3, 0, "x") },
		"RST_STREAM 3 STREAM_CLOSED"},
	{"HEADERS on a half-closed stream", "5.1", func(p *peer) { p.headers(3, endStream, ":status", "200").ok(3) },
		"RST_STREAM 3 STREAM_CLOSED"},
	{"DATA on a closed stream", "5.1", func(p *peer) { p.headers(1, endStream, ":status", "200").data(1, 0, "x") },
		"GOAWAY 0 STREAM_CLOSED frame on a closed stream"},
	{"HEADERS on a closed stream", "5.1", func(p *peer) { p.headers(1, endStream, ":status", "200").ok(1) },
		"GOAWAY 0 STREAM_CLOSED frame on a closed stream"},
	{"DATA after RST_STREAM", "5.1", func(p *peer) { p.ok(1).reset(1, http2.ErrCodeCancel).data(1, 0, "x") },
		"GOAWAY 0 STREAM_CLOSED frame on a closed stream"},

	// Field blocks and messages.
	{"field block that cannot be decoded", "4.3", func(p *peer) { p.raw(http2.FrameHeaders, endHeaders, 1, "\xff\x7f") },
		"GOAWAY 0 COMPRESSION_ERROR field block cannot be decoded"},
	{"frame in a field block", "4.3", func(p *peer) { p.raw(http2.FrameHeaders, 0, 1, "\x88").data(1, 0, "x") },
		"GOAWAY 0 PROTOCOL_ERROR field block is interrupted"},
	{"trailers without END_STREAM", "8.1", func(p *peer) { p.ok(1).headers(1, 0, "x", "y") }, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"informational head with END_STREAM", "8.1", func(p *peer) { p.headers(1, endStream, ":status", "103") }, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"DATA behind an informational head", "8.1", func(p *peer) { p.headers(1, 0, ":status", "103").data(1, 0, "x") },
		"RST_STREAM 1 PROTOCOL_ERROR"},
	{"less DATA than content-length", "8.1.1", func(p *peer) {
		p.headers(1, 0, ":status", "200", "content-length", "3").data(1, endStream, "ab")
	}, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"more DATA than content-length", "8.1.1", func(p *peer) {
		p.headers(1, 0, ":status", "200", "content-length", "3").data(1, 0, "abcd")
	}, "RST_STREAM 1 PROTOCOL_ERROR"},
	{"DATA in a 204", "RFC 9110 section 6.4.1", func(p *peer) { p.headers(1, 0, ":status", "204").data(1, 0, "x") },
		"RST_STREAM 1 PROTOCOL_ERROR"},
}

// TestClientFaults has a host make each mistake on a connection of its own.
func TestClientFaults(t *testing.T) {
	for _, c := range clientFaults {
		t.Run(c.name, func(t *testing.T) {
			k, p := newClient(t, testOptions())
			get, post := k.get(), k.post()
			p.turn()
			p.take()
			c.play(p)
			p.finish(&k.conn)
			checkFault(t, c, p, &k.conn, k.ends)
			for _, q := range []*asked{get, post} {
				if strings.Contains(c.want, "GOAWAY") && q.Err() == noError && !q.BodyDone() {
					t.Errorf("stream %d does not know that the connection has ended", q.ID())
				}
				q.end()
			}
		})
	}
}

// TestClientPrefaceFaults has hosts begin wrongly.
func TestClientPrefaceFaults(t *testing.T) {
	for name, play := range map[string]func(p *peer){
		"PING":                        func(p *peer) { p.ping("12345678") },
		"acknowledgement of SETTINGS": func(p *peer) { p.settingsAck() },
		"GOAWAY":                      func(p *peer) { p.goAway(0, http2.ErrCodeNo) },
	} {
		t.Run(name, func(t *testing.T) {
			k, p := newRig(t).client(testOptions())
			play(p)
			p.finish(&k.conn)
			got := p.take()
			if want := "GOAWAY 0 PROTOCOL_ERROR first frame is not SETTINGS"; len(got) < 2 || !slices.Equal(got[2:], []string{want}) {
				t.Errorf("frames %q, want %q at the end", got, want)
			}
			wantEnded(t, k.ends, ErrProtocol)
		})
	}
}
