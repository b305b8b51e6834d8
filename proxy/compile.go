package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/ratelimit"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// compiled is a snapshot made ready to serve. It is immutable and shared by all workers; what a part was made of decides
// whether it is taken over from the generation before.
type compiled struct {
	snapshot     *config.Snapshot
	clusterNames []string
	clusters     []compiledCluster    // by the index that routes use
	hashPolicies []route.HashPolicies // of clusters, by that index; nil when none has any
	changed      []int                // indexes of the clusters that are not as in the generation before
	listeners    map[string]*compiledListener
	tables       map[*config.RouteConfiguration]*compiledTable
}

// compiledListener is a listener with its sockets and scopes, which outlive changes of its other settings.
type compiledListener struct {
	config    *config.Listener
	sockets   *listener.Sockets
	scope     *stats.Scope
	httpScope *stats.Scope // of manager
	manager   compiledManager
	tcp       *compiledTCP // instead of manager, nil without
}

// compiledManager is an HTTP connection manager made ready.
type compiledManager struct {
	config     *config.HTTPConnectionManager
	limits     *http1.Limits
	http2      *http2.Options
	internal   []netip.Prefix
	serverName []byte
	via        []byte
	filters    []filter.Filter
	table      *compiledTable // nil while the routes are not known: every request finds no route
}

// compiledTable is a route table with what ModuleService laid over it and counts of it.
type compiledTable struct {
	*route.Table
	scopes  []*stats.Scope      // by Route.Index
	buckets []*ratelimit.Bucket // by Route.Index, nil entries: no limit
}

// namedBucket is a token bucket with the limit it was made for.
type namedBucket struct {
	limit  config.RateLimit
	bucket *ratelimit.Bucket
}

// compile makes next ready. What it shares with prev stays with prev when it fails.
func (s *Server) compile(prev *compiled, next *config.Snapshot) (*compiled, error) {
	c := &compiled{
		snapshot:     next,
		clusterNames: next.ClusterNames(),
		listeners:    make(map[string]*compiledListener, len(next.Listeners)),
		tables:       make(map[*config.RouteConfiguration]*compiledTable),
	}
	undo := &cleanup{}
	defer undo.run()
	s.updateBuckets(next.Overlay.RateLimits)
	if err := s.compileClusters(c, prev, undo); err != nil {
		return nil, err
	}
	for _, name := range next.ListenerNames() {
		l, err := s.compileListener(c, prev, next.Listeners[name], undo)
		if err != nil {
			return nil, fmt.Errorf("listener %q: %w", name, err)
		}
		c.listeners[name] = l
	}
	undo.forget()
	return c, nil
}

// updateBuckets keeps the buckets whose limits did not change, so that a swap of the configuration does not refill them.
func (s *Server) updateBuckets(limits map[string]config.RateLimit) {
	for name := range s.buckets {
		if _, ok := limits[name]; !ok {
			delete(s.buckets, name)
		}
	}
	for name, limit := range limits {
		if s.buckets[name].limit != limit {
			s.buckets[name] = namedBucket{limit, ratelimit.NewBucket(limit.RequestsPerSecond, limit.BurstSize)}
		}
	}
}

func (s *Server) compileListener(c, prev *compiled, cfg *config.Listener, undo *cleanup) (*compiledListener, error) {
	l := &compiledListener{config: cfg}
	old := prev.listeners[cfg.Name]
	chain := onlyChain(cfg)
	if old != nil && old.config.Address == cfg.Address && (onlyChain(old.config).TCP == nil) == (chain.TCP == nil) {
		l.sockets = old.sockets
	} else {
		sockets, err := listener.Bind(cfg.Address, len(s.workers), prev.listensOn(cfg.Address))
		if err != nil {
			return nil, err
		}
		undo.add(sockets.Close)
		l.sockets = sockets
	}
	l.scope = s.scope(undo, "listener."+listenerStatName(l)+".", stats.Listener)
	if chain.TCP != nil {
		l.tcp = s.compileTCP(c, chain.TCP, undo)
		return l, nil
	}
	l.httpScope = s.scope(undo, "http."+statName(chain.HTTP.StatPrefix)+".", stats.HTTP)
	return l, s.compileManager(&l.manager, c, prev, cfg, undo)
}

// onlyChain returns the only filter chain of a listener.
func onlyChain(l *config.Listener) *config.FilterChain {
	for chain := range l.FilterChains() {
		return chain
	}
	return nil
}

