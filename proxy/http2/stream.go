package http2

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Stream is a stream of either side: the part that both have. It is in the table of its connection until it has ended both
// ways, and exists until its owner has ended it as well. All of it belongs to the loop's thread.
type Stream struct {
	// The fields are in this order so that what every frame needs is close together: streams are many, and most of what is
	// looked up in one is not in the processor's cache.
	id    uint32
	state state
	err   Error // why the stream is over, if it is before its time

	inTable   bool
	detached  bool // its owner has ended it
	headDone  bool // the final head has come
	ended     bool // END_STREAM has come
	noBody    bool // the message may have none: an answer to HEAD, or a 204 or 304
	tunnel    bool // bytes both ways: CONNECT
	headSent  bool // a final head went out
	endQueued bool // the message ends with what is pending
	queued    bool // in the line of those that may send

	chain *Stream // the next one in the table
	conn  *conn
	waker eventloop.Waker // of who serves the stream

	// Receiving.
	request  *message.Request  // where a client's head goes, or what a host was asked
	response *message.Response // where a host's head goes
	arena    []byte            // what heads and trailers are made of
	heads    int               // response heads that wait to be read, the first of them in response
	declared int64             // content-length, -1 when there is none
	received int64             // bytes of the body
	inflow   streamInflow
	recv     queue

	// Sending.
	window        outflow
	pending       queue   // body bytes that wait for a window, or for their turn
	before, after *Stream // in the line
	wakeBelow     int32   // wake once pending is shorter; 0: never

	code     http2.ErrCode   // of the peer's RST_STREAM
	opened   int64           // nanoseconds on the loop's clock
	trailers *message.Fields // nil when there never were any
	rare     *rareState      // nil when there was never any need
}

// rareState is what few streams need.
type rareState struct {
	heads        []*message.Response // those that wait behind the first
	lateTrailers *message.Fields     // that follow what is pending
	metadata     metadata
	flush        eventloop.Timer
	patience     time.Duration // how long the peer may take nothing of what is pending after the owner has ended the stream
}

// clear makes s ready for reuse, and keeps what memory is worth it.
func (s *Stream) clear() {
	if cap(s.arena) > maxIdleArena {
		s.arena = nil
	}
	if s.trailers != nil {
		s.trailers.Reset()
	}
	*s = Stream{
		arena: s.arena[:0], trailers: s.trailers,
		recv: queue{pieces: s.recv.pieces[:0]}, pending: queue{pieces: s.pending.pieces[:0]},
	}
}

// more returns what few streams need.
func (s *Stream) more() *rareState {
	if s.rare == nil {
		s.rare = new(rareState)
	}
	return s.rare
}

// open puts a stream into the table.
func (c *conn) open(s *Stream, id uint32) {
	s.conn, s.id = c, id
	s.opened = c.loop.Now()
	s.declared = -1
	s.window = outflow(c.peer.window)
	s.inflow = streamInflow{window: int32(c.opts.StreamWindow)}
	s.inTable = true
	c.streams.add(s)
	c.flood.opened++
	c.stats.Inc(statStreamsActive)
}

// close takes a stream out of the table. reset says that we have reset it.
func (c *conn) close(s *Stream, reset bool) {
	if !s.inTable {
		return
	}
	s.inTable = false
	c.dequeue(s)
	c.dropPending(s)
	c.streams.remove(s)
	c.stats.Dec(statStreamsActive)
	if s.rare != nil {
		c.loop.StopTimer(&s.rare.flush)
	}
	if !reset {
		c.recent.add(s.id, false) // writeReset has done it otherwise
	}
	c.flood.streamEnded(c.opts)
	c.owner.streamGone(s)
	if s.detached {
		c.free(s)
	}
}

// settle closes a stream that has ended both ways, or whose owner wants nothing more of it than what has gone out.
func (c *conn) settle(s *Stream) {
	switch {
	case s.state == stateClosed:
		c.close(s, false)
	case s.detached && !s.state.canSend():
		c.cancel(s, http2.ErrCodeNo) // RFC 9113 section 8.1
	}
}

// cancel resets a stream that we do not want any more.
func (c *conn) cancel(s *Stream, code http2.ErrCode) { c.sendReset(s, code, ErrAborted) }

