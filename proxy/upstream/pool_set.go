package upstream

import "github.com/penguintechinc/marchproxy-alb/config"

// poolSet is the pools that a host has for the requests of one priority.
type poolSet struct {
	pool                    // of connections that are as good for one request as for another
	byName map[string]*pool // of connections for names in requests, nil without any
}

// of returns the pools for a priority. Those of priority HIGH are made when they are first needed.
func (h *Host) of(priority config.RoutingPriority) *poolSet {
	if priority == config.PriorityDefault {
		return &h.poolSet
	}
	if h.high == nil {
		h.high = &poolSet{pool: pool{host: h, priority: priority}}
	}
	return h.high
}

// pools calls f for every pool of the set.
func (s *poolSet) pools(f func(*pool)) {
	f(&s.pool)
	for _, p := range s.byName {
		f(p)
	}
}

// pools calls f for every pool.
func (h *Host) pools(f func(*pool)) {
	h.poolSet.pools(f)
	if h.high != nil {
		h.high.pools(f)
	}
}

// breakers returns the circuit breakers that the pool's connections and requests are counted by.
func (p *pool) breakers() *Breakers { return p.host.cluster.shared.Of(p.priority) }
