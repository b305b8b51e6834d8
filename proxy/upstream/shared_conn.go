package upstream

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// sharedConn is an HTTP/2 connection to a host, which all exchanges of the worker share. It is in its pool's list as long
// as streams may be opened on it.
type sharedConn struct {
	http2.ClientConn
	link
	listed bool
}

// streamHTTP2 is an exchange's stream on a sharedConn.
type streamHTTP2 struct {
	http2.ClientStream
	conn *sharedConn
}

// Connected implements Stream.
func (s *streamHTTP2) Connected() (bool, error) { return s.conn.Connected() }

// Reused implements Stream.
func (s *streamHTTP2) Reused() bool { return s.conn.Answered() }

// WriteHead implements Stream.
func (s *streamHTTP2) WriteHead(req *message.Request) {
	s.conn.WriteHead(s.ClientStream, req)
	if s.conn.Exhausted() {
		s.conn.unlist()
	}
}

// dialHTTP2 opens a connection. Streams may be opened at once; what is written waits for the connection.
func (p *pool) dialHTTP2() (*sharedConn, error) {
	c := &sharedConn{}
	if err := c.dial(p, alpnHTTP2, c); err != nil {
		return nil, err
	}
	c.begin()
	return c, nil
}

// begin readies a connection that was dialled for streams.
func (c *sharedConn) begin() {
	p, k := c.pool, c.host.cluster
	k.stats.Inc(stats.ClusterUpstreamCxHTTP2Total)
	c.Init(c.raw, k.http2, k.http2Options, k.http2Stats, c)
	if p.peerStreams > 0 {
		c.AssumePeerStreams(p.peerStreams)
	}
	c.listed = true
	p.shared = append(p.shared, c)
}

// usable reports whether a stream may be opened on c. One that others hold up is only better than none.
func (c *sharedConn) usable(avoid *sharedConn, crowded bool) bool {
	return c != avoid && c.Room() > 0 && c.Crowded() == crowded && !c.overdue()
}

// findShared returns a connection with room for a stream, nil when there is none. A second attempt gets the one that was opened
// last: a host that ends each connection after so many requests is about to end the older ones, and there is no third.
func (p *pool) findShared(avoid *sharedConn, crowded bool) *sharedConn {
	for i, c := range p.shared {
		if avoid != nil {
			c = p.shared[len(p.shared)-1-i]
		}
		if c.usable(avoid, crowded) {
			return c
		}
	}
	return nil
}

// undecided reports whether no other connection is opened for now: one has yet to hear how many streams the host takes, and most
// take many, or the host takes none at all, for which a further connection is no remedy.
func (p *pool) undecided(avoid *sharedConn) bool {
	return slices.ContainsFunc(p.shared, func(c *sharedConn) bool {
		return c.TakesNone() || c != avoid && !c.Settled()
	})
}

// Changed implements http2.Pool.
func (c *sharedConn) Changed() {
	if c.state == connClosed {
		return
	}
	if c.Settled() {
		c.pool.peerStreams = c.PeerStreams()
	}
	if c.Idle() {
		c.becomeIdle()
	}
	if len(c.pool.waiting) > 0 {
		c.pool.serveWaiting()
	}
}

// Established implements http2.Pool.
func (c *sharedConn) Established() {
	if c.state == connConnecting {
		c.established()
	}
}

// Draining implements http2.Pool.
func (c *sharedConn) Draining() {
	c.host.cluster.stats.Inc(stats.ClusterUpstreamCxCloseNotify)
	c.unlist()
	c.pool.serveWaiting()
}

// Ended implements http2.Pool.
func (c *sharedConn) Ended(err error) {
	k := c.host.cluster
	if c.state == connConnecting && c.failure == nil {
		c.connectFailed(err)
	}
	reason := closedRemotely
	switch err {
	case http2.ErrProtocol, http2.ErrMalformed, http2.ErrFlood:
		k.stats.Inc(stats.ClusterUpstreamCxProtocolError)
		reason = closedLocally
	case http2.ErrKeepalive:
		reason = closedLocally
	}
	c.close(reason)
	c.pool.serveWaiting()
}

// unlist has no more streams opened on the connection. It ends with those that are.
func (c *sharedConn) unlist() {
	if !c.listed {
		return
	}
	c.listed = false
	p := c.pool
	if i := slices.Index(p.shared, c); i >= 0 {
		p.shared = slices.Delete(p.shared, i, i+1)
	}
	if c.Idle() {
		c.becomeIdle()
	}
}

// becomeIdle notes that no stream is left. A connection that takes no more of them ends, if it has not, also when that is
// because the host allows none: whoever asks would be given another one, and such connections would gather.
func (c *sharedConn) becomeIdle() {
	if c.state != connLent {
		return
	}
	if !c.listed || c.TakesNone() {
		c.GoAway()
		c.close(closedLocally)
		return
	}
	if !c.startIdle(c) {
		c.endIdle()
	}
}

// Expired implements eventloop.Expirer: the connect timeout, the idle timeout or max_connection_duration may have passed.
func (c *sharedConn) Expired(*eventloop.Timer) {
	switch c.state {
	case connConnecting:
		if done, err := c.raw.Connected(); done || err != nil {
			return // in this turn, and the codec has yet to look
		}
		c.connectFailed(ErrConnectTimeout)
		c.close(closedLocally)
		c.pool.serveWaiting()
	case connLent:
		if !c.Idle() {
			return // it is set again when the last stream has ended
		}
		if !c.waitIdle(c) {
			c.endIdle()
		}
	}
}

// endIdle closes a connection that has been idle for too long, or is too old.
func (c *sharedConn) endIdle() {
	c.countIdleEnd()
	c.GoAway()
	c.close(closedLocally)
	c.pool.serveWaiting()
}

// close ends the connection and takes it off every list and count. Streams that are open fail.
func (c *sharedConn) close(reason closeReason) {
	if c.state == connClosed {
		return
	}
	c.closed(reason)
	c.unlist()
	c.Release()
	if c.CutStreams() > 0 {
		c.cutOff(reason)
	}
	c.raw.Close()
}

// open reserves a stream for a lease.
func (c *sharedConn) open(l *Lease) {
	c.requests++
	l.http2 = streamHTTP2{ClientStream: c.Reserve(l.waker, l.ask.Response), conn: c}
	l.Stream = &l.http2
	if c.exhausted() || c.pool.transient() { // such a host still serves those that waited for it
		c.unlist()
	}
}

// giveBack ends the part of an exchange in its stream.
func (c *sharedConn) giveBack(s http2.ClientStream) {
	c.countBytes()
	if c.End(s) {
		c.host.cluster.stats.Inc(stats.ClusterUpstreamRqTxReset)
	}
	if c.Idle() && c.state == connLent {
		c.becomeIdle()
	}
}
