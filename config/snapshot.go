package config

import (
	"fmt"
	"maps"
	"slices"
)

// Snapshot is one consistent set of resources. It and all it refers to are read-only.
type Snapshot struct {
	// Generation counts the snapshots of a Store from 1.
	Generation uint64
	Listeners  map[string]*Listener
	Routes     map[string]*RouteConfiguration // by ConfigSource.Key of the RDS name; inline ones are in their listener
	Scopes     map[string][]*Scope            // by ConfigSource.Key of no name
	Extensions map[string]*Extension          // by ConfigSource.Key of the name of the filter
	Clusters   map[string]*Cluster
	// Warming are clusters that are to be served under their names, where others may be served meanwhile, once it is known what
	// their hosts are and how they are.
	Warming   map[string]*Cluster
	Endpoints map[string]*ClusterLoadAssignment   // by ConfigSource.Key of the EDS name
	Secrets   map[string]*Secret                  // by SecretRef.Key
	Resolved  map[*Cluster]*ClusterLoadAssignment // DNS answers, of Clusters and Warming
	Health    map[*Cluster]*ClusterHealth         // of those of Clusters and Warming that have health checks
	Ejected   map[string]map[Address]bool         // hosts that outlier detection has taken out, by cluster name
	Overlay   Overlay
	// Runtime is the values of the layered runtime, nil for defaults only.
	Runtime *Runtime

	// clusterNames are the keys of Clusters, sorted: made with them, so that who asks again sees that nothing changed.
	clusterNames []string
	clusterList  []*Cluster // of the names, so that a change of something else looks up none of 10,000
}

// RouteConfiguration returns the routes that a connection manager uses now, nil while they are not known.
func (s *Snapshot) RouteConfiguration(hcm *HTTPConnectionManager) *RouteConfiguration {
	if hcm.RouteConfigName == "" { // with scopes there are no routes for all requests
		return hcm.Routes
	}
	return s.Routes[hcm.RDS.Source.Key(hcm.RouteConfigName)]
}

// Assignment returns the endpoints of a cluster, nil while they are not known.
func (s *Snapshot) Assignment(c *Cluster) *ClusterLoadAssignment {
	switch c.Type {
	case ClusterEDS:
		return s.Endpoints[c.EDS.Source.Key(c.EDSName)]
	case ClusterStrictDNS, ClusterLogicalDNS:
		return s.Resolved[c]
	default:
		return c.Assignment
	}
}

// ClusterNames returns the names of all clusters, sorted: the position of a name is the index by which compiled routes
// of this snapshot refer to the cluster. Snapshots of a Store that have the same clusters share the slice, which must not
// be changed.
func (s *Snapshot) ClusterNames() []string {
	if len(s.clusterNames) == len(s.Clusters) {
		return s.clusterNames
	}
	return slices.Sorted(maps.Keys(s.Clusters))
}

// ClusterList returns all clusters in the order of ClusterNames. The slice must not be changed.
func (s *Snapshot) ClusterList() []*Cluster {
	if len(s.clusterList) == len(s.Clusters) {
		return s.clusterList
	}
	return listClusters(s.Clusters, s.ClusterNames())
}

func listClusters(clusters map[string]*Cluster, names []string) []*Cluster {
	list := make([]*Cluster, len(names))
	for i, name := range names {
		list[i] = clusters[name]
	}
	return list
}

// ListenerNames returns the names of all listeners, sorted.
func (s *Snapshot) ListenerNames() []string { return slices.Sorted(maps.Keys(s.Listeners)) }

// Overlay is what ModuleService laid over the configuration, by route name. It outlives updates by file and xDS.
type Overlay struct {
	RateLimits map[string]RateLimit
	Weights    map[string][]WeightedCluster
}

// RateLimit is a token bucket on a route, over all workers together.
type RateLimit struct {
	RequestsPerSecond int32 // at least 1
	BurstSize         int32 // at least 1
}

// check refuses a set of resources that cannot run together.
func (s *Snapshot) check() error {
	taken := make(map[Address]string, len(s.Listeners))
	for _, name := range s.ListenerNames() {
		l := s.Listeners[name]
		for _, a := range l.Addresses() {
			if a.Path == "" && a.Port == 0 && !l.Unbound {
				continue // any free port
			}
			if other, ok := taken[a.Address]; ok {
				return fmt.Errorf("listener %q: address %s is taken by listener %q", name, a.Address, other)
			}
			taken[a.Address] = name
		}
	}
	return nil
}
