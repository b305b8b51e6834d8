package proxy

import (
	"maps"

	"fmt"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/outlier"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// compiledCluster is a cluster with what its workers share.
type compiledCluster struct {
	config       *config.Cluster
	asked        *config.ClusterLoadAssignment // what discovery lists
	assignment   *config.ClusterLoadAssignment // what is served: see stabilize
	moved        bool                          // assignment is not that of the generation before
	health       *config.ClusterHealth         // of checked and ejected
	checked      *config.ClusterHealth
	ejected      map[config.Address]bool
	monitors     *outlier.Monitors      // nil without outlier detection
	hashing      *balancer.Hashing      // nil unless the cluster balances by consistent hashing
	peers        *balancer.Peers        // nil unless it may balance by zones
	hashPolicies route.HashPolicies     // instead of those of the route
	errors       *route.ResponseMatcher // what outlier detection takes for one; nil for answers of 5xx
	tls          *tls.Sockets           // nil for plaintext
	contexts     []clusterContext       // that tls has
	subsets      map[string]bool        // that its hosts are in; nil where they are not divided
	shared       *upstream.Shared
	scopes       clusterScopes

	// How many of the subsets are new, and how many have gone with this generation.
	subsetsCreated, subsetsRemoved uint64
}

// clusterScopes are the scopes of a cluster's statistics. Those that it had no use for are nil.
type clusterScopes struct {
	cluster  *stats.Scope
	http2    *stats.Scope // of a cluster that may speak HTTP/2
	health   *stats.Scope // with a health check
	ringHash *stats.Scope
	maglev   *stats.Scope
	outlier  *stats.Scope // with outlier detection
	ssl      *stats.Scope // with TLS
	// sslFactory is of what makes the TLS of connections.
	sslFactory *stats.Scope
	zones      map[string]*stats.Scope // by the zones of hosts; never written once its generation is in force
}

// extend adds what the configuration asks for.
func (c *clusterScopes) extend(s *Server, cfg *config.Cluster, undo *cleanup) {
	name := "cluster." + clusterStatName(cfg) + "."
	for _, want := range []struct {
		scope  **stats.Scope
		asked  bool
		prefix string
		schema *stats.Schema
	}{
		{&c.cluster, true, name, stats.Cluster},
		{&c.http2, cfg.Protocol != config.ProtocolHTTP1, name + "http2.", stats.HTTP2Codec},
		{&c.health, cfg.HealthCheck != nil, name + "health_check.", stats.HealthCheck},
		{&c.ringHash, cfg.LB == config.RingHash, name + "ring_hash_lb.", stats.RingHash},
		{&c.ssl, cfg.HasTLS(), name + "ssl.", stats.SSL},
		{&c.sslFactory, cfg.HasTLS(), name + "client_ssl_socket_factory.", stats.SSLSocketFactory},
		{&c.maglev, cfg.LB == config.Maglev, name + "maglev_lb.", stats.Maglev},
		{&c.outlier, cfg.Outlier != nil, name + "outlier_detection.", stats.OutlierDetection},
	} {
		if want.asked && *want.scope == nil {
			*want.scope = s.scope(undo, want.prefix, want.schema)
		}
	}
}

func (c *clusterScopes) release() {
	for _, scope := range []*stats.Scope{c.cluster, c.http2, c.health, c.ringHash, c.maglev, c.outlier, c.ssl, c.sslFactory} {
		if scope != nil {
			scope.Release()
		}
	}
	for _, scope := range c.zones {
		scope.Release()
	}
}

// state returns what the workers' clusters are made of.
func (k *compiledCluster) state() upstream.State {
	return upstream.State{Config: k.config, Assignment: k.assignment, Health: k.health, Monitors: k.monitors, Hashing: k.hashing,
		Peers: k.peers}
}

// compileClusters takes over what d does not reach or did not change, and notes what did change.
func (s *Server) compileClusters(c, prev *compiled, d *config.Delta, undo *cleanup) error {
	before := prev.finder(c)
	c.clusters = make([]*compiledCluster, len(c.clusterNames))
	list := c.snapshot.ClusterList()
	compile := func(i int) error {
		cfg, old := list[i], before(i)
		if old != nil && !d.Reaches(cfg) && len(s.changedFiles) == 0 && old.peers == c.peersOf(i) {
			c.clusters[i] = old
			return nil
		}
		k, err := s.compileCluster(c, prev, i, old, undo)
		if err != nil {
			return fmt.Errorf("cluster %q: %w", cfg.Name, err)
		}
		if !k.follows(old) {
			c.changed = append(c.changed, i)
		}
		c.clusters[i] = k
		return nil
	}
	local, ok := c.clusterIndex(s.options.LocalCluster)
	if ok {
		if err := compile(local); err != nil {
			return err
		}
		if err := s.compilePeers(c, prev, c.clusters[local], before(local)); err != nil {
			return fmt.Errorf("cluster %q: %w", list[local].Name, err)
		}
	}
	for i := range list {
		if c.clusters[i] == nil {
			if err := compile(i); err != nil {
				return err
			}
		}
		c.index(i)
	}
	return c.compilePolicies(prev)
}

// compileCluster makes the cluster at index i ready. old is what it was before, nil for a new one.
func (s *Server) compileCluster(c, prev *compiled, i int, old *compiledCluster, undo *cleanup) (*compiledCluster, error) {
	next := c.snapshot
	cfg := next.ClusterList()[i]
	k := &compiledCluster{config: cfg, asked: next.Assignment(cfg), peers: c.peersOf(i)}
	if old == nil {
		k.shared = upstream.NewShared(len(s.workers))
	} else {
		k.shared, k.scopes = old.shared, old.scopes
	}
	if old == nil || old.config != cfg {
		k.scopes.extend(s, cfg, undo)
	}
	contexts := old
	if warm := prev.warming[cfg]; warm != nil { // what there is of it when it warmed
		contexts = warm
	}
	if err := s.secureCluster(k, contexts, next); err != nil {
		return nil, err
	}
	k.known(next, old)
	k.stabilize(old)
	k.scopes.extendZones(s, cfg, k.assignment, undo)
	if k.follows(old) {
		k.hashing, k.hashPolicies, k.subsets, k.errors = old.hashing, old.hashPolicies, old.subsets, old.errors
		return k, nil
	}
	var err error
	if k.errors, err = route.CompileResponseMatch(cfg.Errors); err != nil {
		return nil, fmt.Errorf("error_matcher: %w", err)
	}
	k.moved = old != nil && old.assignment != k.assignment
	k.nameSubsets(old)
	k.hash(old)
	return k, nil
}

// commitClusters puts into force and shows what is not part of a generation, but of what the generations of a cluster have in
// common.
func (c *compiled) commitClusters() {
	for _, i := range c.changed {
		k := c.clusters[i]
		k.shared.Of(config.PriorityDefault).SetLimits(k.config.Breakers)
		k.shared.Of(config.PriorityHigh).SetLimits(k.config.HighBreakers)
		if k.monitors != nil {
			k.monitors.Configure(k.config.Outlier)
		}
		k.countMembership()
		k.countHashes()
		k.countSubsets()
	}
}

// follows reports whether the workers' clusters are as k says when they are as old says.
func (k *compiledCluster) follows(old *compiledCluster) bool {
	return old != nil && old.tls == k.tls && old.config == k.config && old.assignment == k.assignment && old.health == k.health &&
		old.peers == k.peers
}

// index notes what is looked for among the clusters of a generation.
func (c *compiled) index(i int) {
	k := c.clusters[i]
	if k.config.Type == config.ClusterAggregate {
		c.aggregates = append(c.aggregates, i)
	}
}

// finder returns how to find the cluster of c at an index in the generation prev, nil where it had none of the name.
func (prev *compiled) finder(c *compiled) func(i int) *compiledCluster {
	if c.sameClusters(prev) {
		return func(i int) *compiledCluster { return prev.clusters[i] }
	}
	byName := make(map[string]*compiledCluster, len(prev.clusters))
	for i, k := range prev.clusters {
		byName[prev.clusterNames[i]] = k
	}
	return func(i int) *compiledCluster { return byName[c.clusterNames[i]] }
}

// known gathers what health checks and outlier detection have found of the hosts, in the value of before where that is all the
// same, and readies what watches them.
func (k *compiledCluster) known(s *config.Snapshot, old *compiledCluster) {
	k.checked, k.ejected = s.Health[k.config], s.Ejected[k.config.Name]
	k.health = k.checked
	switch {
	case k.config.Outlier == nil:
		return
	case old != nil && old.monitors != nil:
		k.monitors = old.monitors
	default:
		k.monitors = outlier.NewMonitors(k.config.Outlier)
	}
	switch {
	case len(k.ejected) == 0:
	case old != nil && old.checked == k.checked && maps.Equal(old.ejected, k.ejected) && old.health != old.checked:
		k.health = old.health
	default:
		k.health = &config.ClusterHealth{Ejected: k.ejected}
		if k.checked != nil {
			k.health.Hosts = k.checked.Hosts
		}
	}
}

// hash makes ready what a cluster of consistent hashing needs.
func (k *compiledCluster) hash(old *compiledCluster) {
	var before *balancer.Hashing
	if old != nil {
		before = old.hashing
	}
	k.hashPolicies = route.CompileHashPolicies(k.config.Hashing.Policies)
	k.hashing = upstream.NewHashing(k.state(), before)
}

// countHashes sets the gauges of consistent hashing.
func (k *compiledCluster) countHashes() {
	if k.hashing == nil {
		return
	}
	counts := k.hashing.Stats()
	if k.config.LB == config.Maglev {
		k.scopes.maglev.Set(stats.MaglevMinEntriesPerHost, counts.PerHostMin)
		k.scopes.maglev.Set(stats.MaglevMaxEntriesPerHost, counts.PerHostMax)
		return
	}
	k.scopes.ringHash.Set(stats.RingHashSize, counts.Size)
	k.scopes.ringHash.Set(stats.RingHashMinHashesPerHost, counts.PerHostMin)
	k.scopes.ringHash.Set(stats.RingHashMaxHashesPerHost, counts.PerHostMax)
}

// countMembership sets the gauges of the cluster's hosts. A host that drains is not one any more.
func (k *compiledCluster) countMembership() {
	var total, healthy, degraded, excluded uint64
	for _, locality := range k.assignment.All() {
		for i := range locality.Endpoints {
			e := &locality.Endpoints[i]
			active := k.config.HealthOf(k.health, e)
			if e.Health == config.HealthDraining || active.Excluded() {
				excluded++
			}
			if e.Health == config.HealthDraining {
				continue
			}
			total++
			switch {
			case active.Excluded():
			case upstream.HealthOf(e.Health, active) == balancer.Healthy:
				healthy++
			case upstream.HealthOf(e.Health, active) == balancer.Degraded:
				degraded++
			}
		}
	}
	k.scopes.cluster.Set(stats.ClusterMembershipTotal, total)
	k.scopes.cluster.Set(stats.ClusterMembershipHealthy, healthy)
	k.scopes.cluster.Set(stats.ClusterMembershipDegraded, degraded)
	k.scopes.cluster.Set(stats.ClusterMembershipExcluded, excluded)
	if k.moved {
		k.scopes.cluster.Inc(stats.ClusterMembershipChange)
	}
}

// sameClusters reports whether the clusters of both generations have the same names, and so the same indexes.
func (c *compiled) sameClusters(prev *compiled) bool {
	a, b := c.clusterNames, prev.clusterNames
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// clusterStatName returns what names a cluster's statistics: its alt_stat_name or its name.
func clusterStatName(c *config.Cluster) string {
	if c.AltStatName != "" {
		return statName(c.AltStatName)
	}
	return statName(c.Name)
}
