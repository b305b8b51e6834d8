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

// clusterSpecifiers takes the plugins of a route configuration, which its routes name. What they say is decoded where that is done.
func (a *at) clusterSpecifiers(list []*routev3.ClusterSpecifierPlugin) {
	a.report.specifiers = make(map[string]*routev3.ClusterSpecifierPlugin, len(list))
	for i, p := range list {
		name := p.GetExtension().GetName()
		if a.report.specifiers[name] != nil {
			a.item("cluster_specifier_plugins", i).in("extension").errorf("name %q is that of another plugin, too", name)
		}
		a.report.specifiers[name] = p
		var unused config.Forward
		a.item("cluster_specifier_plugins", i).clusterSpecifier(p, &unused)
	}
}

// specifiedCluster decodes which cluster a plugin picks for the requests of a route, if there is one.
func (a *at) specifiedCluster(r *routev3.RouteAction, out *config.Forward) {
	switch c := r.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_InlineClusterSpecifierPlugin:
		a.in("inline_cluster_specifier_plugin").clusterSpecifier(c.InlineClusterSpecifierPlugin, out)
	case *routev3.RouteAction_ClusterSpecifierPlugin:
		place, p := a.in("cluster_specifier_plugin"), a.report.specifiers[c.ClusterSpecifierPlugin]
		if p == nil {
			place.errorf("%q is not among the cluster_specifier_plugins of the route configuration", c.ClusterSpecifierPlugin)
			return
		}
		place.clusterSpecifier(p, out)
	}
}

// clusterSpecifier decodes a plugin, of which there is one kind: a matcher that leads to clusters.
func (a *at) clusterSpecifier(p *routev3.ClusterSpecifierPlugin, out *config.Forward) {
	a.only(p, specifierPluginFields)
	packed := p.GetExtension().GetTypedConfig()
	place := a.in("extension")
	if messageName(packed) != matcherSpecifierMessage {
		place.errorf("%sis not supported, only %s", describe(p.GetExtension().ProtoReflect()), typePrefix+matcherSpecifierMessage)
		return
	}
	var m specifierv3.MatcherClusterSpecifier
	if place = place.in("typed_config"); !place.unpack(packed, &m) {
		return
	}
	place.only(&m, matcherSpecifierFields)
	d := routeMatcherDecoder{
		action: func(a *at, action *xdscorev3.TypedExtensionConfig) {
			out.Clusters = append(out.Clusters, config.WeightedCluster{Name: a.clusterAction(action), Weight: 1})
		},
		length: func() int { return len(out.Clusters) },
	}
	out.ClusterMatcher = d.matcher(place.in("cluster_matcher"), m.GetClusterMatcher())
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
