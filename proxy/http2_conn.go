package proxy

import (
	"errors"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// http2Conn is a downstream HTTP/2 connection. It has no task: its streams have, one each.
type http2Conn struct {
	http2.ServerConn
	httpConnection

	opening  *exchange // between Open and what follows it
	state    http2State
	timer    eventloop.Timer
	armed    int64 // when the timer fires, 0 when it is not set
	idleFrom int64 // when the last stream ended
	drainAt  int64 // when the client, which was told to go, has had the time to learn that
}

// http2State is what a downstream connection does.
//
//	serving ── listener stopped, limit reached ──▶ draining ── drain_timeout ──▶ leaving ── no stream left ──▶ closed
//	   │                                              GOAWAY(2^31-1)                GOAWAY(last)
//	   └── nothing for idle_timeout, client says GOAWAY ────────────────────────────▲
//
// An error of the protocol, and the end of the connection, close it from any state.
type http2State uint8

const (
	http2Serving  http2State = iota
	http2Draining            // the client was told to open no more streams, and may not know yet
	http2Leaving             // it knows which of them are served
	http2Closed
)

// newHTTP2Conn serves HTTP/2 on a connection that was accepted.
func newHTTP2Conn(chain *chainState, accepted connection) {
	c := &http2Conn{}
	c.connection = accepted
	c.open(chain, c)
	c.start(nil)
}

// becomeHTTP2 hands a connection over on which unread, which begins with the client's preface, has come.
func (c *http1Conn) becomeHTTP2(unread []byte) {
	n := &http2Conn{}
	c.state = http1Closed
	c.raw.Loop().StopTimer(&c.timer)
	c.handOver(&n.httpConnection, n)
	n.start(unread)
	c.ServerConn.Release()
}

func (c *http2Conn) start(unread []byte) {
	c.speaks(&protocolHTTP2)
	w := c.listener.worker
	c.idleFrom = w.loop.Now()
	c.Init(c.raw, w.http2, c.manager().http2, w.http2Stats, c)
	if unread != nil {
		c.Feed(unread)
	}
	if c.draining() { // since before it spoke HTTP/2
		c.drain()
	}
	c.arm()
}

// Open implements http2.Handler.
func (c *http2Conn) Open(s http2.ServerStream) *message.Request {
	x := c.listener.worker.takeExchange()
	c.opening, x.stream = x, s
	c.countRequest()
	if c.Exhausted() && c.state != http2Closed {
		c.goAway() // there is nothing to wait for: the client cannot open another stream
	}
	return &x.request
}

// Serve implements http2.Handler: each stream has an exchange, which goes on as a job.
func (c *http2Conn) Serve(s http2.ServerStream) {
	x := c.opening
	c.opening = nil
	x.begin(&c.httpConnection, s, &x.job)
	s.SetWaker(&x.job)
	x.job.Start(c.raw.Loop(), x)
	if c.state == http2Serving && c.exhausted() {
		c.drain()
	}
}

// Refuse implements http2.Handler.
func (c *http2Conn) Refuse(s http2.ServerStream, why http2.Error) {
	x := c.opening
	c.opening = nil
	defer x.leaveStream()
	x.begin(&c.httpConnection, s, nil)
	switch why {
	case http2.ErrTooLarge:
		x.refuse(refusal{431, "Request Header Fields Too Large", "http2.headers_too_large"})
	case http2.ErrMissingHost:
		x.refuse(refusal{400, "", "missing_host_header"})
	default:
		x.end(verdictMalformedRequest)
		x.finish()
	}
}

// leaveStream ends the exchange's part in its stream, also after a panic.
func (x *exchange) leaveStream() {
	if !x.finished {
		x.drop()
		x.abandon = true
	}
	x.conn.countBytes()
	x.stream.End(x.responseDone && !x.abandon, x.flushTimeout())
	x.worker.putExchange(x)
}

// flushTimeout returns how long the client may take nothing of what is left of the response, when that is there to its end; 0 is no
// limit. It is the stream's idle timeout unless that is said otherwise, by the route first.
func (x *exchange) flushTimeout() time.Duration {
	if x.route != nil {
		if f := x.route.Config.Forward; f != nil && f.FlushTimeout != nil {
			return *f.FlushTimeout
		}
	}
	if limit := x.manager.config.StreamFlush; limit != nil {
		return *limit
	}
	return x.streamIdle
}

// Gone implements http2.Handler.
func (c *http2Conn) Gone() {
	if c.Streams() == 0 && c.state != http2Closed {
		c.idleFrom = c.raw.Loop().Now()
		c.arm()
	}
}

// Late implements http2.Handler.
func (c *http2Conn) Late() { c.arm() }

// Ended implements http2.Handler.
func (c *http2Conn) Ended(err error) {
	http := c.chain.http
	switch err {
	case http2.ErrProtocol, http2.ErrMalformed, http2.ErrFlood:
		http.Inc(stats.HTTPDownstreamCxProtocolError)
	case http2.ErrPrematureResets:
		http.Inc(stats.HTTPDownstreamRqTooManyPrematureResets)
	}
	var errno syscall.Errno
	if err == http2.ErrClosed || err == http2.ErrKeepalive || errors.As(err, &errno) {
		c.close()
		return
	}
	c.sayGoodbye()
}

// drain tells the client to open no more streams. It implements connectionServer.
func (c *http2Conn) drain() {
	if c.state != http2Serving {
		return
	}
	c.state = http2Draining
	c.drainAt = c.raw.Loop().Now() + int64(c.drainTime())
	if c.draining() {
		c.chain.http.Inc(stats.HTTPDownstreamCxDrainClose)
	}
	c.Shutdown()
	c.arm()
}

// drainTime returns how long the client may open streams after it was told not to.
func (c *http2Conn) drainTime() time.Duration {
	m := c.manager().config
	return m.DrainTimeout + c.listener.worker.jitter(m.DrainTimeout, m.DrainJitter)
}

// leave implements connectionServer.
func (c *http2Conn) leave() { c.drain() }

// cut implements connectionServer.
func (c *http2Conn) cut() { c.close() }

// goAway tells the client which of its streams are served, and ends the connection when the last of them has.
func (c *http2Conn) goAway() {
	c.state = http2Leaving
	c.GoAway()
	if c.Streams() == 0 {
		c.sayGoodbye()
	}
}

// sayGoodbye closes our side and lets the client close its own.
func (c *http2Conn) sayGoodbye() {
	if c.detach() {
		c.linger()
	}
}

func (c *http2Conn) close() {
	if c.detach() {
		c.ends()
		c.raw.Close()
		c.closed()
	}
}

// detach ends what serving HTTP/2 holds. It reports whether that had not happened yet.
func (c *http2Conn) detach() bool {
	if c.state == http2Closed {
		return false
	}
	c.state = http2Closed
	c.raw.Loop().StopTimer(&c.timer)
	c.ServerConn.Release()
	c.cutsOff = c.CutStreams() > 0
	return true
}
