package http2

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// keepalive is how a connection finds out that its peer has gone without a word: it sends PING and wants an answer
// (connection_keepalive).
type keepalive struct {
	timer   eventloop.Timer // for the next ping, or for the answer to one
	waiting bool            // for an answer
	last    int64           // when the peer was last heard of, nanoseconds on the loop's clock
}

// keepaliveData is what our pings carry, so that their answers are told from others.
var keepaliveData = [8]byte{'a', 'l', 'b', '-', 'p', 'i', 'n', 'g'}

func (c *conn) startKeepalive() {
	c.keepalive.last = c.loop.Now()
	c.setKeepalive()
}

func (c *conn) setKeepalive() {
	interval := int64(c.opts.KeepaliveInterval)
	if interval <= 0 {
		return
	}
	if spread := interval / 100 * int64(c.opts.KeepaliveJitter); spread > 0 {
		interval += c.env.jitter(spread)
	}
	c.loop.SetTimer(&c.keepalive.timer, time.Duration(interval), c)
}

// heard notes that something has come from the peer.
func (c *conn) heard(now int64) { c.keepalive.last = now }

// Expired implements eventloop.Expirer.
func (c *conn) Expired(*eventloop.Timer) {
	if c.dead {
		return
	}
	if c.keepalive.waiting {
		c.stats.Inc(statKeepaliveTimeout)
		c.terminate(ErrKeepalive)
		return
	}
	c.ping()
}

// ping sends a PING whose answer is waited for.
func (c *conn) ping() {
	c.keepalive.waiting = true
	c.writePing(false, keepaliveData)
	c.loop.SetTimer(&c.keepalive.timer, c.opts.KeepaliveTimeout, c)
}

// pingIfIdle sends a PING ahead of a new stream on a connection that nothing was heard of for long.
func (c *conn) pingIfIdle() {
	idle := c.opts.KeepaliveIdle
	if idle > 0 && !c.keepalive.waiting && c.loop.Now()-c.keepalive.last >= int64(idle) {
		c.ping()
	}
}

// recvPing takes a PING frame (RFC 9113 section 6.7).
func (c *conn) recvPing(frame *http2.PingFrame) fault {
	if !frame.IsAck() {
		c.writePing(true, frame.Data)
		return fault{}
	}
	if c.keepalive.waiting && frame.Data == keepaliveData {
		c.keepalive.waiting = false
		c.loop.StopTimer(&c.keepalive.timer)
		c.setKeepalive()
	}
	return fault{}
}
