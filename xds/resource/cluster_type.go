package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const dnsClusterMessage = "envoy.extensions.clusters.dns.v3.DnsCluster"

var customTypeFields = fields{"name": noEffect, "typed_config": decoded}

// customType decodes cluster_type: DnsCluster, whose fields replace the cluster's own, or an aggregate.
func (a *at) customType(c *clusterv3.Cluster_CustomClusterType, out *config.Cluster) {
	a.only(c, customTypeFields)
	packed := c.GetTypedConfig()
	if packed == nil {
		a.in("typed_config").errorf("must be set")
		return
	}
	place := a.in("typed_config")
	switch messageName(packed) {
	case dnsClusterMessage:
		out.Type = config.ClusterStrictDNS // also where it is wrong, so that names are no second mistake
		var m dnsv3.DnsCluster
		if place.unpack(packed, &m) {
			place.dnsCluster(&m, out)
		}
	case aggregateMessage:
		out.Type = config.ClusterAggregate
		var m aggregatev3.ClusterConfig
		if place.unpack(packed, &m) {
			place.aggregate(&m, out)
		}
	default:
		a.unregistered(c.GetName(), packed)
	}
}
