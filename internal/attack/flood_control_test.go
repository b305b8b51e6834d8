package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// noReading is an attacker's socket that takes next to nothing, so that what is not read stays with the proxy.
var noReading = []harness.DialOption{harness.ReceiveBuffer(4 << 10)}

// unknownFrame is the first number of a frame type that RFC 9113 does not define and nobody has registered: 0x0a is ALTSVC,
// 0x0c ORIGIN, 0x10 PRIORITY_UPDATE.
const unknownFrame = 0x0a

// TestControlFrames floods the proxy with frames that are about the connection.
func TestControlFrames(t *testing.T) {
	abreast(t)
	ping := func(c *harness.H2Client, _ int) { c.Ping("12345678") }
	settings := func(c *harness.H2Client, _ int) { c.Settings() }
	runFloods(t, []floodTest{
		{
			// CVE-2019-9512: what answers have to wait must not be without end.
			name: "PING, unread", dial: noReading, flood: flood{frames: count(400_000, 2_000_000), batch: 1000, frame: ping, unread: true},
			code: http2.ErrCodeEnhanceYourCalm, stat: "http2.outbound_control_flood",
		}, {
			// CVE-2019-9515.
			name: "SETTINGS", flood: flood{frames: count(5_000, 100_000), batch: 10, frame: settings}, code: http2.ErrCodeEnhanceYourCalm,
		}, {
			name: "SETTINGS, unread", dial: noReading, flood: flood{frames: count(5_000, 100_000), batch: 500, frame: settings, unread: true},
			code: http2.ErrCodeEnhanceYourCalm,
		}, {
			// CVE-2020-11080: as many parameters as fit into a frame.
			name: "SETTINGS of 2730 parameters", code: http2.ErrCodeEnhanceYourCalm,
			flood: flood{frames: count(100, 10_000), batch: 1, frame: func(c *harness.H2Client, i int) {
				c.Settings(make([]http2.Setting, 2730)...)
			}},
		}, {
			// CVE-2026-78669: each changes the windows of all streams, which wait with their answers.
			name: "INITIAL_WINDOW_SIZE with 100 streams", body: 64 << 10, requests: maxStreams, inFlight: maxStreams,
			begin: func(c *harness.H2Client) {
				for range maxStreams {
					c.Get("/")
				}
			},
			flood: flood{frames: count(5_000, 100_000), batch: 10, frame: func(c *harness.H2Client, i int) {
				c.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 2)})
			}},
			code: http2.ErrCodeEnhanceYourCalm,
		}, {
			// CVE-2026-27141: whatever the type and the length, it is nothing.
			name: "frames of unknown types", borne: true,
			flood: flood{frames: count(20_000, 1_000_000), batch: 100, frame: func(c *harness.H2Client, i int) {
				kind := http2.FrameType(unknownFrame + i%(0x100-unknownFrame))
				c.Raw(kind, http2.Flags(i), uint32(i%5), make([]byte, []int{0, 1, 300}[i%3]))
			}},
		}, {
			name: "METADATA that is not allowed", borne: true,
			flood: flood{frames: count(5_000, 1_000_000), batch: 100, frame: func(c *harness.H2Client, i int) {
				c.Raw(harness.H2FrameMetadata, 4, 1, []byte("\x00\x01a\x01b"))
			}},
		}, {
			// RFC 9113 section 8.4: a client promises nothing.
			name: "PUSH_PROMISE", code: http2.ErrCodeProtocol,
			flood: flood{frames: 10, batch: 1, frame: func(c *harness.H2Client, i int) {
				c.PushPromise(1, 2, harness.H2Head("GET", "/")...)
			}},
		},
	})
}

// allowMetadata has METADATA frames passed on.
func allowMetadata(s *process.Setup) {
	http2Options(s)["allow_metadata"] = true
	s.Clusters[0] = process.WithHTTPOptions(s.Clusters[0], process.Fields{
		"explicit_http_config": process.Fields{"http2_protocol_options": process.Fields{"allow_metadata": true}},
	})
}

// TestFramesForNothing sends frames that nobody has asked for, or that come too late.
func TestFramesForNothing(t *testing.T) {
	abreast(t)
	reset := func(c *harness.H2Client) {
		openPost(c, 1)
		c.Reset(1, http2.ErrCodeCancel)
	}
	idle := func(c *harness.H2Client) { openPost(c, 1) }
	const literal = "\x00\x01a\x01b"
	runFloods(t, []floodTest{
		{
			name: "SETTINGS acknowledgements", borne: true,
			flood: flood{frames: count(20_000, 1_000_000), batch: 100, frame: func(c *harness.H2Client, _ int) { c.SettingsAck() }},
		}, {
			name: "PING acknowledgements", borne: true,
			flood: flood{frames: count(20_000, 1_000_000), batch: 100, frame: func(c *harness.H2Client, _ int) { c.PingAck("12345678") }},
		}, {
			name: "RST_STREAM of a closed stream", begin: reset, borne: true,
			flood: flood{frames: count(20_000, 1_000_000), batch: 100, frame: func(c *harness.H2Client, _ int) {
				c.Reset(1, http2.ErrCodeCancel)
			}},
		}, {
			// The first is answered. The others may have been on their way.
			name: "DATA on a closed stream", begin: reset, borne: true,
			flood: flood{frames: count(20_000, 1_000_000), batch: 10, frame: func(c *harness.H2Client, _ int) { c.Data(1, false, "x") }},
		}, {
			// The connection ends with the stream that is open, by and by.
			name: "GOAWAY", begin: idle, requests: 1, inFlight: 1, borne: true,
			flood: flood{frames: count(5000, 1_000_000), batch: 100, frame: func(c *harness.H2Client, _ int) {
				c.GoAway(0, http2.ErrCodeNo, "")
			}},
		}, {
			// CVE-2020-12603: as much as fits into the window of the stream.
			name: "DATA of a byte", begin: idle, requests: 1, inFlight: 1, borne: true,
			flood: flood{frames: count(20_000, streamWindow), batch: 100, frame: func(c *harness.H2Client, _ int) { c.Data(1, false, "x") }},
		}, {
			name: "METADATA without end", change: allowMetadata, begin: idle, requests: 1, inFlight: 1, growth: 16 * mebibyte,
			code: http2.ErrCodeEnhanceYourCalm,
			flood: flood{frames: count(2000, 100_000), batch: 10, frame: func(c *harness.H2Client, _ int) {
				c.Raw(harness.H2FrameMetadata, 0, 1, []byte(letters(frameSize)))
			}},
		}, {
			name: "METADATA for an origin that is slow", change: allowMetadata, kinds: []kind{slowH2}, begin: idle,
			requests: 1, inFlight: 1, borne: true,
			flood: flood{frames: count(2000, 100_000), batch: 10, frame: func(c *harness.H2Client, _ int) {
				c.Raw(harness.H2FrameMetadata, harness.H2FlagEndMetadata, 1, []byte(literal))
			}},
		},
	})
}
