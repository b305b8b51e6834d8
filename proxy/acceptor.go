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
	load     *listener.Load  // nil when connections are not steered
	share    *listener.Share // nil but for a Unix domain socket
	sockets  *listener.Sockets
	path     string // of a Unix domain socket, "" for TCP
}

// accept begins to accept from the worker's socket for l.
func (w *worker) accept(l *listenerState, sockets *listener.Sockets) (*acceptor, error) {
	fd, load := sockets.Take(w.id)
	a := &acceptor{listener: l, load: load, share: sockets.Share(w.id), sockets: sockets, path: sockets.Where().Path}
	var err error
	if a.share != nil {
		a.socket, err = w.loop.ListenShared(fd, a, a.hand)
	} else {
		a.socket, err = w.loop.Listen(fd, a)
	}
	if err != nil {
		load.Release()
		a.share.Release()
		return nil, err
	}
	return a, nil
}

// hand gives a connection to the worker that has the fewest of those that share the socket, unless that is this one.
func (a *acceptor) hand(fd int) bool {
	least := a.share.Fewest()
	if a.share.Own(least) || !a.share.Hand(least, fd) {
		return false
	}
	w := a.listener.worker.server.workers[least]
	// If the loop has ended, what was handed to it is closed with its share.
	w.loop.Post(func() { w.adopt(a.sockets) })
	return true
}

// adopt takes the connections that other workers have accepted for this one.
func (w *worker) adopt(sockets *listener.Sockets) {
	a := w.acceptors[sockets]
	if a == nil {
		return // they were closed with the acceptor
	}
	for _, fd := range a.share.Take() {
		a.socket.Adopt(fd)
	}
}

// installAcceptors has each socket of c accepted from for the listener that it belongs to now, and closes the others.
func (w *worker) installAcceptors(c *compiled) {
	acceptors := make(map[*listener.Sockets]*acceptor, len(w.acceptors))
	for name, next := range c.listeners {
		l := w.listeners[name]
		for _, sockets := range next.sockets {
			a := w.acceptors[sockets]
			if a == nil && w.server.listens(next.config) {
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
	a.share.Opened()
	l.accepted(connection{listener: l, via: a, raw: raw, accepted: l.worker.loop.Now(), id: l.worker.nextID()}, nil)
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
	a.share.Closed()
}

// close accepts no more. Closing twice does nothing.
func (a *acceptor) close() {
	a.socket.Close()
	a.release()
}

// release gives up what the kernel or other workers know of the acceptor, whose socket is closed.
func (a *acceptor) release() {
	a.load.Release()
	a.share.Release()
}
