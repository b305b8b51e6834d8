package xds

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
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
// http.<stat_prefix>.rds.<route configuration>.*, the counts of clusters and listeners, and control_plane.*. The values are
// read when it is called.
func (m *Manager) Stats() []Stat {
	m.mu.Lock()
	defer m.mu.Unlock()
	var stats []Stat
	stats = m.controlPlaneStats(stats)
	stats = m.clusters.stats(stats, "cluster_manager.", "cluster")
	stats = m.listeners.stats(stats, "listener_manager.", "listener")
	stats = m.worldStats(stats, "cluster_manager.cds.", resource.ClusterType, m.clusters.fetchTimeouts)
	stats = m.worldStats(stats, "listener_manager.lds.", resource.ListenerType, m.listeners.fetchTimeouts)
	stats = m.clusters.childStats(stats, "")
	stats = m.listeners.childStats(stats, "config_reload")
	return stats
}

func (m *Manager) controlPlaneStats(stats []Stat) []Stat {
	var state ads.State
	if m.client != nil {
		state = m.client.State()
	}
	connected := uint64(0)
	if state.Connected {
		connected = 1
	}
	return append(stats,
		Stat{Name: "control_plane.connected_state", Kind: Gauge, Value: connected},
		Stat{Name: "control_plane.identifier", Kind: TextReadout, Text: state.Identifier})
}

// worldStats appends those of a subscription to all resources of a type.
func (m *Manager) worldStats(stats []Stat, prefix, url string, fetchTimeouts uint64) []Stat {
	var s ads.Stats
	if m.client != nil {
		s = m.client.Stats(url)
	}
	return appendSubscription(stats, prefix, &s, fetchTimeouts)
}

// stats appends the counts of parents.
func (f *family[P, C]) stats(stats []Stat, prefix, noun string) []Stat {
	active, warming := uint64(len(f.static)), uint64(0)
	for name, p := range f.parents {
		if _, shadowed := f.static[name]; p.active != nil && !shadowed {
			active++
		}
		if p.warming != nil {
			warming++
		}
	}
	activeName, warmingName := "active_clusters", "warming_clusters"
	if noun == "listener" {
		activeName, warmingName = "total_listeners_active", "total_listeners_warming"
	}
	return append(stats,
		Stat{Name: prefix + noun + "_added", Value: f.added + uint64(len(f.static))},
		Stat{Name: prefix + noun + "_modified", Value: f.modified},
		Stat{Name: prefix + noun + "_removed", Value: f.removed},
		Stat{Name: prefix + activeName, Kind: Gauge, Value: active},
		Stat{Name: prefix + warmingName, Kind: Gauge, Value: warming})
}

// childStats appends those of the subscriptions to children, under the prefix that each need of a parent gives. The changes
// taken are counted as reload, when it is not empty.
func (f *family[P, C]) childStats(stats []Stat, reload string) []Stat {
	children := make(map[string]*child[C])
	note := func(p P) {
		for _, n := range f.needs(p) {
			if c := f.children[n.child]; c != nil {
				children[n.statPrefix] = c
			}
		}
	}
	for _, p := range f.static {
		note(p)
	}
	for _, p := range f.parents {
		if p.warming != nil {
			note(p.warming.value)
		}
		if p.active != nil {
			note(p.active.value)
		}
	}
	for prefix, c := range byName(children) {
		stats = appendSubscription(stats, prefix, &c.stats, c.fetchTimeouts)
		if reload != "" {
			stats = append(stats, Stat{Name: prefix + reload, Value: c.reloads})
		}
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
