package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// detailsNoFilterChain are the response code details of a connection that no filter chain is for.
const detailsNoFilterChain = "filter_chain_not_found"

// listenerState is a listener on one worker: which filter chain the connections get that its acceptors accept.
type listenerState struct {
	worker   *worker
	compiled *compiledListener
	chains   []*chainState // by the index that compiled.match finds
	fallback *chainState   // nil without a default chain
	stats    *stats.Block
	own      *stats.Block // of this worker alone

	filterCounts []*stats.Block // of compiled.filters, nil for one that has none
	inspections  connectionList // connections that the listener filters look at

	logs *logUse // nil without access logs, and when it is closed
}

// update gives the listener a new configuration, whose chains the worker has.
func (l *listenerState) update(c *compiledListener) {
	l.compiled = c
	l.logs = l.worker.nextLogs(l.logs, c.accessLogs)
	l.stats = l.worker.shard.Block(c.scope)
	l.own = l.worker.shard.Block(c.workers[l.worker.id])
	l.filterCounts = make([]*stats.Block, len(c.filters))
	for i := range c.filters {
		if scope := c.filters[i].scope; scope != nil {
			l.filterCounts[i] = l.worker.shard.Block(scope)
		}
	}
	l.chains, l.fallback = make([]*chainState, len(c.chains)), nil
	for i, chain := range c.chains {
		l.chains[i] = l.worker.chains[chain.identity]
	}
	if c.fallback != nil {
		l.fallback = l.worker.chains[c.fallback.identity]
	}
}

// accepted has a connection served that was accepted. seen is what another listener has found out about it, nil for nothing.
func (l *listenerState) accepted(c connection, seen *match.Connection) {
	if c.logs = l.logs.join(); c.logs != nil {
		c.raw.LocalAddr() // which nobody can ask for any more when it has ended
	}
	if seen == nil {
		seen = &match.Connection{Transport: transportRaw}
	}
	if len(l.compiled.filters) > 0 {
		l.inspect(c, seen)
		return
	}
	l.give(c, seen)
}

// give has the filter chain serve a connection that is for it, of which seen is known but for addresses.
func (l *listenerState) give(c connection, seen *match.Connection) {
	chain := l.choose(&c, seen)
	if chain == nil {
		l.stats.Inc(stats.ListenerNoFilterChainMatch)
		c.logEnd(FlagNoRouteFound, detailsNoFilterChain, "")
		c.raw.Close()
		c.via.forget(c.listener)
		return
	}
	chain.serve(c)
}

// choose returns the filter chain for a connection, nil when there is none.
func (l *listenerState) choose(c *connection, seen *match.Connection) *chainState {
	seen.Remote, seen.Direct = c.remoteAddr(), c.raw.RemoteAddr()
	if l.compiled.match.NeedsLocal() {
		seen.Local = c.localAddr()
	}
	if i := l.compiled.match.Lookup(seen); i != match.None {
		return l.chains[i]
	}
	return l.fallback
}

// close ends the connections that have no filter chain yet, and closes the access logs after those that have one.
func (l *listenerState) close() {
	l.inspections.each(func(c *connection) { c.server.leave() })
	l.logs.leave()
	l.logs = nil
}