// listensOn reports whether some listener has the address.
func (c *compiled) listensOn(a config.Address) bool {
	for _, l := range c.listeners {
		if l.config.Address == a {
			return true
		}
	}
	return false
}

func (s *Server) scope(undo *cleanup, prefix string, schema *stats.Schema) *stats.Scope {
	scope := s.stats.Scope(prefix, schema)
	undo.add(scope.Release)
	return scope
}

func (s *Server) compileManager(m *compiledManager, c, prev *compiled, l *config.Listener, undo *cleanup) error {
	cfg := onlyChain(l).HTTP
	m.config = cfg
	m.limits = &http1.Limits{
		BufferBytes:          int(l.BufferLimit),
		HeaderBytes:          int(cfg.MaxHeaderKB) << 10,
		FieldCount:           int(cfg.MaxHeaderCount),
		AcceptHTTP10:         cfg.AcceptHTTP10,
		DefaultHostForHTTP10: cfg.DefaultHostForHTTP10,
		Underscores:          http1.UnderscoreAction(cfg.Underscores),
		EnableTrailers:       cfg.EnableTrailers,
	}
	m.http2 = http2.OptionsOf(&cfg.HTTP2, cfg.MaxHeaderKB, cfg.MaxHeaderCount)
	m.http2.Underscores = http2.UnderscoreAction(cfg.Underscores)
	m.http2.MaxPrematureResets = c.snapshot.Runtime.MaxPrematureResets()
	m.http2.PrematureResetAge = c.snapshot.Runtime.PrematureResetAge()
	m.serverName = []byte(cfg.ServerName)
	m.via = []byte(cfg.Via)
	for _, block := range cfg.InternalAddresses {
		prefix, err := netip.ParsePrefix(block)
		if err != nil {
			return fmt.Errorf("internal_address_config: %q is not a CIDR block", block)
		}
		m.internal = append(m.internal, prefix.Masked())
	}
	for i := range cfg.Filters {
		f, err := filter.New(&cfg.Filters[i])
		if err != nil {
			return err
		}
		m.filters = append(m.filters, f)
	}
	rc := c.snapshot.RouteConfiguration(cfg)
	if rc == nil {
		return nil
	}
	table, err := s.compileTable(c, prev, rc, undo)
	m.table = table
	return err
}

// compileTable compiles a route configuration once for all listeners that use it, or takes it over.
func (s *Server) compileTable(c, prev *compiled, rc *config.RouteConfiguration, undo *cleanup) (*compiledTable, error) {
	if t := c.tables[rc]; t != nil {
		return t, nil
	}
	if t := prev.tables[rc]; t != nil && c.sameClusters(prev) && sameOverlay(&c.snapshot.Overlay, &prev.snapshot.Overlay) &&
		(c.snapshot.Runtime == prev.snapshot.Runtime || !t.UsesRuntime()) {
		c.tables[rc] = t
		return t, nil
	}
	table, err := route.Compile(rc, route.Options{
		ClusterIndex: c.clusterIndex,
		Weights:      c.snapshot.Overlay.Weights,
		Runtime:      c.snapshot.Runtime,
	})
	if err != nil {
		return nil, fmt.Errorf("route configuration %q: %w", rc.Name, err)
	}
	t := &compiledTable{Table: table}
	for _, r := range table.Routes() {
		scope := s.stats.HiddenScope("alb.route."+r.Name+".", stats.Route)
		undo.add(scope.Release)
		t.scopes = append(t.scopes, scope)
		t.buckets = append(t.buckets, s.buckets[r.Name].bucket)
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
	for _, l := range c.listeners {
		l.scope.Release()
		if l.tcp != nil {
			l.tcp.scope.Release()
		} else {
			l.httpScope.Release()
		}
	}
	for rc, t := range c.tables {
		if next.tables[rc] == t {
			continue
		}
		for _, scope := range t.scopes {
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

// statName makes a name from the configuration fit into the name of a statistic, as Envoy does.
func statName(name string) string { return strings.ReplaceAll(name, ":", "_") }

// listenerStatName returns what names a listener's statistics: its stat_prefix or its address, as in 0.0.0.0_10000.
func listenerStatName(l *compiledListener) string {
	if l.config.StatPrefix != "" {
		return statName(l.config.StatPrefix)
	}
	a := l.sockets.Address()
	if a.Addr().Is6() {
		return statName("[" + a.Addr().String() + "]_" + strconv.FormatUint(uint64(a.Port()), 10))
	}
	return statName(a.String())
}
