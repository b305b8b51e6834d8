package proxy

import (
	"io"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// exchangesPerTurn is how many pipelined requests a connection serves before it lets the others run.
const exchangesPerTurn = 32

// http1Conn is a downstream HTTP/1 connection. While it waits for a request it is only this struct: Ready spawns a task
// when something arrives, and the task serves requests until nothing is there to read.
type http1Conn struct {
	http1.ServerConn
	listener   *listenerState
	next, prev *http1Conn // in the listener's list

	exchange *exchange // until it has finished
	state    http1State
	timer    eventloop.Timer
	deadline int64 // when the timer's reason is due; the timer itself may fire earlier and is then set again
	accepted int64
	idleFrom int64
	headFrom int64 // when the first byte of an unfinished head was seen, 0 when there is none
	requests uint32
	lingered int // bytes thrown away while lingering
	unsent   int // bytes of the answer when the lingering was last looked at
	counted  struct{ read, written uint64 }
	peer     []byte // text of the client's address without port, made when first needed
}

// http1State is what a downstream connection does.
//
//	         bytes                   head complete
//	idle ───────────────▶ reading ────────────────▶ exchanging
//	 ▲  ▲                  │  ▲                      │  │  │
//	 │  └── head begun ────┘  └── next is buffered ──┘  │  │
//	 └───────────────── answered ──────────────────────┘  │
//	any ── last answer ──▶ lingering ── FIN, 1 s ──▶ closed
//
// A client that sends requests and does not take the answers leaves the connection blocked between two exchanges.
type http1State uint8

const (
	http1Idle       http1State = iota // no task; a part of a head may have been read
	http1Reading                      // a task reads a head
	http1Exchanging                   // a task serves a request
	http1Blocked                      // a task waits for the client to take earlier answers
	http1Lingering                    // no task; our side is closed, the client's not yet
	http1Closed
)

func newHTTP1Conn(l *listenerState, raw *eventloop.Conn) {
	c := &http1Conn{listener: l, accepted: l.worker.loop.Now()}
	c.Init(raw, l.compiled.manager.limits)
	l.link(c)
	raw.SetIdleHandler(c)
	c.becomeIdle()
}

// Ready implements eventloop.IdleHandler.
func (c *http1Conn) Ready(raw *eventloop.Conn) {
	switch c.state {
	case http1Idle:
		if !raw.Readable() {
			return
		}
		c.state = http1Reading
		raw.SetTask(raw.Loop().Spawn(c))
	case http1Lingering:
		if c.unsent > 0 && raw.Buffered() == 0 {
			c.awaitGoodbye()
		}
		c.discard()
	}
}

// Run implements eventloop.Runner: it serves requests until the connection waits for one or ends.
func (c *http1Conn) Run(t *eventloop.Task) {
	defer c.abandoned()
	for served := 1; c.serve(t) && c.unblocked(t); served++ {
		if served%exchangesPerTurn == 0 {
			t.Yield()
		}
	}
}

// unblocked waits until the client has taken enough of the earlier answers to be given another. It returns false when the
// connection ended instead.
func (c *http1Conn) unblocked(t *eventloop.Task) bool {
	l, raw := c.listener, c.Conn()
	limit := int(l.compiled.config.BufferLimit)
	if raw.Buffered() < limit {
		return true
	}
	c.state = http1Blocked
	c.setDeadline(raw.Loop().Now(), l.compiled.manager.config.StreamIdle)
	for raw.Buffered() >= limit && raw.WriteErr() == nil && c.state == http1Blocked {
		raw.NotifyBelow(limit/2 + 1)
		t.Park()
	}
	if raw.WriteErr() != nil || c.state != http1Blocked {
		c.state = http1Reading
		c.abort()
		return false
	}
	c.state = http1Reading
	return true
}

// abandoned closes the connection of a task that panicked or whose loop ends, and the exchange with it.
func (c *http1Conn) abandoned() {
	if x := c.exchange; x != nil {
		c.exchange = nil
		x.drop()
	}
	if c.state == http1Reading || c.state == http1Exchanging || c.state == http1Blocked {
		c.abort()
	}
}

// serve reads and answers one request. It returns false when there is nothing more for the task to do.
func (c *http1Conn) serve(t *eventloop.Task) (more bool) {
	w := c.listener.worker
	x := w.takeExchange()
	switch err := c.ReadHead(&x.request); err {
	case nil:
		c.state = http1Exchanging
		c.requests++
		c.headFrom = 0
		c.exchange = x
		x.begin(c, t)
		x.run()
	case eventloop.ErrWouldBlock:
		w.putExchange(x)
		c.becomeIdle()
		return false
	default:
		c.refuse(x, t, err)
	}
	return c.afterExchange(x)
}

// refuse answers a head that cannot be served. A client that is gone is not answered.
func (c *http1Conn) refuse(x *exchange, t *eventloop.Task, err error) {
	refused, malformed := err.(http1.Error)
	if !malformed {
		if err == io.EOF && !c.HeadStarted() {
			c.listener.http.Inc(stats.HTTPDownstreamCxDestroyRemote)
		}
		x.abandon = true
		return
	}
	c.state = http1Exchanging
	c.listener.http.Inc(stats.HTTPDownstreamCxProtocolError)
	x.begin(c, t)
	x.refuse(refused)
}

// afterExchange decides what becomes of the connection. It returns true when the next request is to be read.
func (c *http1Conn) afterExchange(x *exchange) (more bool) {
	raw, w := c.Conn(), c.listener.worker
	abandon, finished, asked := x.abandon, c.BodyDone(), x.request.Close
	w.putExchange(x)
	c.countBytes()
	switch {
	case abandon || raw.WriteErr() != nil:
		c.abortOrClose(abandon)
		return false
	case asked && finished && !c.HasUnread() && !raw.Readable() && raw.Flush():
		c.close() // the client has everything, and nothing more to say
		return false
	case c.Closing() || !finished || c.exhausted():
		c.linger()
		return false
	}
	buffered := c.EndExchange()
	c.state = http1Reading
	if buffered || raw.Readable() {
		return true
	}
	c.becomeIdle()
	return false
}

// abortOrClose ends a connection whose client must not take what it got for the whole.
func (c *http1Conn) abortOrClose(abandon bool) {
	if abandon && c.CloseDelimited() {
		c.abort()
		return
	}
	c.close()
}

// exhausted reports whether the connection has served its number of requests or its time.
func (c *http1Conn) exhausted() bool {
	m := c.listener.compiled.manager.config
	if c.listener.stopped {
		return true
	}
	if m.MaxRequestsPerConnection > 0 && c.requests >= m.MaxRequestsPerConnection {
		return true
	}
	return m.MaxConnectionDuration > 0 && c.Conn().Loop().Now()-c.accepted >= int64(m.MaxConnectionDuration)
}

// close ends the connection, after what was gathered was offered to the kernel once more.
func (c *http1Conn) close() { c.end((*eventloop.Conn).Close) }

// abort resets the connection.
func (c *http1Conn) abort() { c.end((*eventloop.Conn).Abort) }

func (c *http1Conn) end(how func(*eventloop.Conn)) {
	if c.state == http1Closed {
		return
	}
	c.state = http1Closed
	l, raw := c.listener, c.Conn()
	raw.Loop().StopTimer(&c.timer)
	c.ServerConn.Release()
	how(raw)
	c.countBytes()
	l.unlink(c)
	l.worker.connections--
	l.load.Closed()
	micros := uint64(raw.Loop().Now()-c.accepted) / uint64(time.Microsecond)
	l.stats.Dec(stats.ListenerDownstreamCxActive)
	l.stats.Inc(stats.ListenerDownstreamCxDestroy)
	l.stats.Record(stats.ListenerDownstreamCxLengthMs, micros)
	l.http.Dec(stats.HTTPDownstreamCxActive)
	l.http.Dec(stats.HTTPDownstreamCxHTTP1Active)
	l.http.Inc(stats.HTTPDownstreamCxDestroy)
	l.http.Record(stats.HTTPDownstreamCxLengthMs, micros)
}

// countBytes adds what the connection carried since the last time to the counters.
func (c *http1Conn) countBytes() {
	raw := c.Conn()
	read, written := raw.BytesRead(), raw.BytesWritten()
	c.listener.http.Add(stats.HTTPDownstreamCxRxBytesTotal, read-c.counted.read)
	c.listener.http.Add(stats.HTTPDownstreamCxTxBytesTotal, written-c.counted.written)
	c.counted.read, c.counted.written = read, written
}

// forwardedText returns what x-forwarded-for says of the client: its address or, for one on this machine, the machine's own,
// which means something to an origin elsewhere.
func (c *http1Conn) forwardedText() []byte {
	if own := c.listener.worker.server.localAddress; own != nil && c.Conn().RemoteAddr().Addr().IsLoopback() {
		return own
	}
	return c.peerText()
}

// peerText returns the client's address.
func (c *http1Conn) peerText() []byte {
	if c.peer == nil {
		c.peer = c.Conn().RemoteAddr().Addr().AppendTo(nil)
	}
	return c.peer
}
