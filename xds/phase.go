package xds

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// phase is how far initialization has come. Clusters come before listeners, so that no port is opened before the clusters
// behind it can be used:
//
//	phaseNew --Run--> phaseRuntime --RTDS answered--> phaseClusters --CDS answered, none warms--> phaseListeners --LDS answered, none warms--> phaseLive
//
// Each wait for a first answer, and each for what a resource warms for, ends with its initial_fetch_timeout at the latest, and each
// for first lookups and health checks after maxWarmup.
type phase uint8

const (
	phaseNew phase = iota
	phaseRuntime
	phaseClusters
	phaseListeners
	phaseLive
)

// start begins to ask for layers of the runtime, and for clusters at once when there are none. What asks works until ctx is
// done.
func (m *Manager) start(ctx context.Context) error {
	now := time.Now()
	m.phase, m.warmups.ctx = phaseRuntime, ctx
	m.begin(m.layers, now)
	m.advance(now)
	m.sources.run(ctx)
	return nil
}

// begin asks for all resources of w, and for what the static ones need.
func (m *Manager) begin(w *world, now time.Time) {
	w.staticSince = now
	if w.from != nil {
		m.phaseDeadline = deadlineAfter(now, w.from.FetchTimeout)
		if from := m.sources.get(w.from.Source, w.url); from != nil {
			from.Subscribe(w.url, nil)
		}
	}
	m.resubscribe()
}

func deadlineAfter(now time.Time, patience time.Duration) time.Time {
	if patience == 0 {
		return time.Time{}
	}
	return now.Add(patience)
}

// advance moves on while the phase has nothing left to wait for.
func (m *Manager) advance(now time.Time) {
	if m.phase == phaseRuntime && m.done(m.layers, now) {
		m.phase = phaseClusters
		m.begin(m.clusters, now)
	}
	if m.phase == phaseClusters {
		m.warmStatic(now)
	}
	if m.phase == phaseClusters && m.done(m.clusters, now) {
		m.phase, m.phaseDeadline = phaseListeners, time.Time{}
		m.startListeners(now)
	}
	if m.phase == phaseListeners && m.done(m.listeners, now) {
		m.phase, m.phaseDeadline = phaseLive, time.Time{}
		m.log.Info("configuration is initialized")
		close(m.initialized)
	}
}

// done reports whether nothing of w is waited for any longer.
func (m *Manager) done(w *world, now time.Time) bool {
	return !m.awaits(w, now) && w.waitingFor(now) == "" && (w != m.clusters || m.warmingUp() == "")
}

// awaits reports whether the first answer of the phase, that of w, is still to come. It counts the end of the wait when that
// was its deadline.
func (m *Manager) awaits(w *world, now time.Time) bool {
	if w.from != nil && !w.answered && w.fetchTimeouts == 0 {
		if m.phaseDeadline.IsZero() || now.Before(m.phaseDeadline) {
			return true
		}
		w.fetchTimeouts = 1
	}
	m.phaseDeadline = time.Time{}
	return false
}

// startListeners begins to ask for listeners.
func (m *Manager) startListeners(now time.Time) {
	m.begin(m.listeners, now)
	if m.clusters.fetchTimeouts > 0 && m.listeners.from != nil && m.listeners.from.Source == m.clusters.from.Source &&
		!m.spokesman().Heard && !m.phaseDeadline.IsZero() {
		// A control plane that has not said a word in the wait for clusters does not get a second wait for listeners:
		// what is static must not be held back for longer.
		m.phaseDeadline = now
	}
}

// waitingFor names something that parents of w wait for, empty when they wait for nothing.
func (w *world) waitingFor(now time.Time) string {
	word := func(n *missing, name string) string { return fmt.Sprintf("%s of %s %q", w.word(n), w.noun, name) }
	for name, p := range w.parents {
		if p.warming == nil || w.m.warmups.begun(p.warming.value) {
			continue
		}
		if waits := w.m.unmet(p.warming.needs, p.warming.updated, nil); len(waits) > 0 {
			return word(&waits[0], name)
		}
	}
	for name, value := range w.static {
		if waits := w.awaited(value, w.staticSince, now); len(waits) > 0 {
			return word(&waits[0], name)
		}
	}
	return ""
}

