package http2

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
)

// TestLostConnection tells the owner and all streams, and nothing to a peer that is not there.
func TestLostConnection(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).data(1, 0, "x").post(3).data(3, endStream, "whole").turn()
	one, three := s.stream(1), s.stream(3)
	p.close()
	p.r.steps(3)
	wantEnded(t, s.ends, ErrClosed)
	if got := readAll(one.Stream); got != "x!the connection has ended" {
		t.Errorf("the body is %q", got)
	}
	if got := readAll(three.Stream); got != "whole|" {
		t.Errorf("what had come whole is %q", got)
	}
	for _, v := range []*served{one, three} {
		if !v.Gone() || v.WriteErr() != ErrClosed {
			t.Errorf("stream %d: gone %t, %v", v.id, v.Gone(), v.WriteErr())
		}
		v.head(200) // for nobody
		v.WriteBody([]byte("x"), true)
		v.end(true)
	}
	p.r.wantStat("goaway_sent", 0)
	p.r.wantStat("streams_active", 0)
	p.r.wantStat("pending_send_bytes", 0)
}

// TestNothingAfterGoAway writes nothing of streams whose connection has ended for a mistake.
func TestNothingAfterGoAway(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).post(3).send()
	v := s.stream(1)
	v.head(200)
	p.data(0, 0, "x").send()
	p.want("HEADERS 1 :status=200")
	v.WriteBody([]byte("x"), false)
	v.WriteEnd(nil)
	v.end(true)
	s.stream(3).answer("x")
	p.r.steps(2)
	p.want("GOAWAY 3 PROTOCOL_ERROR DATA on stream 0")
}

// TestBrokenConnection tells the owner what the kernel says.
func TestBrokenConnection(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).turn()
	s.stream(1).head(200)
	p.r.steps(2)
	p.close() // with bytes unread: a reset
	p.r.steps(3)
	if len(s.ends) != 1 || !errors.Is(s.ends[0], syscall.ECONNRESET) {
		t.Errorf("ended: %v", s.ends)
	}
	s.stream(1).end(false)
}

// TestPanicEndsTheConnection costs whoever's code panicked the connection, of which nobody knows the state, and nobody else
// anything.
func TestPanicEndsTheConnection(t *testing.T) {
	r := newRig(t)
	s, p := r.server(testOptions())
	other, otherPeer := r.server(testOptions())
	other.answerAll("x")
	p.begin().turn()
	otherPeer.begin().turn()
	otherPeer.take()
	panics := 0
	r.panicked = func(v any) { panics++ }
	s.gonePanics = true
	p.post(1).goAway(0, http2.ErrCodeNo).turn()
	if panics != 1 {
		t.Errorf("%d panics", panics)
	}
	wantEnded(t, s.ends, ErrClosed)
	if got := s.stream(1).Err(); got != ErrClosed {
		t.Errorf("the stream ended with %v", got)
	}
	otherPeer.get(1).turn()
	otherPeer.want("HEADERS 1 :status=200", "DATA 1 END_STREAM x")
}

// TestReleasedConnection neither reads nor writes, nor tells anybody, whatever comes.
func TestReleasedConnection(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).post(3).data(3, 0, "unread").turn()
	s.r.check = nil // the owner is not told
	s.Release()
	p.get(5).ping("12345678").goAway(0, http2.ErrCodeNo).turn()
	s.Shutdown()
	s.GoAway()
	s.GiveUp("for nothing")
	p.r.steps(2)
	p.want()
	if len(s.ends) != 0 || len(s.served) != 2 || s.Streams() != 0 || s.buf != nil {
		t.Errorf("ended %v, %d streams were opened, %d are, the buffer is kept: %t", s.ends, len(s.served), s.Streams(), s.buf != nil)
	}
	for _, v := range s.served {
		if v.Err() != ErrClosed {
			t.Errorf("stream %d ended with %v", v.id, v.Err())
		}
		v.end(true)
	}
}

