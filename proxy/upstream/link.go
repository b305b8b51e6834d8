package upstream

import (
	"errors"
	"math"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// ErrConnectTimeout is why a connection that was not established within connect_timeout failed.
var ErrConnectTimeout = errors.New("connection timeout")

// link is what connections to hosts have in common, whatever is spoken on them: how long they live, and the counts.
type link struct {
	host     *Host
	pool     *pool
	raw      *eventloop.Conn
	timer    eventloop.Timer // connect timeout, then idle timeout or the end of max_connection_duration
	opened   int64           // nanoseconds on the loop's clock, as the next two
	idleFrom int64
	armed    int64  // when the timer of an idle connection fires
	epoch    uint32 // of the pool, when it was opened
	requests uint32
	state    connState
	http2    bool  // agreed on by ALPN
	failure  error // why connecting failed
	counted  struct{ read, written uint64 }
}

// connState is what a connection is for at the moment.
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

// noProtocol stands for the protocol of a connection that is counted under none.
const noProtocol = -1

// outdated reports whether the pool's connections were let go of since this one was opened.
func (l *link) outdated() bool { return l.epoch != l.pool.epoch }

// dial opens a connection for p. Under TLS, offered are the protocols that may be spoken on it, by their names in ALPN, unless the
// context says which; it is kept. owner is told when connecting has taken too long, and of
// later limits on time.
func (l *link) dial(p *pool, offered []string, owner eventloop.Expirer) error {
	h, k := p.host, p.host.cluster
	raw, err := h.dial()
	if err != nil {
		return err
	}
	l.host, l.pool, l.raw, l.opened, l.epoch = h, p, raw, k.loop.Now(), p.epoch
	l.secure(offered)
	k.loop.SetTimer(&l.timer, k.config.ConnectTimeout, owner)
	k.shared.carries()
	p.connections++
	h.Stats.CxTotal++
	h.Stats.CxActive++
	k.stats.Inc(stats.ClusterUpstreamCxTotal)
	k.stats.Inc(stats.ClusterUpstreamCxActive)
	return nil
}

// Connected reports whether the connection is established. It fails with the reason when it cannot be.
func (l *link) Connected() (bool, error) {
	if l.failure != nil {
		return false, l.failure
	}
	if l.state != connConnecting {
		return true, nil
	}
	done, err := l.raw.Connected()
	if err != nil {
		l.connectFailed(err)
		return false, err
	}
	if done {
		l.established()
	}
	return done, nil
}

func (l *link) established() {
	k := l.host.cluster
	l.state = connLent
	k.loop.StopTimer(&l.timer)
	k.stats.Record(stats.ClusterUpstreamCxConnectMs, uint64(k.loop.Now()-l.opened)/uint64(time.Microsecond))
}

// connectFailed notes why the connection could not be established, once.
func (l *link) connectFailed(err error) {
	if l.failure != nil {
		return
	}
	l.failure = err
	l.host.countConnectFailure()
	if err == ErrConnectTimeout {
		l.host.cluster.stats.Inc(stats.ClusterUpstreamCxConnectTimeout)
	}
}

func (h *Host) countConnectFailure() {
	h.Stats.CxConnectFail++
	h.cluster.stats.Inc(stats.ClusterUpstreamCxConnectFail)
}

// closed takes a connection that was closed off all counts.
func (l *link) closed(reason closeReason) {
	h, k := l.host, l.host.cluster
	l.state = connClosed
	l.countBytes()
	k.loop.StopTimer(&l.timer)
	if !l.outdated() {
		l.pool.connections--
	}
	h.Stats.CxActive--
	l.pool.returnConnection()
	k.stats.Dec(stats.ClusterUpstreamCxActive)
	k.stats.Inc(stats.ClusterUpstreamCxDestroy)
	if reason == closedLocally {
		k.stats.Inc(stats.ClusterUpstreamCxDestroyLocal)
	} else {
		k.stats.Inc(stats.ClusterUpstreamCxDestroyRemote)
	}
	k.stats.Record(stats.ClusterUpstreamCxLengthMs, uint64(k.loop.Now()-l.opened)/uint64(time.Microsecond))
}

// cutOff counts a connection that has ended with requests on it.
func (l *link) cutOff(reason closeReason) {
	k := l.host.cluster
	k.stats.Inc(stats.ClusterUpstreamCxDestroyWithActiveRq)
	if reason == closedLocally {
		k.stats.Inc(stats.ClusterUpstreamCxDestroyLocalWithActiveRq)
	} else {
		k.stats.Inc(stats.ClusterUpstreamCxDestroyRemoteWithActiveRq)
	}
}

// countBytes adds what the connection carried since the last time to the cluster's counters.
func (l *link) countBytes() {
	k, raw := l.host.cluster, l.raw
	k.stats.Add(stats.ClusterUpstreamCxRxBytesTotal, raw.BytesRead()-l.counted.read)
	k.stats.Add(stats.ClusterUpstreamCxTxBytesTotal, raw.BytesWritten()-l.counted.written)
	l.counted.read, l.counted.written = raw.BytesRead(), raw.BytesWritten()
}

// startIdle notes that the connection is idle from now on. It reports whether it may be.
func (l *link) startIdle(owner eventloop.Expirer) bool {
	l.idleFrom = l.host.cluster.loop.Now()
	return l.waitIdle(owner)
}

// waitIdle has the owner told when the connection has been idle for too long, or is too old. It reports whether that time is
// still to come, as it is when there is none. A timer that fires earlier is left alone, and set again then: a connection in use
// pays for it once, not for every request.
func (l *link) waitIdle(owner eventloop.Expirer) bool {
	k := l.host.cluster
	until := int64(math.MaxInt64)
	if wait := k.config.IdleTimeout; wait > 0 {
		until = l.idleFrom + int64(wait)
	}
	if limit := k.config.MaxConnectionDuration; limit > 0 {
		until = min(until, l.opened+int64(limit))
	}
	if until == math.MaxInt64 {
		return true
	}
	left := time.Duration(until - k.loop.Now())
	if left <= 0 {
		return false
	}
	if !l.timer.Set() || l.armed > until {
		l.armed = until
		k.loop.SetTimer(&l.timer, left, owner)
	}
	return true
}

// countIdleEnd counts the end of a connection whose idle time is up.
func (l *link) countIdleEnd() {
	k := l.host.cluster
	if l.overdue() {
		k.stats.Inc(stats.ClusterUpstreamCxMaxDurationReached)
	} else {
		k.stats.Inc(stats.ClusterUpstreamCxIdleTimeout)
	}
}

// exhausted reports whether the connection has served its number of requests or its time.
func (l *link) exhausted() bool {
	k := l.host.cluster
	if limit := k.config.MaxRequestsPerConnection; limit > 0 && l.requests >= limit {
		k.stats.Inc(stats.ClusterUpstreamCxMaxRequests)
		return true
	}
	if l.overdue() {
		k.stats.Inc(stats.ClusterUpstreamCxMaxDurationReached)
		return true
	}
	return false
}

// overdue reports whether max_connection_duration has passed.
func (l *link) overdue() bool {
	k := l.host.cluster
	limit := k.config.MaxConnectionDuration
	return limit > 0 && k.loop.Now()-l.opened >= int64(limit)
}
