package proxy

import (
	"strconv"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// listenerState is a listener on one worker: the socket, and the connections that came through it.
type listenerState struct {
	worker   *worker
	compiled *compiledListener
	table    *tableState // nil while the routes are not known
	socket   *eventloop.Listener
	load     *listener.Load // nil when connections are not steered
	stats    *stats.Block
	http     *stats.Block // nil with a TCP proxy
	tcp      *stats.Block // nil with a connection manager
	first    *connection  // a doubly linked list
	stopped  bool         // accepts no more; connections close when they have answered
}

func newListenerState(w *worker, c *compiledListener) (*listenerState, error) {
	l := &listenerState{worker: w}
	l.update(c)
	if w.server.draining.Load() {
		l.stopped = true
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

// update gives the listener a new configuration. Connections use it from their next request on.
func (l *listenerState) update(c *compiledListener) {
	l.compiled = c
	l.stats = l.worker.shard.Block(c.scope)
	l.http, l.tcp, l.table = nil, nil, nil
	if c.tcp != nil {
		l.tcp = l.worker.shard.Block(c.tcp.scope)
		return
	}
	l.http = l.worker.shard.Block(c.httpScope)
	if c.manager.table != nil {
		l.table = l.worker.tables[c.manager.table]
	}
}

// Accepted implements eventloop.AcceptHandler.
func (l *listenerState) Accepted(c *eventloop.Conn) {
	if l.compiled.tcp != nil {
		newTCPConn(l, c)
		return
	}
	if l.compiled.manager.config.Codec == config.CodecHTTP2 {
		newHTTP2Conn(l, c)
		return
	}
	newHTTP1Conn(l, c)
}

// AcceptFailed implements eventloop.AcceptHandler.
func (l *listenerState) AcceptFailed(err error) {
	l.stats.Inc(stats.ListenerDownstreamCxOverflow)
	l.worker.log.Warn("cannot accept connections for the moment", zap.String("listener", l.compiled.config.Name), zap.Error(err))
}

// stop accepts no more and closes the connections that wait for a request; the others close after their response.
func (l *listenerState) stop() {
	if l.stopped {
		return
	}
	l.stopped = true
	if l.socket != nil {
		l.socket.Close()
		l.load.Release()
	}
	for c := l.first; c != nil; {
		next := c.next
		c.server.leave()
		c = next
	}
}

func (l *listenerState) link(c *connection) {
	c.next = l.first
	if l.first != nil {
		l.first.prev = c
	}
	l.first = c
}

func (l *listenerState) unlink(c *connection) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
}

// portText returns the port that the listener is bound to.
func (l *listenerState) portText() string {
	return strconv.FormatUint(uint64(l.compiled.sockets.Address().Port()), 10)
}
