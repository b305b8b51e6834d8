package upstream

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Verdict is the answer to a wish for a connection.
type Verdict uint8

// The verdicts.
const (
	// Granted: the lease has a stream, maybe on a connection that is still being established.
	Granted Verdict = iota
	// Queued: all connections that the breakers allow are busy; the waker is woken when the lease has one.
	Queued
	// Overflow: a breaker is open.
	Overflow
	// Failed: no connection could be begun; Lease.Err says why.
	Failed
)

// Ask is what a request wants of a connection.
type Ask struct {
	// HTTP2 asks for a stream of HTTP/2.
	HTTP2 bool
	// Response is where the response head of such a stream goes.
	Response *message.Response
	// Fresh asks for an HTTP/1 connection that has not been used.
	Fresh bool
	// TCP asks for a connection of one's own, for bytes that are passed on as they are.
	TCP bool
	// Again asks for another connection than that of the lease before, whose stream was refused.
	Again bool
}

// Lease is the right of one exchange to use a connection, or a stream of one. The zero value holds none. It belongs to its
// exchange and is used for one request after the other.
type Lease struct {
	Stream Stream
	Err    error

	conn  *Conn       // when Stream is one of HTTP/1
	http2 streamHTTP2 // what Stream points to when it is one of HTTP/2
	avoid *sharedConn
	ask   Ask
	host  *Host
	waker eventloop.Waker
	wait  bool // in host.waiting
	cut   bool // the host has failed its health checks, and what it has of TCP ends with that
	place int  // in host.tcp, of one that has a connection of its own
	open  bool // counted as a request in flight

	answered bool // outlier detection knows the status
	reported bool // the host has told its load
}

// Acquire asks for a connection to h for a request; w is woken by what happens to that. After any verdict but Overflow the
// lease must be released.
func (k *Cluster) Acquire(l *Lease, h *Host, w eventloop.Waker, ask Ask) Verdict {
	avoid := l.http2.conn // of the attempt before
	if !ask.Again {
		avoid = nil
	}
	if !k.permits.acquire(k.shared) {
		*l = Lease{host: h}
		k.stats.Inc(stats.ClusterUpstreamRqActiveOverflow)
		return Overflow
	}
	*l = Lease{host: h, waker: w, open: true, ask: ask, avoid: avoid}
	h.Active++
	h.Stats.RqTotal++
	h.Stats.RqActive++
	k.stats.Inc(stats.ClusterUpstreamRqTotal)
	k.stats.Inc(stats.ClusterUpstreamRqActive)
	granted, overflow := h.grant(l)
	if overflow {
		k.stats.Inc(stats.ClusterUpstreamCxOverflow)
	}
	switch {
	case !granted:
		return k.enqueue(l)
	case l.Err != nil:
		return Failed
	default:
		return Granted
	}
}

// grant gives l a connection, an open one or a new one, and reports whether it did; the new one may have failed, which
// l.Err tells. overflow says that the breaker of connections is open.
func (h *Host) grant(l *Lease) (granted, overflow bool) {
	if l.ask.HTTP2 {
		return h.grantHTTP2(l)
	}
	protocol := stats.ClusterUpstreamCxHTTP1Total
	if l.ask.TCP {
		protocol = noProtocol
	}
	if !l.ask.Fresh && !l.ask.TCP {
		if c := h.takeIdle(); c != nil {
			l.lend(c)
			return true, false
		}
	}
	reserved, overflow := h.reserve()
	if reserved {
		c, err := h.dialConn(protocol)
		if l.dialled(err) {
			l.lend(c)
		}
	}
	return reserved, overflow
}

// grantHTTP2 is grant for a stream: on a connection that is there, or on a new one when all are full and the host has told
// how much that is.
func (h *Host) grantHTTP2(l *Lease) (granted, overflow bool) {
	if c := h.findShared(l.avoid, false); c != nil {
		c.open(l)
		return true, false
	}
	if h.undecided(l.avoid) {
		return false, false
	}
	reserved, overflow := h.reserve()
	if reserved {
		c, err := h.dialHTTP2()
		if l.dialled(err) {
			c.open(l)
		}
		return true, overflow
	}
	c := h.findShared(l.avoid, true)
	if c == nil && l.avoid != nil && l.avoid.listed && l.avoid.Room() > 0 {
		c = l.avoid // there is no other connection and none may be opened: it may not refuse twice
	}
	if c != nil {
		c.open(l)
		return true, false
	}
	return false, overflow
}

