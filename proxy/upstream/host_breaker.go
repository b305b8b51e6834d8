package upstream

import (
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// hostBreaker counts the connections that all workers have to a host, of both priorities, where per_host_thresholds bound them.
type hostBreaker struct {
	connections atomic.Int64
	at          config.Address // that it is kept by
	workers     int            // how many have the host; guarded by Shared.mu
}

// bounds reports whether the configuration bounds the connections to each host.
func bounds(cfg *config.Cluster) bool {
	return cfg.Breakers.MaxPerHost != nil || cfg.HighBreakers.MaxPerHost != nil
}

// bound has the connections to the host counted with those of the other workers, or no longer. Those of a host that has left are
// not: should it come back, it begins anew.
func (h *Host) bound(bounded bool) {
	switch shared := h.cluster.shared; {
	case bounded && h.breaker == nil:
		h.breaker = shared.joinHost(h.at)
		h.breaker.connections.Add(int64(h.Stats.CxActive))
	case !bounded && h.breaker != nil:
		h.breaker.connections.Add(-int64(h.Stats.CxActive))
		shared.partHost(h.breaker)
		h.breaker = nil
	}
}

// joinHost returns the breaker of a host for one more worker. Like partHost it takes a lock, for a moment: it is for hosts that come and
// go, not for requests.
func (s *Shared) joinHost(at config.Address) *hostBreaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.hosts[at]
	if b == nil {
		if s.hosts == nil {
			s.hosts = make(map[config.Address]*hostBreaker)
		}
		b = &hostBreaker{at: at}
		s.hosts[at] = b
	}
	b.workers++
	return b
}

// partHost ends the part of a worker in a breaker, which is forgotten with the last.
func (s *Shared) partHost(b *hostBreaker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.workers--; b.workers == 0 {
		delete(s.hosts, b.at)
	}
}

// takeConnection counts one more connection unless a breaker is open: that of the host, or that of the cluster.
func (p *pool) takeConnection() bool {
	b := p.breakers()
	l, host := b.limits.Load(), p.host.breaker
	if host == nil {
		return take(&b.connections, 1, int64(l.MaxConnections))
	}
	if l.MaxPerHost == nil {
		host.connections.Add(1)
	} else if !take(&host.connections, 1, int64(*l.MaxPerHost)) {
		return false
	}
	if !take(&b.connections, 1, int64(l.MaxConnections)) {
		host.connections.Add(-1)
		return false
	}
	return true
}

// forceConnection counts one more connection though a breaker is open.
func (p *pool) forceConnection() { p.countConnections(1) }

// returnConnection takes a connection off the counts.
func (p *pool) returnConnection() { p.countConnections(-1) }

func (p *pool) countConnections(n int64) {
	p.breakers().connections.Add(n)
	if host := p.host.breaker; host != nil {
		host.connections.Add(n)
	}
}
