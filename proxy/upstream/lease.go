package upstream

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Verdict is the answer to a wish for a connection.
type Verdict uint8

// The verdicts.
const (
	// Granted: the lease has a stream, maybe on a connection that is still being established.
	Granted Verdict = iota
	// Queued: all connections that the breakers allow are busy; the task is woken when the lease has one.
	Queued
	// Overflow: a breaker is open.
	Overflow
	// Failed: no connection could be begun; Lease.Err says why.
	Failed
)

// Lease is the right of one exchange to use a connection, or a stream of one. The zero value holds none. It belongs to its
// exchange and is used for one request after the other.
type Lease struct {
	Stream Stream
	Err    error

	conn *Conn // when Stream is one of HTTP/1
	host *Host
	task *eventloop.Task
	wait bool // in host.waiting
	open bool // counted as a request in flight
}

// Acquire asks for a connection to h for a request of task t. After any verdict but Overflow the lease must be released.
func (k *Cluster) Acquire(l *Lease, h *Host, t *eventloop.Task) Verdict {
	if !k.permits.acquire(k.shared) {
		*l = Lease{host: h}
		k.stats.Inc(stats.ClusterUpstreamRqActiveOverflow)
		return Overflow
	}
	*l = Lease{host: h, task: t, open: true}
	h.Active++
	h.Stats.RqTotal++
	h.Stats.RqActive++
	k.stats.Inc(stats.ClusterUpstreamRqTotal)
	k.stats.Inc(stats.ClusterUpstreamRqActive)
	if c := h.takeIdle(); c != nil {
		l.grant(c)
		return Granted
	}
	return k.connect(l)
}

// connect gives l a new connection, or a place in the queue when there are as many as allowed.
func (k *Cluster) connect(l *Lease) Verdict {
	reserved, overflow := l.host.reserve()
	if overflow {
		k.stats.Inc(stats.ClusterUpstreamCxOverflow)
	}
	if !reserved {
		return k.enqueue(l)
	}
	return k.open(l)
}

// reserve counts one more connection to h unless the breaker is open, which is an overflow. A host without any connection
// may always open one.
func (h *Host) reserve() (reserved, overflow bool) {
	shared := h.cluster.shared
	if take(&shared.connections, 1, int64(shared.limits.Load().MaxConnections)) {
		return true, false
	}
	if h.connections > 0 {
		return false, true
	}
	shared.connections.Add(1)
	return true, true
}

// open begins a connection that was reserved and gives it to l.
func (k *Cluster) open(l *Lease) Verdict {
	c, err := l.host.dial()
	if err != nil {
		k.shared.connections.Add(-1)
		l.host.Stats.CxConnectFail++
		k.stats.Inc(stats.ClusterUpstreamCxConnectFail)
		l.Err = err
		return Failed
	}
	l.grant(c)
	return Granted
}

func (k *Cluster) enqueue(l *Lease) Verdict {
	if !take(&k.shared.pending, 1, int64(k.shared.limits.Load().MaxPending)) {
		k.stats.Inc(stats.ClusterUpstreamRqPendingOverflow)
		l.finish()
		return Overflow
	}
	k.stats.Inc(stats.ClusterUpstreamRqPendingTotal)
	k.stats.Inc(stats.ClusterUpstreamRqPendingActive)
	l.wait = true
	l.host.waiting = append(l.host.waiting, l)
	return Queued
}

// takeIdle returns the most recently used idle connection that is still good, nil when there is none.
func (h *Host) takeIdle() *Conn {
	for n := len(h.idle); n > 0; n = len(h.idle) {
		c := h.idle[n-1]
		if c.Conn().Readable() || c.Conn().PeerGone() {
			c.close(closedRemotely)
			continue
		}
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		h.cluster.loop.StopTimer(&c.timer)
		c.state = connLent
		return c
	}
	return nil
}

func (l *Lease) grant(c *Conn) {
	l.Stream, l.conn = c, c
	c.requests++
	c.Conn().SetTask(l.task)
}

// Outcome is how a request ended, as far as its host is concerned.
type Outcome uint8

// The outcomes.
const (
	Success     Outcome = iota // answered below 500
	ServerError                // answered with 5xx, reset, or no connection
	TimedOut                   // no answer in time
	Cancelled                  // given up by the client
)

// Release ends the request. The connection goes back to its pool when reuse is wanted and possible, else it is closed.
func (l *Lease) Release(outcome Outcome, reuse bool) {
	if !l.open {
		return
	}
	l.leaveQueue()
	l.host.Stats.count(outcome)
	h, c := l.host, l.conn
	l.finish()
	if c != nil {
		c.giveBack(reuse)
	}
	h.serveWaiting()
}

func (s *HostStats) count(o Outcome) {
	switch o {
	case Success:
		s.RqSuccess++
	case TimedOut:
		s.RqTimeout++
		s.RqError++
	case ServerError:
		s.RqError++
	}
}

// finish takes the request off the counts of what is in flight.
func (l *Lease) finish() {
	h, k := l.host, l.host.cluster
	l.open, l.Stream, l.conn = false, nil, nil
	h.Active--
	h.Stats.RqActive--
	k.stats.Dec(stats.ClusterUpstreamRqActive)
	k.permits.release(k.shared)
	if k.retired {
		k.permits.returnUnused(k.shared)
	}
}

func (l *Lease) leaveQueue() {
	if !l.wait {
		return
	}
	l.wait = false
	waiting := l.host.waiting
	for i, other := range waiting {
		if other == l {
			copy(waiting[i:], waiting[i+1:])
			waiting[len(waiting)-1] = nil
			l.host.waiting = waiting[:len(waiting)-1]
			break
		}
	}
	l.host.cluster.dequeued()
}

func (k *Cluster) dequeued() {
	k.shared.pending.Add(-1)
	k.stats.Dec(stats.ClusterUpstreamRqPendingActive)
}

func (c *Conn) giveBack(reuse bool) {
	reusable := reuse && c.state == connLent && c.Reusable()
	c.EndExchange()
	c.countBytes()
	if reusable && !c.exhausted() && !c.host.gone && !c.host.cluster.retired {
		c.park()
		return
	}
	if c.Conn().PeerGone() {
		c.close(closedRemotely)
		return
	}
	c.close(closedLocally)
}

// serveWaiting gives a connection to the exchange that waits longest, if there is one to give.
func (h *Host) serveWaiting() {
	for len(h.waiting) > 0 {
		l := h.waiting[0]
		if c := h.takeIdle(); c != nil {
			l.leaveQueue()
			l.grant(c)
			l.task.Wake()
			continue
		}
		if reserved, _ := h.reserve(); !reserved {
			return
		}
		l.leaveQueue()
		h.cluster.open(l)
		l.task.Wake()
	}
}

// Waiting reports whether the lease is queued for a connection.
func (l *Lease) Waiting() bool { return l.wait }

// Host returns the host that the lease was asked for.
func (l *Lease) Host() *Host { return l.host }
