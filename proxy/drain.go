package proxy

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// DefaultDrainTime is Envoy's --drain-time-s.
const DefaultDrainTime = 600 * time.Second

// drain is the end of filter chains that were changed or removed. It is over when no worker has a connection of them left.
type drain struct {
	// whole is the listener, as it was, that was changed as a whole or removed; nil when it was updated in place.
	whole   *config.Listener
	left    atomic.Int64 // chains on workers that are not done
	manager *stats.Scope // where it is counted
	gauge   int
}

// begin counts the drain of so many chains on so many workers.
func (d *drain) begin(chains, workers int) {
	d.left.Store(int64(chains * workers))
	d.manager.Inc(d.gauge)
}

// leave is told by a worker that it is done with a chain.
func (d *drain) leave() {
	if d.left.Add(-1) == 0 {
		d.manager.Dec(d.gauge)
	}
}

func (d *drain) over() bool { return d.left.Load() == 0 }

// compileDrains makes the chains ready that listeners no longer have and that connections may still have: they are served
// as before, with clusters and routes as they are now.
func (s *Server) compileDrains(c, prev *compiled, undo *cleanup) error {
	goesOn := make(map[*chainIdentity]bool)
	for _, l := range c.listeners {
		for chain := range l.all() {
			goesOn[chain.identity] = true
		}
	}
	var draining []*compiledChain
	for _, chain := range prev.drains {
		if !chain.identity.drain.over() {
			draining = append(draining, chain)
		}
	}
	for _, l := range prev.listeners {
		for chain := range l.all() {
			if !goesOn[chain.identity] {
				draining = append(draining, chain)
			}
		}
	}
	for _, old := range draining {
		chain, err := s.compileDraining(c, prev, old, undo)
		if err != nil {
			return fmt.Errorf("filter chain %q of listener %q, which drains: %w", old.identity.config.Name, old.identity.listener.Name, err)
		}
		c.drains = append(c.drains, chain)
	}
	return nil
}

// compileDraining is compileChain for a chain that drains. Where another has taken its place, the requests that still come are
// served as that one says: what the old one said may be about clusters that have gone. Otherwise they are served as before,
// also when nobody asks for the routes any more.
func (s *Server) compileDraining(c, prev *compiled, old *compiledChain, undo *cleanup) (*compiledChain, error) {
	id := old.identity
	k := s.newChain(id, old.listenerScope, undo)
	if old.sslScope != nil { // hands may still be shaken
		k.sslScope = s.scope(undo, old.sslScope.Prefix(), stats.SSL)
	}
	if id.config.TCP != nil {
		k.tcp = s.compileTCP(c, prev, id.config.TCP, undo)
		k.tcp.accessLogs = old.tcp.accessLogs
		return k, nil
	}
	k.httpScope = s.scope(undo, old.httpScope.Prefix(), stats.HTTP)
	if next := c.listeners[id.listener.Name].successor(id); next != nil {
		k.manager = next.manager
		s.scopeFilters(k, undo)
		return k, nil
	}
	k.manager = old.manager
	s.scopeFilters(k, undo)
	if routes := c.snapshot.RouteConfiguration(old.manager.config); routes != nil {
		k.manager.routes = routes
	}
	k.manager.scopes = old.manager.scopes.draining(c.snapshot, old.manager.config.Scopes)
	return k, s.compileRoutes(k, c, prev, undo)
}

// successor returns the chain that has taken the place of an old one of the listener, nil when there is none: it has a
// connection manager as well, and is for the same connections.
func (l *compiledListener) successor(id *chainIdentity) *compiledChain {
	switch {
	case l == nil:
		return nil
	case id.isDefault():
		if l.fallback != nil && l.fallback.tcp == nil {
			return l.fallback
		}
		return nil
	}
	for _, k := range l.chains {
		if k.tcp == nil && reflect.DeepEqual(k.identity.config.Match, id.config.Match) {
			return k
		}
	}
	return nil
}

// beginDrains gives each chain that next has put to drain its drain, before the workers see it. The chains of a listener that
// was changed as a whole or removed are one drain.
func (s *Server) beginDrains(prev, next *compiled) {
	draining := make(map[*chainIdentity]bool)
	for _, chain := range next.drains {
		draining[chain.identity] = true
	}
	for name, l := range prev.listeners {
		in := next.listeners[name]
		inPlace := in != nil && in.config.SameButChains(l.config)
		if in != nil && in.updatedInPlace {
			s.manager.Inc(stats.ListenerManagerListenerInPlaceUpdated)
		}
		var begun []*chainIdentity
		for chain := range l.all() {
			if draining[chain.identity] {
				begun = append(begun, chain.identity)
			}
		}
		if inPlace {
			for _, id := range begun {
				id.drain = &drain{manager: s.manager, gauge: stats.ListenerManagerTotalFilterChainsDraining}
				id.drain.begin(1, len(s.workers))
			}
			continue
		}
		d := &drain{whole: l.config, manager: s.manager, gauge: stats.ListenerManagerTotalListenersDraining}
		for _, id := range begun {
			id.drain = d
		}
		if len(begun) > 0 {
			d.begin(len(begun), len(s.workers))
		}
	}
}