// dialled takes note of how an attempt to open a connection that was reserved went.
func (l *Lease) dialled(err error) bool {
	if err == nil {
		return true
	}
	l.host.cluster.shared.connections.Add(-1)
	l.host.countConnectFailure()
	l.Err = err
	return false
}

// reserve counts one more connection to h unless the breaker is open, which is an overflow. One that nobody uses makes room:
// it was no use to who asks. A host without a connection that requests may be given may always open one, so that nobody waits
// for those that were let go of.
func (h *Host) reserve() (reserved, overflow bool) {
	shared := h.cluster.shared
	for !take(&shared.connections, 1, int64(shared.limits.Load().MaxConnections)) {
		if h.makeRoom() {
			continue
		}
		if h.connections > 0 {
			return false, true
		}
		shared.connections.Add(1)
		return true, true
	}
	return true, false
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
		c.state = connLent
		return c
	}
	return nil
}

// lend gives l an HTTP/1 connection.
func (l *Lease) lend(c *Conn) {
	l.Stream, l.conn = c, c
	if l.ask.TCP {
		l.place = len(l.host.tcp)
		l.host.tcp = append(l.host.tcp, l)
	}
	c.requests++
	c.Conn().SetWaker(l.waker)
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

// Release ends the request. An HTTP/1 connection goes back to its pool when reuse is wanted and possible, else it is closed; a
// stream of HTTP/2 that is not over is reset.
func (l *Lease) Release(outcome Outcome, reuse bool) {
	if !l.open {
		return
	}
	l.leaveQueue()
	l.host.Stats.count(outcome)
	l.unanswered(outcome)
	h, c, stream := l.host, l.conn, l.http2
	l.finish()
	switch {
	case c != nil:
		c.giveBack(reuse)
	case stream.conn != nil:
		stream.conn.giveBack(stream.ClientStream)
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
	if l.ask.TCP && l.conn != nil {
		last := len(h.tcp) - 1
		h.tcp[l.place] = h.tcp[last]
		h.tcp[l.place].place = l.place
		h.tcp[last] = nil
		h.tcp = h.tcp[:last]
	}
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

// serveWaiting gives a connection to the exchange that waits longest, if there is one to give.
func (h *Host) serveWaiting() {
	for len(h.waiting) > 0 {
		l := h.waiting[0]
		if granted, _ := h.grant(l); !granted {
			return
		}
		l.leaveQueue()
		l.waker.Wake()
	}
}

// CanRefuse reports whether the host can say of a request that it has not begun to process it.
func (l *Lease) CanRefuse() bool { return l.http2.conn != nil }

// HTTP2 returns the stream of the lease, nil when it is none of HTTP/2.
func (l *Lease) HTTP2() *http2.Stream { return l.http2.Stream }

// Cut reports whether a connection of one's own is to end because its host fails its health checks.
func (l *Lease) Cut() bool { return l.cut }

// TCP returns the connection of a lease that asked for one of its own, nil while there is none.
func (l *Lease) TCP() *eventloop.Conn {
	if l.conn == nil {
		return nil
	}
	return l.conn.Conn()
}

// AwaitSettings reports whether the host's settings of HTTP/2 are known, or there are none to wait for. Otherwise the waker is
// woken when they are.
func (l *Lease) AwaitSettings() bool {
	c := l.http2.conn
	return c == nil || c.AwaitSettings(l.http2.ClientStream)
}

// RefusesConnect reports whether the host is one of HTTP/2 that does not take extended CONNECT.
func (l *Lease) RefusesConnect() bool {
	c := l.http2.conn
	return c != nil && c.RefusesConnect()
}

// Waiting reports whether the lease is queued for a connection.
func (l *Lease) Waiting() bool { return l.wait }

// Host returns the host that the lease was asked for.
func (l *Lease) Host() *Host { return l.host }
