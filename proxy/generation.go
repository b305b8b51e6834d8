package proxy

import (
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/ratelimit"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// tableState is what one worker keeps for a route table.
type tableState struct {
	*compiledTable
	routes []routeState   // by Route.Index, filled when a route is first used
	groups []*stats.Block // by route.StatGroup.Index, filled when a group is first counted
}

// routeState is what one worker keeps for a route.
type routeState struct {
	block *stats.Block
	lease *ratelimit.Lease
}

// route returns the state of the route at index i.
func (t *tableState) route(w *worker, i int) *routeState {
	r := &t.routes[i]
	if r.block == nil {
		r.block = w.shard.Block(t.scopes[i])
		if t.buckets[i] != nil {
			r.lease = t.buckets[i].Lease()
		}
	}
	return r
}

// group returns what the requests of g are counted in.
func (t *tableState) group(w *worker, g *route.StatGroup) *stats.Block {
	b := t.groups[g.Index]
	if b == nil {
		b = w.shard.Block(t.compiledTable.groups[g.Index])
		t.groups[g.Index] = b
	}
	return b
}

// retire gives unused tokens back.
func (t *tableState) retire() {
	for i := range t.routes {
		if t.routes[i].lease != nil {
			t.routes[i].lease.Return()
		}
	}
}

// allow takes a token of the route's limit, if it has one.
func (r *routeState) allow(now int64) bool {
	return r.lease == nil || r.lease.Allow(time.Unix(0, now))
}

// install makes c what the worker serves. Exchanges under way go on with what they pinned.
func (w *worker) install(c *compiled) {
	prev := w.serving
	w.serving = c
	w.installClusters(c, prev)
	w.installAggregates(c)
	w.installMatches(c, prev)
	w.installTables(c)
	w.installChains(c)
	w.installListeners(c)
	w.drainChains(c)
}

// stageClusters makes the clusters of c at the given indexes, or brings them up to date. A new one is not used before
// install; one in use changes as a whole.
func (w *worker) stageClusters(c *compiled, indexes []int) {
	env := upstream.Env{Worker: w.id, Loop: w.loop, Random: w.random, HTTP2: w.http2, Bind: w.server.options.Bind}
	for _, i := range indexes {
		k, name := c.clusters[i], c.clusterNames[i]
		live := w.byName[name]
		if live == nil {
			live = upstream.New(k.config, k.shared, w.shard.Block(k.scopes.cluster), env)
			w.byName[name] = live
		}
		if k.scopes.http2 != nil {
			live.CountHTTP2(w.shard.Block(k.scopes.http2))
		}
		if k.scopes.ssl != nil {
			live.Secure(k.tls, w.shard.Block(k.scopes.ssl), w.shard.Block(k.scopes.sslFactory))
		}
		live.CountZones(w.zoneBlocks(k))
		live.JudgeBy(k.judge())
		live.Update(k.state())
	}
}

// installClusters puts the staged clusters where routes find them, and retires those that are no more.
func (w *worker) installClusters(c, prev *compiled) {
	if c.sameClusters(prev) {
		return
	}
	w.clusters = make([]*upstream.Cluster, len(c.clusterNames))
	for i, name := range c.clusterNames {
		w.clusters[i] = w.byName[name]
	}
	for _, name := range prev.clusterNames {
		if c.snapshot.Clusters[name] == nil {
			w.byName[name].Retire()
			delete(w.byName, name)
		}
	}
}

// installAggregates gives the aggregates the clusters that they are made of, as far as there are.
func (w *worker) installAggregates(c *compiled) {
	for _, i := range c.aggregates {
		var members []*upstream.Cluster
		for _, name := range c.clusters[i].config.Members {
			if m := w.byName[name]; m != nil && m.Config().Type != config.ClusterAggregate && !m.Config().WithoutTraffic {
				members = append(members, m)
			}
		}
		w.clusters[i].Aggregate(members)
	}
}

func (w *worker) installTables(c *compiled) {
	tables := make(map[*compiledTable]*tableState, len(c.tables))
	for _, t := range c.tables {
		state := w.tables[t]
		if state == nil {
			state = &tableState{
				compiledTable: t, routes: make([]routeState, len(t.Routes())), groups: make([]*stats.Block, len(t.StatGroups())),
			}
		}
		tables[t] = state
	}
	for t, state := range w.tables {
		if tables[t] == nil {
			state.retire()
		}
	}
	w.tables = tables
}

// installChains makes the chains that are new, and gives all of them their place in c.
func (w *worker) installChains(c *compiled) {
	chains := make(map[*chainIdentity]*chainState, len(w.chains))
	install := func(k *compiledChain) {
		state := w.chains[k.identity]
		if state == nil {
			state = &chainState{worker: w}
		}
		state.update(k)
		chains[k.identity] = state
	}
	for _, l := range c.listeners {
		for chain := range l.all() {
			install(chain)
		}
	}
	for _, chain := range c.drains {
		install(chain)
	}
	w.chains = chains
}

// drainChains has the chains drain that no listener has any more.
func (w *worker) drainChains(c *compiled) {
	for _, k := range c.drains {
		if chain := w.chains[k.identity]; !chain.draining {
			chain.drain()
		}
	}
}

func (w *worker) installListeners(c *compiled) {
	for name, live := range w.listeners {
		if c.listeners[name] == nil {
			live.close()
			delete(w.listeners, name)
		}
	}
	for name, next := range c.listeners {
		live := w.listeners[name]
		if live == nil {
			live = &listenerState{worker: w}
			w.listeners[name] = live
		}
		if live.compiled == nil || live.compiled.config != next.config {
			w.server.manager.Inc(stats.ListenerManagerListenerCreateSuccess)
		}
		live.update(next)
	}
	w.installAcceptors(c)
}