// awaited returns what a resource asks for that it waits for since then, and not for too long.
func (w *world) awaited(value any, since, now time.Time) []missing {
	return slices.DeleteFunc(w.m.unmet(w.of(value, nil), since, nil), func(n missing) bool { return n.overdue(n.since, now) })
}

// word names what is missing.
func (w *world) word(n *missing) string { return fmt.Sprintf("%s %q", w.m.tables[n.url].noun, n.name) }

// nextDeadline returns when the next parent stops waiting, zero for never.
func (w *world) nextDeadline(now time.Time) (next time.Time) {
	consider := func(d time.Time) {
		if !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	for _, p := range w.parents {
		if p.warming != nil && !w.m.warmups.begun(p.warming.value) {
			consider(w.patienceEnds(p.warming))
		}
	}
	if w.staticSince.IsZero() {
		return next
	}
	for _, value := range w.static {
		for _, n := range w.m.unmet(w.of(value, nil), w.staticSince, nil) {
			if d := n.deadline(n.since); d.After(now) {
				consider(d)
			}
		}
	}
	return next
}

// patienceEnds returns when nothing that r warms for is waited for any longer, zero for never.
func (w *world) patienceEnds(r *revision) (last time.Time) {
	for _, n := range w.m.unmet(r.needs, r.updated, nil) {
		d := n.deadline(n.since)
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
	// ClustersInitialized tells that clusters came, with what they warm for, or were waited for long enough.
	ClustersInitialized bool
	// Initialized tells the same of listeners.
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
	s := State{ClustersInitialized: m.phase >= phaseListeners, Initialized: m.phase == phaseLive}
	c := m.spokesman()
	s.ControlPlane, s.Connected, s.LastError = c.Target, c.Connected, c.LastError
	if !s.Initialized {
		s.Waiting = m.waiting(&s)
	}
	return s
}

// spokesman returns the state of the conversation that speaks for all: that of the aggregated stream, else the one about
// clusters, else the one about listeners; a zero one when there is none.
func (m *Manager) spokesman() ads.State {
	if s := m.sources.aggregated(); s != nil {
		return s.State()
	}
	for _, w := range m.worlds() {
		if w.from == nil {
			continue
		}
		if s := m.sources.open[keyOf(w.from.Source, w.url)]; s != nil {
			return s.State()
		}
	}
	return ads.State{}
}

// waiting words what initialization waits for.
func (m *Manager) waiting(s *State) string {
	what := m.warmingUp()
	switch {
	case m.phase == phaseNew:
		return "waiting for the start"
	case what != "":
		return "waiting for the " + what
	case s.ControlPlane != "" && !s.Connected && s.LastError != "":
		return fmt.Sprintf("waiting for the control plane at %s: %s", s.ControlPlane, s.LastError)
	case s.ControlPlane != "" && !s.Connected:
		return fmt.Sprintf("waiting for the control plane at %s: connecting", s.ControlPlane)
	case m.phase == phaseClusters && m.clusters.from != nil && !m.clusters.answered:
		what = "clusters"
	case m.phase == phaseListeners && m.listeners.from != nil && !m.listeners.answered:
		what = "listeners"
	case m.phase == phaseRuntime:
		what = m.layers.waitingFor(time.Now())
	case m.phase == phaseClusters:
		what = m.clusters.waitingFor(time.Now())
	default:
		what = m.listeners.waitingFor(time.Now())
	}
	return fmt.Sprintf("waiting for the control plane at %s: connected, no answer yet for %s", s.ControlPlane, what)
}
