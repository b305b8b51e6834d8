package upstream

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Conn is an HTTP/1 connection to a host: lent to an exchange, or idle in its host's pool. As a tunnel it carries any bytes.
type Conn struct {
	http1.ClientConn
	link
}

// Reused reports whether the connection has carried an earlier request.
func (c *Conn) Reused() bool { return c.requests > 1 }

// WriteErr implements Stream.
func (c *Conn) WriteErr() error { return c.raw.WriteErr() }

// NotifyBelow implements Stream.
func (c *Conn) NotifyBelow(n int) { c.raw.NotifyBelow(n) }

// Flushed implements Stream.
func (c *Conn) Flushed() bool { return c.raw.Flushed() }

// dialConn opens a connection, of HTTP/1 or for any bytes.
func (p *pool) dialConn(tcp bool) (*Conn, error) {
	c := &Conn{}
	offered, protocol := alpnHTTP1, stats.ClusterUpstreamCxHTTP1Total
	if tcp {
		offered, protocol = nil, noProtocol
	}
	if err := c.dial(p, offered, c); err != nil {
		return nil, err
	}
	c.begin(protocol)
	return c, nil
}

// begin readies a connection that was dialled, and counts it under its protocol.
func (c *Conn) begin(protocol int) {
	k := c.host.cluster
	c.Init(c.raw, &k.limits)
	if protocol != noProtocol {
		k.stats.Inc(protocol)
	}
}

// Expired implements eventloop.Expirer: the connect timeout, the idle timeout or max_connection_duration has passed.
func (c *Conn) Expired(*eventloop.Timer) {
	switch c.state {
	case connConnecting:
		if done, err := c.raw.Connected(); done || err != nil {
			return // in this turn, and the exchange has yet to look
		}
		c.connectFailed(ErrConnectTimeout)
		c.raw.Wake()
	case connIdle: // while it is lent, nothing: the timer is set again when it is idle
		if !c.waitIdle(c) {
			c.countIdleEnd()
			c.close(closedLocally)
		}
	}
}

// Ready implements eventloop.IdleHandler: an idle connection that has something to say is of no use. The host has closed
// it, or sends what nobody asked for. That the rest of the last request has gone out is no such news, nor is a session ticket.
func (c *Conn) Ready(*eventloop.Conn) {
	quiet := c.raw.Quiet()
	switch raw := c.raw; {
	case raw.PeerGone(), raw.WriteErr() != nil:
		c.close(closedRemotely)
	case !quiet:
		c.host.cluster.stats.Inc(stats.ClusterUpstreamCxProtocolError)
		c.close(closedLocally)
	}
}

// close ends the connection and takes it off every list and count.
func (c *Conn) close(reason closeReason) {
	if c.state == connClosed {
		return
	}
	if c.state == connIdle {
		c.pool.removeIdle(c)
	}
	c.Release()
	c.raw.Close()
	c.closed(reason)
}

// park puts the connection into its pool.
func (c *Conn) park() {
	c.state = connIdle
	c.raw.SetWaker(nil)
	c.raw.SetIdleHandler(c)
	c.startIdle(c) // it may: giveBack has looked
	c.pool.idle = append(c.pool.idle, c)
}

// giveBack ends the part of the exchange that the connection was lent to.
func (c *Conn) giveBack(reuse bool) {
	reusable := reuse && c.state == connLent && c.Reusable()
	c.EndExchange()
	c.countBytes()
	if reusable && !c.exhausted() && !c.outdated() && !c.pool.transient() {
		c.park()
		return
	}
	if c.raw.PeerGone() {
		c.close(closedRemotely)
		return
	}
	c.close(closedLocally)
}
