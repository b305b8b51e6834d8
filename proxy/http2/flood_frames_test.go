package http2

import (
	"math"
	"testing"

	"golang.org/x/net/http2"
)

const (
	tooManyEmpty         = " ENHANCE_YOUR_CALM too many frames without content in a row"
	tooManyPriorities    = " ENHANCE_YOUR_CALM too many PRIORITY frames"
	tooManyWindowUpdates = " ENHANCE_YOUR_CALM too many WINDOW_UPDATE frames"
)

// openStreams opens n streams, which stay open.
func (p *peer) openStreams(n int) {
	for id := uint32(1); id < 2*uint32(n); id += 2 {
		p.post(id)
	}
}

// priorities sends PRIORITY n times.
func (p *peer) priorities(n int) {
	for range n {
		p.priority(1<<20+1, 0)
	}
}

// windowUpdates sends WINDOW_UPDATE of the connection n times.
func (p *peer) windowUpdates(n int) {
	for range n {
		p.windowUpdate(0, 1)
	}
}

var frameLimitTests = []limitTest{
	{
		name: "max_consecutive_inbound_frames_with_empty_payload, HEADERS", limit: 7, stat: "inbound_empty_frames_flood",
		set: func(o *Options) { o.MaxEmptyFrames = 7 },
		play: func(_ *testServer, p *peer, n int) {
			for id := uint32(1); id < 2*uint32(n); id += 2 {
				p.raw(http2.FrameHeaders, endHeaders, id, "")
			}
		},
		want: "GOAWAY 13" + tooManyEmpty, err: ErrProtocol,
	}, {
		name: "max_consecutive_inbound_frames_with_empty_payload, padded HEADERS", limit: 7, stat: "inbound_empty_frames_flood",
		set: func(o *Options) { o.MaxEmptyFrames = 7 },
		play: func(_ *testServer, p *peer, n int) {
			for id := uint32(1); id < 2*uint32(n); id += 2 {
				p.raw(http2.FrameHeaders, endHeaders|padded, id, "\x02pp")
			}
		},
		want: "GOAWAY 13" + tooManyEmpty, err: ErrProtocol,
	}, {
		name: "max_inbound_priority_frames_per_stream, no stream", limit: 7, stat: "inbound_priority_frames_flood",
		set:  func(o *Options) { o.MaxPriorityFrames = 7 },
		play: func(_ *testServer, p *peer, n int) { p.priorities(n) },
		want: "GOAWAY 0" + tooManyPriorities, err: ErrProtocol,
	}, {
		name: "max_inbound_priority_frames_per_stream, three streams", limit: 4 * 7, stat: "inbound_priority_frames_flood",
		set: func(o *Options) { o.MaxPriorityFrames = 7 },
		play: func(_ *testServer, p *peer, n int) {
			p.openStreams(3)
			p.priorities(n)
		},
		want: "GOAWAY 5" + tooManyPriorities, err: ErrProtocol,
	}, {
		// Streams that were and are not any more do not save up for later.
		name: "max_inbound_priority_frames_per_stream, after a hundred streams", limit: 7, stat: "inbound_priority_frames_flood",
		set: func(o *Options) { o.MaxPriorityFrames = 7 },
		play: func(s *testServer, p *peer, n int) {
			s.answerAll("")
			for id := uint32(1); id < 200; id += 2 {
				p.get(id).turn()
			}
			p.priorities(n)
		},
		want: "GOAWAY 199" + tooManyPriorities, err: ErrProtocol,
	}, {
		name: "max_inbound_window_update_frames_per_data_frame_sent, no stream", limit: 5, stat: "inbound_window_update_frames_flood",
		play: func(_ *testServer, p *peer, n int) { p.windowUpdates(n) },
		want: "GOAWAY 0" + tooManyWindowUpdates, err: ErrProtocol,
	}, {
		// A client may open the window of a stream when it opens the stream, long before there is an answer.
		name: "max_inbound_window_update_frames_per_data_frame_sent, three streams", limit: 5 + 2*3, stat: "inbound_window_update_frames_flood",
		play: func(_ *testServer, p *peer, n int) {
			p.openStreams(3)
			p.windowUpdates(n)
		},
		want: "GOAWAY 5" + tooManyWindowUpdates, err: ErrProtocol,
	}, {
		name: "max_inbound_window_update_frames_per_data_frame_sent, two DATA frames", limit: 5 + 2*(1+7*2), stat: "inbound_window_update_frames_flood",
		set: func(o *Options) { o.MaxWindowUpdates = 7 },
		play: func(s *testServer, p *peer, n int) {
			p.post(1).send()
			v := s.stream(1)
			v.head(200)
			v.WriteBody([]byte("a"), false)
			v.WriteBody([]byte("b"), false)
			p.windowUpdates(n)
		},
		want: "GOAWAY 1" + tooManyWindowUpdates, err: ErrProtocol,
	},
}

// TestFrameLimits does what is limited one time less than is allowed, as often, and one time more.
func TestFrameLimits(t *testing.T) { runLimits(t, frameLimitTests) }

// TestPriorityOfEveryRequest is a client that gives each of its requests some priorities, on a connection that lives long.
func TestPriorityOfEveryRequest(t *testing.T) {
	o := testOptions()
	o.MaxPriorityFrames = 7
	s, p := newServer(t, o)
	s.answerAll("")
	for id := uint32(1); id < 1000; id += 2 {
		p.priorities(7)
		p.get(id).turn()
	}
	p.finish(&s.conn)
	if s.dead {
		t.Errorf("the connection has ended: %q", p.take())
	}
}

// TestNoLimitOfWindowUpdates takes the highest value of the field for what it means, however much was sent.
func TestNoLimitOfWindowUpdates(t *testing.T) {
	o := testOptions()
	o.MaxWindowUpdates = math.MaxUint32
	s, p := newServer(t, o)
	for _, sent := range []uint64{1, 1 << 31, 1 << 32, math.MaxUint64} {
		s.flood.dataSent = sent
		p.windowUpdates(100)
		p.turn()
		if s.dead {
			t.Fatalf("the connection has ended after %d DATA frames: %q", sent, p.take())
		}
	}
}
