package proxy

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/match"
	"github.com/penguintechinc/marchproxy-alb/proxy/localreply"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// compiledListener is a listener with its sockets and scope, which outlive changes of its other settings.
type compiledListener struct {
	config   *config.Listener
	sockets  []*listener.Sockets // by config.Addresses, none when it is Unbound
	scope    *stats.Scope
	workers  []*stats.Scope // by worker
	filters  []compiledFilter
	match    *match.Table
	chains   []*compiledChain // by the index that match finds
	fallback *compiledChain   // nil without a default chain

	connections connectionLimit // of the listener
	accessLogs  []compiledLog

	updatedInPlace bool // what has changed since the generation before is chains only
}

// compiledChain is a filter chain made ready.
type compiledChain struct {
	identity      *chainIdentity
	bufferLimit   int
	listenerScope *stats.Scope
	httpScope     *stats.Scope   // of manager
	filterScopes  []*stats.Scope // of its filters, nil entries: they count nothing
	manager       compiledManager
	tcp           *compiledTCP     // instead of manager, nil without
	sslScope      *stats.Scope     // nil without TLS
	sslFactory    *stats.Scope     // nil without TLS
	tls           *tls.Downstream  // nil for plaintext
	secrets       []*config.Secret // that tls was made of
}

// chainIdentity is what makes a chain the same from one generation to the next: the same configuration in the same listener. It
// is what connections belong to.
type chainIdentity struct {
	config   *config.FilterChain // as it was first seen
	listener *config.Listener    // as it was first seen
	drain    *drain              // once it drains
}

// isDefault reports whether the chain is its listener's default one.
func (id *chainIdentity) isDefault() bool { return id.listener.Default == id.config }

// compiledManager is an HTTP connection manager made ready.
type compiledManager struct {
	config      *config.HTTPConnectionManager
	routes      *config.RouteConfiguration // of table
	limits      *http1.Limits
	http2       *http2.Options
	internal    []netip.Prefix
	early       route.MutationList // EarlyMutations
	originalIPs []originalIP       // empty without original_ip_detection_extensions
	serverName  []byte
	via         []byte
	filters     []*filter.Entry
	accessLogs  []compiledLog
	localReply  *localreply.Rewriter // nil without local_reply_config
	table       *compiledTable       // nil while the routes are not known: every request finds no route
	scopes      *compiledScopes      // instead of table, nil without
}

func (s *Server) compileListener(c, prev *compiled, cfg *config.Listener, undo *cleanup) (*compiledListener, error) {
	l := &compiledListener{config: cfg}
	old := prev.listeners[cfg.Name]
	if err := s.bindListener(l, c, prev, undo); err != nil {
		return nil, err
	}
	l.scope = s.scope(undo, "listener."+listenerStatName(l)+".", stats.Listener)
	for id := range s.workers {
		l.workers = append(l.workers, s.scope(undo, l.scope.Prefix()+"worker_"+strconv.Itoa(id)+".", stats.ListenerWorker))
	}
	err := s.compileFilters(l, undo)
	if err != nil {
		return nil, err
	}
	if l.match, err = match.Compile(cfg.Chains); err != nil {
		return nil, err
	}
	if l.accessLogs, err = s.compileAccessLogs(old.sameLogs(cfg), c.snapshot.Runtime); err != nil {
		return nil, err
	}
	known := old.identities(cfg)
	l.updatedInPlace = old != nil && old.config != cfg && known != nil
	for chain := range cfg.FilterChains() {
		k, err := s.compileChain(c, prev, l.scope, known.of(cfg, chain), undo)
		if err != nil {
			return nil, err
		}
		if chain == cfg.Default {
			l.fallback = k
		} else {
			l.chains = append(l.chains, k)
		}
	}
	return l, nil
}

// bindListener gives l a socket per address and worker. Those that there are go on: of the listener itself, or of one that has
// gone.
func (s *Server) bindListener(l *compiledListener, c, prev *compiled, undo *cleanup) error {
	if l.config.Unbound {
		return nil
	}
	for _, a := range l.config.Addresses() {
		sockets := prev.socketsFor(l.config, a, c.snapshot)
		if sockets == nil || slices.Contains(l.sockets, sockets) {
			var err error
			if sockets, err = s.bind(a, prev.socketsOn(a.Address)); err != nil {
				return err
			}
			undo.add(sockets.Close)
		}
		l.sockets = append(l.sockets, sockets)
	}
	return nil
}

// bind opens the sockets of an address. before are sockets that are on it, nil where there are none.
func (s *Server) bind(a config.ListenAddress, before *listener.Sockets) (*listener.Sockets, error) {
	if a.Path != "" {
		return listener.BindPath(a, len(s.workers), before)
	}
	return listener.Bind(a, len(s.workers), before != nil)
}

