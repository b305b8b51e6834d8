package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// compiledScopes are the scoped routes of a connection manager made ready. By the index that route.Scopes finds they have what
// belongs to a scope, nil while it is not known.
type compiledScopes struct {
	*route.Scopes
	list   []*config.Scope // what Scopes was made of
	routes []*config.RouteConfiguration
	tables []*compiledTable
}

// scopesOf returns the scopes of a connection manager with their routes, still without tables; nil when it has none. What old,
// its chain in the generation before, shares is taken over.
func scopesOf(snapshot *config.Snapshot, scoped *config.ScopedRoutes, old *compiledChain) *compiledScopes {
	if scoped == nil {
		return nil
	}
	s := &compiledScopes{list: snapshot.ScopesOf(scoped)}
	if old != nil && old.manager.scopes != nil && sameScopes(old.manager.scopes.list, s.list) {
		s.Scopes = old.manager.scopes.Scopes
	} else {
		s.Scopes = route.CompileScopes(scoped, s.list)
	}
	s.routes = make([]*config.RouteConfiguration, len(s.list))
	for i, scope := range s.list {
		s.routes[i] = snapshot.RoutesOf(scoped, scope)
	}
	return s
}

// sameScopes reports whether two lists are one, which they are while nothing changed.
func sameScopes(a, b []*config.Scope) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// compileScopeTables makes the routes of scopes ready.
func (s *Server) compileScopeTables(scopes *compiledScopes, c, prev *compiled, undo *cleanup) (err error) {
	scopes.tables = make([]*compiledTable, len(scopes.routes))
	for i, rc := range scopes.routes {
		if rc == nil {
			continue
		}
		if scopes.tables[i], err = s.compileTable(c, prev, rc, undo); err != nil {
			return err
		}
	}
	return nil
}

// draining returns the scopes of a chain that is no longer configured: as they are now, or as they were where nobody asks for
// them any more.
func (s *compiledScopes) draining(snapshot *config.Snapshot, scoped *config.ScopedRoutes) *compiledScopes {
	if s == nil {
		return nil
	}
	if snapshot.ScopesOf(scoped) != nil {
		return scopesOf(snapshot, scoped, nil)
	}
	kept := &compiledScopes{Scopes: s.Scopes, list: s.list, routes: make([]*config.RouteConfiguration, len(s.routes))}
	for i, scope := range s.list {
		if kept.routes[i] = snapshot.RoutesOf(scoped, scope); kept.routes[i] == nil {
			kept.routes[i] = s.routes[i]
		}
	}
	return kept
}

// states returns what a worker keeps for the tables of scopes, by the same index.
func (s *compiledScopes) states(w *worker) []*tableState {
	states := make([]*tableState, len(s.tables))
	for i, table := range s.tables {
		if table != nil {
			states[i] = w.tables[table]
		}
	}
	return states
}
