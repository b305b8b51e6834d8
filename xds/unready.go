package xds

import (
	"slices"
	"time"
)

// Unready is a resource that waits for others before it comes into force, or before the initialization goes on.
type Unready struct {
	// Kind is "cluster" or "listener", and Name that of the resource.
	Kind, Name string
	// Targets are what it waits for, as `secret "x"`, sorted.
	Targets []string
}

// Unready returns the clusters and listeners that warm, and static ones that are still waited for: by kind, then by name.
func (m *Manager) Unready() []Unready {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Unready
	for _, w := range m.worlds() {
		for name, p := range byName(w.parents) {
			if p.warming != nil {
				all = append(all, w.unready(name, p.warming.value, p.warming.updated, false))
			}
		}
		if w.staticSince.IsZero() {
			continue
		}
		for name, value := range byName(w.static) {
			if u := w.unready(name, value, w.staticSince, true); len(u.Targets) > 0 {
				all = append(all, u)
			}
		}
	}
	return all
}

// unready says what a resource waits for since then. One that is in force meanwhile is not said to wait for what is overdue.
func (w *world) unready(name string, value any, since time.Time, inForce bool) Unready {
	u := Unready{Kind: w.noun, Name: name}
	now := time.Now()
	for _, n := range w.m.unmet(w.of(value, nil), since, nil) {
		if !inForce || !n.overdue(n.since, now) {
			u.Targets = append(u.Targets, w.word(&n))
		}
	}
	if w.m.warmups.begun(value) {
		u.Targets = append(u.Targets, warmupWord(value))
	}
	slices.Sort(u.Targets)
	return u
}
