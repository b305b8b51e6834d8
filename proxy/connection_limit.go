package proxy

import (
	"math"
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// connectionLimit bounds the connections of clients that are open at a time on all workers together. Each connection costs it two
// atomic operations.
type connectionLimit struct {
	open *atomic.Int64
	most int64
}

// newConnectionLimit returns a limit of most that counts in open.
func newConnectionLimit(open *atomic.Int64, most uint64) connectionLimit {
	return connectionLimit{open, int64(min(most, math.MaxInt64))}
}

// enter counts a connection and reports whether it may be; one that may not is not counted.
func (l connectionLimit) enter() bool {
	if l.open.Add(1) > l.most {
		l.open.Add(-1)
		return false
	}
	return true
}

// leave takes off a connection that enter has counted.
func (l connectionLimit) leave() { l.open.Add(-1) }

// limitConnections sets the limits of c: that of the process, by Options.MaxConnections or else the runtime, and those of listeners,
// whose counts outlive generations.
func (s *Server) limitConnections(c, prev *compiled) {
	most := s.options.MaxConnections
	if most == 0 {
		most = c.snapshot.Runtime.MaxConnections()
	}
	c.connections = newConnectionLimit(&s.open, most)
	for name, l := range c.listeners {
		open := new(atomic.Int64)
		if old := prev.listeners[name]; old != nil {
			open = old.connections.open
		}
		l.connections = newConnectionLimit(open, c.snapshot.Runtime.ListenerMaxConnections(name))
	}
}

// admit counts a connection against the limits, and reports whether it is within them.
func (l *listenerState) admit() bool {
	global := l.worker.serving.connections
	if l.compiled.config.IgnoreGlobalConnLimit {
		global.most = math.MaxInt64 // they count for the others
	}
	if !global.enter() {
		l.stats.Inc(stats.ListenerDownstreamGlobalCxOverflow)
		return false
	}
	if !l.compiled.connections.enter() {
		global.leave()
		l.stats.Inc(stats.ListenerDownstreamCxOverflow)
		return false
	}
	return true
}

// dismiss takes off a connection that admit has let in.
func (l *listenerState) dismiss() {
	l.worker.serving.connections.leave()
	l.compiled.connections.leave()
}
