package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// maxLinger bounds what is read and thrown away from a client that goes on sending after its connection was closed to it.
const maxLinger = 1 << 20

// lingering is a connection to which the last was said: our side is closed, and the client's not yet. What it still sends
// is thrown away, so that it does not reset the connection under the answer (RFC 9112 section 9.6).
type lingering struct {
	httpConnection
	timer     eventloop.Timer
	discarded int // bytes thrown away
	unsent    int // bytes of the answer when that was last looked at
}

// linger closes our side after what was gathered, and waits for the client to close its own. Whoever served the connection
// is done with it.
func (c *httpConnection) linger() {
	c.endsLocally = true
	g := &lingering{}
	c.handOver(&g.httpConnection, g)
	raw := g.raw
	raw.SetWaker(nil)
	raw.SetIdleHandler(g)
	if raw.EOF() && raw.Buffered() == 0 {
		g.close()
		return
	}
	raw.ShutdownWrite()
	raw.Flush()
	g.awaitGoodbye()
	g.discard()
}

// leave implements connectionServer: it is leaving already.
func (g *lingering) leave() {}

// drain implements connectionServer.
func (g *lingering) drain() {}

// cut implements connectionServer.
func (g *lingering) cut() { g.close() }

// Ready implements eventloop.IdleHandler.
func (g *lingering) Ready(raw *eventloop.Conn) {
	if g.unsent > 0 && raw.Buffered() == 0 {
		g.awaitGoodbye()
	}
	g.discard()
}

// Expired implements eventloop.Expirer: the client neither closes nor takes any more of the answer.
func (g *lingering) Expired(*eventloop.Timer) {
	if left := g.raw.Buffered(); left > 0 && left < g.unsent {
		g.awaitGoodbye()
		return
	}
	g.chain.http.Inc(stats.HTTPDownstreamCxDelayedCloseTimeout)
	g.close()
}

// awaitGoodbye bounds the time: while the answer is on its way it must make progress, and once it is out the client has
// delayed_close_timeout.
func (g *lingering) awaitGoodbye() {
	m := g.manager().config
	limit := m.DelayedClose
	if g.unsent = g.raw.Buffered(); g.unsent > 0 {
		g.raw.NotifyBelow(1)
		limit = m.StreamIdle
	}
	g.raw.Loop().SetTimer(&g.timer, max(limit, time.Millisecond), g)
}

// discard throws away what a client sends that was told goodbye.
func (g *lingering) discard() {
	raw, loop := g.raw, g.raw.Loop()
	buf := loop.AcquireBuffer(eventloop.ReadBufferSize)
	defer loop.ReleaseBuffer(buf)
	for g.discarded < maxLinger {
		n, err := raw.Read(buf)
		if err == eventloop.ErrWouldBlock {
			return
		}
		if err != nil && raw.Flushed() || raw.WriteErr() != nil {
			g.close()
			return
		}
		if err != nil {
			return // the answer is still on its way
		}
		g.discarded += n
	}
	g.close()
}

func (g *lingering) close() {
	if g.raw.Closed() {
		return
	}
	g.raw.Loop().StopTimer(&g.timer)
	g.raw.Close()
	g.closed()
}
