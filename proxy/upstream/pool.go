package upstream

import "github.com/penguintechinc/marchproxy-alb/config"

// pool is the connections to a host of which one is as good as another, and who waits for them.
type pool struct {
	host        *Host
	priority    config.RoutingPriority
	name        *name             // that its connections were asked for by, nil for the host's own
	idle        []*Conn           // HTTP/1 connections, the most recently used last
	shared      []*sharedConn     // HTTP/2 connections that take streams
	opening     []*opening        // connections that may become either
	waiting     []*Lease          // for a connection, in order
	peerStreams uint32            // that the host took at a time on the last connection that told, 0 before
	queued      [waitKinds]uint32 // how many of each kind wait
	connections int               // open or connecting, of this epoch
	epoch       uint32            // how often connections were let go of: those of before are not kept
	single      bool              // the last connection whose protocol the host chose is one of HTTP/1
}

// grant gives l a connection, an open one or a new one, and reports whether it did; the new one may have failed, which
// l.Err tells. overflow says that the breaker of connections is open.
func (p *pool) grant(l *Lease) (granted, overflow bool) {
	switch l.ask.Protocol {
	case HTTP2:
		return p.grantHTTP2(l)
	case Negotiated:
		return p.grantNegotiated(l)
	default:
		return p.grantHTTP1(l)
	}
}

// grantHTTP1 is grant for a connection of HTTP/1, or for one that carries any bytes.
func (p *pool) grantHTTP1(l *Lease) (granted, overflow bool) {
	if !l.ask.Fresh && !l.ask.TCP {
		if c := p.takeIdle(); c != nil {
			l.lend(c)
			return true, false
		}
	}
	reserved, overflow := p.reserve(nil)
	if reserved {
		c, err := p.dialConn(l.ask.TCP)
		if l.dialled(err) {
			l.lend(c)
		}
	}
	return reserved, overflow
}

// grantHTTP2 is grant for a stream: on a connection that is there, or on a new one when all are full and the host has told
// how much that is.
func (p *pool) grantHTTP2(l *Lease) (granted, overflow bool) {
	if c := p.findShared(l.avoid, false); c != nil {
		c.open(l)
		return true, false
	}
	if p.undecided(l.avoid) {
		return false, false
	}
	reserved, overflow := p.reserve(l.avoid)
	if reserved {
		c, err := p.dialHTTP2()
		if l.dialled(err) {
			c.open(l)
		}
		return true, overflow
	}
	if p.lastResort(l) {
		return true, false
	}
	return false, overflow
}

// lastResort opens a stream for l on a connection that is only better than none, as no other may be opened. It reports whether
// there was one.
func (p *pool) lastResort(l *Lease) bool {
	c := p.findShared(l.avoid, true)
	if c == nil && l.avoid != nil && l.avoid.listed && l.avoid.Room() > 0 {
		c = l.avoid // it may not refuse twice
	}
	if c == nil {
		return false
	}
	c.open(l)
	return true
}

// reserve counts one more connection unless a breaker is open, which is an overflow. One that nobody uses makes room: it was
// no use to who asks. That is not true of keep, which may be nil: it has refused a request, and may not refuse it twice. A pool
// without a connection that requests may be given may always open one, so that nobody waits for those that were let go of.
func (p *pool) reserve(keep *sharedConn) (reserved, overflow bool) {
	for !p.takeConnection() {
		if p.makeRoom(keep) {
			continue
		}
		if p.connections > 0 {
			return false, true
		}
		p.forceConnection()
		return true, true
	}
	return true, false
}

// takeIdle returns the most recently used idle connection that is still good, nil when there is none.
func (p *pool) takeIdle() *Conn {
	for n := len(p.idle); n > 0; n = len(p.idle) {
		c := p.idle[n-1]
		if !c.Conn().Quiet() {
			c.close(closedRemotely)
			continue
		}
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		c.state = connLent
		return c
	}
	return nil
}

// waitKind is what those who wait are told apart by: while one cannot be served, neither can others of its kind.
type waitKind uint8

// waitKinds is how many kinds there are: for each protocol those that any connection will do for, and those that have one to avoid.
const waitKinds = 2 * (waitKind(Negotiated) + 1)

// kind returns the kind of a lease.
func (l *Lease) kind() waitKind {
	kind := 2 * waitKind(l.ask.Protocol)
	if l.avoid != nil {
		kind++
	}
	return kind
}

// negotiating returns how many wait for a connection in whichever protocol the host chooses.
func (p *pool) negotiating() int {
	kind := 2 * waitKind(Negotiated)
	return int(p.queued[kind] + p.queued[kind+1])
}

// serveWaiting gives connections to the exchanges that wait, in order, as long as there are any to give. Of a kind for which there is
// none only the first is tried, so that a long queue costs no more than a short one.
func (p *pool) serveWaiting() {
	var refused [waitKinds]bool
	hopeless := 0 // of those that wait, the ones of kinds that were refused
	for i := 0; hopeless < len(p.waiting) && i < len(p.waiting); {
		l := p.waiting[i]
		kind := l.kind()
		if refused[kind] {
			i++
			continue
		}
		if granted, _ := p.grant(l); granted {
			l.leaveQueue()
			l.waker.Wake()
			continue
		}
		refused[kind] = true
		hopeless += int(p.queued[kind])
		i++
	}
}

// letGo has no request given to the connections that there are: idle ones close now, the others when their requests end. Who
// waits for one of them is served by new ones.
func (p *pool) letGo() {
	p.closeIdle()
	for len(p.opening) > 0 {
		p.opening[len(p.opening)-1].close(closedLocally)
	}
	for len(p.shared) > 0 {
		p.shared[len(p.shared)-1].unlist()
	}
	p.epoch++
	p.connections = 0
	p.serveWaiting()
}

// makeRoom closes a connection to the host, of the same priority, that nobody uses, and reports whether there was one.
func (p *pool) makeRoom(keep *sharedConn) (closed bool) {
	set := p.host.of(p.priority)
	if closed = p.closeUnused(keep); closed || set.byName == nil {
		return closed
	}
	set.pools(func(other *pool) { closed = closed || other.closeUnused(keep) })
	return closed
}

// closeUnused closes a connection that nobody uses and that is not keep, the one that has been idle for longest, and reports whether there was one.
func (p *pool) closeUnused(keep *sharedConn) bool {
	if len(p.idle) > 0 {
		p.idle[0].close(closedLocally)
		return true
	}
	for _, c := range p.shared {
		if c.Idle() && c.state == connLent && c != keep {
			c.GoAway()
			c.close(closedLocally)
			return true
		}
	}
	return false
}

func (p *pool) closeIdle() {
	for len(p.idle) > 0 {
		p.idle[len(p.idle)-1].close(closedLocally)
	}
}

// removeIdle takes c out of the idle connections.
func (p *pool) removeIdle(c *Conn) {
	for i := len(p.idle) - 1; i >= 0; i-- {
		if p.idle[i] == c {
			copy(p.idle[i:], p.idle[i+1:])
			p.idle[len(p.idle)-1] = nil
			p.idle = p.idle[:len(p.idle)-1]
			return
		}
	}
}
