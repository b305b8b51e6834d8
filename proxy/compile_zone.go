package proxy

import (
	"maps"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// maxZones bounds the zones that a cluster has statistics for: a region has a handful, and each costs a histogram per worker.
// Responses of further ones are counted in those of the cluster only.
const maxZones = 64

// extendZones adds the statistics of zones that a has endpoints in, of a proxy that knows its own (node.locality). Those of zones that
// it had stay, as do counters in general.
func (c *clusterScopes) extendZones(s *Server, cfg *config.Cluster, a *config.ClusterLoadAssignment, undo *cleanup) {
	from := s.options.Locality.Zone
	if from == "" {
		return
	}
	owned := false // c.zones is not that of the generation before
	for locality := range a.Endpoints() {
		to := locality.Zone
		if to == "" || c.zones[to] != nil || len(c.zones) == maxZones {
			continue
		}
		if !owned {
			zones := make(map[string]*stats.Scope, len(c.zones)+1)
			maps.Copy(zones, c.zones)
			c.zones, owned = zones, true
		}
		c.zones[to] = s.scope(undo, "cluster."+clusterStatName(cfg)+".zone."+from+"."+to+".", stats.Zone)
	}
}

// zoneBlocks returns what a worker counts in by zones, nil where zones are not known.
func (w *worker) zoneBlocks(k *compiledCluster) map[string]*stats.Block {
	if k.scopes.zones == nil {
		return nil
	}
	blocks := make(map[string]*stats.Block, len(k.scopes.zones))
	for zone, scope := range k.scopes.zones {
		blocks[zone] = w.shard.Block(scope)
	}
	return blocks
}
