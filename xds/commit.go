package xds

import (
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// candidate is a parent that may be put into force.
type candidate struct {
	*world
	name string
}

func (c candidate) parent() *parent { return c.parents[c.name] }

// ready returns the parents that warm and need not wait longer, sorted. The children arriving count as held.
func (m *Manager) ready(arriving map[*child]*revision, now time.Time) []candidate {
	var ready []candidate
	for _, w := range m.worlds() {
		begin := len(ready)
		for name, p := range w.parents {
			if p.warming == nil {
				continue
			}
			waits := m.unmet(p.warming.needs, p.warming.updated, arriving)
			if m.warmups.begun(p.warming.value) || slices.ContainsFunc(waits, func(n missing) bool { return !n.overdue(n.since, now) }) {
				continue
			}
			ready = append(ready, candidate{w, name})
		}
		slices.SortFunc(ready[begin:], func(a, b candidate) int { return strings.Compare(a.name, b.name) })
	}
	return ready
}

// commit brings warming parents into force, or has the data plane warm them up, together with the change base, which may be nil: as
// one change of the store when it takes it. When it does not, base is made alone and the parents in ever smaller groups, so that only those are refused
// that cannot run. The error is that of base, and then nothing was changed; refused has the parents' own.
func (m *Manager) commit(base func(*config.Delta) error, ready []candidate, now time.Time) (refused map[candidate]error, err error) {
	if base == nil && len(ready) == 0 {
		return nil, nil
	}
	refused = make(map[candidate]error)
	err = m.change(base, ready)
	switch {
	case err == nil:
	case base == nil:
		m.split(ready, err, refused)
	default:
		if len(ready) > 0 {
			err = m.change(base, nil)
		}
		if err != nil {
			return nil, err
		}
		m.install(ready, refused)
	}
	var gone []leaving
	for _, c := range ready {
		if next := c.parent().warming.value; refused[c] == nil && m.warmups.needs(next) {
			m.warmups.begin(next.(*config.Cluster))
			continue
		}
		if old := c.parent().active; c.world == m.listeners && old != nil && refused[c] == nil {
			gone = append(gone, leaving{c.name, old})
		}
		c.parent().settle(refused[c], now)
		if refused[c] != nil {
			m.log.Warn("resource cannot be put into force", zap.String("kind", c.noun), zap.String("name", c.name),
				zap.Error(refused[c]))
		}
	}
	m.drains.add(gone)
	return refused, nil
}

// change has the store make the change base and put what is ready into force, or among what warms.
func (m *Manager) change(base func(*config.Delta) error, ready []candidate) error {
	var d config.Delta
	if base != nil {
		if err := base(&d); err != nil {
			return err
		}
	}
	d.Warming.Set = make(map[string]*config.Cluster)
	for _, w := range m.worlds() {
		set := make(map[string]any)
		for _, c := range ready {
			if c.world != w {
				continue
			}
			next := c.parent().warming.value
			if m.warmups.needs(next) {
				d.Warming.Set[c.name] = next.(*config.Cluster)
				continue
			}
			set[c.name] = next
			if m.warmups.has(next) {
				d.Warming.Remove = append(d.Warming.Remove, c.name)
			}
		}
		if err := w.change(&d, set, nil); err != nil {
			return err
		}
	}
	return m.store.Apply(config.SourceXDS, d)
}

// install brings parents into force, in parts where the store refuses the whole.
func (m *Manager) install(ready []candidate, refused map[candidate]error) {
	if err := m.change(nil, ready); err != nil {
		m.split(ready, err, refused)
	}
}

// split is install after the store refused with err. With n parents of which k are bad it makes at most about 2*k*log2(n)
// attempts.
func (m *Manager) split(ready []candidate, err error, refused map[candidate]error) {
	if len(ready) == 1 {
		refused[ready[0]] = err
		return
	}
	half := len(ready) / 2
	m.install(ready[:half], refused)
	m.install(ready[half:], refused)
}

// settle ends the warming of p: into force, or refused with err.
func (p *parent) settle(err error, now time.Time) {
	w := p.warming
	p.warming = nil
	if err != nil {
		p.failure = &failure{packed: w.packed, version: w.version, when: now, why: err.Error()}
		return
	}
	w.updated = now
	p.active, p.failure = w, nil
}
