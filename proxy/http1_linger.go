package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// maxLinger bounds what is read and thrown away from a client that goes on sending after its connection was closed to it.
const maxLinger = 1 << 20

// endLinger closes a lingering connection whose client neither closes nor takes any more of the answer.
func (c *http1Conn) endLinger() {
	if left := c.Conn().Buffered(); left > 0 && left < c.unsent {
		c.awaitGoodbye()
		return
	}
	c.listener.http.Inc(stats.HTTPDownstreamCxDelayedCloseTimeout)
	c.close()
}

// linger closes our side after the last answer and waits for the client to close its own, so that what it still sends
// does not reset the connection under the answer (RFC 9112 section 9.6).
func (c *http1Conn) linger() {
	raw := c.Conn()
	raw.SetTask(nil)
	if raw.EOF() && raw.Buffered() == 0 {
		c.close()
		return
	}
	c.state = http1Lingering
	raw.ShutdownWrite()
	c.ServerConn.Release()
	raw.Flush()
	c.awaitGoodbye()
	c.discard()
}

// awaitGoodbye bounds the time of a lingering connection: while the answer is on its way it must make progress, and once
// it is out the client has delayed_close_timeout.
func (c *http1Conn) awaitGoodbye() {
	raw, m := c.Conn(), c.listener.compiled.manager.config
	limit := m.DelayedClose
	if c.unsent = raw.Buffered(); c.unsent > 0 {
		raw.NotifyBelow(1)
		limit = m.StreamIdle
	}
	raw.Loop().SetTimer(&c.timer, max(limit, time.Millisecond), c)
}

// discard throws away what a client sends that was told goodbye.
func (c *http1Conn) discard() {
	raw, loop := c.Conn(), c.Conn().Loop()
	buf := loop.AcquireBuffer(eventloop.ReadBufferSize)
	defer loop.ReleaseBuffer(buf)
	for c.lingered < maxLinger {
		n, err := raw.Read(buf)
		if err == eventloop.ErrWouldBlock {
			return
		}
		if err != nil && raw.Flushed() || raw.WriteErr() != nil {
			c.close()
			return
		}
		if err != nil {
			return // the answer is still on its way
		}
		c.lingered += n
	}
	c.close()
}
