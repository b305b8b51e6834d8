package orca

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Target is a cluster whose hosts report their load.
type Target struct {
	Config     *config.LoadReports
	Assignment *config.ClusterLoadAssignment // nil while it is not known
}

// Sample returns what hosts of clusters have reported since it was last called, and the time on the clock of the workers. Clusters
// that nobody has heard from may be left out. It may take a while.
type Sample func(clusters []string) (now int64, loads map[string]map[config.Address]Load)

// Publish has the workers take over the weights of clusters.
type Publish func(map[string]*Weights)

// Weigher gives hosts weights by their reports, all on one goroutine. Its methods may be called from any goroutine.
type Weigher struct {
	sample  Sample
	publish Publish
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	news    chan struct{} // has room for one: there are other targets

	mu      sync.Mutex // guards targets
	targets map[string]Target

	groups map[string]*hosts // of the goroutine
}

// hosts is what is known of the hosts of a cluster.
type hosts struct {
	due     time.Time
	known   map[config.Address]*history
	weights *Weights // that were published
}

// New returns a Weigher without clusters. sample and publish are called on its goroutine.
func New(sample Sample, publish Publish) *Weigher {
	w := &Weigher{sample: sample, publish: publish, news: make(chan struct{}, 1), groups: make(map[string]*hosts)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.running.Go(w.run)
	return w
}

// Update makes targets, by the names of clusters, what is weighed. It does not wait.
func (w *Weigher) Update(targets map[string]Target) {
	w.mu.Lock()
	w.targets = targets
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Close ends the weighing and waits for its goroutine.
func (w *Weigher) Close() {
	w.cancel()
	w.running.Wait()
}

func (w *Weigher) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.news:
		case <-timer.C:
		}
		w.mu.Lock()
		targets := w.targets
		w.mu.Unlock()
		now := time.Now()
		if due := w.schedule(targets, now); len(due) > 0 {
			w.weigh(targets, due)
		}
		timer.Stop()
		if next, any := w.next(); any {
			timer.Reset(max(time.Until(next), 0))
		}
	}
}

// schedule returns the clusters that are due, and says when they are next. One that is new is due when its first period is over.
func (w *Weigher) schedule(targets map[string]Target, now time.Time) (due []string) {
	maps.DeleteFunc(w.groups, func(name string, _ *hosts) bool { return targets[name].Config == nil })
	for name, t := range targets {
		g := w.groups[name]
		switch {
		case g == nil:
			w.groups[name] = &hosts{due: now.Add(t.Config.Update), known: make(map[config.Address]*history)}
		case !now.Before(g.due):
			g.due = now.Add(t.Config.Update)
			due = append(due, name)
		}
	}
	slices.Sort(due)
	return due
}

// next returns when the next cluster is due.
func (w *Weigher) next() (at time.Time, any bool) {
	for _, g := range w.groups {
		if !any || g.due.Before(at) {
			at, any = g.due, true
		}
	}
	return at, any
}

// weigh gives the hosts of the clusters that are due their weights, and publishes what has changed.
func (w *Weigher) weigh(targets map[string]Target, due []string) {
	now, loads := w.sample(due)
	changed := make(map[string]*Weights)
	for _, name := range due {
		t, g := targets[name], w.groups[name]
		for host, load := range loads[name] {
			h := g.known[host]
			if h == nil {
				h = new(history)
				g.known[host] = h
			}
			h.note(load)
		}
		weights := g.weigh(&t, now)
		if g.weights == nil || !maps.Equal(g.weights.byHost, weights.byHost) || !maps.Equal(g.weights.byPriority, weights.byPriority) {
			g.weights, changed[name] = weights, weights
		}
	}
	if len(changed) > 0 {
		w.publish(changed)
	}
}

// weigh returns the weights at a time, and forgets hosts that have left. A host without one of its own gets the median of its
// priority.
func (g *hosts) weigh(t *Target, now int64) *Weights {
	weights := &Weights{byHost: make(map[config.Address]uint32), byPriority: make(map[uint32]uint32)}
	known := make(map[config.Address]*history, len(g.known))
	byPriority := make(map[uint32][]uint32)
	for locality, e := range t.Assignment.Endpoints() {
		at, ok := e.Address.Unmapped()
		h := g.known[at]
		if !ok || h == nil || known[at] != nil {
			continue
		}
		known[at] = h
		if weight, ok := h.weightAt(now, t.Config); ok {
			weights.byHost[at] = weight
			byPriority[locality.Priority] = append(byPriority[locality.Priority], weight)
		}
	}
	for priority, list := range byPriority {
		weights.byPriority[priority] = median(list)
	}
	g.known = known
	return weights
}
