//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	commonlbv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	zoneAwareFields = fields{
		"routing_enabled": decoded, "min_cluster_size": decoded, "fail_traffic_on_panic": decoded,
		"force_locality_direct_routing": decoded, "force_local_zone": decoded, "locality_basis": decoded,
	}
	legacyZoneAwareFields = fields{"routing_enabled": decoded, "min_cluster_size": decoded, "fail_traffic_on_panic": decoded}
	forceLocalZoneFields  = fields{"min_size": decoded}
)

// defaultZoneAware is what holds without zone_aware_lb_config, too.
var defaultZoneAware = config.ZoneAware{Enabled: config.DefaultZoneRouting, MinClusterSize: config.DefaultZoneMinCluster}

// zoneAware decodes zone_aware_lb_config of a policy.
func (a *at) zoneAware(z *commonlbv3.LocalityLbConfig_ZoneAwareLbConfig) config.ZoneAware {
	if z == nil {
		return defaultZoneAware
	}
	place := a.in("zone_aware_lb_config")
	place.only(z, zoneAwareFields)
	out := zoneRouting(z.GetRoutingEnabled(), z.GetMinClusterSize(), z.GetFailTrafficOnPanic())
	out.ByWeight = z.GetLocalityBasis() == commonlbv3.LocalityLbConfig_ZoneAwareLbConfig_HEALTHY_HOSTS_WEIGHT
	switch force := z.GetForceLocalZone(); {
	case force != nil:
		place.in("force_local_zone").only(force, forceLocalZoneFields)
		out.ForceLocal = max(orUint32(force.GetMinSize(), 1), 1) // a zone without a host has none to give
	case z.GetForceLocalityDirectRouting():
		out.ForceLocal = 1
	}
	return out
}

// legacyZoneAware is zoneAware for the cluster's older field.
func (a *at) legacyZoneAware(z *clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig) config.ZoneAware {
	if z == nil {
		return defaultZoneAware
	}
	a.in("zone_aware_lb_config").only(z, legacyZoneAwareFields)
	return zoneRouting(z.GetRoutingEnabled(), z.GetMinClusterSize(), z.GetFailTrafficOnPanic())
}

func zoneRouting(enabled *typev3.Percent, minSize *wrapperspb.UInt64Value, failOnPanic bool) config.ZoneAware {
	out := defaultZoneAware
	out.FailOnPanic = failOnPanic
	if enabled != nil {
		out.Enabled = uint32(math.Round(enabled.GetValue()))
	}
	if minSize != nil {
		out.MinClusterSize = minSize.GetValue()
	}
	return out
}
