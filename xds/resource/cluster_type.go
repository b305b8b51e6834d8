package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const dnsClusterMessage = "envoy.extensions.clusters.dns.v3.DnsCluster"

var customTypeFields = fields{"name": noEffect, "typed_config": decoded}

// customType decodes cluster_type. DnsCluster is the only one, and what it says about DNS replaces the cluster's own
// fields.
func (a *at) customType(c *clusterv3.Cluster_CustomClusterType, out *config.Cluster) {
	a.only(c, customTypeFields)
	packed := c.GetTypedConfig()
	if packed == nil {
		a.in("typed_config").errorf("must be set")
		return
	}
	if messageName(packed) != dnsClusterMessage {
		a.unregistered(c.GetName(), packed)
		return
	}
	out.Type = config.ClusterStrictDNS // also where it is wrong, so that names are no second mistake
	var dns dnsv3.DnsCluster
	place := a.in("typed_config")
	if !place.unpack(packed, &dns) {
		return
	}
	place.dnsCluster(&dns, out)
}
