package health

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// maxProbes bounds the probes that run at a time, over all clusters: each is a connection and some buffers. Others wait for
// their turn, and the time of a probe begins with it.
const maxProbes = 256

// publishPause is the shortest time from one change that is put into force to the next. Each has every worker take over a new
// generation; when many hosts fail or come back one after the other, they must not be kept at that.
const publishPause = 50 * time.Millisecond

// Target is a cluster with a health check, as it is served.
type Target struct {
	Config     *config.Cluster
	Assignment *config.ClusterLoadAssignment // nil while it is not known
	Stats      *stats.Scope                  // of stats.HealthCheck
	TLS        *tls.Sockets                  // nil for plaintext
	// Carried reports whether the cluster has ever had a connection for traffic. It is called from any goroutine.
	Carried func() bool
}

// Publish is told the health of the hosts of each cluster that has changed; nil for one that is no longer checked. It is called
// from one goroutine, and may call Update.
type Publish func(map[string]*config.ClusterHealth)

// Checker checks the hosts of clusters for as long as they are served. Its methods may be called from any goroutine.
type Checker struct {
	publish   Publish
	log       *zap.Logger
	newProber func(*config.Cluster, *config.Endpoint, *tls.Upstream) prober
	random    below
	places    chan struct{} // a place for each probe that runs
	pause     time.Duration // publishPause

	ctx     context.Context // of all sessions
	cancel  context.CancelFunc
	running sync.WaitGroup // sessions and the publisher
	news    chan struct{}  // has room for one: something is dirty

	mu         sync.Mutex // guards what follows, and the states of sessions
	groups     map[string]*group
	published  map[string]*config.ClusterHealth
	dirty      map[string]bool // clusters whose health may differ from what was published
	publishing bool
	calm       []chan struct{} // to be closed when nothing is left to publish
	closed     bool
}

// New returns a Checker without clusters.
func New(log *zap.Logger, publish Publish) *Checker {
	c := newChecker(log, publish)
	c.start()
	return c
}

func newChecker(log *zap.Logger, publish Publish) *Checker {
	c := &Checker{
		publish: publish, log: log, newProber: newProber, random: rand.Int64N,
		places:    make(chan struct{}, maxProbes),
		news:      make(chan struct{}, 1),
		groups:    make(map[string]*group),
		published: make(map[string]*config.ClusterHealth),
		dirty:     make(map[string]bool),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *Checker) start() { c.running.Go(c.publishForever) }

// Update makes targets, by the name of the cluster, what is checked. Hosts that are asked the same as before go on
// undisturbed; one that is asked something else keeps its health until it has answered. It does not wait.
func (c *Checker) Update(targets map[string]Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	for name, g := range c.groups {
		if _, ok := targets[name]; !ok {
			g.end()
			delete(c.groups, name)
			c.soil(name)
		}
	}
	for name, t := range targets {
		g := c.groups[name]
		if g == nil {
			g = &group{checker: c, name: name, sessions: make(map[config.Address]*session)}
			c.groups[name] = g
		}
		if g.update(&t) {
			c.soil(name)
		}
	}
}

// Fail takes a host out because its answer to a request of traffic asked for that.
func (c *Checker) Fail(cluster string, host config.Address) {
	r := result{outcome: reported, excluded: true, why: "x-envoy-immediate-health-check-fail in a response"}
	c.mu.Lock()
	g := c.groups[cluster]
	if g == nil || g.sessions[host] == nil {
		c.mu.Unlock()
		return
	}
	s := g.sessions[host]
	before := s.state.flags
	s.take(r)
	now := s.state.flags
	c.mu.Unlock()
	s.log(r, before, now)
}

// WaitFirst waits until every host known now has been checked once and what was found is published, or ctx ends.
func (c *Checker) WaitFirst(ctx context.Context) {
	c.mu.Lock()
	var waiting []*session
	for _, g := range c.groups {
		for _, s := range g.sessions {
			waiting = append(waiting, s)
		}
	}
	c.mu.Unlock()
	for _, s := range waiting {
		select {
		case <-s.checked:
		case <-ctx.Done():
			return
		}
	}
	select {
	case <-c.calmed():
	case <-ctx.Done():
	}
}

// calmed returns a channel that is closed when nothing is left to publish.
func (c *Checker) calmed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := make(chan struct{})
	if len(c.dirty) == 0 && !c.publishing || c.closed {
		close(done)
	} else {
		c.calm = append(c.calm, done)
	}
	return done
}

// Close ends all checks and waits for their goroutines. It must not be called by Publish.
func (c *Checker) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
}

// soil notes that the health of a cluster may have changed. The caller holds mu.
func (c *Checker) soil(cluster string) {
	c.dirty[cluster] = true
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// publishForever passes on what changes. Changes that come while others are being put into force, or soon after, are gathered.
func (c *Checker) publishForever() {
	for {
		select {
		case <-c.news:
		case <-c.ctx.Done():
			return
		}
		changes := c.takeChanges()
		if len(changes) > 0 {
			c.publish(changes)
		}
		c.mu.Lock()
		c.publishing = false
		if len(c.dirty) == 0 {
			c.release()
		}
		c.mu.Unlock()
		if len(changes) > 0 && c.pause > 0 {
			select {
			case <-time.After(c.pause):
			case <-c.ctx.Done():
				return
			}
		}
	}
}

// release lets go of who waits for calm. The caller holds mu.
func (c *Checker) release() {
	for _, done := range c.calm {
		close(done)
	}
	c.calm = nil
}

// takeChanges returns the health of the clusters that is not what was published.
func (c *Checker) takeChanges() map[string]*config.ClusterHealth {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publishing = true
	changes := make(map[string]*config.ClusterHealth)
	for name := range c.dirty {
		before, g := c.published[name], c.groups[name]
		switch {
		case g == nil && before != nil:
			changes[name] = nil
			delete(c.published, name)
		case g != nil:
			if before == nil {
				before = &config.ClusterHealth{}
			}
			if next := g.health(); !maps.Equal(next.Hosts, before.Hosts) {
				changes[name], c.published[name] = next, next
			}
		}
	}
	clear(c.dirty)
	return changes
}
