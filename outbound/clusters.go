package outbound

import (
	"sync"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Clusters are the clusters by name that the process has connected to, as long as there are such clusters. The zero value has none,
// and all methods may be called from any goroutine.
type Clusters struct {
	mu     sync.Mutex // guards byName
	byName map[string]*Cluster
}

// Of returns what counts for the cluster of that name. The first call has it count in scopes, of which it takes references in store.
func (c *Clusters) Of(name string, store *stats.Store, scopes Scopes) *Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.byName[name]; k != nil {
		return k
	}
	keep := func(s *stats.Scope) *stats.Scope {
		if s == nil {
			return nil
		}
		return store.Scope(s.Prefix(), s.Schema())
	}
	k := New(Scopes{Cluster: keep(scopes.Cluster), HTTP2: keep(scopes.HTTP2), SSL: keep(scopes.SSL)})
	if c.byName == nil {
		c.byName = make(map[string]*Cluster)
	}
	c.byName[name] = k
	return k
}

// Known returns what counts for the cluster of that name, nil where the process has not connected to it.
func (c *Clusters) Known(name string) *Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byName[name]
}

// Keep lets go of those clusters that there are not any more. A connection that is still open counts for nobody.
func (c *Clusters) Keep(exists func(name string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, k := range c.byName {
		if !exists(name) {
			k.release()
			delete(c.byName, name)
		}
	}
}
