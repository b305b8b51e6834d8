package config

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Source is one of the writers of a Store. Where two give a resource of the same name, the one listed first wins:
// what a file says cannot be changed over xDS.
type Source uint8

// The sources.
const (
	SourceFile Source = iota
	SourceXDS
	SourceDNS
	SourceHealth
	SourceOutlier
	SourceModuleService
	SourceRuntime // it has the runtime only

	sourceCount
)

// Changes is what a Delta does to the resources of one kind.
type Changes[T any] struct {
	Set    map[string]T
	Remove []string
	// Replace removes everything of this source that is not in Set.
	Replace bool
}

// Delta is a change of a source's resources. An empty part leaves that kind as it is.
type Delta struct {
	Listeners Changes[*Listener]
	Routes    Changes[*RouteConfiguration]
	Scopes    Changes[[]*Scope]
	// Extensions are configurations of filters.
	Extensions Changes[*Extension]
	Clusters   Changes[*Cluster]
	// Warming are clusters that are not served yet.
	Warming   Changes[*Cluster]
	Endpoints Changes[*ClusterLoadAssignment]
	Secrets   Changes[*Secret]
	Ejected   Changes[map[Address]bool]
	// Resolved and Health are news of clusters that are served or warm, nil values of which nothing is known any more. Those of
	// other clusters are passed over.
	Resolved map[*Cluster]*ClusterLoadAssignment
	Health   map[*Cluster]*ClusterHealth
	// Overlay replaces the overlay when it is not nil.
	Overlay *Overlay
	// Runtime replaces the runtime when it is not nil.
	Runtime *Runtime
}

// resources are what one source has given.
type resources struct {
	listeners  map[string]*Listener
	routes     map[string]*RouteConfiguration
	scopes     map[string][]*Scope
	extensions map[string]*Extension
	clusters   map[string]*Cluster
	warming    map[string]*Cluster
	endpoints  map[string]*ClusterLoadAssignment
	secrets    map[string]*Secret
	ejected    map[string]map[Address]bool
}

// Store holds the current Snapshot. Every change goes through Apply, one at a time.
type Store struct {
	mu      sync.Mutex // guards all below
	sources [sourceCount]resources
	current *Snapshot
	install Install
}

// Install makes next what is served instead of prev, or refuses it. d is the change that led from one to the other.
type Install func(prev, next *Snapshot, d *Delta) error

// NewStore returns a Store with an empty Snapshot. Each new Snapshot is given to install before it becomes the current
// one; when install refuses it, the change is undone. Calls of install do not overlap.
func NewStore(install Install) *Store {
	return &Store{install: install, current: &Snapshot{}}
}

// Current returns the snapshot that is in force.
func (s *Store) Current() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// Apply makes the change d of source src: a new Snapshot is built and installed, or nothing changes and the error says why.
func (s *Store) Apply(src Source, d Delta) error {
	return s.Update(src, func(*Snapshot) (Delta, error) { return d, nil })
}

