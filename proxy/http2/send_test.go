package http2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// begun returns servers' streams of which each has a request without a body and a response head that has gone out.
func begun(s *testServer, ids ...uint32) (list []*served) {
	s.r.t.Helper()
	for _, id := range ids {
		s.p.get(id)
	}
	s.p.turn()
	for _, id := range ids {
		v := s.stream(id)
		v.head(200)
		list = append(list, v)
	}
	s.r.steps(2)
	s.p.take()
	return list
}

// order returns the streams of DATA frames in the order in which they came.
func order(t *testing.T, frames []string) (streams []string) {
	t.Helper()
	for _, f := range frames {
		name, rest, _ := strings.Cut(f, " ")
		if name != "DATA" {
			t.Errorf("frame %q, want DATA only", f)
		}
		stream, _, _ := strings.Cut(rest, " ")
		streams = append(streams, stream)
	}
	return streams
}

// counts returns how often each stream is in a list.
func counts(streams []string) map[string]int {
	n := make(map[string]int)
	for _, s := range streams {
		n[s]++
	}
	return n
}

// TestGathersOnceATurn sends the frames of all streams with one system call when the turn ends, and nothing before.
func TestGathersOnceATurn(t *testing.T) {
	s, p := newServer(t, testOptions())
	const streams = 20
	for i := range uint32(streams) {
		p.get(2*i + 1)
	}
	p.send()
	for i := range uint32(streams) {
		s.stream(2*i + 1).answer("body")
	}
	if got := p.take(); len(got) != 0 {
		t.Errorf("before the turn's end: %q", got)
	}
	p.r.step()
	got := p.take()
	if len(got) != 2*streams || s.raw.Buffered() != 0 {
		t.Errorf("%d frames, want a head and a body of each of %d streams; %d bytes wait", len(got), streams, s.raw.Buffered())
	}
}

// TestDataFrames splits a body into frames of the least size that every peer takes, and ends the stream with the last.
func TestDataFrames(t *testing.T) {
	for _, c := range []struct {
		size int
		want []string
	}{
		{0, []string{"DATA 1 END_STREAM"}},
		{1, []string{"DATA 1 END_STREAM x"}},
		{minMaxFrameSize, []string{"DATA 1 END_STREAM 16384 bytes"}},
		{minMaxFrameSize + 1, []string{"DATA 1 16384 bytes", "DATA 1 END_STREAM x"}},
		{2 * minMaxFrameSize, []string{"DATA 1 16384 bytes", "DATA 1 END_STREAM 16384 bytes"}},
	} {
		s, p := newServer(t, testOptions())
		p.settings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20}).turn() // makes no difference
		p.take()
		v := begun(s, 1)[0]
		v.WriteBody([]byte(strings.Repeat("x", c.size)), true)
		v.end(true)
		p.r.step()
		p.want(c.want...)
	}
}

// windowCases write bodies on a window that does not hold them.
var windowCases = []struct {
	name  string
	sizes []int // of what is written
	end   string
	first []string // what goes out on a window of ten bytes
	then  []string // what goes out when the window is opened by a hundred
}{
	{"in one piece", []int{15}, "last", []string{"DATA 1 xxxxxxxxxx"}, []string{"DATA 1 END_STREAM xxxxx"}},
	{"as much as the window", []int{10}, "last", []string{"DATA 1 END_STREAM xxxxxxxxxx"}, nil},
	{"end after that", []int{10}, "end", []string{"DATA 1 xxxxxxxxxx", "DATA 1 END_STREAM"}, nil},
	{"pieces", []int{4, 4, 4, 4}, "last", []string{"DATA 1 xxxx", "DATA 1 xxxx", "DATA 1 xx"}, []string{"DATA 1 END_STREAM xxxxxx"}},
	{"end afterwards", []int{15}, "end", []string{"DATA 1 xxxxxxxxxx"}, []string{"DATA 1 END_STREAM xxxxx"}},
	{"trailers", []int{15}, "trailers", []string{"DATA 1 xxxxxxxxxx"}, []string{"DATA 1 xxxxx", "HEADERS 1 END_STREAM x=y"}},
	{"trailers on a window that is used up", []int{10}, "trailers", []string{"DATA 1 xxxxxxxxxx", "HEADERS 1 END_STREAM x=y"}, nil},
	{"no end", []int{15}, "", []string{"DATA 1 xxxxxxxxxx"}, []string{"DATA 1 xxxxx"}},
}

// TestStreamWindow sends as much as the stream's window allows, and the rest when it is opened. What needs no window, as
// trailers or an end without bytes, does not wait for one.
func TestStreamWindow(t *testing.T) {
	for _, c := range windowCases {
		t.Run(c.name, func(t *testing.T) {
			s, p := newServer(t, testOptions())
			p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10}).turn()
			p.take()
			v := begun(s, 1)[0]
			for i, n := range c.sizes {
				b := []byte(strings.Repeat("x", n))
				v.WriteBody(b, c.end == "last" && i == len(c.sizes)-1)
				clear(b) // it was copied
			}
			trailers := fieldsOf("x", "y")
			switch c.end {
			case "end":
				v.WriteEnd(nil)
			case "trailers":
				v.WriteEnd(&trailers)
				trailers.Set(message.NameVia, []byte("later"))
			}
			p.r.step()
			p.want(c.first...)
			p.windowUpdate(1, 100).turn()
			p.want(c.then...)
			if p.r.wantStat("pending_send_bytes", 0); !v.Flushed() {
				t.Errorf("%d bytes wait", v.Pending())
			}
			v.end(c.end != "")
		})
	}
}

