package proxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/ratelimit"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// compiled is a snapshot made ready to serve. It is immutable and shared by all workers; what a part was made of decides
// whether it is taken over from the generation before.
type compiled struct {
	snapshot     *config.Snapshot
	clusterNames []string
	clusters     []*compiledCluster                   // by the index that routes use
	localCluster string                               // that this proxy is one of, empty for none
	peers        *balancer.Peers                      // what there is in it; nil without
	aggregates   []int                                // indexes of clusters of that type
	policies     []*route.ClusterPolicies             // by that index, nil entries: none; nil when no cluster has any
	warming      map[*config.Cluster]*compiledCluster // which are not served yet
	changed      []int                                // indexes of the clusters that are not as in the generation before
	listeners    map[string]*compiledListener
	destinations destinations
	connections  connectionLimit  // of all listeners
	drains       []*compiledChain // which no listener has any more, and some connections still do
	tables       map[*config.RouteConfiguration]*compiledTable
	buckets      map[string]namedBucket    // of the overlay, by the name of the route
	faults       map[string]*atomic.Uint64 // that are injected now, by the prefix of the connection managers' statistics
	matches      subsetMatches
}

// compiledTable is a route table with what ModuleService laid over it and counts of it.
type compiledTable struct {
	*route.Table
	scopes  []*stats.Scope      // by Route.Index
	buckets []*ratelimit.Bucket // by Route.Index, nil entries: no limit
	matches []*upstream.Match   // by route.Target.Subset - 1
	groups  []*stats.Scope      // by route.StatGroup.Index
}

// namedBucket is a token bucket with the limit it was made for.
type namedBucket struct {
	limit  config.RateLimit
	bucket *ratelimit.Bucket
}

// compile makes next ready, which d has made of the snapshot of prev. What it shares with prev stays with prev when it fails.
func (s *Server) compile(prev *compiled, next *config.Snapshot, d *config.Delta) (*compiled, error) {
	c := &compiled{
		snapshot:     next,
		localCluster: s.options.LocalCluster,
		clusterNames: next.ClusterNames(),
		listeners:    make(map[string]*compiledListener, len(next.Listeners)),
		tables:       make(map[*config.RouteConfiguration]*compiledTable),
	}
	undo := &cleanup{}
	defer undo.run()
	c.keepBuckets(prev)
	if err := s.compileClusters(c, prev, d, undo); err != nil {
		return nil, err
	}
	if err := s.compileWarming(c, prev, d, undo); err != nil {
		return nil, err
	}
	for _, name := range next.ListenerNames() {
		l, err := s.compileListener(c, prev, next.Listeners[name], undo)
		if err != nil {
			return nil, fmt.Errorf("listener %q: %w", name, err)
		}
		c.listeners[name] = l
	}
	c.compileDestinations()
	if err := s.compileDrains(c, prev, undo); err != nil {
		return nil, err
	}
	if err := c.checkMatches(); err != nil {
		return nil, err
	}
	s.limitConnections(c, prev)
	undo.forget()
	return c, nil
}

// keepBuckets takes over the buckets whose limits did not change, so that a swap of the configuration does not refill them.
func (c *compiled) keepBuckets(prev *compiled) {
	c.buckets = make(map[string]namedBucket)
	for name, limit := range c.snapshot.Overlay.RateLimits {
		if old, ok := prev.buckets[name]; ok && old.limit == limit {
			c.buckets[name] = old
		} else {
			c.buckets[name] = namedBucket{limit, ratelimit.NewBucket(limit.RequestsPerSecond, limit.BurstSize)}
		}
	}
}

// activeFaults returns how many faults are injected now by connection managers whose statistics have the prefix. As in Envoy, where
// that is one of the statistics, it outlives changes.
func (c *compiled) activeFaults(prev *compiled, prefix string) *atomic.Uint64 {
	if active := c.faults[prefix]; active != nil {
		return active
	}
	active := prev.faults[prefix]
	if active == nil {
		active = new(atomic.Uint64)
	}
	if c.faults == nil {
		c.faults = make(map[string]*atomic.Uint64)
	}
	c.faults[prefix] = active
	return active
}

