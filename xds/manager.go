package xds

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// maxEvents bounds the queue of events, and who has another one waits. Each source has one at a time.
const maxEvents = 4

// Options describe a Manager. Bootstrap, Store and Logger are required.
type Options struct {
	// Bootstrap says what is static and whether and how there is a control plane. It is read-only from here on.
	Bootstrap *bootstrap.Bootstrap
	// Store receives the resources, as its sources SourceFile and SourceXDS. The function that it installs snapshots with
	// must not call the Manager.
	Store  *config.Store
	Logger *zap.Logger
	// Runtime takes the values of a Runtime resource by its name, nil when it is gone. It is required when a layer of the
	// runtime is such a resource, and must not call the Manager.
	Runtime func(resource string, texts map[string]string) error
	// CheckSecret says what of a secret cannot be used, beside what its decoder knows; nil checks nothing.
	CheckSecret func(*config.Secret) error
	// WaitWarm waits until it is known what the hosts of a cluster of the store are and how they are, or ctx ends; nil when there is
	// nobody who finds that out, and nothing to wait for. It must not call the Manager.
	WaitWarm func(ctx context.Context, c *config.Cluster)
	// Draining returns the listeners that the store had and that still have connections to end, for dumps; nil when nobody knows. The
	// map is the Manager's. It must not call the Manager.
	Draining func() map[*config.Listener]bool
	// Take, when not nil, is told how many bytes of resources a response has before they are decoded. It returns what is called when
	// they are in force or refused.
	Take func(bytes int) (taken func())
	// UnknownFields is what becomes of resources with fields that the API does not have; the zero value warns.
	UnknownFields UnknownFields
	// Outbound returns what counts for the cluster of a control plane, nil while there is none; nil counts nothing.
	Outbound func(cluster string) *outbound.Cluster
	// GoogleGRPC returns where the streams to a control plane that google_grpc describes count, by its stat_prefix; nil counts nothing.
	GoogleGRPC func(prefix string) *stats.Scope
	// DialOptions are those of the connection to the control plane, after the Manager's own.
	DialOptions []grpc.DialOption
}

// Manager keeps a config.Store in step with the bootstrap and the control plane. All methods may be called from any
// goroutine.
type Manager struct {
	store *config.Store
	log   *zap.Logger

	checkSecret func(*config.Secret) error // nil for no check
	take        func(int) func()           // Options.Take

	events      chan event    // handled by Run, one after the other
	initialized chan struct{} // closed when phase becomes phaseLive
	unknown     *unknownFields

	mu          sync.Mutex           // guards all below; Run holds it for one event
	boot        *bootstrap.Bootstrap // in force
	bootApplied time.Time            // zero before Static
	sources     *sources
	layers      *world // of the runtime
	clusters    *world
	listeners   *world
	tables      map[string]*table // by type URL
	warmups     *warmups
	drains      drains
	phase       phase
	// phaseDeadline is when the first answer of the phase is not waited for any longer, zero for never.
	phaseDeadline time.Time
}

// event is something for Run to do. What do returns is passed on to done, when there is one, after everything that follows
// from the event was done, too: an answer to the control plane must come after the subscriptions that a response leads to.
type event struct {
	do   func() error
	done chan<- error // has room for the error
}

// New returns a Manager of what o describes. Nothing is applied or asked for before Static and Run.
func New(o Options) (*Manager, error) {
	if o.Bootstrap == nil || o.Store == nil || o.Logger == nil {
		return nil, errors.New("xds: bootstrap, store and logger must all be given")
	}
	var err error
	m := &Manager{
		store:       o.Store,
		boot:        o.Bootstrap,
		log:         o.Logger,
		checkSecret: o.CheckSecret,
		take:        o.Take,
		events:      make(chan event, maxEvents),
		initialized: make(chan struct{}),
		unknown:     &unknownFields{policy: o.UnknownFields, log: o.Logger, warned: make(map[string]bool)},
		tables:      make(map[string]*table),
		warmups:     newWarmups(o.WaitWarm),
		drains:      drains{now: o.Draining},
	}
	if m.layers, err = newLayers(m, &o); err != nil {
		return nil, err
	}
	m.clusters = newWorld(m, clusterKind(), o.Bootstrap.CDS)
	m.listeners = newWorld(m, listenerKind(), o.Bootstrap.LDS)
	for _, k := range []*kind{runtimeKind(o.Runtime), assignmentKind(), secretKind(o.CheckSecret), extensionKind(m), scopeKind(), routeKind(m), hostKind(m)} {
		m.tables[k.url] = &table{kind: k, m: m, children: make(map[string]*child)}
	}
	if m.sources, err = newSources(m, &o); err != nil {
		return nil, fmt.Errorf("xds: %w", err)
	}
	return m, nil
}

// newLayers returns the layers of the runtime, of which only those that come from elsewhere matter here.
func newLayers(m *Manager, o *Options) (*world, error) {
	layers := newWorld(m, layerKind(), nil)
	layers.static = make(map[string]any)
	for _, l := range o.Bootstrap.Runtime {
		if l.RTDS != nil {
			layers.static[l.Name] = l.RTDS
		}
	}
	if len(layers.static) > 0 && o.Runtime == nil {
		return nil, errors.New("xds: a layer of the runtime is asked for over RTDS, and nothing takes it")
	}
	return layers, nil
}

