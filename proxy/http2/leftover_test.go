package http2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// TestPartOfAFrameIsHeldSmall has a connection wait for the rest of a frame. What there is of it needs no read buffer, which
// many that wait would fill the memory with.
func TestPartOfAFrameIsHeldSmall(t *testing.T) {
	frame := newScript().get(1).String()
	for at := 1; at < len(frame); at++ {
		s, p := newServer(t, testOptions())
		s.answerAll("hi")
		p.WriteString(frame[:at])
		p.turn()
		p.r.steps(2)
		if got := len(s.buf); got != smallPiece {
			t.Errorf("split at %d: %d bytes are held, want %d", at, got, smallPiece)
		}
		p.WriteString(frame[at:])
		p.turn()
		p.want("HEADERS 1 :status=200", "DATA 1 END_STREAM hi")
		if s.buf != nil {
			t.Errorf("split at %d: %d bytes are held for nothing", at, len(s.buf))
		}
	}
}

// TestPartOfALargeFrameIsHeldWhole splits a frame that is as large as can be, with the end of another before it.
func TestPartOfALargeFrameIsHeldWhole(t *testing.T) {
	first := newScript().get(1).String()
	block := strings.Repeat("\x82", minMaxFrameSize)
	both := first + newScript().raw(http2.FrameHeaders, endStream, 3, block).continuation(3, endHeaders, "\x84").String()
	for _, at := range []int{
		len(first) - 1, len(first), len(first) + 1, len(first) + frameHeaderSize, len(first) + smallPiece, len(first) + smallPiece + 1,
		eventloop.ReadBufferSize, len(both) - 1,
	} {
		s, p := newServer(t, testOptions())
		s.answerAll("hi")
		p.WriteString(both[:at])
		p.turn()
		p.WriteString(both[at:])
		p.turn()
		p.turn()
		p.want("HEADERS 1 :status=200", "DATA 1 END_STREAM hi", "HEADERS 3 END_STREAM :status=400") // too many fields
		if s.dead || s.buf != nil {
			t.Errorf("split at %d: dead %v, %d bytes are held", at, s.dead, len(s.buf))
		}
	}
}
