package http2

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// newPieces returns buffers for queues, of a loop that is never run.
func newPieces(t testing.TB) *pieces {
	t.Helper()
	return &newRig(t).env.pieces
}

// drain takes everything out of a queue, at most max bytes at a time.
func drain(q *queue, m *pieces, max int) []byte {
	var all []byte
	for !q.empty() {
		all = append(all, q.take(m, max)...)
	}
	q.giveBack(m)
	return all
}

// TestQueueKeepsOrder mixes borrowed and copied pieces of all sizes, keeps what is left at the end of turns, and takes
// everything out again in order.
func TestQueueKeepsOrder(t *testing.T) {
	m := newPieces(t)
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			checkQueueOrder(t, m, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func checkQueueOrder(t *testing.T, m *pieces, random *rand.Rand) {
	var q queue
	var put, got []byte
	turn := make([]byte, 0, 1<<20) // what is borrowed from
	for range 100 {
		switch n := 1 + random.IntN(1<<random.IntN(15)); random.IntN(4) {
		case 0:
			b := pattern(len(put), n)
			put = append(put, b...)
			q.append(m, b)
			clear(b) // it was copied
		case 1:
			start := len(turn)
			turn = append(turn, pattern(len(put), n)...)
			put = append(put, turn[start:]...)
			q.borrow(m, turn[start:len(turn):len(turn)])
		case 2:
			if !q.empty() {
				got = append(got, q.take(m, n)...)
			}
		case 3: // the turn ends
			q.keep(m)
			clear(turn)
			turn = turn[:0]
			if q.borrowed {
				t.Fatal("something is borrowed after the end of a turn")
			}
		}
		checkQueue(t, &q)
		if int(q.size) != len(put)-len(got) {
			t.Fatalf("%d bytes wait, want %d", q.size, len(put)-len(got))
		}
	}
	got = append(got, drain(&q, m, math.MaxInt)...)
	if !bytes.Equal(got, put) {
		t.Fatal("bytes were lost, changed or moved")
	}
}

// pattern returns n bytes of an endless stream, from offset on.
func pattern(offset, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		x := uint32(offset+i) * 2654435761
		b[i] = byte(x >> 24)
	}
	return b
}

// TestQueueBorrowsFewPieces copies small pieces together where there are many.
func TestQueueBorrowsFewPieces(t *testing.T) {
	m := newPieces(t)
	var q queue
	for i := range 1000 {
		q.borrow(m, pattern(i, 1))
	}
	if got := len(q.waiting()); got != maxBorrowed+1 {
		t.Errorf("1000 bytes are %d pieces, want %d borrowed ones and a buffer", got, maxBorrowed)
	}
	if !bytes.Equal(drain(&q, m, math.MaxInt), pattern(0, 1000)) {
		t.Error("bytes were lost, changed or moved")
	}
}

// TestQueueBuffers takes a small buffer for a body that is small, large ones for what is large, and gives all of them back.
func TestQueueBuffers(t *testing.T) {
	for _, c := range []struct{ size, small, large int }{
		{1, 1, 0},
		{smallPiece, 1, 0},
		{smallPiece + 1, 0, 1},
		{eventloop.ReadBufferSize, 0, 1},
		{eventloop.ReadBufferSize + 1, 0, 2},
		{100 * eventloop.ReadBufferSize, 0, 100},
	} {
		m := newPieces(t)
		var q queue
		q.append(m, pattern(0, c.size))
		small, large := 0, 0
		for _, p := range q.waiting() {
			if cap(p.buffer) == smallPiece {
				small++
			} else {
				large++
			}
		}
		if small != c.small || large != c.large {
			t.Errorf("%d bytes: %d small and %d large buffers, want %d and %d", c.size, small, large, c.small, c.large)
		}
		q.release(m)
		if len(m.idle) != c.small || q.size != 0 || !q.empty() {
			t.Errorf("%d bytes: %d small buffers came back, want %d; %d bytes are left", c.size, len(m.idle), c.small, q.size)
		}
		if cap(q.pieces) > 4*maxBorrowed {
			t.Errorf("%d bytes: an empty queue keeps room for %d pieces", c.size, cap(q.pieces))
		}
	}
}

// TestQueueTakenStaysValid does not use the buffer of the piece that was taken last for anything else before the next is taken.
func TestQueueTakenStaysValid(t *testing.T) {
	m := newPieces(t)
	var a, b queue
	a.append(m, []byte("first"))
	taken := a.take(m, math.MaxInt)
	b.append(m, []byte("other"))
	a.append(m, []byte("second"))
	if string(taken) != "first" {
		t.Errorf("what was taken has become %q", taken)
	}
	a.take(m, math.MaxInt)
	if len(m.idle) != 1 {
		t.Errorf("%d buffers came back, want that of the first piece", len(m.idle))
	}
}

// TestPiecesAreBounded keeps no more idle buffers than its limit.
func TestPiecesAreBounded(t *testing.T) {
	m := newPieces(t)
	for range maxIdlePieces + 10 {
		m.put(make([]byte, smallPiece))
	}
	if len(m.idle) != maxIdlePieces {
		t.Errorf("%d buffers are kept, want %d", len(m.idle), maxIdlePieces)
	}
	for range maxIdlePieces {
		if got := len(m.get(true)); got != smallPiece {
			t.Fatalf("a buffer of %d bytes", got)
		}
	}
	if len(m.idle) != 0 {
		t.Errorf("%d buffers are left", len(m.idle))
	}
}
