package upstream

import (
	"errors"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// ErrConnectTimeout is why a connection that was not established within connect_timeout failed.
var ErrConnectTimeout = errors.New("connection timeout")

// Conn is a connection to a host: lent to an exchange, or idle in its host's pool.
type Conn struct {
	http1.ClientConn

	host     *Host
	timer    eventloop.Timer // connect timeout, then idle timeout or the end of max_connection_duration
	opened   int64           // nanoseconds on the loop's clock
	requests uint32
	state    connState
	failure  error // why connecting failed
	counted  struct{ read, written uint64 }
}

// WriteErr implements Stream.
func (c *Conn) WriteErr() error { return c.Conn().WriteErr() }

// NotifyBelow implements Stream.
func (c *Conn) NotifyBelow(n int) { c.Conn().NotifyBelow(n) }

// Flushed implements Stream.
func (c *Conn) Flushed() bool { return c.Conn().Flushed() }

// connState is what a Conn is for at the moment.
type connState uint8

const (
	connConnecting connState = iota
	connLent
	connIdle
	connClosed
)

// closeReason tells who ended a connection.
type closeReason uint8

const (
	closedLocally closeReason = iota
	closedRemotely
)

// Host returns the host that the connection leads to.
func (c *Conn) Host() *Host { return c.host }

// Reused reports whether the connection has carried an earlier request.
func (c *Conn) Reused() bool { return c.requests > 1 }

// Connected reports whether the connection is established. It fails with the reason when it cannot be.
func (c *Conn) Connected() (bool, error) {
	if c.state != connConnecting {
		return true, nil
	}
	if c.failure != nil {
		return false, c.failure
	}
	done, err := c.Conn().Connected()
	if err != nil {
		return false, err
	}
	if done {
		c.established()
	}
	return done, nil
}

// dial opens a connection to h and counts it.
func (h *Host) dial() (*Conn, error) {
	k := h.cluster
	raw, err := k.loop.Dial(h.address)
	if err != nil {
		return nil, err
	}
	c := &Conn{host: h, opened: k.loop.Now()}
	c.Init(raw, &k.limits)
	k.loop.SetTimer(&c.timer, k.config.ConnectTimeout, c)
	h.connections++
	h.Stats.CxTotal++
	h.Stats.CxActive++
	k.stats.Inc(stats.ClusterUpstreamCxTotal)
	k.stats.Inc(stats.ClusterUpstreamCxHTTP1Total)
	k.stats.Inc(stats.ClusterUpstreamCxActive)
	return c, nil
}

func (c *Conn) established() {
	k := c.host.cluster
	c.state = connLent
	k.loop.StopTimer(&c.timer)
	k.stats.Record(stats.ClusterUpstreamCxConnectMs, uint64(k.loop.Now()-c.opened)/uint64(time.Microsecond))
}

// Expired implements eventloop.Expirer: the connect timeout, the idle timeout or max_connection_duration has passed.
func (c *Conn) Expired(*eventloop.Timer) {
	k := c.host.cluster
	switch c.state {
	case connConnecting:
		if done, err := c.Conn().Connected(); done || err != nil {
			return // in this turn, and the exchange has yet to look
		}
		c.failure = ErrConnectTimeout
		k.stats.Inc(stats.ClusterUpstreamCxConnectTimeout)
		c.wake()
	case connIdle:
		if c.overdue() {
			k.stats.Inc(stats.ClusterUpstreamCxMaxDurationReached)
		} else {
			k.stats.Inc(stats.ClusterUpstreamCxIdleTimeout)
		}
		c.close(closedLocally)
	}
}

// wake has the exchange that holds the connection look at it.
func (c *Conn) wake() { c.Conn().Wake() }

// Ready implements eventloop.IdleHandler: an idle connection that has something to say is of no use. The host has closed
// it, or sends what nobody asked for. That the rest of the last request has gone out is no such news.
func (c *Conn) Ready(*eventloop.Conn) {
	switch raw := c.Conn(); {
	case raw.PeerGone(), raw.WriteErr() != nil:
		c.close(closedRemotely)
	case raw.Readable():
		c.host.cluster.stats.Inc(stats.ClusterUpstreamCxProtocolError)
		c.close(closedLocally)
	}
}

// close ends the connection and takes it off every list and count.
func (c *Conn) close(reason closeReason) {
	if c.state == connClosed {
		return
	}
	h, k := c.host, c.host.cluster
	if c.state == connIdle {
		h.removeIdle(c)
	}
	c.state = connClosed
	c.countBytes()
	k.loop.StopTimer(&c.timer)
	c.Release()
	c.Conn().Close()
	h.connections--
	h.Stats.CxActive--
	k.shared.connections.Add(-1)
	k.stats.Dec(stats.ClusterUpstreamCxActive)
	k.stats.Inc(stats.ClusterUpstreamCxDestroy)
	if reason == closedLocally {
		k.stats.Inc(stats.ClusterUpstreamCxDestroyLocal)
	} else {
		k.stats.Inc(stats.ClusterUpstreamCxDestroyRemote)
	}
	k.stats.Record(stats.ClusterUpstreamCxLengthMs, uint64(k.loop.Now()-c.opened)/uint64(time.Microsecond))
}

// countBytes adds what the connection carried since the last time to the cluster's counters.
func (c *Conn) countBytes() {
	k, raw := c.host.cluster, c.Conn()
	k.stats.Add(stats.ClusterUpstreamCxRxBytesTotal, raw.BytesRead()-c.counted.read)
	k.stats.Add(stats.ClusterUpstreamCxTxBytesTotal, raw.BytesWritten()-c.counted.written)
	c.counted.read, c.counted.written = raw.BytesRead(), raw.BytesWritten()
}

// park puts the connection into its host's pool.
func (c *Conn) park() {
	k := c.host.cluster
	c.state = connIdle
	raw := c.Conn()
	raw.SetTask(nil)
	raw.SetIdleHandler(c)
	if wait := c.idleTime(); wait > 0 {
		k.loop.SetTimer(&c.timer, wait, c)
	}
	c.host.idle = append(c.host.idle, c)
}

// idleTime returns how long the connection may be idle from now on, 0 for any time.
func (c *Conn) idleTime() time.Duration {
	k := c.host.cluster
	wait, limit := k.config.IdleTimeout, k.config.MaxConnectionDuration
	if limit == 0 {
		return wait
	}
	left := time.Duration(c.opened + int64(limit) - k.loop.Now())
	if wait == 0 {
		return left
	}
	return min(wait, left)
}

// exhausted reports whether the connection has served its number of requests or its time.
func (c *Conn) exhausted() bool {
	k := c.host.cluster
	if limit := k.config.MaxRequestsPerConnection; limit > 0 && c.requests >= limit {
		k.stats.Inc(stats.ClusterUpstreamCxMaxRequests)
		return true
	}
	if c.overdue() {
		k.stats.Inc(stats.ClusterUpstreamCxMaxDurationReached)
		return true
	}
	return false
}

// overdue reports whether max_connection_duration has passed.
func (c *Conn) overdue() bool {
	k := c.host.cluster
	limit := k.config.MaxConnectionDuration
	return limit > 0 && k.loop.Now()-c.opened >= int64(limit)
}
