package http2

import (
	"reflect"
	"testing"
)

// checkServer checks what is always true of a server's connection.
func checkServer(t testing.TB, s *testServer) {
	t.Helper()
	var streams []*Stream
	for _, v := range s.served {
		if !v.over {
			streams = append(streams, v.Stream)
		}
	}
	checkConn(t, &s.conn, streams, s.ends)
}

// checkClient checks what is always true of a client's connection.
func checkClient(t testing.TB, k *testClient) {
	t.Helper()
	var streams []*Stream
	reserved := 0
	for _, q := range k.asked {
		switch {
		case q.over:
		case q.id == 0 && q.err == noError:
			reserved++
		default:
			streams = append(streams, q.Stream)
		}
	}
	if reserved != k.reserved {
		t.Errorf("%d streams are reserved, want %d", k.reserved, reserved)
	}
	checkConn(t, &k.conn, streams, k.ends)
}

// checkConn checks a connection of whose streams those in owned still belong to somebody.
func checkConn(t testing.TB, c *conn, owned []*Stream, ends []error) {
	t.Helper()
	all := make(map[*Stream]bool)
	for _, s := range owned {
		all[s] = true
	}
	count := 0
	c.streams.each(func(s *Stream) {
		count++
		all[s] = true
		checkInTable(t, c, s)
	})
	if count != c.streams.count {
		t.Errorf("the table has %d streams, want %d", c.streams.count, count)
	}
	if (len(ends) > 0) != c.dead || len(ends) > 1 {
		t.Errorf("the owner was told of %d ends, dead is %t", len(ends), c.dead)
	}
	if c.dead && count > 0 {
		t.Errorf("a dead connection has %d streams", count)
	}
	checkAmounts(t, c, all)
	checkLine(t, c)
}

// checkInTable checks a stream that has not ended.
func checkInTable(t testing.TB, c *conn, s *Stream) {
	t.Helper()
	switch {
	case s.conn != c || !s.inTable || c.streams.find(s.id) != s:
		t.Errorf("stream %d is not where it belongs", s.id)
	case s.state == stateIdle || s.state == stateClosed:
		t.Errorf("stream %d is in the table and %v", s.id, s.state)
	case s.sendable() && !s.queued:
		t.Errorf("stream %d may send and is not in line", s.id)
	case s.detached && !s.state.canSend():
		t.Errorf("stream %d belongs to nobody, has nothing to send and is there", s.id)
	}
}

// checkAmounts compares sums with what they are sums of.
func checkAmounts(t testing.TB, c *conn, streams map[*Stream]bool) {
	t.Helper()
	pending, unread, metadata := 0, 0, 0
	for s := range streams {
		pending += int(s.pending.size)
		unread += int(s.recv.size)
		if s.rare != nil {
			metadata += s.rare.metadata.size
		}
		checkQueue(t, &s.pending)
		checkQueue(t, &s.recv)
	}
	if pending != c.pendingBytes {
		t.Errorf("%d bytes are pending, want %d", c.pendingBytes, pending)
	}
	if metadata != c.metadataSize {
		t.Errorf("%d bytes of METADATA are kept, want %d", c.metadataSize, metadata)
	}
	// Of a DATA frame that is arriving all was received, and only a part is in a queue.
	if arriving := int64(c.data.left); !c.dead && c.inflow.unread != int64(unread)+arriving {
		t.Errorf("%d bytes are unread, want %d and %d that are arriving", c.inflow.unread, unread, arriving)
	}
	if sum := c.inflow.window + c.inflow.owed; sum != c.inflow.size {
		t.Errorf("the window and what is owed to it are %d, want %d", sum, c.inflow.size)
	}
}

// checkQueue compares the size of a queue with its pieces.
func checkQueue(t testing.TB, q *queue) {
	t.Helper()
	size, borrowed := 0, false
	for _, p := range q.waiting() {
		size += len(p.bytes)
		borrowed = borrowed || p.buffer == nil
	}
	if size != int(q.size) || borrowed && !q.borrowed {
		t.Errorf("a queue has %d bytes, want %d; borrowed is %t, want %t", q.size, size, q.borrowed, borrowed)
	}
}

// checkLine checks the line of those that may send.
func checkLine(t testing.TB, c *conn) {
	t.Helper()
	var before *Stream
	n := 0
	for s := c.first; s != nil; s = s.after {
		if s.before != before || !s.queued || !s.inTable {
			t.Errorf("stream %d stands wrongly in line", s.id)
			return
		}
		before = s
		n++
	}
	if c.last != before {
		t.Error("the line does not end with its last")
	}
	c.streams.each(func(s *Stream) {
		if s.queued {
			n--
		}
	})
	if n != 0 {
		t.Errorf("the line has %d streams more than say that they are in it", n)
	}
}

// checkIdle demands that streams which are kept for reuse have nothing left of what they were used for.
func checkIdle(t testing.TB, e *Env) {
	t.Helper()
	for _, s := range e.idle {
		rest := *s
		rest.arena, rest.trailers, rest.recv.pieces, rest.pending.pieces = nil, nil, nil, nil
		if !reflect.DeepEqual(rest, Stream{}) || len(s.arena) != 0 || cap(s.arena) > maxIdleArena || len(s.recv.pieces) != 0 ||
			len(s.pending.pieces) != 0 || s.trailers != nil && s.trailers.Len() != 0 {
			t.Errorf("an idle stream has %+v", s)
		}
	}
	if len(e.idle) > maxIdleStreams {
		t.Errorf("%d idle streams are kept", len(e.idle))
	}
}
