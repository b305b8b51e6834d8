package proxy

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// maxIdleExchanges bounds the exchanges kept for reuse per worker.
const maxIdleExchanges = 512

// worker is one thread of the data plane. Everything it holds belongs to its loop's thread.
type worker struct {
	id     int
	server *Server
	log    *zap.Logger
	loop   *eventloop.Loop
	ended  chan struct{} // closed when the loop has ended and nothing is left of it
	shard  *stats.Shard
	random *rand.PCG // for choices among hosts and clusters
	ids    *rand.ChaCha8

	serving   *compiled
	clusters  []*upstream.Cluster // by the index of serving
	byName    map[string]*upstream.Cluster
	tables    map[*compiledTable]*tableState
	listeners map[string]*listenerState
	acceptors map[*listener.Sockets]*acceptor
	chains    map[*chainIdentity]*chainState
	stopped   bool           // nothing is accepted any more, and connections end as they become idle
	drain     *gracefulDrain // that comes before, nil without one

	connections int    // downstream connections that are open
	accepted    uint64 // downstream connections that there have been
	exchanges   []*exchange
	shadows     []*shadow
	attempts    []*attempt
	replays     replayPool // of request bodies that may have to be sent again
	http2       *http2.Env
	http2Stats  *stats.Block
	opening     filter.Opening
	fields      message.Fields // of a request that may become what it was
	outcome     Outcome        // of the stream that ended last, for who is told of it
	logged      accesslog.Entry
	noRequest   message.Request // that of connections, which are logged without one
	clock       wallClock
}

func newWorker(s *Server, id int) (*worker, error) {
	w := &worker{
		id: id, server: s, ended: make(chan struct{}), log: s.log.With(zap.Int("worker", id)),
		serving:   &compiled{},
		byName:    make(map[string]*upstream.Cluster),
		tables:    make(map[*compiledTable]*tableState),
		listeners: make(map[string]*listenerState),
		acceptors: make(map[*listener.Sockets]*acceptor),
		chains:    make(map[*chainIdentity]*chainState),
	}
	var seed [48]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("seed random numbers: %w", err)
	}
	w.random = rand.NewPCG(binary.NativeEndian.Uint64(seed[32:]), binary.NativeEndian.Uint64(seed[40:]))
	w.ids = rand.NewChaCha8([32]byte(seed[:32]))
	loop, err := eventloop.New(eventloop.Options{Clock: s.options.Clock, OnPanic: w.panicked})
	if err != nil {
		return nil, err
	}
	w.loop = loop
	w.shard = s.stats.NewShard(loop.Post)
	w.http2 = http2.NewEnv(loop, func(n int64) int64 { return int64(w.random.Uint64() % uint64(n)) })
	w.http2Stats = w.shard.Block(s.http2Stats)
	go w.run()
	return w, nil
}

func (w *worker) run() {
	if err := w.loop.Run(); err != nil {
		w.log.Error("worker ended", zap.Error(err))
	}
	for _, a := range w.acceptors {
		a.release()
	}
	w.shard.Close()
	close(w.ended)
}

// panicked reports a panic that cost one connection.
func (w *worker) panicked(value any, stack []byte) {
	w.log.Error("panic on a worker, its connection was closed", zap.Any("panic", value), zap.ByteString("stack", stack))
	w.server.panics.Inc()
}

// nextID returns a number for a connection of a client, which no other worker gives away.
func (w *worker) nextID() uint64 {
	w.accepted++
	return w.accepted*uint64(w.server.options.Workers) + uint64(w.id)
}

// takeExchange returns an exchange, empty but for the capacity of its buffers.
func (w *worker) takeExchange() *exchange {
	if n := len(w.exchanges); n > 0 {
		x := w.exchanges[n-1]
		w.exchanges[n-1] = nil
		w.exchanges = w.exchanges[:n-1]
		return x
	}
	return &exchange{worker: w, attempt: &attempt{}}
}

func (w *worker) putExchange(x *exchange) {
	x.clear()
	if len(w.exchanges) < maxIdleExchanges {
		w.exchanges = append(w.exchanges, x)
		return
	}
	w.loop.StopTimer(&x.timer)
}

// stopListening closes the listening sockets and every connection that waits for a request.
func (w *worker) stopListening() {
	if w.stopped {
		return
	}
	w.stopped = true
	for _, a := range w.acceptors {
		a.close()
	}
	for _, l := range w.listeners {
		l.close()
	}
	for _, chain := range w.chains {
		chain.connections.each(func(c *connection) { c.server.leave() })
	}
}

// jitter returns what chance adds to d: up to so many percent of it.
func (w *worker) jitter(d time.Duration, percent float64) time.Duration {
	most := uint64(float64(d) * percent / 100)
	if most == 0 {
		return 0
	}
	return time.Duration(w.random.Uint64() % (most + 1))
}

// wallClock keeps the text of the date field, which changes once a second.
type wallClock struct {
	until int64 // on the loop's clock
	date  []byte
}

// httpDate is the IMF-fixdate of RFC 9110 section 5.6.7.
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// dateField returns the value of the date field. The slice is replaced, never changed.
func (w *worker) dateField() []byte {
	if now := w.loop.Now(); now >= w.clock.until || w.clock.date == nil {
		wall := time.Now().UTC()
		w.clock.date = wall.AppendFormat(nil, httpDate)
		w.clock.until = now + int64(time.Second) - int64(wall.Nanosecond())
	}
	return w.clock.date
}
