package xds

import (
	"errors"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// routeKind is of route configurations. In a snapshot they have the virtual hosts that came by VHDS.
func routeKind(m *Manager) *kind {
	k := kindOf("route_configuration", resource.RouteType,
		func(message *routev3.RouteConfiguration) (*config.RouteConfiguration, error) {
			return resource.RouteConfiguration(message)
		},
		func(d *config.Delta) *config.Changes[*config.RouteConfiguration] { return &d.Routes },
		func(rc *config.RouteConfiguration, by *need) []need {
			if rc.VHDS == nil {
				return nil
			}
			return []need{{
				url: resource.HostType, name: rc.Name, Discovery: *rc.VHDS, field: "vhds.config_source",
				scope: by.scope, statPrefix: by.scope + "vhds." + rc.Name + ".",
			}}
		})
	k.countsReloads = true
	change := k.change
	k.change = func(d *config.Delta, set map[string]any, gone []string) error {
		whole := make(map[string]any, len(set))
		for key, value := range set {
			rc := value.(*config.RouteConfiguration)
			if rc.VHDS != nil {
				if c := m.tables[resource.HostType].children[rc.VHDS.Source.Key(rc.Name)]; c != nil && c.held != nil {
					var err error
					if rc, err = resource.WithVirtualHosts(rc, c.held.value.([]*config.VirtualHost)); err != nil {
						return err
					}
				}
			}
			whole[key] = rc
		}
		return change(d, whole, gone)
	}
	return k
}

// scopedRoutesField is the field that tells where the route configurations of scopes come from.
const scopedRoutesField = "scoped_routes.rds_config_source"

// scopedNeeds returns what a connection manager with scoped routes asks for.
func scopedNeeds(hcm *config.HTTPConnectionManager) []need {
	scope := "http." + hcm.StatPrefix + "."
	if hcm.Scopes.SRDS == nil {
		return scopeNeeds(hcm.Scopes.Inline, &need{scope: scope, routes: hcm.Scopes.RDS})
	}
	return []need{{
		url: resource.ScopeType, Discovery: *hcm.Scopes.SRDS, field: "scoped_routes.scoped_rds.scoped_rds_config_source",
		scope: scope, statPrefix: scope + "scoped_rds." + hcm.Scopes.Name + ".", routes: hcm.Scopes.RDS,
	}}
}

// scopeNeeds returns the route configurations that scopes name.
func scopeNeeds(scopes []*config.Scope, by *need) (needs []need) {
	for _, s := range scopes {
		if s.RouteConfigName != "" {
			needs = append(needs, need{
				url: resource.RouteType, name: s.RouteConfigName, Discovery: by.routes, field: scopedRoutesField,
				scope: by.scope, statPrefix: by.scope + "rds." + s.RouteConfigName + ".",
			})
		}
	}
	return needs
}

// scopeKind is of scopes, of which all that come from a source are one collection (SRDS).
func scopeKind() *kind {
	return &kind{
		noun: "scoped_route_configuration", url: resource.ScopeType, wildcard: true, countsReloads: true,
		decode: guarded(func(message proto.Message) (any, error) {
			return resource.Scope(message.(*routev3.ScopedRouteConfiguration))
		}),
		collection: func(string) string { return "" },
		compose: func(members []any) (any, error) {
			scopes := make([]*config.Scope, len(members))
			for i, scope := range members {
				scopes[i] = scope.(*config.Scope)
			}
			return resource.Scopes(scopes)
		},
		needs: func(value any, by *need) []need { return scopeNeeds(value.([]*config.Scope), by) },
		change: func(d *config.Delta, set map[string]any, gone []string) error {
			d.Scopes.Remove = append(d.Scopes.Remove, gone...)
			for key, scopes := range set {
				if d.Scopes.Set == nil {
					d.Scopes.Set = make(map[string][]*config.Scope)
				}
				d.Scopes.Set[key] = scopes.([]*config.Scope)
			}
			return nil
		},
	}
}

// hostKind is of virtual hosts that are resources of their own. They are named "<route configuration>/<host>", and all of a
// route configuration are asked for by its name (VHDS).
func hostKind(m *Manager) *kind {
	return &kind{
		noun: "virtual_host", url: resource.HostType, countsReloads: true,
		decode: guarded(func(message proto.Message) (any, error) { return resource.VirtualHost(message.(*routev3.VirtualHost)) }),
		collection: func(name string) string {
			if i := strings.LastIndexByte(name, '/'); i >= 0 {
				return name[:i]
			}
			return name
		},
		compose: func(members []any) (any, error) {
			hosts := make([]*config.VirtualHost, len(members))
			for i, host := range members {
				hosts[i] = host.(*config.VirtualHost)
			}
			return hosts, nil
		},
		change: func(d *config.Delta, set map[string]any, _ []string) error {
			for key, c := range m.tables[resource.RouteType].children {
				if c.held == nil {
					continue
				}
				rc := c.held.value.(*config.RouteConfiguration)
				if rc.VHDS == nil {
					continue
				}
				hosts, ok := set[rc.VHDS.Source.Key(rc.Name)]
				if !ok {
					continue
				}
				whole, err := resource.WithVirtualHosts(rc, hosts.([]*config.VirtualHost))
				if err != nil {
					return err
				}
				if d.Routes.Set == nil {
					d.Routes.Set = make(map[string]*config.RouteConfiguration)
				}
				d.Routes.Set[key] = whole
			}
			return nil
		},
		accepts: func(source config.ConfigSource) error {
			return onlyIncremental(source, m.sources.boot.ADS != nil && m.sources.boot.ADS.Incremental)
		},
	}
}

// onlyIncremental reports why virtual hosts cannot come from source, which is in Envoy's words.
func onlyIncremental(source config.ConfigSource, aggregated bool) error {
	if source.Aggregated() {
		if aggregated {
			return nil
		}
		return errors.New("vhds: ADS must use DELTA_GRPC api_type when used as VHDS config source")
	}
	var api corev3.ApiConfigSource
	if proto.Unmarshal([]byte(source.API), &api) != nil || api.GetApiType() != corev3.ApiConfigSource_DELTA_GRPC {
		return errors.New("vhds: only 'DELTA_GRPC' or 'ADS' (which uses Delta xDS) is supported as a config source")
	}
	return nil
}