// TestConnectionWindow shares what the connection's window allows among streams, and goes on when it is opened.
func TestConnectionWindow(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}).turn()
	p.take()
	streams := begun(s, 1, 3, 5)
	streams[0].WriteBody(make([]byte, initialWindow), false) // all that there is
	p.r.steps(2)
	p.take()
	for _, v := range streams {
		v.WriteBody(make([]byte, 3*minMaxFrameSize), true)
		v.end(true)
	}
	p.r.steps(2)
	p.want()
	p.r.wantStat("pending_send_bytes", 9*minMaxFrameSize)
	p.windowUpdate(0, 3*minMaxFrameSize).turn()
	if got := order(t, p.take()); !slices.Equal(got, []string{"1", "3", "5"}) {
		t.Errorf("a window for three frames is shared as %q", got)
	}
	p.windowUpdate(0, 1).turn()
	p.want("DATA 1 \x00")
	p.windowUpdate(0, maxWindow/2).turn()
	got := order(t, p.take())
	if n := counts(got); n["1"] != 2 || n["3"] != 2 || n["5"] != 2 || s.Streams() != 0 {
		t.Errorf("frames of streams %q; %d streams are left", got, s.Streams())
	}
	p.r.wantStat("pending_send_bytes", 0)
}

// TestWindowTakenBack lets INITIAL_WINDOW_SIZE make a window negative: nothing is sent until it is positive again (RFC 9113
// section 6.9.2).
func TestWindowTakenBack(t *testing.T) {
	s, p := newServer(t, testOptions())
	v := begun(s, 1)[0]
	v.WriteBody([]byte(strings.Repeat("x", 1000)), false)
	p.r.step()
	p.take()
	window := func(n uint32) *script {
		return p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: n})
	}
	window(0).turn()
	v.WriteBody([]byte("more"), true)
	v.end(true)
	p.r.steps(2)
	p.want("SETTINGS ACK")
	window(1000).turn()
	p.want("SETTINGS ACK")
	window(1001).turn()
	p.want("SETTINGS ACK", "DATA 1 m")
	window(0).windowUpdate(1, 1000).turn()
	p.want("SETTINGS ACK")
	p.windowUpdate(1, 2).turn()
	p.want("DATA 1 o")
	window(1 << 20).turn()
	p.want("SETTINGS ACK", "DATA 1 END_STREAM re")
}

// TestFairOrder lets a stream with little to send go out between frames of those with much, and none of them hold the others
// up.
func TestFairOrder(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}).windowUpdate(0, maxWindow-initialWindow).turn()
	p.take()
	streams := begun(s, 1, 3, 5, 7)
	for _, v := range streams[:3] {
		v.WriteBody(make([]byte, 1<<20), true)
	}
	streams[3].WriteBody([]byte("small"), true)
	var got []string
	for range 1000 {
		p.r.step()
		if got = append(got, order(t, p.take())...); s.Streams() == 0 {
			break
		}
	}
	// The first had a quantum at once, and others what was left of the output then; the rest goes by turns.
	last := slices.Index(got, "7")
	if n := counts(got[:last]); last < 0 || n["1"]-n["5"] > quantum/minMaxFrameSize || last > (maxOutput+4*minMaxFrameSize)/minMaxFrameSize {
		t.Errorf("before the small stream: %v, in %q", n, got)
	}
	rest := got[last+1:]
	for i := 3; i+3 < len(rest)-quantum/minMaxFrameSize; i += 3 {
		if n := counts(rest[i : i+3]); len(n) != 3 {
			t.Errorf("three frames in a row are of streams %q", rest[i:i+3])
			break
		}
	}
	if n := counts(got); n["1"] < 64 || n["3"] < 64 || n["5"] < 64 {
		t.Errorf("frames of the streams: %v, want at least 64 of each large one", n)
	}
	for _, v := range streams {
		v.end(true)
	}
}

