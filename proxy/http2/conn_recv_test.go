package http2

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestHeadSince follows since when a client owes the rest of what it has begun. Bytes that do not complete it, and frames of
// a field block that do not end it, change nothing.
func TestHeadSince(t *testing.T) {
	s, p := newRig(t).server(testOptions())
	start := p.r.now
	for _, step := range []struct {
		name string
		play func()
		want int // second in which the debt began, -1 for none
	}{
		{"part of the preface", func() { p.WriteString(http2.ClientPreface[:5]) }, 0},
		{"more of it", func() { p.WriteString(http2.ClientPreface[5:7]) }, 0},
		{"the rest of it", func() { p.WriteString(http2.ClientPreface[7:]) }, 0},
		{"part of SETTINGS", func() { p.WriteString("\x00\x00\x00\x04") }, 0},
		{"the rest of it", func() { p.WriteString("\x00\x00\x00\x00\x00") }, -1},
		{"part of a frame", func() { p.WriteString("\x00\x00\x08\x06\x00\x00\x00\x00\x0012") }, 5},
		{"more of it", func() { p.WriteString("345") }, 5},
		{"the rest, and part of the next", func() { p.WriteString("678\x00\x00\x08") }, 7},
		{"the rest of that", func() { p.WriteString("\x06\x00\x00\x00\x00\x0012345678") }, -1},
		{"HEADERS without END_HEADERS", func() { p.raw(http2.FrameHeaders, 0, 1, string(p.encode(postFields...))) }, 9},
		{"CONTINUATION", func() { p.continuation(1, 0, string(p.encode("a", "b"))) }, 9},
		{"part of CONTINUATION", func() { p.WriteString("\x00\x00\x01\x09") }, 9},
		{"the rest of it, and the end", func() { p.WriteString("\x00\x00\x00\x00\x01\x88"); p.continuation(1, endHeaders, "") }, -1},
		{"part of a DATA frame", func() { p.WriteString("\x00\x00\x08\x00\x00\x00\x00\x00\x01ab") }, -1},
		{"more of it", func() { p.WriteString("cd") }, -1},
		{"the rest, and part of a header", func() { p.WriteString("efgh\x00\x00") }, 15},
		{"a DATA frame, and part of the next", func() { p.WriteString("\x01\x00\x00\x00\x00\x00\x01i\x00\x00") }, 16},
		{"a DATA frame, and part of the next", func() { p.WriteString("\x01\x00\x00\x00\x00\x00\x01j\x00\x00") }, 17},
		{"another frame", func() { p.WriteString("\x08\x06\x00\x00\x00\x00\x0012345678") }, -1},
	} {
		step.play()
		p.turn()
		want := int64(0)
		if step.want >= 0 {
			want = start + int64(step.want)*int64(time.Second)
		}
		if got := s.HeadSince(); got != want {
			t.Errorf("%s: since second %d, want %d", step.name, (got-start)/int64(time.Second), step.want)
		}
		p.r.now += int64(time.Second)
		p.r.step()
	}
	if s.late != 7 {
		t.Errorf("the owner was told %d times of a debt, want 7", s.late)
	}
}

// TestFeed goes on with bytes that somebody else has read.
func TestFeed(t *testing.T) {
	s, p := newRig(t).server(testOptions())
	s.answerAll("hello")
	first := newScript().begin().get(1)
	s.Feed(first.Bytes())
	p.turn()
	if got := p.take(); len(got) != 5 || got[4] != "DATA 1 END_STREAM hello" {
		t.Errorf("frames %q", got)
	}
	p.get(3).turn()
	p.want("HEADERS 3 :status=200", "DATA 3 END_STREAM hello")
}

// TestReadsOncePerTurn takes no more than a buffer in a turn, however much is there, and comes again by itself.
func TestReadsOncePerTurn(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.post(1)
	for range 12 {
		p.data(1, 0, string(make([]byte, minMaxFrameSize)))
	}
	before, turns := s.raw.BytesRead(), 0
	for len(p.unsent) > 0 || s.raw.Readable() || turns == 0 {
		p.send()
		read := s.raw.BytesRead() - before
		before += read
		if read == 0 || read > 64<<10 {
			t.Fatalf("%d bytes were read in a turn", read)
		}
		if turns++; turns > 100 {
			t.Fatal("it never ends")
		}
	}
	if got := len(readAll(s.stream(1).Stream)); got != 12*minMaxFrameSize || turns < 4 {
		t.Errorf("%d bytes in %d turns", got, turns)
	}
}
