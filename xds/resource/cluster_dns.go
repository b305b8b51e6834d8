//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	commondnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// failureBackoff is how many times base_interval max_interval is where it is not set.
const failureBackoff = 10

var (
	dnsClusterFields = fields{
		"dns_refresh_rate": decoded, "dns_failure_refresh_rate": decoded, "dns_jitter": decoded, "respect_dns_ttl": decoded,
		"dns_min_refresh_rate": decoded, "dns_lookup_family": decoded, "all_addresses_in_single_endpoint": decoded,
	}
	refreshRateFields    = fields{"base_interval": decoded, "max_interval": decoded}
	dnsRefreshRateFields = fields{"base_interval": decoded, "max_interval": decoded}
)

// dns decodes the cluster's own fields about names.
func (a *at) dns(c *clusterv3.Cluster, out *config.Cluster) {
	out.DNSRefresh = a.positive("dns_refresh_rate", c.GetDnsRefreshRate(), config.DefaultDNSRefresh)
	out.RespectDNSTTL = c.GetRespectDnsTtl()
	out.DNSJitter = a.duration("dns_jitter", c.GetDnsJitter(), 0)
	out.DNSFamily = dnsFamily(c.GetDnsLookupFamily())
	if f := c.GetDnsFailureRefreshRate(); f != nil {
		place := a.in("dns_failure_refresh_rate")
		place.only(f, refreshRateFields)
		out.DNSFailure = place.backoff(f.GetBaseInterval(), f.GetMaxInterval())
	}
}

// dnsCluster decodes DnsCluster, which takes the place of the cluster's own fields.
func (a *at) dnsCluster(c *dnsv3.DnsCluster, out *config.Cluster) {
	a.only(c, dnsClusterFields)
	out.Type = config.ClusterStrictDNS
	if c.GetAllAddressesInSingleEndpoint() {
		out.Type = config.ClusterLogicalDNS
	}
	out.DNSRefresh = a.positive("dns_refresh_rate", c.GetDnsRefreshRate(), config.DefaultDNSRefresh)
	out.RespectDNSTTL = c.GetRespectDnsTtl()
	out.DNSMinRefresh = a.duration("dns_min_refresh_rate", c.GetDnsMinRefreshRate(), 0)
	out.DNSJitter = a.duration("dns_jitter", c.GetDnsJitter(), 0)
	out.DNSFailure = config.Backoff{}
	if f := c.GetDnsFailureRefreshRate(); f != nil {
		place := a.in("dns_failure_refresh_rate")
		place.only(f, dnsRefreshRateFields)
		out.DNSFailure = place.backoff(f.GetBaseInterval(), f.GetMaxInterval())
	}
	switch c.GetDnsLookupFamily() {
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

// backoff decodes the waits after lookups that failed.
func (a *at) backoff(base, most *durationpb.Duration) config.Backoff {
	if base == nil {
		a.in("base_interval").errorf("must be set")
		return config.Backoff{}
	}
	out := config.Backoff{Base: a.positive("base_interval", base, 0)}
	out.Max = a.positive("max_interval", most, min(failureBackoff*out.Base, maxDuration))
	if out.Base < time.Millisecond {
		a.in("base_interval").errorf("must be at least 1ms")
	}
	if out.Max < out.Base {
		a.in("max_interval").errorf("must be greater than or equal to the base_interval")
	}
	return out
}

// oneEndpoint refuses the endpoints of a LOGICAL_DNS cluster when they are not one.
func (a *at) oneEndpoint(assignment *config.ClusterLoadAssignment) {
	if len(assignment.Localities) != 1 || len(assignment.Localities[0].Endpoints) != 1 {
		a.in("load_assignment").errorf("LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint")
	}
}

func dnsFamily(f clusterv3.Cluster_DnsLookupFamily) config.DNSFamily {
	switch f {
	case clusterv3.Cluster_V4_ONLY:
		return config.DNSV4Only
	case clusterv3.Cluster_V6_ONLY:
		return config.DNSV6Only
	case clusterv3.Cluster_V4_PREFERRED:
		return config.DNSV4Preferred
	case clusterv3.Cluster_ALL:
		return config.DNSAll
	default:
		return config.DNSAuto
	}
}
