package xds

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// world is what is known of a type of which a server tells all resources that there are: clusters or listeners.
type world struct {
	*kind
	m    *Manager
	from *config.Discovery // where they are asked for, nil when they are not

	static      map[string]any // of the bootstrap; never changed by the server
	staticSince time.Time      // when what static ones need was first asked for, zero before
	parents     map[string]*parent

	answered      bool   // a response came
	version       string // of the response that was accepted last
	fetchTimeouts uint64 // of the subscription to all, 0 or 1

	added, modified, removed uint64
}

// parent is what is known under one name. At least one of its fields is set.
type parent struct {
	active  *revision // in force
	warming *revision // waits for what it needs
	failure *failure  // the last attempt, when it was refused
}

// revision is one state of a resource.
type revision struct {
	value   any
	packed  *anypb.Any // as it was received, read-only
	version string
	updated time.Time // or, while it warms, since when
	// needs are what a resource of a world asks for by discovery. They are looked at with every event, of all resources.
	needs []need
	// members are the resources of a collection by name, nil for a single resource.
	members map[string]*revision
	// stale tells that value has taken the place of what packed says, until that comes anew.
	stale bool
	// partial tells that some of the collection was refused.
	partial bool
}

// failure is a refused attempt to change a resource.
type failure struct {
	packed  *anypb.Any
	version string
	when    time.Time
	why     string
}

// rejection tells in Envoy's words which resources of a response were refused, and why.
type rejection struct {
	action, noun string
	faults       []string
}

func (r *rejection) Error() string {
	return "Error " + r.action + " " + r.noun + "(s) " + strings.Join(r.faults, "\n")
}

// same reports whether r holds the resource packed.
func (r *revision) same(packed *anypb.Any) bool {
	return r != nil && !r.stale && r.packed.GetTypeUrl() == packed.GetTypeUrl() && bytes.Equal(r.packed.GetValue(), packed.GetValue())
}

func newWorld(m *Manager, k *kind, from *config.Discovery) *world {
	return &world{kind: k, m: m, from: from, parents: make(map[string]*parent)}
}

// apply makes the response r the set of parents, or changes the set as it says. The error tells what was refused; all else
// took effect.
func (w *world) apply(r ads.Response, now time.Time) error {
	faults := w.warmAll(r, now)
	named := make(map[string]bool, len(r.Resources))
	for _, res := range r.Resources {
		named[res.Name] = true
	}
	gone := w.gone(&r, named)
	var inForce []string
	for _, name := range gone {
		if w.parents[name].active != nil {
			inForce = append(inForce, name)
		}
	}
	refused, err := w.m.commit(w.removal(inForce), w.m.ready(nil, now), now)
	if err != nil {
		faults = append(faults, fmt.Sprintf("removal of %s: %v", strings.Join(inForce, ", "), err))
	} else {
		w.forget(gone)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if why := refused[candidate{w, name}]; why != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", name, why))
		}
	}
	w.m.resubscribe()
	w.answered = true
	if len(faults) > 0 {
		return &rejection{"adding/updating", w.noun, faults}
	}
	w.version = r.Version
	return nil
}

// forget drops what is out of force.
func (w *world) forget(names []string) {
	var gone []leaving
	for _, name := range names {
		p := w.parents[name]
		if p.active != nil || p.warming != nil {
			w.removed++
		}
		if p.active != nil && w == w.m.listeners {
			gone = append(gone, leaving{name, p.active})
		}
		delete(w.parents, name)
	}
	w.m.drains.add(gone)
}

// gone returns the parents that r removes, of which named has what it sets.
func (w *world) gone(r *ads.Response, named map[string]bool) []string {
	var gone []string
	for _, name := range r.Removed {
		if w.parents[name] != nil {
			gone = append(gone, name)
		}
	}
	if r.Incremental {
		return gone
	}
	for name := range w.parents {
		if !named[name] {
			gone = append(gone, name)
		}
	}
	return gone
}

