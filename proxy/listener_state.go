package proxy

import (
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// listenerState is a listener on one worker: the socket, and which filter chain its connections get.
type listenerState struct {
	worker   *worker
	compiled *compiledListener
	chains   []*chainState // by the index that compiled.match finds
	fallback *chainState   // nil without a default chain
	socket   *eventloop.Listener
	load     *listener.Load // nil when connections are not steered
	stats    *stats.Block

	filterCounts []*stats.Block // of compiled.filters, nil for one that has none
	inspections  connectionList // connections that the listener filters look at
}

func newListenerState(w *worker, c *compiledListener) (*listenerState, error) {
	l := &listenerState{worker: w}
	l.update(c)
	if w.server.draining.Load() {
		return l, nil
	}
	fd, load := c.sockets.Take(w.id)
	socket, err := w.loop.Listen(fd, l)
	if err != nil {
		load.Release()
		return nil, err
	}
	l.socket, l.load = socket, load
	return l, nil
}

// update gives the listener a new configuration, whose chains the worker has.
func (l *listenerState) update(c *compiledListener) {
	l.compiled = c
	l.stats = l.worker.shard.Block(c.scope)
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

// Accepted implements eventloop.AcceptHandler.
func (l *listenerState) Accepted(raw *eventloop.Conn) {
	l.worker.connections++
	l.load.Opened()
	c := connection{listener: l, raw: raw, accepted: l.worker.loop.Now()}
	if len(l.compiled.filters) > 0 {
		l.inspect(c)
		return
	}
	l.give(c, &match.Connection{Transport: transportRaw})
}

// give has the filter chain serve a connection that is for it, of which seen is known but for addresses.
func (l *listenerState) give(c connection, seen *match.Connection) {
	chain := l.choose(&c, seen)
	if chain == nil {
		l.stats.Inc(stats.ListenerNoFilterChainMatch)
		c.raw.Close()
		l.forget()
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

// forget takes off a connection that Accepted has counted.
func (l *listenerState) forget() {
	l.worker.connections--
	l.load.Closed()
}

// AcceptFailed implements eventloop.AcceptHandler.
func (l *listenerState) AcceptFailed(err error) {
	l.stats.Inc(stats.ListenerDownstreamCxOverflow)
	l.worker.log.Warn("cannot accept connections for the moment", zap.String("listener", l.compiled.config.Name), zap.Error(err))
}

// close accepts no more. Connections that have no filter chain yet end.
func (l *listenerState) close() {
	if l.socket != nil {
		l.socket.Close()
		l.load.Release()
		l.socket = nil
	}
	l.inspections.each(func(c *connection) { c.server.leave() })
}
