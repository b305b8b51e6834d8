package resource

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	specifierv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/matcher/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	matcherSpecifierMessage = "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier"
	clusterActionMessage    = "envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction"
)

var (
	specifierPluginFields  = fields{"extension": decoded, "is_optional": onlyFalse}
	matcherSpecifierFields = fields{"cluster_matcher": decoded}
	clusterActionFields    = fields{"cluster": decoded}
)

// clusterSpecifier is a decoded plugin: clusters, and what leads to them.
type clusterSpecifier struct {
	clusters []config.WeightedCluster
	matcher  *config.RouteMatcher
}

// clusterSpecifiers decodes the plugins of a route configuration, which its routes name.
func (a *at) clusterSpecifiers(list []*routev3.ClusterSpecifierPlugin) {
	a.report.specifiers = make(map[string]clusterSpecifier, len(list))
	for i, p := range list {
		place, name := a.item("cluster_specifier_plugins", i), p.GetExtension().GetName()
		if _, ok := a.report.specifiers[name]; ok {
			place.in("extension").errorf("name %q is that of another plugin, too", name)
		}
		a.report.specifiers[name] = place.clusterSpecifier(p)
	}
}

// specifiedCluster decodes which cluster a plugin picks for the requests of a route, if there is one.
func (a *at) specifiedCluster(r *routev3.RouteAction, out *config.Forward) {
	var found clusterSpecifier
	switch c := r.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_InlineClusterSpecifierPlugin:
		found = a.in("inline_cluster_specifier_plugin").clusterSpecifier(c.InlineClusterSpecifierPlugin)
	case *routev3.RouteAction_ClusterSpecifierPlugin:
		var known bool
		if found, known = a.report.specifiers[c.ClusterSpecifierPlugin]; !known {
			a.in("cluster_specifier_plugin").errorf("%q is not among the cluster_specifier_plugins of the route configuration", c.ClusterSpecifierPlugin)
		}
	default:
		return
	}
	out.Clusters, out.ClusterMatcher = found.clusters, found.matcher
}

// clusterSpecifier decodes a plugin, of which there is one kind: a matcher that leads to clusters.
func (a *at) clusterSpecifier(p *routev3.ClusterSpecifierPlugin) (out clusterSpecifier) {
	a.only(p, specifierPluginFields)
	packed := p.GetExtension().GetTypedConfig()
	place := a.in("extension")
	if messageName(packed) != matcherSpecifierMessage {
		place.errorf("%sis not supported, only %s", describe(p.GetExtension().ProtoReflect()), typePrefix+matcherSpecifierMessage)
		return out
	}
	var m specifierv3.MatcherClusterSpecifier
	if place = place.in("typed_config"); !place.unpack(packed, &m) {
		return out
	}
	place.only(&m, matcherSpecifierFields)
	d := routeMatcherDecoder{
		action: func(a *at, action *xdscorev3.TypedExtensionConfig) {
			out.clusters = append(out.clusters, config.WeightedCluster{Name: a.clusterAction(action), Weight: 1})
		},
		length: func() int { return len(out.clusters) },
	}
	out.matcher = d.matcher(place.in("cluster_matcher"), m.GetClusterMatcher())
	return out
}

// clusterAction decodes the cluster that a matcher leads to.
func (a *at) clusterAction(action *xdscorev3.TypedExtensionConfig) string {
	packed := action.GetTypedConfig()
	if messageName(packed) != clusterActionMessage {
		a.errorf("%sis not supported, only %s", describe(action.ProtoReflect()), typePrefix+clusterActionMessage)
		return ""
	}
	var c specifierv3.ClusterAction
	place := a.in("typed_config")
	if !place.unpack(packed, &c) {
		return ""
	}
	place.only(&c, clusterActionFields)
	return c.GetCluster()
}
