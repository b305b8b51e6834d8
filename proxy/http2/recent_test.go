package http2

import "testing"

// A peer that is busy sends on for a while: the end of a stream that we have reset must not be held against it, however many
// others were reset with it.
func TestRecentStreamsManyResets(t *testing.T) {
	var r recentStreams
	const resets = 8 * recentSize
	for i := range uint32(resets) {
		r.add(2*i+1, true)
	}
	for i := range uint32(resets) {
		if id := 2*i + 1; !r.wasReset(id) {
			t.Fatalf("stream %d was reset, and that is forgotten", id)
		}
	}
	if id := uint32(2*resets + 1); r.wasReset(id) {
		t.Errorf("stream %d was not reset", id)
	}
}

func TestRecentStreams(t *testing.T) {
	var r recentStreams
	if r.wasReset(1) || r.hasEnded(1) {
		t.Error("the zero value remembers stream 1")
	}
	r.add(1, true)
	for i := range uint32(recentSize) {
		r.add(2*i+3, false) // and the reset of stream 1 leaves the ring
	}
	const last = 2*recentSize + 1
	for _, tt := range []struct {
		id           uint32
		reset, ended bool
	}{
		{1, true, false},
		{3, false, true},
		{last, false, true},
		{last + 2, false, false},
	} {
		if got := r.wasReset(tt.id); got != tt.reset {
			t.Errorf("stream %d: reset %t, want %t", tt.id, got, tt.reset)
		}
		if got := r.hasEnded(tt.id); got != tt.ended {
			t.Errorf("stream %d: ended %t, want %t", tt.id, got, tt.ended)
		}
	}
}

func TestRecentStreamsForgetEndsThatWereNoResets(t *testing.T) {
	var r recentStreams
	for i := range uint32(2 * recentSize) {
		r.add(2*i+1, false)
	}
	if r.wasReset(1) || r.hasEnded(1) {
		t.Error("stream 1, which ended long ago and was not reset, is taken for one that was")
	}
}
