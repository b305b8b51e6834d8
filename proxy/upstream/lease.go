package upstream

import (
	"errors"

	"github.com/penguintechinc/marchproxy-alb/config"
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

// Protocol is what is spoken to a host.
type Protocol uint8

// The protocols.
const (
	HTTP1 Protocol = iota
	HTTP2
	Negotiated // HTTP/2 or HTTP/1.1, which the host chooses by ALPN
)

// Ask is what a request wants of a connection.
type Ask struct {
	// Protocol is what is to be spoken.
	Protocol Protocol
	// Response is where the response head of a stream of HTTP/2 goes.
	Response *message.Response
	// Fresh asks for an HTTP/1 connection that has not been used.
	Fresh bool
	// TCP asks for a connection of one's own, for bytes that are passed on as they are.
	TCP bool
	// Name is what the host is asked for in TLS, or must have a certificate for, in lower case, empty for what the context says.
	// It is not kept. Connections for one name are never used for another.
	Name []byte
	// Header is what a connection begins with where the host wants that (Host.AppendProxyHeader); without one it hears of no client. It is
	// not kept. Connections with one header are never used for another.
	Header []byte
	// Priority is that of the route: whose circuit breakers count the request, and whose connections it gets.
	Priority config.RoutingPriority
	// Again asks for another connection than that of the lease before, whose stream was refused.
	Again bool
}

// Lease is the right of one exchange to use a connection, or a stream of one. The zero value holds none. It belongs to its
// exchange and is used for one request after the other.
type Lease struct {
	Stream Stream
	Err    error // why no connection could be begun
	// Unreached is why there is no connection, though one was begun for those that waited.
	Unreached error

	conn  *Conn       // when Stream is one of HTTP/1
	http2 streamHTTP2 // what Stream points to when it is one of HTTP/2
	avoid *sharedConn
	ask   Ask
	host  *Host
	pool  *pool
	waker eventloop.Waker
	wait  bool // in pool.waiting
	cut   bool // the host has failed its health checks, and what it has of TCP ends with that
	place int  // in host.tcp, of one that has a connection of its own
	open  bool // counted as a request in flight

	answered bool // outlier detection knows the status
	late     bool // and that it took too long
	reported bool // the host has told its load
}

// Acquire asks for a connection to h for a request; w is woken by what happens to that. After any verdict but Overflow the
// lease must be released.
func (k *Cluster) Acquire(l *Lease, h *Host, w eventloop.Waker, ask Ask) Verdict {
	avoid := l.http2.conn // of the attempt before
	if !ask.Again {
		avoid = nil
	}
	if !k.permits[ask.Priority].acquire(k.shared.Of(ask.Priority)) {
		*l = Lease{host: h}
		k.stats.Inc(stats.ClusterUpstreamRqActiveOverflow)
		return Overflow
	}
	if k.budgeted[ask.Priority] {
		k.countBegun(ask.Priority)
	}
	p := h.of(ask.Priority).poolFor(&ask)
	ask.Name, ask.Header = nil, nil
	*l = Lease{host: h, pool: p, waker: w, open: true, ask: ask, avoid: avoid}
	p.acquired()
	h.Active++
	h.Stats.RqTotal++
	h.Stats.RqActive++
	k.stats.Inc(stats.ClusterUpstreamRqTotal)
	k.stats.Inc(stats.ClusterUpstreamRqActive)
	granted, overflow := l.pool.grant(l)
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

// dialled takes note of how an attempt to open a connection that was reserved went.
func (l *Lease) dialled(err error) bool {
	if err == nil {
		return true
	}
	l.pool.returnConnection()
	l.host.countConnectFailure()
	if unbound := (*eventloop.BindError)(nil); errors.As(err, &unbound) {
		l.host.cluster.stats.Inc(stats.ClusterBindErrors)
	}
	l.Err = err
	return false
}

func (k *Cluster) enqueue(l *Lease) Verdict {
	if b := l.pool.breakers(); !take(&b.pending, 1, int64(b.limits.Load().MaxPending)) {
		k.stats.Inc(stats.ClusterUpstreamRqPendingOverflow)
		l.finish()
		return Overflow
	}
	k.stats.Inc(stats.ClusterUpstreamRqPendingTotal)
	k.stats.Inc(stats.ClusterUpstreamRqPendingActive)
	l.wait = true
	l.pool.queued[l.kind()]++
	l.pool.waiting = append(l.pool.waiting, l)
	return Queued
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
	p, c, stream := l.pool, l.conn, l.http2
	l.finish()
	switch {
	case c != nil:
		c.giveBack(reuse)
	case stream.conn != nil:
		stream.conn.giveBack(stream.ClientStream)
	}
	p.serveWaiting()
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
	l.pool.released()
	h.Active--
	h.Stats.RqActive--
	k.stats.Dec(stats.ClusterUpstreamRqActive)
	k.permits[l.ask.Priority].release(l.pool.breakers())
	if k.retired {
		k.returnUnused()
	}
}

func (l *Lease) leaveQueue() {
	if !l.wait {
		return
	}
	l.wait = false
	l.pool.queued[l.kind()]--
	waiting := l.pool.waiting
	for i, other := range waiting {
		if other == l {
			copy(waiting[i:], waiting[i+1:])
			waiting[len(waiting)-1] = nil
			l.pool.waiting = waiting[:len(waiting)-1]
			break
		}
	}
	l.pool.dequeued()
}

func (p *pool) dequeued() {
	p.breakers().pending.Add(-1)
	p.host.cluster.stats.Dec(stats.ClusterUpstreamRqPendingActive)
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
