package resource

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	scopedRoutesFields = fields{
		"name": decoded, "scope_key_builder": decoded, "rds_config_source": decoded,
		"scoped_route_configurations_list": decoded, "scoped_rds": decoded,
	}
	scopedRDSFields       = fields{"scoped_rds_config_source": decoded}
	scopeKeyBuilderFields = fields{"fragments": decoded}
	fragmentBuilderFields = fields{"header_value_extractor": decoded}
	extractorFields       = fields{"name": decoded, "element_separator": decoded, "index": decoded, "element": decoded}
	scopeFields           = fields{
		"name": decoded, "route_configuration_name": decoded, "route_configuration": decoded, "key": decoded,
		"on_demand": noEffect, // the routes of every scope are asked for at once
	}
)

// scopedRoutes decodes scoped_routes.
func (a *at) scopedRoutes(s *hcmv3.ScopedRoutes) *config.ScopedRoutes {
	a.only(s, scopedRoutesFields)
	out := &config.ScopedRoutes{Name: s.GetName(), Key: a.in("scope_key_builder").scopeKey(s.GetScopeKeyBuilder())}
	named := false
	switch kind := s.GetConfigSpecifier().(type) {
	case *hcmv3.ScopedRoutes_ScopedRouteConfigurationsList:
		out.Inline = []*config.Scope{}
		for i, scope := range kind.ScopedRouteConfigurationsList.GetScopedRouteConfigurations() {
			place := a.in("scoped_route_configurations_list").item("scoped_route_configurations", i)
			out.Inline = append(out.Inline, place.scope(scope))
			named = named || scope.GetRouteConfigurationName() != ""
		}
		a.in("scoped_route_configurations_list").distinct(out.Inline)
	case *hcmv3.ScopedRoutes_ScopedRds:
		place := a.in("scoped_rds")
		place.only(kind.ScopedRds, scopedRDSFields)
		source := place.in("scoped_rds_config_source").configSource(kind.ScopedRds.GetScopedRdsConfigSource())
		out.SRDS, named = &source, true
	}
	if s.GetRdsConfigSource() != nil || named {
		out.RDS = a.in("rds_config_source").configSource(s.GetRdsConfigSource())
	}
	return out
}

// scopeKey decodes scope_key_builder.
func (a *at) scopeKey(b *hcmv3.ScopedRoutes_ScopeKeyBuilder) (fragments []config.ScopeFragment) {
	a.only(b, scopeKeyBuilderFields)
	for i, f := range b.GetFragments() {
		place := a.item("fragments", i)
		place.only(f, fragmentBuilderFields)
		place = place.in("header_value_extractor")
		e := f.GetHeaderValueExtractor()
		place.only(e, extractorFields)
		out := config.ScopeFragment{Header: strings.ToLower(e.GetName()), ElementSeparator: e.GetElementSeparator()}
		switch kind := e.GetExtractType().(type) {
		case *hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index:
			if out.Index = kind.Index; kind.Index > 0 && out.ElementSeparator == "" {
				place.in("index").errorf("must be 0 without element_separator: Index > 0 for empty string element separator.")
			}
		case *hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Element:
			out.Element = &config.ScopeElement{Separator: kind.Element.GetSeparator(), Key: kind.Element.GetKey()}
		default:
			place.errorf("must have index or element: HeaderValueExtractor extract_type not set.")
		}
		fragments = append(fragments, out)
	}
	return fragments
}

// Scope decodes a scope that is a resource of its own (SRDS).
func Scope(s *routev3.ScopedRouteConfiguration) (*config.Scope, error) {
	root := newReport("scoped route configuration", s.GetName())
	if !root.validate(s) {
		return nil, root.err()
	}
	out := root.scope(s)
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}

func (a *at) scope(s *routev3.ScopedRouteConfiguration) *config.Scope {
	a.only(s, scopeFields)
	out := &config.Scope{Name: s.GetName(), RouteConfigName: a.in("route_configuration_name").asked(s.GetRouteConfigurationName())}
	switch inline := s.GetRouteConfiguration(); {
	case inline != nil && out.RouteConfigName != "":
		a.in("route_configuration").errorf("cannot be set together with route_configuration_name")
	case inline != nil:
		out.Routes = a.in("route_configuration").routeConfiguration(inline)
	case out.RouteConfigName == "":
		a.errorf("must have route_configuration_name or route_configuration")
	}
	for _, f := range s.GetKey().GetFragments() {
		out.Key = append(out.Key, f.GetStringKey())
	}
	return out
}

// distinct refuses scopes of which two have the same name or the same key.
func (a *at) distinct(scopes []*config.Scope) {
	names, keys := make(map[string]bool), make(map[string]string)
	for _, scope := range scopes {
		if names[scope.Name] {
			a.errorf("duplicate scoped route configuration '%s' found", scope.Name)
		}
		names[scope.Name] = true
		key := strings.Join(scope.Key, "\x00")
		if first, ok := keys[key]; ok {
			a.errorf("scope key conflict found, first scope is %s, second scope is %s", first, scope.Name)
		}
		keys[key] = scope.Name
	}
}

// Scopes returns scopes when they can be used together.
func Scopes(scopes []*config.Scope) ([]*config.Scope, error) {
	root := newReport("scoped routes", "")
	root.distinct(scopes)
	return scopes, root.err()
}
