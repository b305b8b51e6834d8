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
// empty.
type queue struct {
	pieces   []piece // first in, first out, from next on
	next     int
	size     int  // bytes
	borrowed bool // some piece is borrowed
	taken    []byte
}

// piece is a part of a queue. buffer is what holds its bytes when the queue owns them, nil for borrowed ones.
type piece struct{ bytes, buffer []byte }

func (q *queue) empty() bool { return q.size == 0 }

// borrow appends b without a copy, or with one where the pieces have become many.
func (q *queue) borrow(loop *eventloop.Loop, b []byte) {
	if len(q.pieces)-q.next >= maxBorrowed {
		q.append(loop, b)
		return
	}
	q.pieces = append(q.pieces, piece{bytes: b})
	q.size += len(b)
	q.borrowed = true
}

// append appends a copy of b.
func (q *queue) append(loop *eventloop.Loop, b []byte) {
	q.size += len(b)
	for len(b) > 0 {
		last := q.last()
		if last == nil || last.buffer == nil || cap(last.bytes) == len(last.bytes) {
			q.pieces = append(q.pieces, q.newPiece(loop, len(b)))
			last = q.last()
		}
		n := min(len(b), cap(last.bytes)-len(last.bytes))
		last.bytes = append(last.bytes, b[:n]...)
		b = b[n:]
	}
}

func (q *queue) last() *piece {
	if q.next == len(q.pieces) {
		return nil
	}
	return &q.pieces[len(q.pieces)-1]
}

// newPiece returns an empty piece with room for some of the n bytes to come: a small one first, so that many streams that
// wait with a little do not hold much.
func (q *queue) newPiece(loop *eventloop.Loop, n int) piece {
	if q.next == len(q.pieces) && n <= smallPiece {
		b := make([]byte, 0, smallPiece)
		return piece{bytes: b, buffer: b}
	}
	b := loop.AcquireBuffer(eventloop.ReadBufferSize)
	return piece{bytes: b[:0], buffer: b}
}

// keep copies what is borrowed.
func (q *queue) keep(loop *eventloop.Loop) {
	if !q.borrowed {
		return
	}
	q.borrowed = false
	pieces := q.pieces[q.next:]
	q.pieces, q.next, q.size = nil, 0, 0
	for _, p := range pieces {
		if p.buffer != nil {
			q.pieces = append(q.pieces, p)
			q.size += len(p.bytes)
			continue
		}
		q.append(loop, p.bytes)
	}
}

// take removes the first piece, at most max bytes of it, and returns it. It stays valid until the next call of take or
// release, and until the end of the turn.
func (q *queue) take(loop *eventloop.Loop, max int) []byte {
	q.giveBack(loop)
	p := &q.pieces[q.next]
	b := p.bytes
	if len(b) > max {
		b = b[:max:max]
		p.bytes = p.bytes[max:]
		q.size -= max
		return b
	}
	q.taken = p.buffer
	*p = piece{}
	if q.next++; q.next == len(q.pieces) {
		q.pieces, q.next, q.borrowed = q.pieces[:0], 0, false
	}
	q.size -= len(b)
	return b
}

func (q *queue) giveBack(loop *eventloop.Loop) {
	if q.taken != nil {
		loop.ReleaseBuffer(q.taken)
		q.taken = nil
	}
}

// release drops everything.
func (q *queue) release(loop *eventloop.Loop) {
	q.giveBack(loop)
	for i := q.next; i < len(q.pieces); i++ {
		if b := q.pieces[i].buffer; b != nil {
			loop.ReleaseBuffer(b)
		}
	}
	clear(q.pieces)
	q.pieces, q.next, q.size, q.borrowed = q.pieces[:0], 0, 0, false
	if cap(q.pieces) > maxBorrowed {
		q.pieces = nil
	}
}
