package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// compileWarming makes ready what it takes to find out of clusters that warm what their hosts are and how they are, and takes over
// what d does not reach. Workers do not know such clusters.
func (s *Server) compileWarming(c, prev *compiled, d *config.Delta, undo *cleanup) error {
	c.warming = make(map[*config.Cluster]*compiledCluster, len(c.snapshot.Warming))
	for name, cfg := range c.snapshot.Warming {
		old := prev.warming[cfg]
		if old != nil && !d.Reaches(cfg) && len(s.changedFiles) == 0 {
			c.warming[cfg] = old
			continue
		}
		k := &compiledCluster{config: cfg, asked: c.snapshot.Assignment(cfg)}
		k.assignment = k.asked
		if old != nil {
			k.scopes = old.scopes
		} else {
			k.scopes.extend(s, cfg, undo)
		}
		if err := s.secureCluster(k, old, c.snapshot); err != nil {
			return fmt.Errorf("cluster %q: %w", name, err)
		}
		c.warming[cfg] = k
	}
	return nil
}

// showWarming sets the gauges of clusters that began to warm with c, and of those that have ended.
func (prev *compiled) showWarming(c *compiled) {
	for cfg, k := range prev.warming {
		if c.warming[cfg] == nil {
			k.scopes.cluster.Set(stats.ClusterWarmingState, 0)
		}
	}
	for cfg, k := range c.warming {
		if prev.warming[cfg] == nil {
			k.scopes.cluster.Set(stats.ClusterWarmingState, 1)
		}
	}
}

// releaseWarming lets go of what warmed in c and does not in next.
func (c *compiled) releaseWarming(next *compiled) {
	for cfg, k := range c.warming {
		if next.warming[cfg] == nil {
			k.scopes.release()
		}
	}
}

// resolveTargets returns the clusters whose names may have to be looked up: those that are served, and those that warm.
func (c *compiled) resolveTargets() []*config.Cluster {
	return slices.AppendSeq(slices.Clip(c.snapshot.ClusterList()), maps.Keys(c.warming))
}

// WaitWarm waits until it is known what the hosts of a cluster are and how they are, or ctx ends: until its names have been looked
// up once, successfully or not, and each of its hosts was checked once. The cluster is served or warms; for another there is
// nothing to wait for.
func (s *Server) WaitWarm(ctx context.Context, cluster *config.Cluster) {
	s.resolver.WaitFirst(ctx, cluster)
	s.checker.WaitFirst(ctx, cluster)
}
