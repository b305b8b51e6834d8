package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// DrainOptions say how listeners are drained.
type DrainOptions struct {
	// Immediate has clients leave with their next response (--drain-strategy immediate); otherwise those of more and more responses do, up
	// to all when Options.DrainTime has passed.
	Immediate bool
	// InboundOnly drains listeners with traffic_direction INBOUND only.
	InboundOnly bool
	// KeepListening has the listeners accept connections after that time, too (skip_exit).
	KeepListening bool
}

// DrainGracefully has the clients of listeners leave while connections are still accepted, which ends after Options.DrainTime. While the
// listeners drain already it does nothing.
func (s *Server) DrainGracefully(o DrainOptions) {
	s.onEveryWorker(func(w *worker) { w.startDrain(o) })
}

// StopInbound is StopListening for listeners with traffic_direction INBOUND. Their connections stay.
func (s *Server) StopInbound() {
	s.inboundStopped.Store(true)
	s.onEveryWorker((*worker).stopInbound)
}

// listens reports whether connections are to be accepted for a listener.
func (s *Server) listens(l *config.Listener) bool {
	return !s.draining.Load() && !(l.Inbound && s.inboundStopped.Load())
}

// gracefulDrain is DrainGracefully on one worker.
type gracefulDrain struct {
	DrainOptions
	worker *worker
	began  int64 // on the loop's clock
	timer  eventloop.Timer
}

func (w *worker) startDrain(o DrainOptions) {
	if d := w.drain; w.stopped || d != nil && (!d.InboundOnly || o.InboundOnly) {
		return
	}
	if w.drain != nil {
		w.loop.StopTimer(&w.drain.timer)
	}
	d := &gracefulDrain{DrainOptions: o, worker: w, began: w.loop.Now()}
	w.drain = d
	if !o.KeepListening {
		w.loop.SetTimer(&d.timer, w.server.options.DrainTime, d)
	}
}

// Expired implements eventloop.Expirer: the time to drain has passed. Every worker comes to that by itself.
func (d *gracefulDrain) Expired(*eventloop.Timer) {
	w := d.worker
	if d.InboundOnly {
		w.server.inboundStopped.Store(true)
		w.stopInbound()
		return
	}
	w.server.draining.Store(true)
	w.stopListening()
}

// stopInbound closes the listening sockets of inbound listeners.
func (w *worker) stopInbound() {
	for sockets, a := range w.acceptors {
		if a.listener.compiled.config.Inbound {
			a.close()
			delete(w.acceptors, sockets)
		}
	}
}

// drainClose decides for one response whether its client is to leave. Where a drain is gradual, that is as likely as the part of its
// time that has passed.
func (l *listenerState) drainClose() bool {
	w, c := l.worker, l.compiled.config
	if w.server.process.HealthCheckFailed.Load() && !c.ModifyOnly {
		return true
	}
	d := w.drain
	if d == nil || d.InboundOnly && !c.Inbound {
		return false
	}
	whole := uint64(w.server.options.DrainTime)
	return d.Immediate || w.random.Uint64()%whole < uint64(w.loop.Now()-d.began)
}

// leaves reports whether the client of a connection is to be told that it ends with this response, since its listener drains. One of
// HTTP/2 is told by GOAWAY at once.
func (x *exchange) leaves() bool {
	c := x.conn
	if !c.listener.drainClose() {
		return false
	}
	if shared, ok := c.server.(*http2Conn); ok {
		shared.letGo()
		return false
	}
	x.chain.http.Inc(stats.HTTPDownstreamCxDrainClose)
	return true
}

// letGo tells the client to open no more streams, as its listener drains.
func (c *http2Conn) letGo() {
	if c.state == http2Serving && !c.draining() { // or else drain counts
		c.chain.http.Inc(stats.HTTPDownstreamCxDrainClose)
	}
	c.drain()
}