// TestAnnouncedSettings compares what each side says of itself with its options.
func TestAnnouncedSettings(t *testing.T) {
	for _, c := range []struct {
		name           string
		set            func(o *Options)
		server, client string // SETTINGS, and the connection's window behind it
	}{
		{"defaults", func(*Options) {},
			"SETTINGS MAX_CONCURRENT_STREAMS=1024 INITIAL_WINDOW_SIZE=16777216, WINDOW_UPDATE 0 +25100289",
			"SETTINGS ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=16777216, WINDOW_UPDATE 0 +25100289"},
		{"smallest windows", func(o *Options) { o.StreamWindow, o.ConnWindow = initialWindow, initialWindow },
			"SETTINGS MAX_CONCURRENT_STREAMS=1024 INITIAL_WINDOW_SIZE=65535", "SETTINGS ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=65535"},
		{"largest windows", func(o *Options) { o.StreamWindow, o.ConnWindow = maxWindow, maxWindow },
			"SETTINGS MAX_CONCURRENT_STREAMS=1024 INITIAL_WINDOW_SIZE=2147483647, WINDOW_UPDATE 0 +2147418112",
			"SETTINGS ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=2147483647, WINDOW_UPDATE 0 +2147418112"},
		{"extended CONNECT, one stream, no table", func(o *Options) { o.AllowConnect, o.MaxStreams, o.TableSize = true, 1, 0 },
			"SETTINGS MAX_CONCURRENT_STREAMS=1 ENABLE_CONNECT_PROTOCOL=1 INITIAL_WINDOW_SIZE=16777216 HEADER_TABLE_SIZE=0, WINDOW_UPDATE 0 +25100289",
			"SETTINGS ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=16777216 HEADER_TABLE_SIZE=0, WINDOW_UPDATE 0 +25100289"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions()
			c.set(o)
			r := newRig(t)
			_, client := r.server(o)
			_, host := r.client(o)
			r.steps(2)
			if got := strings.Join(client.take(), ", "); got != c.server {
				t.Errorf("server\n got %s\nwant %s", got, c.server)
			}
			if got := strings.Join(host.take(), ", "); got != c.client {
				t.Errorf("client\n got %s\nwant %s", got, c.client)
			}
		})
	}
}

// TestTableSize lets a client use the default table until it has acknowledged that it may not (RFC 7541 section 4.2).
func TestTableSize(t *testing.T) {
	o := testOptions()
	o.TableSize = 0
	s, p := newRig(t).server(o)
	p.WriteString(http2.ClientPreface)
	p.settings()
	p.headers(1, endStream, with(getFields, "x", "in the table")...)
	p.headers(3, endStream, with(getFields, "x", "in the table")...)
	p.settingsAck().turn()
	for _, id := range []uint32{1, 3} {
		if got, want := verdictText(s.stream(id)), "GET http a / length=0 [x=in the table]"; got != want {
			t.Errorf("stream %d: %q, want %q", id, got, want)
		}
	}
	p.take()
	p.headers(5, endStream, getFields...).turn() // without the change of size that must come first
	p.want("GOAWAY 5 COMPRESSION_ERROR field block cannot be decoded")
}

// TestPeerTableSize follows HEADER_TABLE_SIZE of the peer with a change of size at the start of the next block.
func TestPeerTableSize(t *testing.T) {
	s, p := newServer(t, testOptions())
	s.answerAll("")
	for i, size := range []uint32{1 << 20, 100, 0, 4096} {
		p.settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: size})
		p.decoder.SetAllowedMaxDynamicTableSize(size)
		p.get(uint32(2*i + 1)).turn()
		if got := p.take(); len(got) != 3 {
			t.Errorf("size %d: frames %q", size, got)
		}
	}
}

// TestErrors has a text for every reason, each of its own.
func TestErrors(t *testing.T) {
	seen := make(map[string]Error)
	for e := noError; e <= ErrAborted; e++ {
		text := e.Error()
		if other, twice := seen[text]; twice || text == "" {
			t.Errorf("errors %d and %d are both %q", other, e, text)
		}
		seen[text] = e
	}
}
