package xds

import (
	"errors"
	"fmt"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// Static applies the listeners and clusters of the bootstrap, all at once or none.
func (m *Manager) Static() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.checkSecrets(m.boot); err != nil {
		return err
	}
	return m.applyFile(m.boot)
}

// ReloadFile replaces the listeners and clusters of the bootstrap by those of b, all at once or none. What else b says has
// no effect before a restart of the process, so the control planes that they ask are those of the start; /config_dump shows b
// from then on.
func (m *Manager) ReloadFile(b *bootstrap.Bootstrap) error {
	if b == nil {
		return errors.New("xds: reload without a bootstrap")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.checkFile(b); err != nil {
		return err
	}
	if err := m.applyFile(b); err != nil {
		return err
	}
	if m.phase != phaseNew {
		m.resubscribe()
	}
	select {
	case m.events <- event{do: func() error { return nil }}: // so that Run looks at deadlines again
	default: // it will, after what is in the queue
	}
	return nil
}

// checkFile reports what the static resources of b ask for where nothing can be asked.
func (m *Manager) checkFile(b *bootstrap.Bootstrap) error {
	var errs []error
	for _, c := range b.Clusters {
		if err := m.checkNeeds(m.clusters.of(c, nil)); err != nil {
			errs = append(errs, fmt.Errorf("cluster %q: %w", c.Name, err))
		}
	}
	for _, l := range b.Listeners {
		if err := m.checkNeeds(m.listeners.of(l, nil)); err != nil {
			errs = append(errs, fmt.Errorf("listener %q: %w", l.Name, err))
		}
	}
	return errors.Join(append(errs, m.checkSecrets(b))...)
}

// checkSecrets reports which secrets of b cannot be used, and which are missing that its resources, or those of control planes, name.
func (m *Manager) checkSecrets(b *bootstrap.Bootstrap) error {
	var errs []error
	for _, s := range b.Secrets {
		if m.checkSecret == nil {
			break
		}
		if err := m.checkSecret(s); err != nil {
			errs = append(errs, fmt.Errorf("static_resources.secrets: %q: %w", s.Name, err))
		}
	}
	named := func(w *world, name string, value any) {
		if err := b.CheckSecrets(secretsOf(value)); err != nil {
			errs = append(errs, fmt.Errorf("%s %q: %w", w.noun, name, err))
		}
	}
	for _, c := range b.Clusters {
		named(m.clusters, c.Name, c)
	}
	for _, l := range b.Listeners {
		named(m.listeners, l.Name, l)
	}
	for _, w := range m.worlds() {
		for name, p := range byName(w.parents) {
			if p.active != nil {
				named(w, name, p.active.value)
			}
		}
	}
	return errors.Join(errs...)
}

// applyFile makes the static resources of b those of the store, and b the bootstrap in force.
func (m *Manager) applyFile(b *bootstrap.Bootstrap) error {
	clusters := make(map[string]*config.Cluster, len(b.Clusters))
	for _, c := range b.Clusters {
		clusters[c.Name] = c
	}
	listeners := make(map[string]*config.Listener, len(b.Listeners))
	for _, l := range b.Listeners {
		listeners[l.Name] = l
	}
	err := m.store.Apply(config.SourceFile, config.Delta{
		Clusters:  config.Changes[*config.Cluster]{Set: clusters, Replace: true},
		Listeners: config.Changes[*config.Listener]{Set: listeners, Replace: true},
		Secrets:   config.Changes[*config.Secret]{Set: b.SecretsByKey(), Replace: true},
	})
	if err != nil {
		return err
	}
	m.clusters.static, m.listeners.static = values(clusters), values(listeners)
	m.boot, m.bootApplied = b, time.Now()
	return nil
}

// values returns m with its values as they are of any kind.
func values[T any](m map[string]T) map[string]any {
	out := make(map[string]any, len(m))
	for name, value := range m {
		out[name] = value
	}
	return out
}
