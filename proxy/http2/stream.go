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
	// Owner is for whoever serves the stream.
	Owner any

	conn  *conn
	id    uint32
	chain *Stream // the next one in the table
	state state
	waker eventloop.Waker // of who serves the stream

	// Receiving.
	request  *message.Request  // where a client's head goes
	response *message.Response // where a host's head goes
	arena    []byte            // what heads and trailers are made of
	recv     queue
	inflow   inflow
	declared int64 // content-length, -1 when there is none
	received int64 // bytes of the body
	trailers message.Fields
	heads    headQueue // response heads that wait to be read
	headDone bool      // the final head has come
	ended    bool      // END_STREAM has come
	noBody   bool      // the message may have none: an answer to HEAD, or a 204 or 304
	tunnel   bool      // bytes both ways: CONNECT

	// Sending.
	window        outflow
	pending       queue           // body bytes that wait for a window, or for their turn
	lateTrailers  *message.Fields // that follow them
	before, after *Stream         // in the line of those that may send
	wakeBelow     int             // wake once pending is shorter; 0: never
	endQueued     bool            // the message ends with what is pending
	queued        bool            // in that line
	headSent      bool            // a final head went out

	// The end.
	err      Error         // why the stream is over, if it is before its time
	code     http2.ErrCode // of the peer's RST_STREAM
	opened   int64         // nanoseconds on the loop's clock
	inTable  bool
	detached bool // its owner has ended it
	flush    eventloop.Timer
	patience time.Duration // how long the peer may take nothing of what is pending after that
}

// clear makes s ready for reuse, and keeps what memory is worth it.
func (s *Stream) clear() {
	arena, pieces, waiting := s.arena, s.recv.pieces, s.pending.pieces
	trailers := s.trailers
	if trailers.Len() > 0 {
		trailers.Reset()
	}
	if cap(arena) > maxIdleArena {
		arena = nil
	}
	*s = Stream{arena: arena[:0], trailers: trailers}
	s.recv.pieces, s.pending.pieces = pieces[:0], waiting[:0]
}

// open puts a stream into the table.
func (c *conn) open(s *Stream, id uint32) {
	s.conn, s.id = c, id
	s.opened = c.loop.Now()
	s.declared = -1
	s.window = outflow(c.peer.window)
	w := max(int64(c.opts.StreamWindow), 1)
	s.inflow = inflow{size: w, window: w}
	s.inTable = true
	c.streams.add(s)
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
	c.loop.StopTimer(&s.flush)
	if !reset {
		c.recent.add(s.id, false) // writeReset has done it otherwise
	}
	c.flood.ended++
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

// dropPending drops the body bytes that wait to go out, and the received ones that nobody will take.
func (c *conn) dropPending(s *Stream) {
	c.pendingBytes -= s.pending.size
	c.stats.Sub(statPendingBytes, uint64(s.pending.size))
	s.pending.release(c.loop)
	s.lateTrailers = nil
	if s.detached || s.err != noError && !s.ended {
		c.dropReceived(s)
	}
}

// dropReceived drops what was received and not taken. The connection is credited for it; the stream needs nothing any more.
func (c *conn) dropReceived(s *Stream) {
	if n := s.recv.size; n > 0 {
		s.recv.release(c.loop)
		c.taken(n)
	}
}

// free gives back a stream that is not in the table any more and whose owner has ended it.
func (c *conn) free(s *Stream) {
	c.dropReceived(s)
	s.recv.release(c.loop)
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
	s.waker, s.Owner, s.detached = nil, nil, true
	switch {
	case !s.inTable:
		c.free(s)
	case !complete:
		c.cancel(s, code)
	case !s.state.canSend():
		c.settle(s)
	default:
		c.dropReceived(s)
		s.patience = patience
		s.waitFlush()
	}
}

// waitFlush bounds the time without progress of a stream that only has to go out.
func (s *Stream) waitFlush() {
	if s.patience > 0 {
		s.conn.loop.SetTimer(&s.flush, s.patience, s)
	}
}
