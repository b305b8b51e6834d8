package upstream

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// opening is a connection to a host that has yet to tell, by ALPN, what will be spoken on it (auto_config). It is no lease's: who
// waits longest is given what becomes of it.
type opening struct {
	link
	promise int // for how many of those who wait it was opened
}

// grantNegotiated is grant in the protocol that the host chooses: on a connection that is there, else once one has been opened.
func (p *pool) grantNegotiated(l *Lease) (granted, overflow bool) {
	if p.host.tls == nil {
		return p.grantHTTP1(l) // nothing is negotiated without TLS
	}
	if c := p.findShared(l.avoid, false); c != nil {
		c.open(l)
		return true, false
	}
	if c := p.takeIdle(); c != nil {
		l.lend(c)
		return true, false
	}
	if p.undecided(l.avoid) {
		return false, false
	}
	overflow, err := p.openFor(l)
	if err != nil {
		return true, overflow
	}
	if overflow && len(p.opening) == 0 {
		return p.lastResort(l), true
	}
	return false, overflow
}

// openFor opens as many connections as it takes for all who wait, and for l. It fails with l when one cannot be begun.
func (p *pool) openFor(l *Lease) (overflow bool, err error) {
	missing := p.negotiating()
	if !l.wait {
		missing++
	}
	for _, o := range p.opening {
		missing -= o.promise
	}
	for missing > 0 {
		reserved, full := p.reserve(nil)
		overflow = overflow || full
		if !reserved {
			break
		}
		promise, err := p.open()
		if !l.dialled(err) {
			return overflow, err
		}
		missing -= promise
	}
	return overflow, nil
}

// open opens a connection that a host has yet to tell of what it speaks.
func (p *pool) open() (promise int, err error) {
	o := &opening{promise: p.promise()}
	if err := o.dial(p, alpnAny, o); err != nil {
		return 0, err
	}
	o.raw.SetIdleHandler(o)
	o.raw.SetWaker(nil)
	p.opening = append(p.opening, o)
	return o.promise, nil
}

// promise returns how many requests one more connection is expected to serve at a time, by what the last one was. While
// nothing is known that is what one of HTTP/2 would: if it is none, those who are left over have more opened.
func (p *pool) promise() int {
	if p.single {
		return 1
	}
	cfg := p.host.cluster.config
	n := cfg.HTTP2.MaxStreams
	if p.peerStreams > 0 {
		n = min(n, p.peerStreams)
	}
	if limit := cfg.MaxRequestsPerConnection; limit > 0 {
		n = min(n, limit)
	}
	return int(max(1, n))
}

// Ready implements eventloop.IdleHandler: hands are shaken, or will not be.
func (o *opening) Ready(*eventloop.Conn) {
	if o.state == connClosed {
		return
	}
	switch done, err := o.Connected(); {
	case err != nil:
		o.fail(err, closedRemotely)
	case done:
		o.become()
	}
}

// Expired implements eventloop.Expirer: the connect timeout has passed.
func (o *opening) Expired(*eventloop.Timer) {
	if done, err := o.raw.Connected(); done || err != nil {
		return // in this turn, and Ready has yet to be told
	}
	o.connectFailed(ErrConnectTimeout)
	o.fail(ErrConnectTimeout, closedLocally)
}

// fail tells as many as the connection was opened for that there is none.
func (o *opening) fail(why error, reason closeReason) {
	p := o.pool
	o.close(reason)
	for range o.promise {
		l := p.firstNegotiating()
		if l == nil {
			break
		}
		l.Unreached = why
		l.leaveQueue()
		l.waker.Wake()
	}
	p.serveWaiting()
}

// become makes the connection one of the protocol that was agreed on. Anything but HTTP/2, and nothing, is HTTP/1.1, as in
// Envoy: a host that knows no ALPN knows no HTTP/2 (RFC 9113 section 3.2).
func (o *opening) become() {
	p := o.pool
	p.single = !o.http2
	waits := p.negotiating() > 0
	switch {
	case !waits && (p.single || len(p.shared) > 0 || p.transient()):
		o.close(closedLocally)
	case p.single:
		o.becomeConn()
	default:
		o.becomeShared()
	}
	p.serveWaiting()
}

// becomeConn gives the connection to who waits longest.
func (o *opening) becomeConn() {
	c := &Conn{link: o.handOver()}
	c.raw.SetIdleHandler(nil)
	c.begin(stats.ClusterUpstreamCxHTTP1Total)
	l := c.pool.firstNegotiating()
	l.leaveQueue()
	l.lend(c)
	l.waker.Wake()
}

// becomeShared has the connection carry streams.
func (o *opening) becomeShared() {
	c := &sharedConn{link: o.handOver()}
	c.begin()
	c.raw.Wake() // it may hold what came with the last of the handshake
}

// handOver returns what the connection is made of. It is not an opening any more.
func (o *opening) handOver() link {
	o.leavePool()
	l := o.link
	o.state = connClosed
	return l
}

func (o *opening) leavePool() {
	p := o.pool
	if i := slices.Index(p.opening, o); i >= 0 {
		p.opening = slices.Delete(p.opening, i, i+1)
	}
}

// close ends the connection and takes it off every list and count.
func (o *opening) close(reason closeReason) {
	if o.state == connClosed {
		return
	}
	o.leavePool()
	o.closed(reason)
	o.raw.Close()
}

// firstNegotiating returns who waits longest for a connection in the protocol that the host chooses, nil for nobody.
func (p *pool) firstNegotiating() *Lease {
	for _, l := range p.waiting {
		if l.ask.Protocol == Negotiated {
			return l
		}
	}
	return nil
}
