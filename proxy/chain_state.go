package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// chainState is a filter chain on one worker, and the connections that it has. It lives as long as its chain is the same: an
// update that changes other chains of the listener leaves it alone.
type chainState struct {
	worker   *worker
	compiled *compiledChain
	table    *tableState   // nil while the routes are not known
	scopes   []*tableState // of scoped routes, by the index of the scope

	listenerStats *stats.Block
	http          *stats.Block   // nil with a TCP proxy
	tcp           *stats.Block   // nil with a connection manager
	ssl           *stats.Block   // nil without TLS
	filters       []*stats.Block // of the connection manager's filters, nil entries: they count nothing
	logs          *logUse        // of the connection manager or the TCP proxy; nil without access logs, and when it is drained

	connections connectionList
	draining    bool            // it gets no more connections, and those it has are to end
	drained     bool            // the last has gone
	timer       eventloop.Timer // while it drains
}

// update gives the chain its place in a new generation. Connections use it from their next request on.
func (s *chainState) update(c *compiledChain) {
	s.compiled = c
	s.listenerStats = s.worker.shard.Block(c.listenerScope)
	if !s.drained {
		s.logs = s.worker.nextLogs(s.logs, c.accessLogs())
	}
	if c.sslScope != nil {
		s.ssl = s.worker.shard.Block(c.sslScope)
	}
	if c.tcp != nil {
		s.tcp = s.worker.shard.Block(c.tcp.scope)
		return
	}
	s.http, s.table, s.scopes = s.worker.shard.Block(c.httpScope), nil, nil
	s.filters = make([]*stats.Block, len(c.filterScopes))
	for i, scope := range c.filterScopes {
		if scope != nil {
			s.filters[i] = s.worker.shard.Block(scope)
		}
	}
	if c.manager.table != nil {
		s.table = s.worker.tables[c.manager.table]
	}
	if c.manager.scopes != nil {
		s.scopes = c.manager.scopes.states(s.worker)
	}
}

// serve serves an accepted connection as the chain says.
func (s *chainState) serve(accepted connection) {
	if s.compiled.tls != nil {
		newHandshaking(s, accepted)
		return
	}
	s.speak(accepted)
}

// speak serves a connection on which there is nothing left to do before its protocol.
func (s *chainState) speak(c connection) {
	if s.compiled.tcp != nil {
		newTCPConn(s, c)
		return
	}
	codec := s.compiled.manager.config.Codec
	if c.secure != nil && codec == config.CodecAuto && c.secure.Protocol == alpnHTTP2 {
		codec = config.CodecHTTP2
	}
	if codec == config.CodecHTTP2 {
		newHTTP2Conn(s, c)
	} else {
		newHTTP1Conn(s, c)
	}
}

// unlink takes off a connection that was closed. When it was the last of a chain that drains, the chain is done with.
func (s *chainState) unlink(c *connection) {
	s.connections.unlink(c)
	if s.draining {
		s.checkDrained()
	}
}

// drain has the connections end: those that can be told with what they do next, all others when the time to drain is over.
func (s *chainState) drain() {
	s.draining = true
	s.worker.loop.SetTimer(&s.timer, s.worker.server.options.DrainTime, s)
	s.connections.each(func(c *connection) { c.server.drain() })
	s.checkDrained()
}

// Expired implements eventloop.Expirer: the time to drain is over.
func (s *chainState) Expired(*eventloop.Timer) {
	s.connections.each(func(c *connection) { c.server.cut() })
	// Those that had to be woken to be cut are on their way out, and take the timer off when they have gone.
	s.checkDrained()
}

// checkDrained tells when the last connection has gone.
func (s *chainState) checkDrained() {
	if s.connections.first == nil && !s.drained {
		s.drained = true
		s.worker.loop.StopTimer(&s.timer)
		s.logs.leave()
		s.logs = nil
		s.compiled.identity.drain.leave()
	}
}
