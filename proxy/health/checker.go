package health

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
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

// Target is a cluster with a health check, as it is served or warms.
type Target struct {
	Config     *config.Cluster
	Assignment *config.ClusterLoadAssignment // nil while it is not known
	Stats      *stats.Scope                  // of stats.HealthCheck
	TLS        *tls.Sockets                  // nil for plaintext
	// Carried reports whether the cluster has ever had a connection for traffic. It is called from any goroutine.
	Carried func() bool
	// Bind is where connections begin, nil for anywhere.
	Bind *config.Bind
	// Warming tells that the cluster is not served yet: gauges are those of the one that is.
	Warming bool
}

// Publish is told the health of the hosts of each cluster that has changed. It is called from one goroutine, and may call Update.
type Publish func(map[*config.Cluster]*config.ClusterHealth)

// Checker checks the hosts of clusters for as long as they are served. Its methods may be called from any goroutine.
type Checker struct {
	publish   Publish
	openLog   OpenEventLog
	log       *zap.Logger
	newProber func(*config.Cluster, *config.Endpoint, *tls.Upstream, *config.ProxyHeader, *config.Bind) prober
	random    below
	places    chan struct{} // a place for each probe that runs
	pause     time.Duration // publishPause

	ctx     context.Context // of all sessions
	cancel  context.CancelFunc
	running sync.WaitGroup // sessions and the publisher
	news    chan struct{}  // has room for one: something is dirty

	mu         sync.Mutex // guards what follows, and the states of sessions
	groups     map[*config.Cluster]*group
	published  map[*config.Cluster]*config.ClusterHealth
	dirty      map[*config.Cluster]bool // whose health may differ from what was published
	publishing bool
	waiters    []waiter // for what is to be published
	closed     bool
}

// errNoEventLogs is for logs of events where nobody can open them.
var errNoEventLogs = errors.New("logs of health check events cannot be opened here")

// New returns a Checker without clusters. open opens the logs of their events; nil for none.
func New(log *zap.Logger, publish Publish, open OpenEventLog) *Checker {
	c := newChecker(log, publish)
	if c.openLog = open; open == nil {
		c.openLog = func(string) (EventLog, error) { return nil, errNoEventLogs }
	}
	c.start()
	return c
}

func newChecker(log *zap.Logger, publish Publish) *Checker {
	c := &Checker{
		publish: publish, log: log, newProber: newProber, random: rand.Int64N,
		places:    make(chan struct{}, maxProbes),
		news:      make(chan struct{}, 1),
		groups:    make(map[*config.Cluster]*group),
		published: make(map[*config.Cluster]*config.ClusterHealth),
		dirty:     make(map[*config.Cluster]bool),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *Checker) start() { c.running.Go(c.publishForever) }

// Update makes targets what is checked. Where a cluster takes the place of another of its name, hosts that are asked the same as
// before go on undisturbed, and one that is asked something else keeps its health until it has answered. One that is there beside
// another, as one of them warms, begins anew. It does not wait.
func (c *Checker) Update(targets []Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	left := c.leave(targets)
	for i := range targets {
		t := &targets[i]
		g := c.groups[t.Config]
		if g == nil {
			g = c.successor(left, t)
		}
		if g.update(t) {
			c.soil(t.Config)
		}
	}
	for _, g := range left {
		g.end()
		delete(c.published, g.target.Config)
	}
}

// leave takes out the groups of clusters that are not among targets, and returns them by what they are of.
func (c *Checker) leave(targets []Target) map[role]*group {
	wanted := make(map[*config.Cluster]bool, len(targets))
	for i := range targets {
		wanted[targets[i].Config] = true
	}
	left := make(map[role]*group)
	for cluster, g := range c.groups {
		if !wanted[cluster] {
			delete(c.groups, cluster)
			left[roleOf(&g.target)] = g
		}
	}
	return left
}

// successor returns the group of a target that is new: the one whose place it takes, when that has left.
func (c *Checker) successor(left map[role]*group, t *Target) *group {
	g := left[roleOf(t)]
	if g == nil || t.Warming {
		g = &group{checker: c, sessions: make(map[config.Address]*session)}
	} else {
		delete(left, roleOf(t))
		if before := c.published[g.target.Config]; before != nil {
			c.published[t.Config] = before
			delete(c.published, g.target.Config)
		}
	}
	c.groups[t.Config] = g
	return g
}

// role is what a cluster can be once: the one of its name that is served, or that warms.
type role struct {
	cluster string
	warming bool
}

func roleOf(t *Target) role { return role{t.Config.Name, t.Warming} }

// Fail takes a host out because its answer to a request of traffic asked for that.
func (c *Checker) Fail(cluster *config.Cluster, host config.Address) {
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

// WaitFirst waits until every host of a cluster that is known now has been checked once and what was found is published, or ctx
// ends. It does not wait for a cluster that is not checked.
func (c *Checker) WaitFirst(ctx context.Context, cluster *config.Cluster) {
	c.mu.Lock()
	g := c.groups[cluster]
	if g == nil {
		c.mu.Unlock()
		return
	}
	waiting := slices.Collect(maps.Values(g.sessions))
	c.mu.Unlock()
	for _, s := range waiting {
		select {
		case <-s.checked:
		case <-ctx.Done():
			return
		}
	}
	select {
	case <-c.told(cluster):
	case <-ctx.Done():
	}
}

// waiter is who waits for the health of a cluster to be published.
type waiter struct {
	cluster *config.Cluster
	done    chan struct{}
}

// told returns a channel that is closed when what is known now of a cluster is published.
func (c *Checker) told(cluster *config.Cluster) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := waiter{cluster, make(chan struct{})}
	if !c.dirty[cluster] && !c.publishing || c.closed {
		close(w.done)
	} else {
		c.waiters = append(c.waiters, w)
	}
	return w.done
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
	clear(c.dirty)
	c.release()
}

// soil notes that the health of a cluster may have changed. The caller holds mu.
func (c *Checker) soil(cluster *config.Cluster) {
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
		c.release()
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

// release lets go of who waits for what is published now. The caller holds mu.
func (c *Checker) release() {
	c.waiters = slices.DeleteFunc(c.waiters, func(w waiter) bool {
		if c.dirty[w.cluster] {
			return false
		}
		close(w.done)
		return true
	})
}

// takeChanges returns the health of the clusters that is not what was published.
func (c *Checker) takeChanges() map[*config.Cluster]*config.ClusterHealth {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publishing = true
	changes := make(map[*config.Cluster]*config.ClusterHealth)
	for cluster := range c.dirty {
		before, g := c.published[cluster], c.groups[cluster]
		if g == nil {
			continue
		}
		if before == nil {
			before = &config.ClusterHealth{}
		}
		if next := g.health(); !maps.Equal(next.Hosts, before.Hosts) {
			changes[cluster], c.published[cluster] = next, next
		}
	}
	clear(c.dirty)
	return changes
}
