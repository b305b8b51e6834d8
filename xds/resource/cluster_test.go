package resource_test

import (
	"syscall"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// defaultCluster is what `name: c` decodes to.
func defaultCluster() *config.Cluster {
	thresholds := config.Thresholds{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}
	return &config.Cluster{
		Name: "c", ConnectTimeout: 5 * time.Second, BufferLimit: 1 << 20, MaxHeaderKB: 60, MaxHeaderCount: 100,
		ChoiceCount: 2, ActiveRequestBias: 1, PanicThreshold: 50, ZoneAware: config.ZoneAware{Enabled: 100, MinClusterSize: 6}, DNSRefresh: 5 * time.Second,
		Breakers: thresholds, HighBreakers: thresholds, IdleTimeout: time.Hour,
		Assignment: &config.ClusterLoadAssignment{Name: "c", Overprovision: 140},
	}
}

const (
	leastRequest = "type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"
	httpOptions  = `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    `
	endpointsOf = `load_assignment:
  cluster_name: c
  endpoints:
  - lb_endpoints:
    - endpoint: {address: {socket_address: {address: `
)

func TestCluster(t *testing.T) {
	policies := func(text string) string {
		return "load_balancing_policy:\n  policies:\n  " + indent(2, text)
	}
	tests := map[string]struct {
		text string
		want func(*config.Cluster)
	}{
		"defaults": {"", func(*config.Cluster) {}},
		"names and limits": {"alt_stat_name: a\nconnect_timeout: 3s\nper_connection_buffer_limit_bytes: 7\nmax_requests_per_connection: 9", func(c *config.Cluster) {
			c.AltStatName, c.ConnectTimeout, c.BufferLimit, c.MaxRequestsPerConnection = "a", 3*time.Second, 7, 9
		}},
		"eds": {"type: EDS\neds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}", func(c *config.Cluster) {
			c.Type, c.EDSName, c.EDS.FetchTimeout, c.Assignment = config.ClusterEDS, "c", 15*time.Second, nil
		}},
		"eds with service": {"type: EDS\neds_cluster_config: {service_name: s, eds_config: {self: {}, initial_fetch_timeout: 0s}}", func(c *config.Cluster) { c.Type, c.EDSName, c.Assignment = config.ClusterEDS, "s", nil }},
		"dns without members": {"type: STRICT_DNS", func(c *config.Cluster) {
			c.Type, c.EDSName, c.EDS.FetchTimeout, c.Assignment = config.ClusterEDS, "c", 15*time.Second, nil
		}},
		"dns": {"type: STRICT_DNS\ndns_lookup_family: V4_PREFERRED\ndns_refresh_rate: 2s\nrespect_dns_ttl: true\n" + endpointsOf + "example.com, port_value: 80}}}", func(c *config.Cluster) {
			c.Type, c.DNSFamily, c.DNSRefresh, c.RespectDNSTTL = config.ClusterStrictDNS, config.DNSV4Preferred, 2*time.Second, true
			c.Assignment.Localities = []config.LocalityEndpoints{{Endpoints: []config.Endpoint{{Address: config.Address{IP: "example.com", Port: 80}, Weight: 1}}}}
		}},
		"dns by extension": {"dns_lookup_family: V6_ONLY\ncluster_type: {name: any, typed_config: {'@type': type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster, dns_refresh_rate: 30s, dns_lookup_family: ALL, respect_dns_ttl: true}}\n" + endpointsOf + "h, port_value: 1}}}", func(c *config.Cluster) {
			c.Type, c.DNSFamily, c.DNSRefresh, c.RespectDNSTTL = config.ClusterStrictDNS, config.DNSAll, 30*time.Second, true
			c.Assignment.Localities = []config.LocalityEndpoints{{Endpoints: []config.Endpoint{{Address: config.Address{IP: "h", Port: 1}, Weight: 1}}}}
		}},
		"static": {endpointsOf + "'0:0::1', port_value: 80}}}", func(c *config.Cluster) {
			c.Assignment.Localities = []config.LocalityEndpoints{{Endpoints: []config.Endpoint{{Address: config.Address{IP: "::1", Port: 80}, Weight: 1}}}}
		}},
		"lb_policy least request": {"lb_policy: LEAST_REQUEST\nleast_request_lb_config: {choice_count: 5, active_request_bias: {default_value: 0.5, runtime_key: k}}", func(c *config.Cluster) { c.LB, c.ChoiceCount, c.ActiveRequestBias = config.LeastRequest, 5, 0.5 }},
		"zone aware": {"common_lb_config: {zone_aware_lb_config: {routing_enabled: {value: 12.6}, min_cluster_size: 0, fail_traffic_on_panic: true}}",
			func(c *config.Cluster) { c.ZoneAware = config.ZoneAware{Enabled: 13, FailOnPanic: true} }},
		"zone aware policy": {"common_lb_config: {zone_aware_lb_config: {min_cluster_size: 1}}\n" + policies("- typed_extension_config: {name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.load_balancing_policies.random.v3.Random, locality_lb_config: {zone_aware_lb_config: {min_cluster_size: 3, force_local_zone: {min_size: 2}, locality_basis: HEALTHY_HOSTS_WEIGHT}}}}"),
			func(c *config.Cluster) {
				c.LB, c.ZoneAware = config.Random, config.ZoneAware{Enabled: 100, MinClusterSize: 3, ForceLocal: 2, ByWeight: true}
			}},
		"zone aware policy, forced": {"common_lb_config: {zone_aware_lb_config: {min_cluster_size: 1}}\n" + policies("- typed_extension_config: {name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin, locality_lb_config: {zone_aware_lb_config: {force_locality_direct_routing: true}}}}"),
			func(c *config.Cluster) {
				c.ZoneAware = config.ZoneAware{Enabled: 100, MinClusterSize: 6, ForceLocal: 1}
			}},
		"zone aware policy without a size": {policies("- typed_extension_config: {name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin, locality_lb_config: {zone_aware_lb_config: {force_local_zone: {min_size: 0}}}}}"),
			func(c *config.Cluster) { c.ZoneAware.ForceLocal = 1 }},
		"lb_policy random": {"lb_policy: RANDOM", func(c *config.Cluster) { c.LB = config.Random }},
		"common_lb_config": {"common_lb_config: {healthy_panic_threshold: {value: 33.6}, locality_weighted_lb_config: {}, update_merge_window: 1s}", func(c *config.Cluster) { c.PanicThreshold, c.LocalityWeighted = 34, true }},
		"first supported policy": {policies(`
- typed_extension_config: {name: x, typed_config: {"@type": type.googleapis.com/no.such.Policy, field: 1}}
- typed_extension_config: {name: p2, typed_config: {"@type": ` + leastRequest + `, choice_count: 3, locality_lb_config: {locality_weighted_lb_config: {}}}}
- typed_extension_config: {name: z, typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.random.v3.Random}}`),
			func(c *config.Cluster) { c.LB, c.ChoiceCount, c.LocalityWeighted = config.LeastRequest, 3, true }},
		"policy replaces lb_policy": {"lb_policy: RING_HASH\ncommon_lb_config: {locality_weighted_lb_config: {}}\n" + policies(`
- typed_extension_config: {name: p2, typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin}}`),
			func(*config.Cluster) {}},
		"wrr_locality": {policies(`
- typed_extension_config:
    name: p2
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality
      endpoint_picking_policy: {policies: [{typed_extension_config: {name: z, typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.random.v3.Random}}}]}`),
			func(c *config.Cluster) { c.LB, c.LocalityWeighted = config.Random, true }},
		"happy eyeballs": {"upstream_connection_options: {happy_eyeballs_config: {first_address_family_version: V6, first_address_family_count: 2}}", func(c *config.Cluster) {
			c.HappyEyeballs = config.HappyEyeballs{First: config.FamilyIPv6, Count: 2}
		}},
		"retry budget of a time": {"circuit_breakers: {thresholds: [{retry_budget: {budget_interval: 2s}}]}", func(c *config.Cluster) {
			c.Breakers.RetryBudget = &config.RetryBudget{Percent: 20, MinConcurrency: 3, Interval: 2 * time.Second}
		}},
		"retry budget": {"circuit_breakers: {thresholds: [{retry_budget: {}}, {priority: HIGH, retry_budget: {budget_percent: {value: 12.5}, min_retry_concurrency: 7}}]}", func(c *config.Cluster) {
			c.Breakers.RetryBudget = &config.RetryBudget{Percent: 20, MinConcurrency: 3}
			c.HighBreakers.RetryBudget = &config.RetryBudget{Percent: 12.5, MinConcurrency: 7}
		}},
		"tcp_keepalive": {"upstream_connection_options: {tcp_keepalive: {keepalive_probes: 3, keepalive_time: 4, keepalive_interval: 5}}", func(c *config.Cluster) {
			c.SocketOptions = []config.SocketOption{
				{Level: syscall.SOL_SOCKET, Name: syscall.SO_KEEPALIVE, Int: 1}, {Level: syscall.IPPROTO_TCP, Name: syscall.TCP_KEEPCNT, Int: 3},
				{Level: syscall.IPPROTO_TCP, Name: syscall.TCP_KEEPIDLE, Int: 4}, {Level: syscall.IPPROTO_TCP, Name: syscall.TCP_KEEPINTVL, Int: 5},
			}
		}},
		"breakers": {"circuit_breakers: {thresholds: [{max_connections: 1, max_pending_requests: 2, max_requests: 3, max_retries: 4, track_remaining: true}, {priority: HIGH, max_retries: 5}]}", func(c *config.Cluster) {
			c.Breakers = config.Thresholds{MaxConnections: 1, MaxPending: 2, MaxRequests: 3, MaxRetries: 4, TrackRemaining: true}
			c.HighBreakers.MaxRetries = 5
		}},
		"breakers of each host": {"circuit_breakers: {per_host_thresholds: [{max_connections: 1}, {priority: HIGH, max_connections: 0}]}", func(c *config.Cluster) {
			one, none := uint32(1), uint32(0)
			c.Breakers.MaxPerHost, c.HighBreakers.MaxPerHost = &one, &none
		}},
		"breakers of each host that say nothing": {"circuit_breakers: {per_host_thresholds: [{}]}", func(*config.Cluster) {}},
		"old http options": {"common_http_protocol_options: {idle_timeout: 0s, max_connection_duration: 4s, max_stream_duration: 8s, max_headers_count: 5, max_response_headers_kb: 6, max_requests_per_connection: 7}\nhttp_protocol_options: {enable_trailers: true}", func(c *config.Cluster) {
			c.IdleTimeout, c.MaxConnectionDuration, c.MaxStreamDuration = 0, 4*time.Second, 8*time.Second
			c.MaxHeaderCount, c.MaxHeaderKB, c.MaxRequestsPerConnection, c.EnableTrailers = 5, 6, 7, true
		}},
		"typed http options win": {"http2_protocol_options: {}\nmax_requests_per_connection: 3\n" + httpOptions + "explicit_http_config: {http_protocol_options: {enable_trailers: true}}\n    common_http_protocol_options: {idle_timeout: 2s}", func(c *config.Cluster) {
			c.IdleTimeout, c.EnableTrailers, c.MaxRequestsPerConnection = 2*time.Second, true, 3
		}},
		"use_downstream_protocol_config": {httpOptions + "use_downstream_protocol_config: {http_protocol_options: {enable_trailers: true}, http2_protocol_options: {max_concurrent_streams: 7}}", func(c *config.Cluster) {
			c.EnableTrailers, c.Protocol, c.HTTP2 = true, config.ProtocolDownstream, config.DefaultHTTP2()
			c.HTTP2.MaxStreams = 7
		}},
		"auto_config": {tlsSocket("Upstream", "sni: a") + "\n" + httpOptions + "auto_config: {http_protocol_options: {enable_trailers: true}, http2_protocol_options: {max_concurrent_streams: 7}}", func(c *config.Cluster) {
			c.EnableTrailers, c.Protocol, c.HTTP2 = true, config.ProtocolAuto, config.DefaultHTTP2()
			c.HTTP2.MaxStreams, c.TLS = 7, &config.UpstreamTLS{SNI: "a", MaxSessionKeys: 1}
		}},
		"explicit HTTP/2": {httpOptions + "explicit_http_config: {http2_protocol_options: {}}", func(c *config.Cluster) {
			c.Protocol, c.HTTP2 = config.ProtocolHTTP2, config.DefaultHTTP2()
		}},
		"old HTTP/2": {"http2_protocol_options: {" + everyHTTP2Option + "}", func(c *config.Cluster) {
			c.Protocol, c.HTTP2 = config.ProtocolHTTP2, allHTTP2Options()
		}},
		"old downstream protocol": {"protocol_selection: USE_DOWNSTREAM_PROTOCOL", func(c *config.Cluster) {
			c.Protocol, c.HTTP2 = config.ProtocolDownstream, config.DefaultHTTP2()
		}},
		"without effect":  {"metadata: {}\ntrack_cluster_stats: {timeout_budgets: true}\ncleanup_interval: 3s\nwait_for_warm_on_init: true\nuse_tcp_for_dns_lookups: false", func(*config.Cluster) {}},
		"without warming": {"wait_for_warm_on_init: false", func(c *config.Cluster) { c.WithoutWarming = true }},
		"raw_buffer":      {"transport_socket: {name: x, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}", func(*config.Cluster) {}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := defaultCluster()
			test.want(want)
			got, err := resource.Cluster(parse(t, "name: c\n"+test.text, &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

// TestClusterOriginalDst decodes where a cluster of type ORIGINAL_DST has its hosts from.
func TestClusterOriginalDst(t *testing.T) {
	const provided = "load_balancing_policy: {policies: [{typed_extension_config: {name: p, typed_config: {'@type': type.googleapis.com/envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided}}}]}\n"
	for text, want := range map[string]config.OriginalDstHosts{
		"lb_policy: CLUSTER_PROVIDED": {Cleanup: 5 * time.Second},
		provided:                      {Cleanup: 5 * time.Second},
		provided + "cleanup_interval: 60s\noriginal_dst_lb_config: {use_http_header: true}":                                 {Cleanup: time.Minute, Field: "x-envoy-original-dst-host"},
		provided + "original_dst_lb_config: {use_http_header: true, http_header_name: X-To, upstream_port_override: 15001}": {Cleanup: 5 * time.Second, Field: "x-to", Port: 15001},
	} {
		got, err := resource.Cluster(parse(t, "name: c\ntype: ORIGINAL_DST\n"+text, &clusterv3.Cluster{}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got.Type != config.ClusterOriginalDst || got.OriginalDst != want {
			t.Errorf("%s: type %d, %+v, want %+v", text, got.Type, got.OriginalDst, want)
		}
	}
}

func TestClusterRefused(t *testing.T) {
	policy := func(text string) string {
		return "load_balancing_policy: {policies: [{typed_extension_config: {name: p, typed_config: {'@type': " + text + "}}}]}"
	}
	const policyPath = "load_balancing_policy.policies[0].typed_extension_config.typed_config."
	const original = "type: ORIGINAL_DST\nlb_policy: CLUSTER_PROVIDED\n"
	tests := map[string]string{
		"type: ORIGINAL_DST":                            "lb_policy: cluster: LB policy ROUND_ROBIN is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'",
		original + "load_assignment: {cluster_name: c}": "load_assignment: cannot be set on a cluster of type ORIGINAL_DST, whose hosts are those that requests were meant for",
		original + "outlier_detection: {}":              "outlier_detection: cannot be set on a cluster of type ORIGINAL_DST, whose hosts are those that requests were meant for",
		original + "health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}]": "health_checks: cannot be set on a cluster of type ORIGINAL_DST, whose hosts are those that requests were meant for",
		original + "cleanup_interval: 0s":                                                                                  "cleanup_interval: value must be greater than 0s",
		original + "original_dst_lb_config: {http_header_name: x}":                                                         "original_dst_lb_config.http_header_name: has no effect without use_http_header",
		original + "original_dst_lb_config: {use_http_header: true, http_header_name: 'a b'}":                              `original_dst_lb_config.http_header_name: "a b" is not a field name`,
		original + "original_dst_lb_config: {upstream_port_override: 0}":                                                   "original_dst_lb_config.upstream_port_override: 0 is not a port, it must be from 1 to 65535",
		original + "original_dst_lb_config: {metadata_key: {key: k, path: [{key: p}]}}":                                    "original_dst_lb_config.metadata_key: is not supported",
		"original_dst_lb_config: {}":                                                                                       "original_dst_lb_config: cannot be set on a cluster that is not of type ORIGINAL_DST",
		"type: EDS":                                                                                                        "eds_cluster_config: must be set on a cluster of type EDS",
		"eds_cluster_config: {}":                                                                                           "eds_cluster_config: cannot be set on a cluster that is not of type EDS",
		bound("extra_source_addresses: [{address: {address: '::1', port_value: 0}}]"):                                      "upstream_bind_config.extra_source_addresses: cannot be set without source_address",
		bound(ownIPv4 + "extra_source_addresses: [{address: {address: 127.0.0.3, port_value: 0}}]"):                        "upstream_bind_config.extra_source_addresses[0]: 127.0.0.3 and source_address 127.0.0.2 are of the same family, want one of IPv4 and one of IPv6",
		bound(ownIPv4 + "additional_source_addresses: [{address: '::1', port_value: 0}, {address: '::2', port_value: 0}]"): "upstream_bind_config.additional_source_addresses: has 2 addresses, it may have one",
		bound(ownIPv4 + "additional_source_addresses: [{address: '::1', port_value: 0}]\nextra_source_addresses: [{address: {address: '::1', port_value: 0}}]"): "upstream_bind_config.additional_source_addresses: cannot be set together with extra_source_addresses",
		bound("socket_options: [{level: 1, name: 2, int_value: 3, state: STATE_LISTENING}]"):                                                                    "upstream_bind_config.socket_options: STATE_LISTENING is not supported, a socket to a host is STATE_PREBIND and STATE_BOUND only",
		bound("local_address_selector: {name: s, typed_config: {'@type': type.googleapis.com/envoy.config.core.v3.Locality}}"):                                  `upstream_bind_config.local_address_selector: "type.googleapis.com/envoy.config.core.v3.Locality" is not supported, only DefaultLocalAddressSelector`,
		"preconnect_policy: {}": "preconnect_policy: is not supported",
		"dns_resolvers: [{socket_address: {address: 1.1.1.1, port_value: 53}}]":                          "dns_resolvers[0]: is not supported",
		"upstream_connection_options: {happy_eyeballs_config: {first_address_family_count: 0}}":          "upstream_connection_options.happy_eyeballs_config.first_address_family_count: value must be greater than or equal to 1",
		"upstream_connection_options: {set_local_interface_name_on_upstream_connections: true}":          "upstream_connection_options.set_local_interface_name_on_upstream_connections: true is not supported, only false",
		"upstream_connection_options: {tcp_keepalive: {keepalive_time: 40000}}":                          "upstream_connection_options.tcp_keepalive.keepalive_time: 40000 must be from 1 to 32767",
		"connection_pool_per_downstream_connection: true":                                                "connection_pool_per_downstream_connection: true is not supported, only false",
		"lb_policy: LOAD_BALANCING_POLICY_CONFIG":                                                        "load_balancing_policy: must be set with lb_policy LOAD_BALANCING_POLICY_CONFIG",
		"least_request_lb_config: {choice_count: 2000}":                                                  "least_request_lb_config.choice_count: 2000 must be from 2 to 1024",
		"least_request_lb_config: {active_request_bias: {default_value: -1, runtime_key: k}}":            "least_request_lb_config.active_request_bias.default_value: -1 must be a number that is not negative",
		"circuit_breakers: {thresholds: [{}, {}]}":                                                       "circuit_breakers.thresholds[1].priority: DEFAULT is listed twice",
		"circuit_breakers: {per_host_thresholds: [{max_requests: 1}]}":                                   "circuit_breakers.per_host_thresholds[0].max_requests: is not supported",
		"circuit_breakers: {per_host_thresholds: [{priority: HIGH}, {priority: HIGH}]}":                  "circuit_breakers.per_host_thresholds[1].priority: HIGH is listed twice",
		"http2_protocol_options: {max_concurrent_streams: 0}":                                            "http2_protocol_options.max_concurrent_streams: value must be inside range [1, 2147483647]",
		"http2_protocol_options: {custom_settings_parameters: [{identifier: 9, value: 1}]}":              "http2_protocol_options.custom_settings_parameters[0]: is not supported",
		"http2_protocol_options: {connection_keepalive: {interval: 1s}}":                                 "http2_protocol_options.connection_keepalive.timeout: value is required",
		"http_protocol_options: {header_key_format: {}}":                                                 "http_protocol_options.header_key_format.header_format: value is required",
		"connect_timeout: 400000000s":                                                                    "connect_timeout: must be from 0s to 87600h0m0s",
		"eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V2}}\ntype: EDS":               "eds_cluster_config.eds_config.resource_api_version: V2 is not supported, only V3",
		"typed_extension_protocol_options: {k: {'@type': type.googleapis.com/no.Such}}":                  `typed_extension_protocol_options["k"]: Didn't find a registered implementation for 'k' with type URL: 'type.googleapis.com/no.Such'`,
		"cluster_type: {name: agg, typed_config: {'@type': type.googleapis.com/no.Such}}":                "cluster_type: Didn't find a registered implementation for 'agg' with type URL: 'type.googleapis.com/no.Such'",
		"transport_socket: {name: tls, typed_config: {'@type': type.googleapis.com/no.Tls}}":             "transport_socket: 'tls' with type URL 'type.googleapis.com/no.Tls' is not supported, only envoy.transport_sockets.raw_buffer",
		policy(leastRequest + ", selection_method: FULL_SCAN"):                                           policyPath + "selection_method: FULL_SCAN is not supported",
		policy(leastRequest + ", enable_full_scan: true"):                                                policyPath + "enable_full_scan: true is not supported, only false",
		policy("type.googleapis.com/no.Such"):                                                            "load_balancing_policy.policies: cluster: didn't find a registered load balancer factory implementation for cluster: 'c' with names from [p]; their type URLs are 'type.googleapis.com/no.Such', supported are round_robin, least_request, random, client_side_weighted_round_robin, wrr_locality over one of them, ring_hash, maglev, override_host and subset",
		endpointsOf + "example.com, port_value: 80}}}":                                                   "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: malformed IP address: example.com (a name needs a cluster of type STRICT_DNS)",
		"type: STRICT_DNS\n" + endpointsOf + "'a b', port_value: 80}}}":                                  `load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: "a b" is neither an IP address nor a host name`,
		httpOptions + "explicit_http_config: {http3_protocol_options: {}}":                               optionsPath + "explicit_http_config.http3_protocol_options: HTTP/3 upstreams are not supported",
		httpOptions + "auto_config: {}":                                                                  optionsPath + "auto_config: needs a transport_socket of TLS, whose ALPN chooses the protocol",
		httpOptions + "explicit_http_config: {http_protocol_options: {}}\n    http_filters: [{name: f}]": optionsPath + "http_filters[0]: is not supported",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": `+want)
		})
	}
}

const optionsPath = `typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].`

func TestClusterConstraints(t *testing.T) {
	_, err := resource.Cluster(parse(t, "connect_timeout: 0s\ndns_refresh_rate: 0s", &clusterv3.Cluster{}))
	checkError(t, err, `cluster "": name: value length must be at least 1 runes
cluster "": connect_timeout: value must be greater than 0s
cluster "": dns_refresh_rate: value must be greater than 1ms`)
}
