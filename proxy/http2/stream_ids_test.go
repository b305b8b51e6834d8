package http2

import "testing"

// TestServerLastStreamID serves the last stream that a client can open, and says that there will not be another.
func TestServerLastStreamID(t *testing.T) {
	s, p := newServer(t, testOptions())
	p.get(maxStreamID - 2).send()
	if s.Exhausted() {
		t.Error("exhausted before the last identifier")
	}
	p.get(maxStreamID).send()
	if !s.Exhausted() {
		t.Error("not exhausted after the last identifier")
	}
	s.stream(maxStreamID).answer("last")
	p.turn()
	p.want("HEADERS 2147483647 :status=200", "DATA 2147483647 END_STREAM last")
}

// TestClientLastStreamID opens streams up to the last identifier there is, and none after it.
func TestClientLastStreamID(t *testing.T) {
	k, p := newClient(t, testOptions())
	k.nextID = maxStreamID - 2
	first := k.get()
	if k.Room() != 1 || k.Exhausted() {
		t.Errorf("room for %d streams, exhausted %v, want 1 and not", k.Room(), k.Exhausted())
	}
	last := k.reserve()
	if k.Room() != 0 {
		t.Errorf("room for %d streams beside the last one, want none", k.Room())
	}
	last.write("GET", true)
	if !k.Exhausted() {
		t.Error("not exhausted after the last identifier")
	}
	late := k.reserve()
	late.write("GET", true)
	if late.Err() != ErrRefused {
		t.Errorf("a stream without an identifier: %v, want %v", late.Err(), ErrRefused)
	}
	p.turn()
	p.take()
	p.headers(maxStreamID-2, endStream, ":status", "200").headers(maxStreamID, endStream, ":status", "201").send()
	if got := first.result() + ", " + last.result(); got != "200 |, 201 |" {
		t.Errorf("got %s", got)
	}
	for _, q := range k.asked {
		q.end()
	}
}
