package proxy

import (
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// acceptor is one address of a listener on one worker. It lives as long as the sockets on that address: another listener that
// takes the place of one on the same address takes it over, with the connections that wait to be accepted.
type acceptor struct {
	listener *listenerState
	socket   *eventloop.Listener
	load     *listener.Load // nil when connections are not steered
}

// accept begins to accept from the worker's socket for l.
func (w *worker) accept(l *listenerState, sockets *listener.Sockets) (*acceptor, error) {
	fd, load := sockets.Take(w.id)
	a := &acceptor{listener: l, load: load}
	socket, err := w.loop.Listen(fd, a)
	if err != nil {
		load.Release()
		return nil, err
	}
	a.socket = socket
	return a, nil
}

// installAcceptors has each socket of c accepted from for the listener that it belongs to now, and closes the others.
func (w *worker) installAcceptors(c *compiled) {
	acceptors := make(map[*listener.Sockets]*acceptor, len(w.acceptors))
	for name, next := range c.listeners {
		l := w.listeners[name]
		for _, sockets := range next.sockets {
			a := w.acceptors[sockets]
			if a == nil && !w.server.draining.Load() {
				var err error
				if a, err = w.accept(l, sockets); err != nil {
					w.server.manager.Inc(stats.ListenerManagerListenerCreateFailure)
					w.log.Error("listener cannot accept on this worker", zap.String("listener", name), zap.Error(err))
				}
			}
			if a != nil {
				a.listener = l
				acceptors[sockets] = a
			}
		}
	}
	for sockets, a := range w.acceptors {
		if acceptors[sockets] == nil {
			a.close()
		}
	}
	w.acceptors = acceptors
}

// Accepted implements eventloop.AcceptHandler.
func (a *acceptor) Accepted(raw *eventloop.Conn) {
	l := a.listener
	if !l.admit() {
		raw.Close()
		return
	}
	l.worker.connections++
	a.load.Opened()
	l.accepted(connection{listener: l, via: a, raw: raw, accepted: l.worker.loop.Now()})
}

// AcceptFailed implements eventloop.AcceptHandler.
func (a *acceptor) AcceptFailed(err error) {
	l := a.listener
	l.stats.Inc(stats.ListenerDownstreamCxOverflow)
	l.worker.log.Warn("cannot accept connections for the moment", zap.String("listener", l.compiled.config.Name), zap.Error(err))
}

// forget takes off a connection that Accepted has counted, for the listener that it had then.
func (a *acceptor) forget(l *listenerState) {
	l.worker.connections--
	l.dismiss()
	a.load.Closed()
}

// close accepts no more. Closing twice does nothing.
func (a *acceptor) close() {
	a.socket.Close()
	a.load.Release()
}
