package health

import (
	"reflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// group is the sessions of one cluster. It is guarded by Checker.mu.
type group struct {
	checker  *Checker
	target   Target
	sessions map[config.Address]*session // by the endpoint's address
	events   events

	healthy, degraded uint64 // sessions that pass
}

// update makes t what is checked, and reports whether hosts may have come or gone.
func (g *group) update(t *Target) bool {
	before := g.target
	g.target = *t
	if before.Config == t.Config && before.Assignment == t.Assignment && before.TLS == t.TLS && before.Warming == t.Warming {
		return false
	}
	g.events.reopen(g.checker, t.Config)
	same := before.Config != nil &&
		(before.Config.HealthCheck == t.Config.HealthCheck || reflect.DeepEqual(before.Config.HealthCheck, t.Config.HealthCheck)) &&
		(before.Bind == t.Bind || reflect.DeepEqual(before.Bind, t.Bind))
	listed := make(map[config.Address]bool)
	localities := t.Assignment.All()
	for i := range localities {
		for j := range localities[i].Endpoints {
			e := &localities[i].Endpoints[j]
			if e.HealthCheck.Disabled || listed[e.Address] {
				continue
			}
			listed[e.Address] = true
			g.check(e, same)
		}
	}
	for address, s := range g.sessions {
		if !listed[address] {
			g.drop(address, s)
		}
	}
	g.count()
	return true
}

// check makes sure that e has a session. sameCheck tells that the cluster's check is what it was.
func (g *group) check(e *config.Endpoint, sameCheck bool) {
	before := g.sessions[e.Address]
	labels := e.SocketLabels
	if own := g.target.Config.HealthCheck.SocketLabels; own != nil {
		labels = own
	}
	socket, header := g.target.TLS.Of(labels, e.LocalityLabels), g.target.Config.ProxyHeaderOf(labels, e.LocalityLabels)
	first := newState()
	if before != nil {
		if sameCheck && before.endpoint.HealthCheck == e.HealthCheck && before.socket == socket && before.header.SameAs(header) {
			return
		}
		first = newStateAfter(&before.state)
		g.drop(e.Address, before)
	}
	s := newSession(g, e, socket, header, first)
	g.sessions[e.Address] = s
	g.weigh(first.flags, 1)
	g.checker.running.Go(s.run)
}

// drop ends a session.
func (g *group) drop(address config.Address, s *session) {
	s.end()
	g.weigh(s.state.flags, ^uint64(0))
	delete(g.sessions, address)
}

// end ends all sessions.
func (g *group) end() {
	for address, s := range g.sessions {
		g.drop(address, s)
	}
	g.events.close()
}

// weigh adds n to the counts of what the flags stand for.
func (g *group) weigh(flags config.HostHealth, n uint64) {
	if !flags.Has(config.FailedActiveHC) {
		g.healthy += n
	}
	if flags.Has(config.DegradedActiveHC) {
		g.degraded += n
	}
}

// count sets the gauges.
func (g *group) count() {
	if g.target.Warming {
		return
	}
	g.target.Stats.Set(stats.HealthCheckHealthy, g.healthy)
	g.target.Stats.Set(stats.HealthCheckDegraded, g.degraded)
}

// health returns what is known of the hosts.
func (g *group) health() *config.ClusterHealth {
	h := &config.ClusterHealth{Hosts: make(map[config.Address]config.HostHealth, len(g.sessions))}
	for address, s := range g.sessions {
		if s.state.known() {
			h.Hosts[address] = s.state.flags
		}
	}
	return h
}
