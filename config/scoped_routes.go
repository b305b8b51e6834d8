package config

import "iter"

// ScopedRoutes is HttpConnectionManager.scoped_routes: a key made of the fields of a request picks the route configuration.
type ScopedRoutes struct {
	Name string
	// Key has the fragments of the key in order, at least one. A request that lacks one of them is in no scope.
	Key []ScopeFragment
	// RDS tells where the route configurations that scopes name are asked for.
	RDS Discovery
	// Inline are the scopes, each key once. They are nil when SRDS tells where to ask for them.
	Inline []*Scope
	SRDS   *Discovery
}

// ScopeFragment is a part of a scope key: an element of the first value of a field (HeaderValueExtractor).
type ScopeFragment struct {
	Header string // lower-case
	// ElementSeparator is between the elements; empty when the whole value is the only one.
	ElementSeparator string
	// Index counts the element from 0, when Element is nil.
	Index uint32
	// Element finds the element by its key, and takes what is behind the separator.
	Element *ScopeElement
}

// ScopeElement is HeaderValueExtractor.KvElement. Both are not empty.
type ScopeElement struct{ Separator, Key string }

// Scope is envoy.config.route.v3.ScopedRouteConfiguration.
type Scope struct {
	Name string
	Key  []string // the fragments in order, at least one
	// RouteConfigName names the route configuration, or Routes is it.
	RouteConfigName string
	Routes          *RouteConfiguration
}

// ScopesOf returns the scopes of a connection manager that are known now. While nothing changed it is the same slice.
func (s *Snapshot) ScopesOf(scoped *ScopedRoutes) []*Scope {
	if scoped.SRDS == nil {
		return scoped.Inline
	}
	return s.Scopes[scoped.SRDS.Source.Key("")]
}

// RoutesOf returns the routes of a scope, nil while they are not known.
func (s *Snapshot) RoutesOf(scoped *ScopedRoutes, scope *Scope) *RouteConfiguration {
	if scope.RouteConfigName == "" {
		return scope.Routes
	}
	return s.Routes[scoped.RDS.Source.Key(scope.RouteConfigName)]
}

// RouteConfigurations yields the routes that a connection manager uses now.
func (s *Snapshot) RouteConfigurations(hcm *HTTPConnectionManager) iter.Seq[*RouteConfiguration] {
	return func(yield func(*RouteConfiguration) bool) {
		if hcm.Scopes == nil {
			if rc := s.RouteConfiguration(hcm); rc != nil {
				yield(rc)
			}
			return
		}
		for _, scope := range s.ScopesOf(hcm.Scopes) {
			if rc := s.RoutesOf(hcm.Scopes, scope); rc != nil && !yield(rc) {
				return
			}
		}
	}
}