// worlds returns the types of which all resources are known by themselves, in the order in which they come into force.
func (m *Manager) worlds() [3]*world { return [...]*world{m.layers, m.clusters, m.listeners} }

// asked returns the types that are asked for by name, in the order in which they are asked for.
func (m *Manager) asked() []*table {
	return []*table{
		m.tables[resource.RuntimeType], m.tables[resource.AssignmentType], m.tables[resource.SecretType], m.tables[resource.ExtensionType],
		m.tables[resource.ScopeType], m.tables[resource.RouteType],
		m.tables[resource.HostType],
	}
}

// kinds returns all types.
func (m *Manager) kinds() []*kind {
	kinds := []*kind{m.clusters.kind, m.listeners.kind}
	for _, t := range m.asked() {
		kinds = append(kinds, t.kind)
	}
	return kinds
}

// kind returns the type with this URL, which is one of kinds.
func (m *Manager) kind(url string) *kind {
	for _, k := range m.kinds() {
		if k.url == url {
			return k
		}
	}
	panic("BUG: there is no type " + url)
}

// apply handles a response with resources of type url that came from a source.
func (m *Manager) apply(from config.ConfigSource, url string, r ads.Response, now time.Time) error {
	if t := m.tables[url]; t != nil {
		return t.apply(from, r, now)
	}
	for _, w := range m.worlds() {
		if w.url == url {
			return w.apply(r, now)
		}
	}
	panic("BUG: there is no type " + url)
}

// refused takes note that a response with resources of type url that came from a source could not be decoded.
func (m *Manager) refused(from config.ConfigSource, url string, why error) {
	if t := m.tables[url]; t != nil {
		t.refused(from, why)
	}
	for _, w := range m.worlds() {
		if w.url == url {
			w.answered = true
		}
	}
	_ = m.proceed(time.Now())
}

// await has Run do something, and returns what comes of it.
func (m *Manager) await(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	select {
	case m.events <- event{do, done}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// resubscribe asks for what is referred to now, and drops what is not.
func (m *Manager) resubscribe() {
	now := time.Now()
	wanted := m.wanted()
	tables := m.asked()
	for _, t := range tables {
		t.retain(wanted[t.url], now)
	}
	used := m.sources.subscribeAll(tables)
	for _, w := range m.worlds() {
		if w.from != nil {
			used[keyOf(w.from.Source, w.url)] = true
		}
	}
	m.sources.keep(used)
	m.retainWarmups()
}

// Run talks to the control planes until ctx is done, and returns when nothing of it is left running. What was applied stays.
// It is called once, after Static. Without a control plane it only waits.
func (m *Manager) Run(ctx context.Context) {
	ended := make(chan struct{})
	deadline := time.NewTimer(m.step(event{do: func() error { return m.start(ctx) }}))
	defer deadline.Stop()
	go func() {
		<-ctx.Done()
		m.endSources()
		close(ended)
	}()
	for {
		select {
		case e := <-m.events:
			deadline.Reset(m.step(e))
		case <-m.warmups.news:
			deadline.Reset(m.step(event{do: m.warmed}))
		case <-deadline.C:
			deadline.Reset(m.step(event{do: m.expire}))
		case <-ended:
			return
		}
	}
}

// endSources waits for everything that sources have running, and lets no other begin.
func (m *Manager) endSources() {
	m.mu.Lock()
	m.sources.ended, m.warmups.closed = true, true
	m.mu.Unlock()
	m.sources.running.Wait()
	m.warmups.running.Wait()
	m.sources.close()
}

// never is how long the timer of Run is set to when nothing has a deadline.
const never = 24 * time.Hour

// step handles one event, and returns how long it is to the next deadline.
func (m *Manager) step(e event) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := e.do()
	now := time.Now()
	m.advance(now)
	if e.done != nil {
		e.done <- err
	}
	next := m.phaseDeadline
	for _, w := range m.worlds() {
		if d := w.nextDeadline(now); next.IsZero() || (!d.IsZero() && d.Before(next)) {
			next = d
		}
	}
	for _, t := range m.tables {
		if at := t.nextStale(); next.IsZero() || (!at.IsZero() && at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		return never
	}
	return next.Sub(now)
}

// expire handles deadlines.
func (m *Manager) expire() error {
	now := time.Now()
	for _, w := range m.worlds() {
		w.expire(now)
	}
	for _, t := range m.tables {
		t.expire(now)
	}
	return m.proceed(now)
}

// proceed brings into force what need not wait any longer.
func (m *Manager) proceed(now time.Time) error {
	if ready := m.ready(nil, now); len(ready) > 0 {
		// Without a base there is no other error than those of the parents, which commit notes.
		_, _ = m.commit(nil, ready, now)
		m.resubscribe()
	}
	return nil
}

// RestartStream ends every conversation with a control plane and begins a new one at once. What was applied stays.
func (m *Manager) RestartStream() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources.restart()
}