// Update is Apply with a change computed from the current snapshot, while no other writer can come between.
func (s *Store) Update(src Source, change func(*Snapshot) (Delta, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := change(s.current)
	if err != nil {
		return err
	}
	sources := s.sources
	r := &sources[src]
	r.listeners = d.Listeners.apply(r.listeners)
	r.routes = d.Routes.apply(r.routes)
	r.scopes = d.Scopes.apply(r.scopes)
	r.extensions = d.Extensions.apply(r.extensions)
	r.clusters = d.Clusters.apply(r.clusters)
	r.warming = d.Warming.apply(r.warming)
	r.endpoints = d.Endpoints.apply(r.endpoints)
	r.secrets = d.Secrets.apply(r.secrets)
	r.ejected = d.Ejected.apply(r.ejected)
	next := s.build(&sources, &d)
	if err := next.check(); err != nil {
		return err
	}
	if err := s.install(s.current, next, &d); err != nil {
		return fmt.Errorf("generation %d: %w", next.Generation, err)
	}
	s.sources, s.current = sources, next
	return nil
}

// build merges the sources. A kind that d does not touch is shared with the current snapshot.
func (s *Store) build(sources *[sourceCount]resources, d *Delta) *Snapshot {
	next := *s.current
	next.Generation++
	if d.Listeners.Any() {
		next.Listeners = merge(sources, func(r *resources) map[string]*Listener { return r.listeners })
	}
	if d.Routes.Any() {
		next.Routes = merge(sources, func(r *resources) map[string]*RouteConfiguration { return r.routes })
	}
	if d.Scopes.Any() {
		next.Scopes = merge(sources, func(r *resources) map[string][]*Scope { return r.scopes })
	}
	if d.Extensions.Any() {
		next.Extensions = merge(sources, func(r *resources) map[string]*Extension { return r.extensions })
	}
	if d.Clusters.Any() {
		next.Clusters = merge(sources, func(r *resources) map[string]*Cluster { return r.clusters })
		if names := slices.Sorted(maps.Keys(next.Clusters)); !slices.Equal(names, next.clusterNames) {
			next.clusterNames = names
		}
		next.clusterList = listClusters(next.Clusters, next.clusterNames)
	}
	if d.Warming.Any() {
		next.Warming = merge(sources, func(r *resources) map[string]*Cluster { return r.warming })
	}
	if d.Endpoints.Any() {
		next.Endpoints = merge(sources, func(r *resources) map[string]*ClusterLoadAssignment { return r.endpoints })
	}
	if d.Secrets.Any() {
		next.Secrets = merge(sources, func(r *resources) map[string]*Secret { return r.secrets })
	}
	if d.Ejected.Any() {
		next.Ejected = merge(sources, func(r *resources) map[string]map[Address]bool { return r.ejected })
	}
	next.learn(s.current, d)
	if d.Overlay != nil {
		next.Overlay = *d.Overlay
	}
	if d.Runtime != nil {
		next.Runtime = d.Runtime
	}
	return &next
}

// Any reports whether c can change something.
func (c *Changes[T]) Any() bool { return len(c.Set) > 0 || len(c.Remove) > 0 || c.Replace }

// reaches reports whether c may change the resource of a name. It may also be wrong about one that c leaves alone.
func (c *Changes[T]) reaches(name string) bool {
	if c.Replace || len(c.Remove) > 0 {
		return true
	}
	if len(c.Set) == 0 {
		return false
	}
	_, ok := c.Set[name]
	return ok
}

// Reaches reports whether the change may be one of a cluster, or of what it is given besides: its endpoints, what is known of
// their health, its secrets. It may also be wrong about a cluster that stays as it is.
func (d *Delta) Reaches(c *Cluster) bool {
	switch c.Type {
	case ClusterEDS:
		if d.Endpoints.Any() && d.Endpoints.reaches(c.EDS.Source.Key(c.EDSName)) {
			return true
		}
	case ClusterStrictDNS, ClusterLogicalDNS:
		if _, ok := d.Resolved[c]; ok {
			return true
		}
	default:
	}
	if _, ok := d.Health[c]; ok {
		return true
	}
	return d.Clusters.reaches(c.Name) || d.Ejected.reaches(c.Name) || d.Secrets.Any() && c.HasTLS()
}

// apply returns old with the changes made, old itself when there are none.
func (c *Changes[T]) apply(old map[string]T) map[string]T {
	if !c.Any() {
		return old
	}
	if c.Replace {
		return maps.Clone(c.Set)
	}
	next := maps.Clone(old) // far cheaper than to insert what is in old
	if next == nil {
		next = make(map[string]T, len(c.Set))
	}
	for _, name := range c.Remove {
		delete(next, name)
	}
	maps.Copy(next, c.Set)
	return next
}

// merge lays the sources' resources over each other. A kind that only one source has is not copied.
func merge[T any](sources *[sourceCount]resources, kind func(*resources) map[string]T) map[string]T {
	var merged map[string]T
	copied := false
	for src := int(sourceCount) - 1; src >= 0; src-- {
		from := kind(&sources[src])
		switch {
		case len(from) == 0:
		case merged == nil:
			merged = from
		default:
			if !copied {
				merged, copied = maps.Clone(merged), true
			}
			maps.Copy(merged, from)
		}
	}
	return merged
}
