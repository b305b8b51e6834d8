package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// becomeIdle gives the task and, if nothing of a head was read, the buffer back.
func (c *http1Conn) becomeIdle() {
	raw := c.raw
	raw.SetWaker(nil)
	c.state = http1Idle
	m := c.manager().config
	now := raw.Loop().Now()
	switch {
	case !c.HeadStarted():
		c.EndExchange()
		if c.listener.worker.stopped {
			c.close()
			return
		}
		c.idleFrom = now
		c.setDeadline(now, shorter(m.StreamIdle, m.ConnectionIdle))
	default:
		c.awaitHead(now, m)
	}
}

// awaitHead bounds the time of a head that has begun. It runs from the first byte: more bytes do not buy more time.
func (c *http1Conn) awaitHead(now int64, m *config.HTTPConnectionManager) {
	if c.headFrom == 0 {
		c.headFrom = now
	}
	limit := m.RequestHeadersTimeout
	if limit == 0 {
		limit = m.StreamIdle
	}
	c.setDeadline(c.headFrom, limit)
}

// setDeadline notes that the connection is to be closed if nothing happens for d from the time from. The timer is left alone when it fires early
// enough: a connection in use pays for it once, not for every request.
func (c *http1Conn) setDeadline(from int64, d time.Duration) {
	if d <= 0 {
		c.deadline = 0
		return
	}
	deadline := from + int64(d)
	if c.timer.Set() && c.deadline != 0 && c.deadline <= deadline {
		c.deadline = deadline
		return
	}
	c.deadline = deadline
	loop := c.raw.Loop()
	loop.SetTimer(&c.timer, time.Duration(deadline-loop.Now()), c)
}

// Expired implements eventloop.Expirer.
func (c *http1Conn) Expired(*eventloop.Timer) {
	loop := c.raw.Loop()
	if c.state != http1Idle && c.state != http1Blocked || c.deadline == 0 {
		c.deadline = 0 // set again when the connection becomes idle
		return
	}
	if left := c.deadline - loop.Now(); left > 0 {
		loop.SetTimer(&c.timer, time.Duration(left), c)
		return
	}
	if c.state == http1Blocked {
		c.state = http1Reading // what the task finds when it is woken: it gives up
		c.raw.Wake()
		return
	}
	if c.HeadStarted() {
		c.answerSlowHead()
		return
	}
	c.endIdle()
}

// endIdle closes a connection that has waited for a request for too long, or whose client does not take the last answer.
// The first look comes early enough for the second, so there may be time left for the first.
func (c *http1Conn) endIdle() {
	raw, limit := c.raw, c.manager().config.ConnectionIdle
	if raw.Buffered() == 0 {
		if limit == 0 {
			c.deadline = 0
			return
		}
		if left := c.idleFrom + int64(limit) - raw.Loop().Now(); left > 0 {
			c.deadline = c.idleFrom + int64(limit)
			raw.Loop().SetTimer(&c.timer, time.Duration(left), c)
			return
		}
	}
	c.chain.http.Inc(stats.HTTPDownstreamCxIdleTimeout)
	c.close()
}

// shorter returns the shorter of two time limits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// answerSlowHead tells a client that does not finish its request head.
func (c *http1Conn) answerSlowHead() {
	defer c.abandoned()
	c.chain.http.Inc(stats.HTTPDownstreamRqHeaderTimeout)
	c.state = http1Exchanging
	x := c.listener.worker.takeExchange()
	x.request.Reset()
	c.ForgetRequest()
	c.speaks(&protocolHTTP1)
	x.begin(&c.httpConnection, c, nil)
	x.replyVerdict(verdictHeaderTimeout)
	x.finish()
	c.afterExchange(x)
}