// socketsFor returns the sockets of an address of l, nil when there are none that can be taken over in next. Where a port is
// chosen freely, no other listener's do.
func (prev *compiled) socketsFor(l *config.Listener, a config.ListenAddress, next *config.Snapshot) *listener.Sockets {
	if old := prev.listeners[l.Name]; old != nil {
		if i := slices.IndexFunc(old.sockets, func(s *listener.Sockets) bool { return s.Are(a) }); i >= 0 {
			return old.sockets[i]
		}
	}
	for name, other := range prev.listeners {
		if a.Path == "" && a.Port == 0 || next.Listeners[name] != nil {
			continue
		}
		if i := slices.IndexFunc(other.sockets, func(s *listener.Sockets) bool { return s.Are(a) }); i >= 0 {
			return other.sockets[i]
		}
	}
	return nil
}

// sameLogs returns the access logs of next as they were first seen: those are open.
func (l *compiledListener) sameLogs(next *config.Listener) []*config.AccessLog {
	if l == nil || !reflect.DeepEqual(l.config.AccessLogs, next.AccessLogs) {
		return next.AccessLogs
	}
	seen := make([]*config.AccessLog, len(l.accessLogs))
	for i := range l.accessLogs {
		seen[i] = l.accessLogs[i].to.config
	}
	return seen
}

// identities are the chains of a listener in the generation before. They are taken out as they are found again.
type identities []*chainIdentity

// identities returns the chains that may go on in next: none when anything but chains differs, or when there was no l.
func (l *compiledListener) identities(next *config.Listener) identities {
	if l == nil || !l.config.SameButChains(next) {
		return nil
	}
	known := make(identities, 0, len(l.chains)+1)
	for chain := range l.all() {
		known = append(known, chain.identity)
	}
	return known
}

// of returns the identity of chain, which is a known one when the chain was there before.
func (known identities) of(l *config.Listener, chain *config.FilterChain) *chainIdentity {
	for i, k := range known {
		if k != nil && (k.config == chain || reflect.DeepEqual(k.config, chain)) {
			known[i] = nil
			return k
		}
	}
	return &chainIdentity{config: chain, listener: l}
}

// all returns all chains, the default one last.
func (l *compiledListener) all() func(func(*compiledChain) bool) {
	return func(yield func(*compiledChain) bool) {
		for _, chain := range l.chains {
			if !yield(chain) {
				return
			}
		}
		if l.fallback != nil {
			yield(l.fallback)
		}
	}
}

func (l *compiledListener) release() {
	l.scope.Release()
	for _, scope := range l.workers {
		scope.Release()
	}
	for i := range l.filters {
		if scope := l.filters[i].scope; scope != nil {
			scope.Release()
		}
	}
	for chain := range l.all() {
		chain.release()
	}
}

func (k *compiledChain) release() {
	k.listenerScope.Release()
	for _, scope := range []*stats.Scope{k.sslScope, k.sslFactory} {
		if scope != nil {
			scope.Release()
		}
	}
	if k.tcp != nil {
		k.tcp.scope.Release()
	} else {
		k.httpScope.Release()
		for _, scope := range k.filterScopes {
			if scope != nil {
				scope.Release()
			}
		}
	}
}

// compileChain makes the chain of an identity ready, for a listener with the statistics scope.
func (s *Server) compileChain(c, prev *compiled, scope *stats.Scope, id *chainIdentity, undo *cleanup) (*compiledChain, error) {
	k := s.newChain(id, scope, undo)
	err := s.secureChain(k, prev.chain(id), c.snapshot, undo)
	if err != nil {
		return nil, fmt.Errorf("filter chain %q: transport_socket: %w", id.config.Name, err)
	}
	if id.config.TCP != nil {
		k.tcp = s.compileTCP(c, prev, id.config.TCP, undo)
		k.tcp.accessLogs, err = s.compileAccessLogs(id.config.TCP.AccessLogs, c.snapshot.Runtime)
		return k, err
	}
	k.httpScope = s.scope(undo, "http."+statName(id.config.HTTP.StatPrefix)+".", stats.HTTP)
	if err := compileManager(&k.manager, c, prev, id, k.httpScope.Prefix()); err != nil {
		return nil, err
	}
	if k.manager.accessLogs, err = s.compileAccessLogs(id.config.HTTP.AccessLogs, c.snapshot.Runtime); err != nil {
		return nil, err
	}
	s.scopeFilters(k, undo)
	k.manager.routes = c.snapshot.RouteConfiguration(id.config.HTTP)
	k.manager.scopes = scopesOf(c.snapshot, id.config.HTTP.Scopes, prev.chain(id))
	return k, s.compileRoutes(k, c, prev, undo)
}

