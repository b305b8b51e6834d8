package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	commondnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const dnsClusterMessage = "envoy.extensions.clusters.dns.v3.DnsCluster"

var (
	customTypeFields = fields{"name": noEffect, "typed_config": decoded}
	dnsClusterFields = fields{
		"dns_refresh_rate": decoded, "respect_dns_ttl": decoded, "dns_lookup_family": decoded,
		"all_addresses_in_single_endpoint": onlyFalse,
	}
)

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
	var dns dnsv3.DnsCluster
	place := a.in("typed_config")
	if !place.unpack(packed, &dns) {
		return
	}
	place.only(&dns, dnsClusterFields)
	out.Type = config.ClusterStrictDNS
	out.DNSRefresh = place.positive("dns_refresh_rate", dns.GetDnsRefreshRate(), config.DefaultDNSRefresh)
	out.RespectDNSTTL = dns.GetRespectDnsTtl()
	switch dns.GetDnsLookupFamily() {
	case commondnsv3.DnsLookupFamily_V4_ONLY:
		out.DNSFamily = config.DNSV4Only
	case commondnsv3.DnsLookupFamily_V6_ONLY:
		out.DNSFamily = config.DNSV6Only
	case commondnsv3.DnsLookupFamily_V4_PREFERRED:
		out.DNSFamily = config.DNSV4Preferred
	case commondnsv3.DnsLookupFamily_ALL:
		out.DNSFamily = config.DNSAll
	default:
		out.DNSFamily = config.DNSAuto
	}
}