// removal is the part of a change that takes parents out of force, nil when there are none.
func (w *world) removal(names []string) func(*config.Delta) error {
	if len(names) == 0 {
		return nil
	}
	return func(d *config.Delta) error { return w.change(d, nil, names) }
}

// warmAll decodes the resources of r that are new or changed and begins to warm them. It returns the faults found.
func (w *world) warmAll(r ads.Response, now time.Time) (faults []string) {
	for _, res := range r.Resources {
		if _, ok := w.static[res.Name]; ok {
			w.m.log.Info("resource of the control plane is ignored: the bootstrap has one of its name",
				zap.String("kind", w.noun), zap.String("name", res.Name))
			continue
		}
		p := w.parents[res.Name]
		if p.settled(res.Packed) {
			continue
		}
		var needs []need
		value, err := w.decode(res.Message)
		if err == nil {
			needs = w.of(value, nil)
			err = w.m.checkNeeds(needs)
		}
		if err == nil {
			err = w.m.boot.CheckSecrets(secretsOf(value))
		}
		if p == nil {
			p = &parent{}
			w.parents[res.Name] = p
		}
		if err != nil {
			p.failure = &failure{packed: res.Packed, version: res.Version, when: now, why: err.Error()}
			faults = append(faults, fmt.Sprintf("%s: %v", res.Name, err))
			continue
		}
		w.warm(p, &revision{value: value, packed: res.Packed, version: res.Version, updated: now, needs: needs})
	}
	return faults
}

// settled reports whether packed needs no work because it is in force or warming already. A different one that was warming
// is given up when packed is what is in force.
func (p *parent) settled(packed *anypb.Any) bool {
	switch {
	case p == nil:
		return false
	case p.warming.same(packed):
		p.failure = nil
		return true
	case p.active.same(packed):
		p.warming, p.failure = nil, nil
		return true
	}
	return false
}

func (w *world) warm(p *parent, next *revision) {
	if p.active == nil && p.warming == nil {
		w.added++
	} else {
		w.modified++
	}
	p.warming, p.failure = next, nil
}

// eachNeeds calls do with what each parent asks for, static ones only once they are to ask.
func (w *world) eachNeeds(do func([]need)) {
	if !w.staticSince.IsZero() {
		for _, value := range w.static {
			do(w.of(value, nil))
		}
	}
	for _, p := range w.parents {
		if p.active != nil {
			do(p.active.needs)
		}
		if p.warming != nil {
			do(p.warming.needs)
		}
	}
}

// expire counts what the parents waited for in vain, before those that warm are put into force without.
func (w *world) expire(now time.Time) {
	for name, p := range w.parents {
		if p.warming == nil || w.m.warmups.begun(p.warming.value) {
			continue
		}
		waits := w.m.unmet(p.warming.needs, p.warming.updated, nil)
		if slices.ContainsFunc(waits, func(n missing) bool { return !n.overdue(n.since, now) }) {
			continue
		}
		for _, n := range waits {
			w.gaveUp(name, &n)
		}
	}
	if w.staticSince.IsZero() {
		return
	}
	for name, value := range w.static {
		for _, n := range w.m.unmet(w.of(value, nil), w.staticSince, nil) {
			if c := w.m.child(n.need); n.overdue(n.since, now) && c != nil && c.fetchTimeouts == 0 {
				w.gaveUp(name, &n)
			}
		}
	}
}

// gaveUp counts that a parent does not wait for n any longer.
func (w *world) gaveUp(name string, n *missing) {
	if c := w.m.child(n.need); c != nil {
		c.fetchTimeouts++
		c.stats.UpdateAttempt++
	}
	w.m.log.Warn("initial fetch timed out", zap.String("kind", w.noun), zap.String("name", name),
		zap.String(w.m.tables[n.url].noun, n.name))
}
