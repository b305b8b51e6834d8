package bootstrap

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// TestSections has every section that is accepted and has no function: each gets a line.
func TestSections(t *testing.T) {
	tests := map[string]string{
		"watchdog: {}":                                           "watchdog: has no effect: there is no watchdog",
		"watchdogs: {main_thread_watchdog: {}}":                  "watchdogs: has no effect: there is no watchdog",
		"fatal_actions: {config: {name: a}}":                     "fatal_actions: has no effect: there is no watchdog",
		"tracing: {http: {name: a}}":                             "tracing: is deprecated and has no effect",
		"flags_path: /x":                                         "flags_path: is deprecated and has no effect",
		"overload_manager: {refresh_interval: 1s}":               "overload_manager.refresh_interval: has no effect: of the overload manager there is the limit on connections only, memory is bounded otherwise",
		"stats_sinks: {name: a}":                                 "stats_sinks: has no effect: statistics are read from the admin server",
		"stats_flush_interval: 5s":                               "stats_flush_interval: has no effect: statistics are read from the admin server",
		"stats_flush_on_admin: true":                             "stats_flush_on_admin: has no effect: statistics are read from the admin server",
		"deferred_stat_options: {}":                              "deferred_stat_options: has no effect: statistics are read from the admin server",
		"enable_dispatcher_stats: true":                          "enable_dispatcher_stats: has no effect: statistics are read from the admin server",
		"hds_config: {api_type: GRPC}":                           "hds_config: has no effect: health checks are those of the clusters, there is no health discovery service",
		"config_sources: {ads: {}}":                              "config_sources: has no effect: resources are not asked for by names that begin with xdstp://",
		"default_config_source: {ads: {}}":                       "default_config_source: has no effect: resources are not asked for by names that begin with xdstp://",
		"certificate_provider_instances: {a: {name: b}}":         "certificate_provider_instances: has no effect: certificates come from files, texts and secrets only",
		"default_regex_engine: {name: a}":                        "default_regex_engine: has no effect: expressions are RE2's",
		"bootstrap_extensions: {name: a}":                        "bootstrap_extensions: has no function here and is ignored",
		"node_context_params: a":                                 "node_context_params: has no function here and is ignored",
		"default_socket_interface: a":                            "default_socket_interface: has no function here and is ignored",
		"perf_tracing_file_path: a":                              "perf_tracing_file_path: has no function here and is ignored",
		"inline_headers: {}":                                     "inline_headers: has no function here and is ignored",
		"application_log_config: {}":                             "application_log_config: has no function here and is ignored",
		"listener_manager: {name: a}":                            "listener_manager: has no function here and is ignored",
		"admin: {access_log_path: /x}":                           "admin.access_log_path: is deprecated and has no effect",
		"admin: {access_log: {name: a}}":                         "admin.access_log: has no function here and is ignored",
		"cluster_manager: {outlier_detection: {}}":               "cluster_manager.outlier_detection: has no effect: events of outlier detection are not logged",
		"cluster_manager: {load_stats_config: {}}":               "cluster_manager.load_stats_config: has no effect: loads are not reported to a control plane",
		"cluster_manager: {enable_deferred_cluster_creation: y}": "cluster_manager.enable_deferred_cluster_creation: has no effect: clusters are made when they come",
		"typed_dns_resolver_config: {name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig}}": "typed_dns_resolver_config: has no effect: names are looked up by Go's resolver, as /etc/resolv.conf says",
	}
	for text, want := range tests {
		b, err := Parse("f", []byte(text), protofile.YAML, Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		equal(t, b.Warnings, []string{want})
	}
}

// TestSectionsRefused has sections that would change traffic and do not.
func TestSectionsRefused(t *testing.T) {
	tests := map[string]string{
		"admin: {allow_paths: [{safe_regex: {regex: '('}}]}":                                         "f: admin.allow_paths[0]: safe_regex.regex: error parsing regexp: missing closing ): `(`",
		"cluster_manager: {local_cluster_name: a}":                                                   "f: cluster_manager.local_cluster_name: \"a\" must be one of static_resources.clusters, and not that of a control plane",
		"xds_delegate_extension: {}":                                                                 "f: xds_delegate_extension: is not supported",
		"use_tcp_for_dns_lookups: true":                                                              "f: use_tcp_for_dns_lookups: is not supported",
		"dynamic_resources: {lds_resources_locator: 'xdstp://a'}":                                    "f: dynamic_resources.lds_resources_locator: is not supported",
		"cluster_manager: {upstream_bind_config: {source_address: {address: a, port_value: 0}}}":     "f: cluster_manager.upstream_bind_config: source_address.address: malformed IP address: a (a name needs a cluster of type STRICT_DNS)",
		"typed_dns_resolver_config: {name: r, typed_config: {'@type': type.googleapis.com/no.Such}}": `f: typed_dns_resolver_config: "r" with type URL "type.googleapis.com/xds.type.v3.TypedStruct" is not supported, only CaresDnsResolverConfig and GetAddrInfoDnsResolverConfig`,
		"typed_dns_resolver_config: {name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig, resolvers: [{socket_address: {address: 1.1.1.1, port_value: 53}}]}}": "f: typed_dns_resolver_config.typed_config.resolvers: is not supported: names are looked up as /etc/resolv.conf says",
	}
	for text, want := range tests {
		_, err := Parse("f", []byte(text), protofile.YAML, Options{})
		wantError(t, err, want)
	}
}

func TestAdmin(t *testing.T) {
	b, err := Parse("f", []byte("admin: {profile_path: /p, allow_paths: [{exact: /ready}, {prefix: /stats}], address: {socket_address: {address: '::1', port_value: 9901}}}"), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.ProfilePath, "/p")
	equal(t, b.AllowPaths, []config.StringMatcher{{Kind: config.StringExact, Value: "/ready"}, {Kind: config.StringPrefix, Value: "/stats"}})
	equal(t, b.Admin, config.Address{IP: "::1", Port: 9901})
}

func TestConnectionLimits(t *testing.T) {
	const monitor = "overload_manager: {resource_monitors: {name: m, typed_config: {'@type': type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: "
	b, err := Parse("f", []byte(monitor+"7}}}\nlayered_runtime: {layers: {name: l, static_layer: {overload.global_downstream_max_connections: 5, envoy: {resource_limits: {listener: {a.b: {connection_limit: 3}}}}}}}"), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.MaxConnections, uint64(7))
	equal(t, b.Warnings, []string(nil))
	for text, want := range map[string]string{
		monitor + "0}}}": "f: overload_manager.resource_monitors[0].typed_config: max_active_downstream_connections: value must be greater than 0",
		"layered_runtime: {layers: {name: l, static_layer: {envoy.resource_limits.listener.a.connection_limit: 1.5}}}": "f: layered_runtime.layers[0].static_layer.envoy.resource_limits.listener.a.connection_limit: must be a whole number that is not negative",
	} {
		_, err := Parse("f", []byte(text), protofile.YAML, Options{})
		wantError(t, err, want)
	}
}
