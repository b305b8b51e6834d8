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
	seen := match.Connection{Remote: raw.RemoteAddr(), Direct: raw.RemoteAddr()}
	chain := l.choose(&c, &seen)
	if chain == nil {
		l.stats.Inc(stats.ListenerNoFilterChainMatch)
		raw.Close()
		l.forget()
		return
	}
	chain.serve(c)
}

// choose returns the filter chain for a connection of which seen is known but for its local address, nil when there is none.
func (l *listenerState) choose(c *connection, seen *match.Connection) *chainState {
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

// close accepts no more.
func (l *listenerState) close() {
	if l.socket != nil {
		l.socket.Close()
		l.load.Release()
		l.socket = nil
	}
}