// scopeFilters has the filters of the chain's connection manager counted, each in its place.
func (s *Server) scopeFilters(k *compiledChain, undo *cleanup) {
	for _, f := range k.manager.filters {
		var scope *stats.Scope
		if f.Schema != nil {
			scope = s.scope(undo, k.httpScope.Prefix()+f.StatPrefix, f.Schema)
		}
		k.filterScopes = append(k.filterScopes, scope)
	}
}

// newChain returns what all chains have.
func (s *Server) newChain(id *chainIdentity, scope *stats.Scope, undo *cleanup) *compiledChain {
	return &compiledChain{
		identity: id, bufferLimit: int(id.listener.BufferLimit), listenerScope: s.scope(undo, scope.Prefix(), stats.Listener),
	}
}

// compileRoutes makes the routes of the chain's connection manager ready, if they are known.
func (s *Server) compileRoutes(k *compiledChain, c, prev *compiled, undo *cleanup) (err error) {
	if k.manager.routes != nil {
		k.manager.table, err = s.compileTable(c, prev, k.manager.routes, undo)
	}
	if err == nil && k.manager.scopes != nil {
		err = s.compileScopeTables(k.manager.scopes, c, prev, undo)
	}
	return err
}

// compileManager makes a connection manager ready whose statistics have the prefix.
func compileManager(m *compiledManager, c, prev *compiled, id *chainIdentity, prefix string) error {
	cfg, snapshot := id.config.HTTP, c.snapshot
	m.config = cfg
	m.limits = &http1.Limits{
		BufferBytes:          int(id.listener.BufferLimit),
		HeaderBytes:          int(cfg.MaxHeaderKB) << 10,
		FieldCount:           int(cfg.MaxHeaderCount),
		AcceptHTTP10:         cfg.AcceptHTTP10,
		DefaultHostForHTTP10: cfg.DefaultHostForHTTP10,
		Underscores:          http1.UnderscoreAction(cfg.Underscores),
		EnableTrailers:       cfg.EnableTrailers,
		ProperCase:           cfg.HeaderCase.Proper, PreserveCase: cfg.HeaderCase.Preserve,
		ProperOthers: cfg.HeaderCase.ProperOthers, ForwardReason: cfg.HeaderCase.ForwardReason,
	}
	m.http2 = http2.OptionsOf(&cfg.HTTP2, cfg.MaxHeaderKB, cfg.MaxHeaderCount)
	m.http2.Underscores = http2.UnderscoreAction(cfg.Underscores)
	m.http2.MaxPrematureResets = snapshot.Runtime.MaxPrematureResets()
	m.http2.PrematureResetAge = snapshot.Runtime.PrematureResetAge()
	var err error
	if m.localReply, err = localreply.Compile(cfg.LocalReply, snapshot.Runtime); err != nil {
		return fmt.Errorf("local_reply_config: %w", err)
	}
	m.serverName = []byte(cfg.ServerName)
	m.via = []byte(cfg.Via)
	m.originalIPs = compileOriginalIPs(cfg.OriginalIPs)
	if m.early, err = route.CompileMutationList(cfg.EarlyMutations); err != nil {
		return fmt.Errorf("early_header_mutation_extensions%w", err)
	}
	for _, block := range cfg.InternalAddresses {
		prefix, err := netip.ParsePrefix(block)
		if err != nil {
			return fmt.Errorf("internal_address_config: %q is not a CIDR block", block)
		}
		m.internal = append(m.internal, prefix.Masked())
	}
	for i := range cfg.Filters {
		found := cfg.Filters[i]
		found.Config = snapshot.FilterConfig(&found)
		f, err := filter.New(&found, filter.Options{
			Fraction:     snapshot.Runtime.Fraction,
			ActiveFaults: func() *atomic.Uint64 { return c.activeFaults(prev, prefix) },
		})
		if err != nil {
			return err
		}
		m.filters = append(m.filters, f)
	}
	return nil
}

// socketsOn returns sockets that some listener has on the address, nil when there are none.
func (c *compiled) socketsOn(a config.Address) *listener.Sockets {
	for _, l := range c.listeners {
		if found := socketsOn(l.sockets, a); found != nil {
			return found
		}
	}
	return nil
}

func socketsOn(list []*listener.Sockets, a config.Address) *listener.Sockets {
	for _, s := range list {
		if s.On(a) {
			return s
		}
	}
	return nil
}

// listenerStatName returns what names a listener's statistics: its stat_prefix or its address, as in 0.0.0.0_10000 and /run/proxy.sock.
func listenerStatName(l *compiledListener) string {
	if l.config.StatPrefix != "" {
		return statName(l.config.StatPrefix)
	}
	return statName(l.where(0).String())
}
