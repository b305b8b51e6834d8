package xds

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxWarmup bounds how long a cluster waits for the first lookups of its names and the first checks of its hosts. In Envoy each of
// them ends by its own timeout, and nothing bounds them together; here they also wait for places, of which there are so many. More
// than a minute is for a host that is checked with an odd timeout, and not worth the wait of the listeners.
const maxWarmup = time.Minute

// warmups are the clusters of which the data plane is to find out what their hosts are and how they are, before they come into force
// or, static ones, before the initialization goes on. It is the last part of their warming, when all that they ask for by discovery
// is there.
type warmups struct {
	wait func(context.Context, *config.Cluster) // Options.WaitWarm
	of   map[*config.Cluster]*warmup            // guarded by Manager.mu
	ctx  context.Context                        // of Run, nil before
	// closed tells that nothing begins any more, guarded by Manager.mu.
	closed bool

	running sync.WaitGroup
	news    chan struct{} // has room for one: something is in ended
	mu      sync.Mutex    // guards what follows
	ended   []*config.Cluster
}

// warmup is one that began.
type warmup struct {
	over   bool
	cancel context.CancelFunc
}

func newWarmups(wait func(context.Context, *config.Cluster)) *warmups {
	return &warmups{wait: wait, of: make(map[*config.Cluster]*warmup), news: make(chan struct{}, 1)}
}

// needs reports whether a resource that asks for nothing more has to be warmed up, by the data plane, and was not.
func (u *warmups) needs(value any) bool {
	c, ok := value.(*config.Cluster)
	return ok && u.wait != nil && c.Warms() && (u.of[c] == nil || !u.of[c].over)
}

// has reports whether a resource was or is warmed up.
func (u *warmups) has(value any) bool {
	c, ok := value.(*config.Cluster)
	return ok && u.of[c] != nil
}

// begun reports whether the warm-up of a resource is under way.
func (u *warmups) begun(value any) bool {
	c, ok := value.(*config.Cluster)
	return ok && u.of[c] != nil && !u.of[c].over
}

// begin lets the warm-up of c, which the data plane knows, go on until it is over.
func (u *warmups) begin(c *config.Cluster) {
	ctx, cancel := context.WithTimeout(u.ctx, maxWarmup)
	u.of[c] = &warmup{cancel: cancel}
	if u.closed {
		cancel()
		return
	}
	u.running.Go(func() {
		defer cancel()
		u.wait(ctx, c)
		u.mu.Lock()
		u.ended = append(u.ended, c)
		u.mu.Unlock()
		select {
		case u.news <- struct{}{}:
		default: // who was told before takes this one, too
		}
	})
}

// takeEnded notes which warm-ups are over.
func (u *warmups) takeEnded() {
	u.mu.Lock()
	ended := u.ended
	u.ended = nil
	u.mu.Unlock()
	for _, c := range ended {
		if w := u.of[c]; w != nil {
			w.over = true
		}
	}
}

// warmed puts into force what has been warmed up.
func (m *Manager) warmed() error {
	m.warmups.takeEnded()
	return m.proceed(time.Now())
}

// warmStatic begins the warm-up of clusters of the bootstrap that ask for nothing more.
func (m *Manager) warmStatic(now time.Time) {
	for _, value := range m.clusters.static {
		if m.warmups.needs(value) && !m.warmups.begun(value) && len(m.clusters.awaited(value, m.clusters.staticSince, now)) == 0 {
			m.warmups.begin(value.(*config.Cluster))
		}
	}
}

// retainWarmups ends the warm-ups of clusters that are not to come into force any more.
func (m *Manager) retainWarmups() {
	wanted := make(map[any]bool)
	for _, p := range m.clusters.parents {
		if p.warming != nil {
			wanted[p.warming.value] = true
		}
	}
	for _, value := range m.clusters.static {
		wanted[value] = true
	}
	var d config.Delta
	warming := m.store.Current().Warming
	for c, w := range m.warmups.of {
		if wanted[c] {
			continue
		}
		w.cancel()
		delete(m.warmups.of, c)
		if warming[c.Name] == c {
			d.Warming.Remove = append(d.Warming.Remove, c.Name)
		}
	}
	if len(d.Warming.Remove) == 0 {
		return
	}
	if err := m.store.Apply(config.SourceXDS, d); err != nil {
		m.log.Error("clusters that need not warm any more cannot be dropped", zap.Strings("names", d.Warming.Remove), zap.Error(err))
	}
}

// warmupWord names what the warm-up of a resource waits for.
func warmupWord(value any) string {
	c := value.(*config.Cluster)
	switch {
	case c.Type != config.ClusterStrictDNS && c.Type != config.ClusterLogicalDNS:
		return "first health checks"
	case c.HealthCheck == nil:
		return "name lookup"
	}
	return "name lookup and first health checks"
}

// warmingUp words which warm-up the initialization waits for, empty when there is none.
func (m *Manager) warmingUp() string {
	for _, p := range m.clusters.parents {
		if p.warming != nil && m.warmups.begun(p.warming.value) {
			return fmt.Sprintf("%s of cluster %q", warmupWord(p.warming.value), p.warming.value.(*config.Cluster).Name)
		}
	}
	for name, value := range m.clusters.static {
		if m.warmups.begun(value) {
			return fmt.Sprintf("%s of cluster %q", warmupWord(value), name)
		}
	}
	return ""
}
