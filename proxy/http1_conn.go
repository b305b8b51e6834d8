package proxy

import (
	"errors"

	"github.com/penguintechinc/marchproxy-alb/config"
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
	httpConnection

	exchange *exchange // until it has finished
	state    http1State
	timer    eventloop.Timer
	deadline int64 // when the timer's reason is due; the timer itself may fire earlier and is then set again
	idleFrom int64
	headFrom int64 // when the first byte of an unfinished head was seen, 0 when there is none
}

// http1State is what a downstream connection does.
//
//	         bytes                   head complete
//	idle ───────────────▶ reading ────────────────▶ exchanging
//	 ▲  ▲                  │  ▲                      │  │  │
//	 │  └── head begun ────┘  └── next is buffered ──┘  │  │
//	 └───────────────── answered ──────────────────────┘  │
//	any ── last answer ──▶ closed, or lingering and no longer an http1Conn
//
// A client that sends requests and does not take the answers leaves the connection blocked between two exchanges.
type http1State uint8

const (
	http1Idle       http1State = iota // no task; a part of a head may have been read
	http1Reading                      // a task reads a head
	http1Exchanging                   // a task serves a request
	http1Blocked                      // a task waits for the client to take earlier answers
	http1Closed
)

// newHTTP1Conn serves HTTP/1 on a connection of the chain, and HTTP/2 where the first bytes are of that and may be.
func newHTTP1Conn(chain *chainState, accepted connection) {
	c := &http1Conn{}
	c.connection = accepted
	c.Init(c.raw, chain.compiled.manager.limits)
	c.open(chain, c)
	c.raw.SetIdleHandler(c)
	c.becomeIdle()
}

// Ready implements eventloop.IdleHandler.
func (c *http1Conn) Ready(raw *eventloop.Conn) {
	if c.state == http1Idle && raw.Readable() {
		c.state = http1Reading
		raw.SetWaker(raw.Loop().Spawn(c))
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
	raw, limit := c.raw, c.chain.compiled.bufferLimit
	if raw.Buffered() < limit {
		return true
	}
	c.state = http1Blocked
	c.setDeadline(raw.Loop().Now(), c.manager().config.StreamIdle)
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
	if x := c.exchange; x != nil && !x.finished {
		x.drop()
	}
	c.exchange = nil
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
		c.speaks(&protocolHTTP1)
		c.state = http1Exchanging
		c.countRequest()
		c.headFrom = 0
		c.exchange = x
		x.begin(&c.httpConnection, c, t)
		for !x.step() {
			t.Park()
		}
	case eventloop.ErrWouldBlock:
		w.putExchange(x)
		c.becomeIdle()
		return false
	default:
		if c.turnsHTTP2(err) {
			w.putExchange(x)
			c.becomeHTTP2(c.Unread())
			return false
		}
		c.refuse(x, t, err)
	}
	return c.afterExchange(x)
}

// turnsHTTP2 reports whether what was refused as the first request is the preface of a protocol that is spoken here too.
func (c *http1Conn) turnsHTTP2(err error) bool {
	return err == http1.ErrHTTP2Preface && c.requests == 0 && c.manager().config.Codec == config.CodecAuto
}

// refuse answers a head that cannot be served. A client that is gone is not answered.
func (c *http1Conn) refuse(x *exchange, t *eventloop.Task, err error) {
	refused, malformed := err.(http1.Error)
	if !malformed {
		x.abandon = true
		return
	}
	c.speaks(&protocolHTTP1)
	c.state = http1Exchanging
	c.chain.http.Inc(stats.HTTPDownstreamCxProtocolError)
	x.begin(&c.httpConnection, c, t)
	x.refuse(refusalOf(refused))
}

// afterExchange decides what becomes of the connection. It returns true when the next request is to be read.
func (c *http1Conn) afterExchange(x *exchange) (more bool) {
	raw, w := c.raw, c.listener.worker
	c.exchange = nil
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
		c.sayGoodbye()
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

// close ends the connection, after what was gathered was offered to the kernel once more.
func (c *http1Conn) close() { c.end((*eventloop.Conn).Close) }

// abort resets the connection.
func (c *http1Conn) abort() { c.end((*eventloop.Conn).Abort) }

func (c *http1Conn) end(how func(*eventloop.Conn)) {
	if c.state == http1Closed {
		return
	}
	c.detach()
	c.ends()
	how(c.raw)
	c.closed()
}

// sayGoodbye closes our side and lets the client close its own.
func (c *http1Conn) sayGoodbye() {
	c.detach()
	c.linger()
}

// detach ends what serving HTTP/1 holds.
func (c *http1Conn) detach() {
	c.state = http1Closed
	c.raw.Loop().StopTimer(&c.timer)
	c.ServerConn.Release()
}

// leave implements connectionServer: a connection that waits for a request ends. A client that is still taking the last
// answer gets the rest.
func (c *http1Conn) leave() {
	switch {
	case c.state != http1Idle || c.HeadStarted():
	case c.raw.Flush():
		c.close()
	default:
		c.sayGoodbye()
	}
}

// drain implements connectionServer: the next response says that the connection ends. One that is idle may have a request on
// its way, which would be lost if it were closed.
func (c *http1Conn) drain() {}

// cut implements connectionServer.
func (c *http1Conn) cut() {
	if c.state == http1Idle {
		c.close()
		return
	}
	c.raw.Break(errDrained) // which whoever serves the connection finds
}

// errDrained is the end of a connection that was given the time to drain.
var errDrained = errors.New("the filter chain was changed or removed, and the time to drain is over")

// WriteContinue implements downstream. A client that has sent some of the body already did not wait.
func (c *http1Conn) WriteContinue() {
	if !c.HasUnread() {
		c.raw.Write(continueHead)
	}
}

// continueHead is the answer to Expect: 100-continue. It is never written.
var continueHead = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// NotifyBelow implements downstream.
func (c *http1Conn) NotifyBelow(n int) { c.raw.NotifyBelow(n) }

// Gone implements downstream. A client that has closed its side while its request is still being read is noticed by
// reading; a tunnel may be half-closed.
func (c *http1Conn) Gone() bool {
	if c.raw.WriteErr() != nil {
		return true
	}
	x := c.exchange
	return x != nil && x.requestDone && !x.upgraded && c.raw.PeerGone()
}
