package proxy

import (
	"math"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// http2Deadline is a limit on the time of an HTTP/2 connection. Those of its streams are the exchanges'.
type http2Deadline uint8

const (
	http2NoDeadline  http2Deadline = iota
	http2HeadOverdue               // the client has not finished what it has begun
	http2Idle                      // no stream for too long, or a client that does not take the last answers
	http2DrainEnd                  // the client had the time to learn that it is to go
	http2Duration                  // max_connection_duration
)

// deadlines calls f with the time of each limit that applies now.
func (c *http2Conn) deadlines(f func(at int64, why http2Deadline)) {
	m := c.manager().config
	if since := c.HeadSince(); since > 0 {
		limit := m.RequestHeadersTimeout
		if limit == 0 {
			limit = m.StreamIdle
		}
		if limit > 0 {
			f(since+int64(limit), http2HeadOverdue)
		}
	}
	if c.Streams() == 0 {
		c.idleDeadlines(f)
	}
	if c.state == http2Draining {
		f(c.drainAt, http2DrainEnd)
	}
	if c.state == http2Serving && m.MaxConnectionDuration > 0 {
		f(c.lastMoment(), http2Duration)
	}
}

// idleDeadlines are those of a connection without streams.
func (c *http2Conn) idleDeadlines(f func(at int64, why http2Deadline)) {
	m := c.manager().config
	if c.state == http2Leaving || c.PeerGone() {
		f(c.idleFrom, http2DrainEnd)
	}
	if m.ConnectionIdle > 0 {
		f(c.idleFrom+int64(m.ConnectionIdle), http2Idle)
	}
	if m.StreamIdle > 0 && c.raw.Buffered() > 0 {
		f(c.idleFrom+int64(m.StreamIdle), http2Idle)
	}
}

// next returns the limit that is reached first, and when.
func (c *http2Conn) next() (at int64, why http2Deadline) {
	at = math.MaxInt64
	c.deadlines(func(t int64, w http2Deadline) {
		if t < at {
			at, why = t, w
		}
	})
	return at, why
}

// arm sees to it that the timer fires no later than the next limit is reached. One that fires early is set again then: a
// connection in use pays for it once, not for every stream.
func (c *http2Conn) arm() {
	if c.state == http2Closed {
		return
	}
	at, why := c.next()
	if why == http2NoDeadline || c.armed != 0 && c.armed <= at {
		return
	}
	c.armed = at
	loop := c.raw.Loop()
	loop.SetTimer(&c.timer, time.Duration(at-loop.Now()), c)
}

// Expired implements eventloop.Expirer.
func (c *http2Conn) Expired(*eventloop.Timer) {
	c.armed = 0
	at, why := c.next()
	if at > c.raw.Loop().Now() {
		c.arm()
		return
	}
	http := c.chain.http
	switch why {
	case http2HeadOverdue:
		http.Inc(stats.HTTPDownstreamRqHeaderTimeout)
		c.GiveUp("request header timeout")
		c.sayGoodbye()
	case http2Idle:
		http.Inc(stats.HTTPDownstreamCxIdleTimeout)
		if c.raw.Buffered() > 0 {
			c.close()
			return
		}
		c.goAway()
	case http2DrainEnd:
		c.goAway()
	case http2Duration:
		http.Inc(stats.HTTPDownstreamCxMaxDurationReached)
		c.drain()
	}
	c.arm()
}
