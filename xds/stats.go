package xds

import (
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// StatKind tells what a Stat is.
type StatKind uint8

// The kinds.
const (
	Counter StatKind = iota
	Gauge
	TextReadout
)

// Stat is one value under Envoy's name.
type Stat struct {
	Name  string
	Kind  StatKind
	Value uint64
	Text  string // only of a TextReadout
}

// Stats returns the statistics of the subscriptions and of what came by them, in no special order:
// cluster_manager.cds.*, listener_manager.lds.*, cluster.<name>.update_* and the like of EDS,
// http.<stat_prefix>.rds.<route configuration>.*, the counts of clusters and listeners, control_plane.* and server.dynamic_unknown_fields.
// The values are read when it is called.
func (m *Manager) Stats() []Stat {
	m.mu.Lock()
	defer m.mu.Unlock()
	var stats []Stat
	stats = append(stats, Stat{Name: "server.dynamic_unknown_fields", Value: m.unknown.count()})
	stats = m.controlPlaneStats(stats)
	stats = m.clusters.stats(stats, "cluster_manager.", "active_clusters", "warming_clusters")
	stats = m.listeners.stats(stats, "listener_manager.", "total_listeners_active", "total_listeners_warming")
	stats = m.worldStats(stats, "cluster_manager.cds.", m.clusters)
	stats = m.worldStats(stats, "listener_manager.lds.", m.listeners)
	return m.childStats(stats)
}

func (m *Manager) controlPlaneStats(stats []Stat) []Stat {
	return appendControlPlane(stats, "", m.spokesman())
}

func appendControlPlane(stats []Stat, prefix string, state ads.State) []Stat {
	connected := 0 // or the number of the server, from 1
	if state.Connected {
		connected = 1 + state.Server
	}
	return append(stats,
		Stat{Name: prefix + "control_plane.connected_state", Kind: Gauge, Value: uint64(connected)},
		Stat{Name: prefix + "control_plane.pending_requests", Kind: Gauge, Value: uint64(state.PendingRequests)},
		Stat{Name: prefix + "control_plane.rate_limit_enforced", Value: state.RateLimitEnforced},
		Stat{Name: prefix + "control_plane.identifier", Kind: TextReadout, Text: state.Identifier})
}

// worldStats appends those of a subscription to all resources of a type.
func (m *Manager) worldStats(stats []Stat, prefix string, w *world) []Stat {
	var s ads.Stats
	if w.from != nil {
		key := keyOf(w.from.Source, w.url)
		if from := m.sources.open[key]; from != nil {
			s = from.Stats(w.url)
			if w.from.Source.API != "" { // a file has no control plane
				stats = appendControlPlane(stats, prefix, from.State())
			}
		}
	}
	return appendSubscription(stats, prefix, &s, w.fetchTimeouts)
}

// stats appends the counts of parents, under Envoy's names of those in force and those that warm.
func (w *world) stats(stats []Stat, prefix, activeName, warmingName string) []Stat {
	active, warming := uint64(len(w.static)), uint64(0)
	for name, p := range w.parents {
		if _, shadowed := w.static[name]; p.active != nil && !shadowed {
			active++
		}
		if p.warming != nil {
			warming++
		}
	}
	return append(stats,
		Stat{Name: prefix + w.noun + "_added", Value: w.added + uint64(len(w.static))},
		Stat{Name: prefix + w.noun + "_modified", Value: w.modified},
		Stat{Name: prefix + w.noun + "_removed", Value: w.removed},
		Stat{Name: prefix + activeName, Kind: Gauge, Value: active},
		Stat{Name: prefix + warmingName, Kind: Gauge, Value: warming})
}

// subscribed are the children under the prefix that a need gives their statistics.
type subscribed struct {
	of       *table
	children []*child
}

// childStats appends those of the subscriptions to children, under the prefix that each need of a parent gives.
func (m *Manager) childStats(stats []Stat) []Stat {
	found := make(map[string]*subscribed)
	var note func(needs []need)
	note = func(needs []need) {
		for _, n := range needs {
			c := m.child(&n)
			if c == nil {
				continue
			}
			s := found[n.statPrefix]
			if s == nil {
				s = &subscribed{of: m.tables[n.url]}
				found[n.statPrefix] = s
			}
			if slices.Contains(s.children, c) {
				continue
			}
			s.children = append(s.children, c)
			if c.held != nil {
				note(s.of.of(c.held.value, &n))
			}
		}
	}
	for _, w := range m.worlds() {
		w.eachNeeds(note)
	}
	for prefix, s := range byName(found) {
		stats = m.appendChildren(stats, prefix, s)
	}
	return stats
}

// appendChildren appends the sum of what children have counted: in general there is one.
func (m *Manager) appendChildren(stats []Stat, prefix string, s *subscribed) []Stat {
	sum, timeouts, reloads := s.children[0].stats, s.children[0].fetchTimeouts, s.children[0].reloads
	for _, c := range s.children[1:] {
		sum.UpdateAttempt += c.stats.UpdateAttempt
		sum.UpdateSuccess += c.stats.UpdateSuccess
		sum.UpdateFailure += c.stats.UpdateFailure
		sum.UpdateRejected += c.stats.UpdateRejected
		if c.stats.UpdateTime.After(sum.UpdateTime) {
			sum.UpdateTime, sum.Version, sum.VersionText = c.stats.UpdateTime, c.stats.Version, c.stats.VersionText
		}
		timeouts, reloads = timeouts+c.fetchTimeouts, reloads+c.reloads
	}
	stats = appendSubscription(stats, prefix, &sum, timeouts)
	if from := s.children[0].source; from.API != "" {
		if opened := m.sources.open[keyOf(from, s.of.url)]; opened != nil {
			stats = appendControlPlane(stats, prefix, opened.State())
		}
	}
	if s.of.countsReloads {
		stats = append(stats, Stat{Name: prefix + "config_reload", Value: reloads})
	}
	if s.of.goodFor != nil {
		received, staled := uint64(0), uint64(0)
		for _, c := range s.children {
			received, staled = received+c.staleReceived, staled+c.staled
		}
		stats = append(stats, Stat{Name: prefix + "assignment_timeout_received", Value: received}, Stat{Name: prefix + "assignment_stale", Value: staled})
	}
	return stats
}

func appendSubscription(stats []Stat, prefix string, s *ads.Stats, fetchTimeouts uint64) []Stat {
	return append(stats,
		Stat{Name: prefix + "update_attempt", Value: s.UpdateAttempt},
		Stat{Name: prefix + "update_success", Value: s.UpdateSuccess},
		Stat{Name: prefix + "update_failure", Value: s.UpdateFailure},
		Stat{Name: prefix + "update_rejected", Value: s.UpdateRejected},
		Stat{Name: prefix + "init_fetch_timeout", Value: fetchTimeouts},
		Stat{Name: prefix + "update_time", Kind: Gauge, Value: milliseconds(s.UpdateTime)},
		Stat{Name: prefix + "version", Kind: Gauge, Value: s.Version},
		Stat{Name: prefix + "version_text", Kind: TextReadout, Text: s.VersionText})
}

// milliseconds is t as Envoy shows a time: since 1970, 0 for never.
func milliseconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}