// TestOutputIsBounded gathers no more than a bound for a peer that does not read, however many streams write; the rest stays
// with its streams.
func TestOutputIsBounded(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}).windowUpdate(0, maxWindow-initialWindow).turn()
	p.take()
	var ids []uint32
	for id := uint32(1); id < 100; id += 2 {
		ids = append(ids, id)
	}
	streams := begun(s, ids...)
	for range 20 {
		for _, v := range streams {
			v.WriteBody(make([]byte, 10_000), false)
		}
		p.r.step()
		if got := s.raw.Buffered(); got > maxOutput+minMaxFrameSize {
			t.Fatalf("%d bytes are gathered, want at most %d", got, maxOutput)
		}
	}
	total := len(streams) * 20 * 10_000
	if pending := s.pendingBytes; pending < total/2 {
		t.Errorf("%d of %d bytes wait with their streams: the peer has read", pending, total)
	}
	received := 0
	for received < total {
		p.read()
		for _, f := range p.got {
			var n, id int
			_, _ = fmt.Sscanf(f, "DATA %d %d bytes", &id, &n)
			received += n
			if n == 0 {
				received += len(f) - strings.LastIndexByte(f, ' ') - 1
			}
		}
		p.got = nil
		p.r.step()
	}
	if s.pendingBytes != 0 {
		t.Errorf("%d bytes wait when everything was received", s.pendingBytes)
	}
	for _, v := range streams {
		v.end(false)
	}
}

// TestResetDropsWhatWaits drops what is queued of a stream that either side resets.
func TestResetDropsWhatWaits(t *testing.T) {
	for name, reset := range map[string]func(p *peer, v *served){
		"by the client": func(p *peer, _ *served) { p.reset(1, http2.ErrCodeCancel).turn() },
		"by us":         func(p *peer, v *served) { v.end(false); p.r.steps(2) },
	} {
		t.Run(name, func(t *testing.T) {
			s, p := newServer(t, testOptions())
			p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10}).turn()
			p.take()
			v := begun(s, 1, 3)[0]
			v.WriteBody(make([]byte, 100_000), true)
			p.r.steps(2)
			p.r.wantStat("pending_send_bytes", 99_990)
			reset(p, v)
			p.take()
			p.windowUpdate(1, 1000).turn()
			p.want()
			p.r.wantStat("pending_send_bytes", 0)
			s.stream(3).WriteBody([]byte("x"), true)
			p.r.step()
			p.want("DATA 3 END_STREAM x")
			v.end(false)
		})
	}
}

// TestFlushTimeout resets a stream that has only to go out when the client takes nothing of it for long. What it takes gives
// it more time.
func TestFlushTimeout(t *testing.T) {
	const patience = 10 * time.Second
	s, p := newServer(t, testOptions())
	p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}).turn()
	p.take()
	v := begun(s, 1)[0]
	v.WriteBody([]byte("abc"), true)
	v.endWithin(true, patience)
	p.r.step()
	p.want("DATA 1 a")
	p.r.advance(patience - time.Second)
	p.windowUpdate(1, 1).turn()
	p.want("DATA 1 b")
	p.r.advance(patience - time.Millisecond)
	p.want()
	p.r.advance(2 * time.Millisecond)
	p.want("RST_STREAM 1 CANCEL")
	p.r.wantStat("tx_flush_timeout", 1)
	p.r.wantStat("streams_active", 0)
	if s.Streams() != 0 {
		t.Errorf("%d streams are open", s.Streams())
	}
	p.r.advance(10 * patience)
	p.want()
}

// TestFlushTimeoutWithoutAnyProgress counts from the end on where the client has taken nothing since.
func TestFlushTimeoutWithoutAnyProgress(t *testing.T) {
	const patience = 10 * time.Second
	s, p := newServer(t, testOptions())
	p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}).turn()
	p.take()
	v := begun(s, 1)[0]
	v.WriteBody([]byte("abc"), true)
	p.r.advance(time.Hour) // who writes has all the time
	v.endWithin(true, patience)
	p.r.advance(patience - time.Millisecond)
	p.want()
	p.r.advance(time.Millisecond)
	p.want("RST_STREAM 1 CANCEL")
	p.r.wantStat("tx_flush_timeout", 1)
}

// TestNotifyBelow wakes who serves a stream once less than it asked for waits.
func TestNotifyBelow(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}).turn()
	v := begun(s, 1)[0]
	v.WriteBody(make([]byte, 101), false)
	v.NotifyBelow(50)
	woken := v.woken
	p.windowUpdate(1, 50).turn()
	if v.woken != woken || v.Pending() != 50 {
		t.Errorf("woken %d times with %d bytes waiting", v.woken-woken, v.Pending())
	}
	p.windowUpdate(1, 1).turn()
	p.windowUpdate(1, 1).turn()
	if v.woken != woken+1 {
		t.Errorf("woken %d times with %d bytes waiting, want once", v.woken-woken, v.Pending())
	}
	v.NotifyBelow(49) // less is waiting already
	if v.woken != woken+2 {
		t.Errorf("woken %d times, want at once", v.woken-woken)
	}
	v.end(false)
}

// TestEndBeforeTheRequest resets the stream of a request that nobody reads to its end any more, with NO_ERROR once the
// response is whole (RFC 9113 section 8.1).
func TestEndBeforeTheRequest(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1).data(1, 0, "unread").send()
	s.stream(1).answer("no, thanks")
	p.r.step()
	p.want("HEADERS 1 :status=200", "DATA 1 END_STREAM no, thanks", "RST_STREAM 1 NO_ERROR")
	p.data(1, 0, "more").headers(1, endStream, "x", "y").turn()
	p.want()
	if s.inflow.unread != 0 {
		t.Errorf("%d bytes are not credited", s.inflow.unread)
	}
}
