package resource_test

import (
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// dnsCluster returns a cluster_type DnsCluster with these fields.
func dnsCluster(fields string) string {
	return "cluster_type: {name: d, typed_config: {'@type': type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster" + fields + "}}\n"
}

const oneName = endpointsOf + "a.test, port_value: 80}}}"

func TestClusterDNS(t *testing.T) {
	tests := map[string]struct {
		text string
		want func(*config.Cluster)
	}{
		"LOGICAL_DNS": {"type: LOGICAL_DNS\n", func(c *config.Cluster) { c.Type = config.ClusterLogicalDNS }},
		"all addresses in a single endpoint": {
			dnsCluster(", all_addresses_in_single_endpoint: true"), func(c *config.Cluster) { c.Type = config.ClusterLogicalDNS }},
		"jitter": {"type: STRICT_DNS\ndns_jitter: 3s\n", func(c *config.Cluster) { c.DNSJitter = 3 * time.Second }},
		"failure": {"type: STRICT_DNS\ndns_failure_refresh_rate: {base_interval: 2s}\n", func(c *config.Cluster) {
			c.DNSFailure = config.Backoff{Base: 2 * time.Second, Max: 20 * time.Second}
		}},
		"failure with a maximum": {"type: STRICT_DNS\ndns_failure_refresh_rate: {base_interval: 2s, max_interval: 2s}\n", func(c *config.Cluster) {
			c.DNSFailure = config.Backoff{Base: 2 * time.Second, Max: 2 * time.Second}
		}},
		"DnsCluster": {
			dnsCluster(", dns_jitter: 1s, dns_min_refresh_rate: 4s, respect_dns_ttl: true, dns_failure_refresh_rate: {base_interval: 1s, max_interval: 3s}"),
			func(c *config.Cluster) {
				c.DNSJitter, c.DNSMinRefresh, c.RespectDNSTTL = time.Second, 4*time.Second, true
				c.DNSFailure = config.Backoff{Base: time.Second, Max: 3 * time.Second}
			}},
		"DnsCluster takes the place of the cluster's fields": {
			"dns_refresh_rate: 9s\nrespect_dns_ttl: true\ndns_jitter: 1s\ndns_failure_refresh_rate: {base_interval: 1s}\n" + dnsCluster(""), func(*config.Cluster) {}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := defaultCluster()
			want.Type = config.ClusterStrictDNS
			want.Assignment.Localities = []config.LocalityEndpoints{{Endpoints: []config.Endpoint{{Address: config.Address{IP: "a.test", Port: 80}, Weight: 1}}}}
			test.want(want)
			got, err := resource.Cluster(parse(t, "name: c\n"+test.text+oneName, &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestClusterDNSRefused(t *testing.T) {
	const oneEndpoint = "load_assignment: LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint"
	tests := map[string]string{
		"type: LOGICAL_DNS": oneEndpoint,
		"type: LOGICAL_DNS\nload_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{" + onePort + "}]}, {priority: 1, lb_endpoints: [{" + onePort + "}]}]}": oneEndpoint,
		"type: STRICT_DNS\ndns_failure_refresh_rate: {base_interval: 2s, max_interval: 1s}\n" + oneName:                                                             "dns_failure_refresh_rate.max_interval: must be greater than or equal to the base_interval",
		"type: STRICT_DNS\ndns_failure_refresh_rate: {base_interval: 0.0005s}\n" + oneName:                                                                          "dns_failure_refresh_rate.base_interval: value must be greater than 1ms",
		"type: STRICT_DNS\ndns_jitter: -1s\n" + oneName:                                                                                                             "dns_jitter: value must be greater than or equal to 0s",
		dnsCluster(", typed_dns_resolver_config: {name: r, typed_config: {'@type': type.googleapis.com/no.Such}}") + oneName:                                        "cluster_type.typed_config.typed_dns_resolver_config: 'r' with type URL 'type.googleapis.com/no.Such' is not supported",
		dnsCluster(", dns_failure_refresh_rate: {}") + oneName:                                                                                                      "cluster_type.typed_config.dns_failure_refresh_rate.base_interval: value is required",
		dnsCluster(", all_addresses_in_single_endpoint: true"):                                                                                                      oneEndpoint,
		dnsCluster(", dns_min_refresh_rate: 0.5s") + oneName:                                                                                                        "cluster_type.typed_config.dns_min_refresh_rate: value must be greater than or equal to 1s",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": `+want)
		})
	}
}
