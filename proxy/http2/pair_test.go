package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// pair is both sides of a connection with the test in between, which carries the bytes from one to the other in pieces of any
// size.
type pair struct {
	t         *testing.T
	r         *rig
	random    *rand.Rand
	s         *testServer
	k         *testClient
	up, down  []byte // on their way to the server, and to the client
	exchanges []*pairExchange
	open      int
	cancelled int
}

// pairExchange is a request and its response, both of so many bytes of a pattern.
type pairExchange struct {
	q                       *asked
	request, response       int
	sent, answered          int  // bytes written by the client, and by the server
	received, read          int  // and read by the server, and by the client
	cancels, refuses        bool // the client gives up half way, or the server does
	served, headRead        bool
	requestEnd, answeredEnd bool
}

func newPair(t *testing.T, seed uint64, o *Options) *pair {
	p := &pair{t: t, r: newRig(t), random: rand.New(rand.NewPCG(seed, 0))}
	p.s, _ = p.r.server(o)
	p.k, _ = p.r.client(o)
	p.r.step()
	return p
}

// carry moves what the two sides have sent a part of the way.
func (p *pair) carry() {
	p.up = p.carryFrom(p.k.p.fd, p.s.p.fd, p.up)
	p.down = p.carryFrom(p.s.p.fd, p.k.p.fd, p.down)
}

func (p *pair) carryFrom(from, to int, waiting []byte) []byte {
	buf := make([]byte, 1+p.random.IntN(1<<(2+p.random.IntN(15))))
	if n, err := unix.Read(from, buf); err == nil {
		waiting = append(waiting, buf[:n]...)
	}
	if len(waiting) > 0 {
		if n, err := unix.Write(to, waiting[:1+p.random.IntN(len(waiting))]); err == nil {
			waiting = waiting[n:]
		}
	}
	return waiting
}

// ask opens a stream, if there is room.
func (p *pair) ask() {
	if p.k.Room() == 0 {
		return
	}
	size := func() int { return p.random.IntN(1 << p.random.IntN(18)) }
	x := &pairExchange{q: p.k.reserve(), request: size(), response: size(), cancels: p.random.IntN(10) == 0, refuses: p.random.IntN(10) == 0}
	x.q.write("POST", false, "n", fmt.Sprint(len(p.exchanges)))
	p.exchanges = append(p.exchanges, x)
	p.open++
}

// maxPending is how much may wait in a stream before no more is written, as in the proxy.
const maxPending = 4 << 10

// write writes some more of a body, and its end. It returns how much is written by then, and whether that is all.
func (p *pair) write(s *Stream, sent, size int) (int, bool) {
	if s.Pending() >= maxPending {
		return sent, false
	}
	n := min(size-sent, 1+p.random.IntN(maxPending))
	last := sent+n == size
	trailers := fieldsOf("sum", fmt.Sprint(size))
	switch {
	case !last:
		s.WriteBody(pattern(sent, n), false)
	case p.random.IntN(2) == 0:
		s.WriteBody(pattern(sent, n), true)
	default:
		s.WriteBody(pattern(sent, n), false)
		s.WriteEnd(&trailers)
	}
	return sent + n, last
}

// read reads some of a body and compares it.
func (p *pair) read(s *Stream, got, size int) (int, bool) {
	data, done, err := s.ReadBody()
	if err != nil && err != eventloop.ErrWouldBlock && err != ErrReset {
		p.t.Errorf("the body ends with %v after %d of %d bytes", err, got, size)
	}
	if !bytes.Equal(data, pattern(got, len(data))) {
		p.t.Errorf("bytes %d to %d of a body are wrong", got, got+len(data))
	}
	if got += len(data); done && got != size {
		p.t.Errorf("a body has %d bytes, want %d", got, size)
	}
	return got, done
}

// advance does the parts of an exchange that can be done.
func (p *pair) advance(x *pairExchange) {
	if x.q.over {
		return
	}
	if x.cancels && x.sent > x.request/2 || x.refuses && x.q.Err() == ErrReset {
		p.cancelled++
		p.finish(x)
		return
	}
	if !x.requestEnd && p.random.IntN(2) == 0 {
		x.sent, x.requestEnd = p.write(x.q.Stream, x.sent, x.request)
	}
	if v := p.s.served[x.q.ID()]; v != nil && !v.over && p.random.IntN(2) == 0 {
		p.serve(x, v)
	}
	p.receive(x)
}

// serve does the server's part.
func (p *pair) serve(x *pairExchange, v *served) {
	done := false
	if x.received, done = p.read(v.Stream, x.received, x.request); !x.served {
		v.head(200)
		x.served = true
	}
	if x.refuses && x.answered > x.response/2 {
		v.end(false)
		return
	}
	if !x.answeredEnd {
		x.answered, x.answeredEnd = p.write(v.Stream, x.answered, x.response)
	}
	if done && x.answeredEnd && v.Flushed() {
		v.end(true)
	}
}

// receive does the client's part.
func (p *pair) receive(x *pairExchange) {
	if p.random.IntN(3) == 0 || !x.headRead && x.q.ReadHead(&x.q.resp) != nil {
		return
	}
	x.headRead = true
	done := false
	if x.read, done = p.read(x.q.Stream, x.read, x.response); done && x.requestEnd && x.q.Flushed() {
		p.finish(x)
	}
}

func (p *pair) finish(x *pairExchange) {
	if v := p.s.served[x.q.ID()]; v != nil {
		v.end(false)
	}
	x.q.end()
	p.open--
}

// TestPair has both sides talk to each other on small windows, with bodies of many sizes in both directions at once, streams
// that are given up, and bytes that arrive in pieces of any size. What is written must be read, and nothing be left.
func TestPair(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := testOptions()
			o.StreamWindow, o.ConnWindow, o.MaxStreams = initialWindow<<(seed%2), initialWindow, 10
			o.MaxOutboundFrames, o.MaxOutboundControlFrames, o.MaxWindowUpdates = 1<<20, 1<<20, 1<<20
			p := newPair(t, seed, o)
			const exchanges = 60
			for turns := 0; len(p.exchanges) < exchanges || p.open > 0; turns++ {
				if len(p.exchanges) < exchanges {
					p.ask()
				}
				p.carry()
				for _, x := range p.exchanges {
					p.advance(x)
				}
				if p.r.step(); turns > 200_000 || t.Failed() {
					t.Fatalf("after %d turns %d exchanges are open; ended %v, %v", turns, p.open, p.s.ends, p.k.ends)
				}
			}
			p.checkDone()
		})
	}
}

// checkDone demands that nothing is left on either side.
func (p *pair) checkDone() {
	for range 1000 {
		p.carry()
		p.r.step()
	}
	for _, v := range p.s.served {
		v.end(false) // those whose client gave them up before they had come
	}
	checkIdle(p.t, p.r.env)
	if p.s.dead || p.k.dead || p.s.Streams()+p.k.Streams() != 0 {
		p.t.Errorf("ended %v, %v; %d and %d streams are open", p.s.ends, p.k.ends, p.s.Streams(), p.k.Streams())
	}
	if p.s.inflow.unread+p.k.inflow.unread != 0 || p.s.buf != nil || p.k.buf != nil {
		p.t.Errorf("%d and %d bytes are unread", p.s.inflow.unread, p.k.inflow.unread)
	}
	if p.cancelled == 0 {
		p.t.Error("no exchange was cancelled")
	}
}