func (c *conn) sendReset(s *Stream, code http2.ErrCode, err Error) {
	s.state, _ = s.state.sendReset()
	c.writeReset(s.id, code)
	c.drop(s, err, true)
}

// drop ends a stream before its time. reset says that we have reset it.
func (c *conn) drop(s *Stream, err Error, reset bool) {
	s.fail(err)
	c.close(s, reset)
}

// fail notes that nothing more comes and nothing more goes out. What has come whole stays whole.
func (s *Stream) fail(err Error) {
	if s.err == noError {
		s.err = err
	}
	s.wake()
}

// lose ends a stream whose connection has.
func (s *Stream) lose(err Error) {
	s.state = s.state.lose()
	s.conn.drop(s, err, false)
}

// resetStream resets a stream for a mistake of the peer.
func (c *conn) resetStream(s *Stream, code http2.ErrCode, err Error) {
	if err == ErrMalformed {
		c.stats.Inc(statMessagingError)
		if c.opts.StrictMessages {
			c.condemn(fault{http2.ErrCodeProtocol, "malformed message"}, ErrMalformed)
		}
	}
	c.countPremature(s)
	c.sendReset(s, code, err)
}

// dropPending drops the body bytes that wait to go out, and the received ones when nobody is left to take them.
func (c *conn) dropPending(s *Stream) {
	if n := int(s.pending.size); n > 0 {
		c.pendingBytes -= n
		c.stats.Sub(statPendingBytes, uint64(n))
	}
	s.pending.release(&c.env.pieces)
	if s.rare != nil {
		s.rare.lateTrailers = nil
	}
	if s.detached {
		c.dropReceived(s)
	}
}

// dropReceived drops what was received and not taken. The connection is credited for it; the stream needs nothing any more.
func (c *conn) dropReceived(s *Stream) {
	if n := int(s.recv.size); n > 0 {
		s.recv.release(&c.env.pieces)
		c.taken(n)
	}
}

// free gives back a stream that is not in the table any more and whose owner has ended it.
func (c *conn) free(s *Stream) {
	c.dropReceived(s)
	s.recv.release(&c.env.pieces)
	if s.rare != nil {
		c.keepMetadata(&s.rare.metadata, -s.rare.metadata.size)
	}
	c.env.put(s)
}

// wake wakes who serves the stream.
func (s *Stream) wake() {
	if s.waker != nil {
		s.waker.Wake()
	}
}

// SetWaker has w woken by what happens to the stream.
func (s *Stream) SetWaker(w eventloop.Waker) { s.waker = w }

// ID returns the stream's identifier.
func (s *Stream) ID() uint32 { return s.id }

// Err returns why the stream is over before its time, 0 while it is not.
func (s *Stream) Err() Error { return s.err }

// Code returns the error code of the peer's RST_STREAM.
func (s *Stream) Code() http2.ErrCode { return s.code }

// Conn returns the connection underneath.
func (s *Stream) Conn() *eventloop.Conn { return s.conn.raw }

// Expired implements eventloop.Expirer: the peer has taken nothing of the end of the message for long enough.
func (s *Stream) Expired(*eventloop.Timer) {
	c := s.conn
	c.stats.Inc(statFlushTimeout)
	c.cancel(s, http2.ErrCodeCancel)
}

// detach ends the owner's part in a stream. complete says that our message has been written to its end: what waits of it
// still goes out, as long as the peer takes some of it within patience. Otherwise the stream is reset with code. The stream
// must not be used after that.
func (s *Stream) detach(complete bool, code http2.ErrCode, patience time.Duration) {
	c := s.conn
	s.waker, s.detached = nil, true
	switch {
	case !s.inTable:
		c.free(s)
	case !complete:
		c.cancel(s, code)
	case !s.state.canSend():
		c.settle(s)
	default:
		c.dropReceived(s)
		if patience > 0 {
			s.more().patience = patience
			s.waitFlush()
		}
	}
}

// waitFlush bounds the time without progress of a stream that only has to go out.
func (s *Stream) waitFlush() {
	if r := s.rare; r != nil && r.patience > 0 {
		s.conn.loop.SetTimer(&r.flush, r.patience, s)
	}
}
