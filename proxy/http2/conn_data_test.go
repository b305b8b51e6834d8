package http2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestStreamWindowOverrun resets a stream whose client sends more than its window allows, by any number of bytes, padding
// among them (RFC 9113 section 6.9.1), and credits the connection for them.
func TestStreamWindowOverrun(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(p *peer)
		want []string
	}{
		{"at the window", func(p *peer) { p.data(1, 0, strings.Repeat("x", 100)) }, nil},
		{"a byte above", func(p *peer) { p.data(1, 0, strings.Repeat("x", 101)) }, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}},
		{"in two frames", func(p *peer) { p.data(1, 0, strings.Repeat("x", 100)).data(1, 0, "x") }, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}},
		{"with padding", func(p *peer) { p.data(1, padded, "\x63"+strings.Repeat("x", 100)) }, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}},
		{"an empty frame at the window", func(p *peer) { p.data(1, 0, strings.Repeat("x", 100)).data(1, endStream, "") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions()
			o.StreamWindow = 100
			s, p := newServer(t, o)
			p.post(1)
			c.play(p)
			p.turn()
			p.want(c.want...)
			s.stream(1).end(false)
			if s.dead || s.inflow.unread != 0 {
				t.Errorf("dead %t, %d bytes are not credited", s.dead, s.inflow.unread)
			}
		})
	}
}

// TestConnectionWindowOverrun ends the connection of a client that sends more than its window allows.
func TestConnectionWindowOverrun(t *testing.T) {
	o := testOptions()
	o.ConnWindow = initialWindow
	s, p := newServer(t, o)
	p.post(1).post(3)
	for range 2 {
		p.data(1, 0, strings.Repeat("x", minMaxFrameSize))
	}
	p.data(3, 0, strings.Repeat("x", minMaxFrameSize)).data(3, 0, strings.Repeat("x", minMaxFrameSize-1))
	p.finish(&s.conn)
	if s.dead {
		t.Fatalf("the connection has ended at its window: %q", p.take())
	}
	p.data(1, 0, "x").turn()
	p.want("GOAWAY 3 FLOW_CONTROL_ERROR more data than the connection window allows")
	wantEnded(t, s.ends, ErrProtocol)
}

// TestWindowUpdates credits a client for what is read, for the stream and for the connection, each when half of its window is
// due. A stream that has ended needs nothing any more.
func TestWindowUpdates(t *testing.T) {
	o := testOptions()
	o.StreamWindow, o.ConnWindow = 100, initialWindow
	s, p := newServer(t, o)
	p.post(1).data(1, 0, strings.Repeat("x", 49)).send()
	v := s.stream(1)
	_ = readAll(v.Stream)
	p.r.step()
	p.want()
	p.data(1, 0, "x").send()
	_ = readAll(v.Stream)
	p.r.step()
	p.want("WINDOW_UPDATE 1 +50")
	p.data(1, padded, "\x31"+strings.Repeat("p", 49)).turn() // padding is never read by anybody
	p.want("WINDOW_UPDATE 1 +50")
	p.data(1, endStream, strings.Repeat("x", 100)).send()
	_ = readAll(v.Stream)
	p.r.step()
	p.want()
	read := 200
	for id := uint32(3); read < initialWindow/2; id += 2 {
		p.want()
		p.post(id).data(id, endStream, strings.Repeat("x", 100)).send()
		_ = readAll(s.stream(id).Stream)
		p.r.step()
		read += 100
	}
	p.want("WINDOW_UPDATE 0 +32800")
}

// TestResetWhileTheBodyIsRead credits the connection once for what came before a reset, whoever resets and whatever was read
// of it by then (CVE-2026-78663). That the window is never larger than it was is checked in every turn.
func TestResetWhileTheBodyIsRead(t *testing.T) {
	body := strings.Repeat("x", 1000)
	for name, play := range map[string]func(p *peer, v *served){
		"reset in the turn of the body": func(p *peer, v *served) {
			p.data(1, 0, body).reset(1, http2.ErrCodeCancel).send()
		},
		"reset after half was read": func(p *peer, v *served) {
			p.data(1, 0, body).send()
			_, _, _ = v.ReadBody()
			p.data(1, 0, body).reset(1, http2.ErrCodeCancel).turn()
			_, _, _ = v.ReadBody()
		},
		"our reset in the middle of a frame": func(p *peer, v *served) {
			p.WriteString("\x00\x03\xe8\x00\x01\x00\x00\x00\x01" + body[:500])
			p.send()
			_, _, _ = v.ReadBody()
			v.end(false)
			p.WriteString(body[500:])
			p.turn()
		},
		"our end in the middle of a frame": func(p *peer, v *served) {
			p.WriteString("\x00\x03\xe8\x00\x01\x00\x00\x00\x01" + body[:500])
			p.send()
			v.answer("enough")
			p.WriteString(body[500:])
			p.turn()
		},
		"a mistake in the middle of a frame": func(p *peer, v *served) {
			p.WriteString("\x00\x03\xe8\x00\x00\x00\x00\x00\x01" + body[:500])
			p.turn()
			v.on.resetStream(v.Stream, http2.ErrCodeProtocol, ErrMalformed)
			p.WriteString(body[500:])
			p.turn()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := newServer(t, testOptions())
			p.post(1).turn()
			v := s.stream(1)
			play(p, v)
			v.end(false)
			p.turn()
			if s.inflow.unread != 0 || s.dead || s.data.open {
				t.Errorf("%d bytes are not credited, dead %t, %+v", s.inflow.unread, s.dead, s.data)
			}
			p.take()
			p.get(3).turn()
			s.stream(3).answer("next")
			p.r.step()
			p.want("HEADERS 3 :status=200", "DATA 3 END_STREAM next")
		})
	}
}

// TestEndWhileTheResponseGoesOut drops what a client still sends to who has said everything that it has to say, while that
// goes out.
func TestEndWhileTheResponseGoesOut(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}).post(1).data(1, 0, "unread").send()
	p.take()
	s.stream(1).answer("abc")
	p.r.step()
	p.want("SETTINGS ACK", "HEADERS 1 :status=200", "DATA 1 a")
	p.data(1, 0, "more").turn()
	if s.inflow.unread != 0 {
		t.Errorf("%d bytes are not credited", s.inflow.unread)
	}
	p.data(1, endStream, "").windowUpdate(1, 2).turn()
	p.want("DATA 1 END_STREAM bc")
	if s.Streams() != 0 {
		t.Errorf("%d streams are open", s.Streams())
	}
}

// TestFramesOfADeadStream takes nothing of what comes behind a reset in the same read.
func TestFramesOfADeadStream(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).data(1, 0, "before").reset(1, http2.ErrCodeCancel).data(1, 0, "x").data(1, endStream, "y").turn()
	p.want("RST_STREAM 1 STREAM_CLOSED")
	v := s.stream(1)
	if got := readAll(v.Stream); got != "before!the peer has reset the stream" || v.Code() != http2.ErrCodeCancel {
		t.Errorf("the body is %q, the code %v", got, v.Code())
	}
}
