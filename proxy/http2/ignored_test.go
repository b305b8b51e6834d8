package http2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestUnknownFrames ignores frames of all types that we do not know, of any length and flags, wherever they come between
// others (RFC 9113 section 5.5).
func TestUnknownFrames(t *testing.T) {
	r := newRig(t)
	s, client := r.server(testOptions())
	k, host := r.client(testOptions())
	client.begin().post(1).turn()
	host.settings().settingsAck().turn()
	q := k.post()
	r.steps(2)
	client.take()
	host.take()
	for kind := 0xa; kind <= 0xff; kind++ {
		for _, length := range []int{0, 1, minMaxFrameSize} {
			for _, stream := range []uint32{0, 1, 7} {
				payload := strings.Repeat("x", length)
				client.raw(http2.FrameType(kind), http2.Flags(kind), stream, payload)
				host.raw(http2.FrameType(kind), http2.Flags(kind), stream, payload)
			}
		}
		client.turn()
		host.turn()
	}
	client.finish(&s.conn)
	host.finish(&k.conn)
	client.want()
	host.want()
	client.data(1, endStream, "x").send()
	if got := readAll(s.stream(1).Stream); got != "x|" {
		t.Errorf("the request has body %q", got)
	}
	host.ok(1).data(1, endStream, "y").send()
	if got := q.result(); got != "200 y|" {
		t.Errorf("the response is %q", got)
	}
	q.end()
}

// TestReservedBits ignores the reserved bit of stream identifiers and flags that a type of frame does not have (RFC 9113
// section 4.1).
func TestReservedBits(t *testing.T) {
	const reserved = 1 << 31
	others := func(known http2.Flags) http2.Flags { return ^known }
	s, p := newServer(t, testOptions())
	block := string(p.encode(postFields...))
	p.raw(http2.FrameHeaders, others(endStream|padded|priority), reserved|1, block)
	p.raw(http2.FrameData, others(endStream|padded), reserved|1, "a")
	p.raw(http2.FramePriority, 0xff, reserved|1, "\x80\x00\x00\x03\x10")
	p.raw(http2.FrameSettings, others(http2.FlagSettingsAck), reserved, "")
	p.raw(http2.FramePing, others(http2.FlagPingAck), reserved, "12345678")
	p.raw(http2.FrameWindowUpdate, 0xff, reserved|1, "\x80\x00\x00\x01")
	p.raw(http2.FrameHeaders, others(endHeaders|padded|priority), reserved|1, "")
	p.raw(http2.FrameContinuation, 0xff, reserved|1, string(p.encode("x", "y")))
	p.send()
	v := s.stream(1)
	if got := readAll(v.Stream); got != "a|" || fieldsText(v.Trailers()) != "x=y" {
		t.Errorf("the body is %q, the trailers are %q", got, fieldsText(v.Trailers()))
	}
	p.r.step()
	p.want("SETTINGS ACK", "PING ACK 12345678")
	p.raw(http2.FrameRSTStream, 0xff, reserved|1, "\x00\x00\x00\x08")
	p.raw(http2.FrameGoAway, 0xff, reserved, "\x80\x00\x00\x00\x00\x00\x00\x00").turn()
	p.want()
	if v.Err() != ErrReset || !s.PeerGone() || s.dead {
		t.Errorf("the stream ended with %v, gone %t, dead %t", v.Err(), s.PeerGone(), s.dead)
	}
}

// TestUnknownSettings ignores settings that we do not know, and takes any value of those without limits (RFC 9113 section 6.5.2).
func TestUnknownSettings(t *testing.T) {
	s, p := newServer(t, testOptions())
	for _, setting := range []http2.Setting{
		{ID: 0, Val: 1}, {ID: 7, Val: 1}, {ID: 9, Val: 1 << 31}, {ID: 0xffff, Val: 1<<32 - 1},
		{ID: http2.SettingEnablePush, Val: 1}, {ID: http2.SettingEnablePush, Val: 0},
		{ID: http2.SettingMaxHeaderListSize, Val: 0}, {ID: http2.SettingMaxConcurrentStreams, Val: 1<<32 - 1},
		{ID: http2.SettingHeaderTableSize, Val: 1<<32 - 1}, {ID: http2.SettingInitialWindowSize, Val: maxWindow},
		{ID: http2.SettingMaxFrameSize, Val: 1 << 14}, {ID: http2.SettingMaxFrameSize, Val: 1<<24 - 1},
	} {
		t.Run(fmt.Sprint(setting), func(t *testing.T) {
			p.settings(setting).turn()
			p.want("SETTINGS ACK")
		})
	}
	s.answerAll("x")
	p.decoder.SetAllowedMaxDynamicTableSize(1<<32 - 1)
	p.get(1).turn()
	p.want("HEADERS 1 :status=200", "DATA 1 END_STREAM x")
}
