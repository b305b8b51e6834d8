package http2

import "github.com/penguintechinc/marchproxy-alb/proxy/eventloop"

const (
	// maxBorrowed bounds the pieces that a stream borrows from the read buffer in one turn. More of them are so small that
	// they are better copied together.
	maxBorrowed = 8
	// smallPiece is the first buffer of a queue that has to keep something: most bodies that wait are small.
	smallPiece = 2 << 10
)

// queue holds body bytes, in order: borrowed ones, valid until the end of the turn, and ones that it owns. The zero value is
// empty. It is small because every stream has two of them.
type queue struct {
	pieces   []piece // first in, first out, from next on; the one before next may be in use by who took it
	next     int32
	size     int32 // bytes; no more than a window, or what a message may have waiting
	borrowed bool  // some piece is borrowed
}

// piece is a part of a queue. buffer is what holds its bytes when the queue owns them, nil for borrowed ones.
type piece struct{ bytes, buffer []byte }

func (q *queue) empty() bool { return q.size == 0 }

// waiting returns the pieces that were not taken.
func (q *queue) waiting() []piece { return q.pieces[q.next:] }

// borrow appends b without a copy, or with one where the pieces have become many.
func (q *queue) borrow(m *pieces, b []byte) {
	if len(q.waiting()) >= maxBorrowed {
		q.append(m, b)
		return
	}
	q.pieces = append(q.pieces, piece{bytes: b})
	q.size += int32(len(b))
	q.borrowed = true
}

// append appends a copy of b.
func (q *queue) append(m *pieces, b []byte) {
	q.size += int32(len(b))
	for len(b) > 0 {
		last := q.last()
		if last == nil || last.buffer == nil || cap(last.bytes) == len(last.bytes) {
			q.pieces = append(q.pieces, q.newPiece(m, len(b)))
			last = q.last()
		}
		n := min(len(b), cap(last.bytes)-len(last.bytes))
		last.bytes = append(last.bytes, b[:n]...)
		b = b[n:]
	}
}

// last returns the last piece that was not taken, nil when there is none.
func (q *queue) last() *piece {
	if w := q.waiting(); len(w) > 0 {
		return &w[len(w)-1]
	}
	return nil
}

// newPiece returns an empty piece with room for some of the n bytes to come: a small one first, so that many streams that
// wait with a little do not hold much.
func (q *queue) newPiece(m *pieces, n int) piece {
	b := m.get(len(q.waiting()) == 0 && n <= smallPiece)
	return piece{bytes: b[:0], buffer: b}
}

// keep copies what is borrowed. Nobody is using a piece that was taken any more.
func (q *queue) keep(m *pieces) {
	if !q.borrowed {
		return
	}
	q.giveBack(m)
	var room [2 * maxBorrowed]piece
	old := append(room[:0], q.waiting()...)
	clear(q.pieces)
	*q = queue{pieces: q.pieces[:0]}
	for _, p := range old {
		if p.buffer != nil {
			q.pieces = append(q.pieces, p)
			q.size += int32(len(p.bytes))
			continue
		}
		q.append(m, p.bytes)
	}
}

// take removes the first piece, at most max bytes of it, and returns it. It stays valid until the next call of take or
// release, and until the end of the turn.
func (q *queue) take(m *pieces, max int) []byte {
	q.giveBack(m)
	p := &q.pieces[q.next]
	b := p.bytes
	if len(b) > max {
		b = b[:max:max]
		p.bytes = p.bytes[max:]
	} else {
		p.bytes = nil
		q.next++
	}
	if q.size -= int32(len(b)); q.size == 0 {
		q.borrowed = false
	}
	return b
}

// giveBack lets go of the piece that was taken last.
func (q *queue) giveBack(m *pieces) {
	if q.next == 0 {
		return
	}
	if b := q.pieces[q.next-1].buffer; b != nil {
		m.put(b)
		q.pieces[q.next-1].buffer = nil
	}
	switch {
	case int(q.next) == len(q.pieces):
		q.pieces, q.next = q.pieces[:0], 0
	case q.next > maxBorrowed:
		n := copy(q.pieces, q.waiting())
		clear(q.pieces[n:])
		q.pieces, q.next = q.pieces[:n], 0
	}
}

// release drops everything.
func (q *queue) release(m *pieces) {
	q.giveBack(m)
	for _, p := range q.waiting() {
		if p.buffer != nil {
			m.put(p.buffer)
		}
	}
	clear(q.pieces)
	*q = queue{pieces: q.pieces[:0]}
	if cap(q.pieces) > 4*maxBorrowed {
		q.pieces = nil
	}
}

// maxIdlePieces bounds the small buffers kept for reuse per worker, 4 MiB.
const maxIdlePieces = 2048

// pieces are the buffers that the queues of a worker own.
type pieces struct {
	loop *eventloop.Loop
	idle [][]byte // small ones
}

// get returns a buffer, a small one or one of the loop's.
func (m *pieces) get(small bool) []byte {
	if !small {
		return m.loop.AcquireBuffer(eventloop.ReadBufferSize)
	}
	n := len(m.idle)
	if n == 0 {
		return make([]byte, smallPiece)
	}
	b := m.idle[n-1]
	m.idle[n-1] = nil
	m.idle = m.idle[:n-1]
	return b
}

// put takes a buffer back.
func (m *pieces) put(b []byte) {
	if cap(b) != smallPiece {
		m.loop.ReleaseBuffer(b)
	} else if len(m.idle) < maxIdlePieces {
		m.idle = append(m.idle, b[:smallPiece])
	}
}