// compileTable compiles a route configuration once for all listeners that use it, or takes it over.
func (s *Server) compileTable(c, prev *compiled, rc *config.RouteConfiguration, undo *cleanup) (*compiledTable, error) {
	if t := c.tables[rc]; t != nil {
		return t, nil
	}
	if t := prev.tables[rc]; t != nil && c.sameClusters(prev) && sameOverlay(&c.snapshot.Overlay, &prev.snapshot.Overlay) &&
		t.IsOf(c.snapshot.Runtime) {
		c.tables[rc] = t
		t.keepMatches(c)
		return t, nil
	}
	table, err := route.Compile(rc, route.Options{
		ClusterIndex: c.trafficIndex,
		Weights:      c.snapshot.Overlay.Weights,
		Runtime:      c.snapshot.Runtime,

		CompileFilter: filter.CompileConfig,
	})
	if err != nil {
		return nil, fmt.Errorf("route configuration %q: %w", rc.Name, err)
	}
	t := &compiledTable{Table: table}
	for _, r := range table.Routes() {
		scope := s.stats.HiddenScope("alb.route."+r.Name+".", stats.Route)
		undo.add(scope.Release)
		t.scopes = append(t.scopes, scope)
		t.buckets = append(t.buckets, c.buckets[r.Name].bucket)
	}
	for _, group := range table.StatGroups() {
		t.groups = append(t.groups, s.scope(undo, group.Prefix, stats.Virtual))
	}
	for _, subset := range table.Subsets() {
		t.matches = append(t.matches, s.match(c, prev, subset.Cluster, subset.Match))
	}
	c.tables[rc] = t
	return t, nil
}

// clusterIndex returns the index of the cluster of that name.
func (c *compiled) clusterIndex(name string) (int, bool) {
	if i, ok := slices.BinarySearch(c.clusterNames, name); ok {
		return i, true
	}
	return -1, false
}

// trafficIndex is clusterIndex for traffic.
func (c *compiled) trafficIndex(name string) (int, bool) {
	if i, ok := c.clusterIndex(name); ok && !c.clusters[i].config.WithoutTraffic {
		return i, true
	}
	return -1, false
}

// sameOverlay reports whether two overlays ask for the same.
func sameOverlay(a, b *config.Overlay) bool {
	return maps.Equal(a.RateLimits, b.RateLimits) &&
		maps.EqualFunc(a.Weights, b.Weights, func(x, y []config.WeightedCluster) bool {
			return slices.EqualFunc(x, y, func(p, q config.WeightedCluster) bool { return p.Name == q.Name && p.Weight == q.Weight })
		})
}

// release lets go of what c has and next does not.
func (c *compiled) release(next *compiled) {
	if !next.sameClusters(c) {
		for i, name := range c.clusterNames {
			if next.snapshot.Clusters[name] == nil {
				c.clusters[i].scopes.release()
			}
		}
	}
	c.releaseWarming(next)
	for _, l := range c.listeners {
		l.release()
	}
	for _, chain := range c.drains {
		chain.release()
	}
	for rc, t := range c.tables {
		if next.tables[rc] == t {
			continue
		}
		for _, scope := range slices.Concat(t.scopes, t.groups) {
			scope.Release()
		}
	}
}

// cleanup undoes what was done when a compilation fails.
type cleanup struct{ steps []func() }

func (u *cleanup) add(step func()) { u.steps = append(u.steps, step) }
func (u *cleanup) forget()         { u.steps = nil }
func (u *cleanup) run() {
	for _, step := range u.steps {
		step()
	}
}

// scope takes a reference to the statistics under a prefix.
func (s *Server) scope(undo *cleanup, prefix string, schema *stats.Schema) *stats.Scope {
	scope := s.stats.Scope(prefix, schema)
	undo.add(scope.Release)
	return scope
}

// statName makes a name from the configuration fit into the name of a statistic, as Envoy does.
func statName(name string) string { return strings.ReplaceAll(name, ":", "_") }
