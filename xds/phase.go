package xds

import (
	"fmt"
	"time"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// phase is how far initialization has come. Clusters come before listeners, so that no port is opened before the clusters
// behind it can be used:
//
//	phaseNew --Run--> phaseClusters --CDS answered, none warms--> phaseListeners --LDS answered, none warms--> phaseLive
//
// Each wait for a first answer, and each for what a resource warms for, ends with its initial_fetch_timeout at the latest.
type phase uint8

const (
	phaseNew phase = iota
	phaseClusters
	phaseListeners
	phaseLive
)

// start begins to ask for clusters.
func (m *Manager) start() error {
	now := time.Now()
	m.phase = phaseClusters
	m.clusters.staticSince = now
	if m.cds != nil {
		m.phaseDeadline = deadlineAfter(now, m.cds.FetchTimeout)
		m.client.Subscribe(resource.ClusterType, nil)
	}
	m.clusters.resubscribe()
	return nil
}

func deadlineAfter(now time.Time, patience time.Duration) time.Time {
	if patience == 0 {
		return time.Time{}
	}
	return now.Add(patience)
}

// advance moves on while the phase has nothing left to wait for.
func (m *Manager) advance(now time.Time) {
	if m.phase == phaseClusters && m.clustersDone(now) {
		m.phase, m.phaseDeadline = phaseListeners, time.Time{}
		m.startListeners(now)
	}
	if m.phase == phaseListeners && m.listenersDone(now) {
		m.phase, m.phaseDeadline = phaseLive, time.Time{}
		m.log.Info("configuration is initialized")
		close(m.initialized)
	}
}

func (m *Manager) clustersDone(now time.Time) bool {
	asked := m.cds != nil
	return !m.awaits(asked, m.clusters.answered, &m.clusters.fetchTimeouts, now) && m.clusters.waitingFor(now) == ""
}

func (m *Manager) listenersDone(now time.Time) bool {
	asked := m.lds != nil
	return !m.awaits(asked, m.listeners.answered, &m.listeners.fetchTimeouts, now) && m.listeners.waitingFor(now) == ""
}

// awaits reports whether the first answer of the phase is still to come. It counts the end of the wait when that was its
// deadline.
func (m *Manager) awaits(asked, answered bool, timeouts *uint64, now time.Time) bool {
	if asked && !answered && *timeouts == 0 {
		if m.phaseDeadline.IsZero() || now.Before(m.phaseDeadline) {
			return true
		}
		*timeouts = 1
	}
	m.phaseDeadline = time.Time{}
	return false
}

// startListeners begins to ask for listeners.
func (m *Manager) startListeners(now time.Time) {
	m.listeners.staticSince = now
	if m.lds != nil {
		m.phaseDeadline = deadlineAfter(now, m.lds.FetchTimeout)
		if m.clusters.fetchTimeouts > 0 && !m.client.State().Heard && !m.phaseDeadline.IsZero() {
			// A control plane that has not said a word in the wait for clusters does not get a second wait for listeners:
			// what is static must not be held back for longer.
			m.phaseDeadline = now
		}
		m.client.Subscribe(resource.ListenerType, nil)
	}
	m.listeners.resubscribe()
}

// waitingFor names something that parents of f wait for, empty when they wait for nothing.
func (f *family[P, C]) waitingFor(now time.Time) string {
	if f.subscribe == nil {
		return ""
	}
	for name, p := range f.parents {
		if p.warming == nil {
			continue
		}
		for _, n := range f.needs(p.warming.value) {
			if !f.known(n.child) {
				return fmt.Sprintf("%s %q of %s %q", f.child.noun, n.child, f.parent.noun, name)
			}
		}
	}
	for name, p := range f.static {
		for _, n := range f.needs(p) {
			if !f.known(n.child) && f.children[n.child] != nil && !n.overdue(f.staticSince, now) {
				return fmt.Sprintf("%s %q of %s %q", f.child.noun, n.child, f.parent.noun, name)
			}
		}
	}
	return ""
}

// nextDeadline returns when the next parent stops waiting, zero for never.
func (f *family[P, C]) nextDeadline(now time.Time) (next time.Time) {
	consider := func(d time.Time) {
		if !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	for _, p := range f.parents {
		if p.warming != nil {
			consider(f.patienceEnds(p.warming))
		}
	}
	if f.staticSince.IsZero() {
		return next
	}
	for _, p := range f.static {
		for _, n := range f.needs(p) {
			if d := n.deadline(f.staticSince); !f.known(n.child) && d.After(now) {
				consider(d)
			}
		}
	}
	return next
}

// patienceEnds returns when nothing that r warms for is waited for any longer, zero for never.
func (f *family[P, C]) patienceEnds(r *revision[P]) (last time.Time) {
	for _, n := range f.needs(r.value) {
		if f.known(n.child) {
			continue
		}
		d := n.deadline(r.updated)
		if d.IsZero() {
			return d
		}
		if d.After(last) {
			last = d
		}
	}
	return last
}

// Initialized is closed once clusters and listeners came from the control plane, with what they warm for, or were waited
// for long enough. Without a control plane it is closed as soon as Run begins.
func (m *Manager) Initialized() <-chan struct{} { return m.initialized }

// State is how the Manager and its conversation with the control plane are.
type State struct {
	Initialized bool
	// ControlPlane is the address of the control plane, empty when there is none.
	ControlPlane string
	// Connected tells that a stream to it is open.
	Connected bool
	// LastError says why the last attempt or stream ended, empty since a new one was answered.
	LastError string
	// Waiting says what is still waited for, empty once Initialized.
	Waiting string
}

// State returns the present state.
func (m *Manager) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := State{Initialized: m.phase == phaseLive}
	if m.client != nil {
		c := m.client.State()
		s.ControlPlane, s.Connected, s.LastError = c.Target, c.Connected, c.LastError
	}
	if !s.Initialized {
		s.Waiting = m.waiting(&s)
	}
	return s
}

// waiting words what initialization waits for.
func (m *Manager) waiting(s *State) string {
	var what string
	switch {
	case m.phase == phaseNew:
		return "waiting for the start"
	case s.ControlPlane != "" && !s.Connected && s.LastError != "":
		return fmt.Sprintf("waiting for the control plane at %s: %s", s.ControlPlane, s.LastError)
	case s.ControlPlane != "" && !s.Connected:
		return fmt.Sprintf("waiting for the control plane at %s: connecting", s.ControlPlane)
	case m.phase == phaseClusters && m.cds != nil && !m.clusters.answered:
		what = "clusters"
	case m.phase == phaseListeners && m.lds != nil && !m.listeners.answered:
		what = "listeners"
	case m.phase == phaseClusters:
		what = m.clusters.waitingFor(time.Now())
	default:
		what = m.listeners.waitingFor(time.Now())
	}
	return fmt.Sprintf("waiting for the control plane at %s: connected, no answer yet for %s", s.ControlPlane, what)
}
