package bootstrap

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

const full = `
node: {id: n1, cluster: c1}
admin:
  access_log_path: /dev/null
  address: {socket_address: {address: 127.0.0.1, port_value: 9901}}
watchdog: {megamiss_timeout: 1s}
layered_runtime:
  layers: [{name: static, static_layer: {overload: {global_downstream_max_connections: 50000}}}]
overload_manager:
  resource_monitors: [{name: heap, typed_config: {"@type": type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig, max_heap_size_bytes: 1}}]
stats_config:
  stats_tags: [{tag_name: module_type, fixed_value: ALB}, {tag_name: t, regex: "^(x)"}]
dynamic_resources:
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services:
    - envoy_grpc: {cluster_name: xds, authority: a.example, max_receive_message_length: 1000}
      initial_metadata: [{key: k, value: v}]
  lds_config: {ads: {}, resource_api_version: V3}
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
static_resources:
  clusters:
  - name: xds
    type: STRICT_DNS
    connect_timeout: 3s
    lb_policy: ROUND_ROBIN
    http2_protocol_options: {}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {connection_keepalive: {interval: 30s, timeout: 5s}}}
    health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}]
    load_assignment:
      cluster_name: xds
      endpoints:
      - priority: 1
        lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.9, port_value: 1}}}}]
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: api-server, port_value: 18000}}}}]
  - name: web
    load_assignment:
      cluster_name: web
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}}]}]
  listeners:
  - address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: s
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: web}}]}]}
          http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`

func TestParseFull(t *testing.T) {
	b, err := Parse("f", []byte(full), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantADS := &ControlPlane{
		Servers: []Server{{
			Cluster: "xds", Targets: []config.Address{{IP: "api-server", Port: 18000}, {IP: "10.0.0.9", Port: 1}},
			Authority: "a.example", InitialMetadata: []config.Metadata{{Key: "k", Value: "v"}}, ConnectTimeout: 3 * time.Second,
			KeepaliveInterval: 30 * time.Second, KeepaliveTimeout: 5 * time.Second, MaxReceiveBytes: 1000, HTTP2: true,
		}},
		SetNodeOnFirstMessageOnly: true,
	}
	equal(t, b.ADS, wantADS)
	equal(t, b.LDS, &config.Discovery{FetchTimeout: 15 * time.Second})
	equal(t, b.CDS, &config.Discovery{})
	equal(t, b.Stats, StatsConfig{Tags: []StatsTag{{Name: "module_type", Fixed: true, Value: "ALB"}, {Name: "t", Regex: "^(x)"}}, UseDefaultTags: true})
	equal(t, b.Admin, config.Address{IP: "127.0.0.1", Port: 9901})
	equal(t, b.HasAdmin, true)
	equal(t, b.Node.GetId()+" "+b.Node.GetCluster(), "n1 c1")
	equal(t, b.Node == b.Proto.GetNode(), true)
	equal(t, len(b.Listeners) == 1 && b.Listeners[0].Name == "0.0.0.0_8080", true)
	equal(t, len(b.Clusters) == 2 && b.Clusters[0].Name == "xds" && b.Clusters[1].Name == "web", true)
	equal(t, b.Warnings, []string{
		"watchdog: has no effect: there is no watchdog",
		`overload_manager.resource_monitors[0]: "heap" has no effect: of the overload manager there is the limit on connections only, memory is bounded otherwise`,
		"admin.access_log_path: is deprecated and has no effect",
		"static_resources.clusters[0].health_checks: has no effect on the connection to the control plane",
	})
	equal(t, b.Check(), nil)
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestStyles(t *testing.T) {
	texts := map[string]struct {
		format protofile.Format
		text   string
	}{
		"yaml snake": {protofile.YAML, "stats_config: {stats_tags: [{tag_name: a, fixed_value: b}], use_all_default_tags: false}"},
		"yaml camel": {protofile.YAML, "statsConfig: {statsTags: [{tagName: a, fixedValue: b}], useAllDefaultTags: false}"},
		"json snake": {protofile.JSON, `{"stats_config": {"stats_tags": [{"tag_name": "a", "fixed_value": "b"}], "use_all_default_tags": false}}`},
		"json camel": {protofile.JSON, `{"statsConfig": {"statsTags": [{"tagName": "a", "fixedValue": "b"}], "useAllDefaultTags": false}}`},
		"aliases":    {protofile.YAML, "stats_config: {stats_tags: [{tag_name: &x a, fixed_value: b}], use_all_default_tags: false}\nnode: {id: *x}"},
	}
	for name, test := range texts {
		t.Run(name, func(t *testing.T) {
			b, err := Parse("f", []byte(test.text), test.format, Options{})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, b.Stats, StatsConfig{Tags: []StatsTag{{Name: "a", Fixed: true, Value: "b"}}})
			equal(t, b.ADS, (*ControlPlane)(nil))
		})
	}
}

func TestMerge(t *testing.T) {
	const file = "node: {id: a, cluster: c}\nstats_config: {stats_tags: [{tag_name: x, fixed_value: 1st}]}"
	const over = "node: {id: b}\nstats_config: {stats_tags: [{tag_name: z, fixed_value: 2nd}]}"
	b, err := Parse("f", []byte(file), protofile.YAML, Options{MergeYAML: over})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.Node.GetId()+" "+b.Node.GetCluster(), "b c")
	equal(t, b.Stats.Tags, []StatsTag{{Name: "x", Fixed: true, Value: "1st"}, {Name: "z", Fixed: true, Value: "2nd"}})

	_, err = Parse("f", []byte(file), protofile.YAML, Options{MergeYAML: "nod: {}"})
	wantError(t, err, "--config-yaml: nod: unknown field of envoy.config.bootstrap.v3.Bootstrap")
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want %s", want)
	}
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestParseRefused(t *testing.T) {
	const ads = "static_resources: {clusters: [{name: x, http2_protocol_options: {}, load_assignment: {cluster_name: x, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 1.1.1.1, port_value: 1}}}}]}]}}]}\ndynamic_resources: {ads_config: {grpc_services: [{envoy_grpc: {cluster_name: x}}], "
	tests := map[string]string{
		"":                                  "f: is not an object, it must have fields",
		"[]":                                "f: is not an object, it must have fields",
		"nod: {id: a}\nadmin: {adress: {}}": "f: admin.adress: unknown field of envoy.config.bootstrap.v3.Admin\nf: nod: unknown field of envoy.config.bootstrap.v3.Bootstrap",
		"node: {id: [1]}":                   "f: node.id: a list is not a text",
		"static_resources: {clusters: [{name: é}, {name: c, connect_timeout: 5}]}":  "f: static_resources.clusters[1].connect_timeout: 5 is not a duration, it must be like 5s",
		"static_resources: {clusters: [{name: c, type: STATI}]}":                    `f: static_resources.clusters[0].type: "STATI" is not a value of envoy.config.cluster.v3.Cluster.DiscoveryType (STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST)`,
		"static_resources: {clusters: [{name: c, metadata: {filter_metadta: {}}}]}": "f: static_resources.clusters[0].metadata.filter_metadta: unknown field of envoy.config.core.v3.Metadata",
		"static_resources: {clusters: [{name: c, lrs_server: {self: {}}}, {name: c}, {name: d, health_checks: [{}]}]}": `f: static_resources.clusters[0]: cluster "c": lrs_server: is not supported
f: static_resources.clusters[1].name: "c" is the name of clusters[0] too
f: static_resources.clusters[2]: cluster "d": health_checks[0].timeout: value is required
f: static_resources.clusters[2]: cluster "d": health_checks[0].interval: value is required
f: static_resources.clusters[2]: cluster "d": health_checks[0].unhealthy_threshold: value is required
f: static_resources.clusters[2]: cluster "d": health_checks[0].healthy_threshold: value is required
f: static_resources.clusters[2]: cluster "d": health_checks[0].health_checker: value is required`,
		"static_resources: {listeners: [{name: l, address: {socket_address: {address: 1.1.1.1, port_value: 1}}}]}": `f: static_resources.listeners[0]: listener "l": filter_chains: no filter chains specified: there must be one, or a default_filter_chain`,
		"header_prefix: x":                      "f: header_prefix: is not supported",
		"admin: {address: {pipe: {path: '@'}}}": "f: admin.address: pipe.path: must name a socket: the path of a file, or @ and an abstract name",
		"admin: {address: {envoy_internal_address: {server_listener_name: x}}}":                               "f: admin.address: envoy_internal_address: is not supported, only socket_address",
		"dynamic_resources: {cds_config: {ads: {}}, lds_config: {ads: {}}}":                                   "f: dynamic_resources.lds_config: needs dynamic_resources.ads_config\nf: dynamic_resources.cds_config: needs dynamic_resources.ads_config",
		ads + "api_type: AGGREGATED_GRPC}}":                                                                   "f: dynamic_resources.ads_config.api_type: AGGREGATED_GRPC is not supported, only GRPC, DELTA_GRPC and REST",
		ads + "api_type: REST}}":                                                                              "f: dynamic_resources.ads_config.api_type: REST is not supported for the aggregated stream, only GRPC and DELTA_GRPC",
		ads + "api_type: GRPC, transport_api_version: V2}}":                                                   "f: dynamic_resources.ads_config.transport_api_version: V2 is not supported, only V3",
		ads + "api_type: GRPC}, lds_config: {path_config_source: {path: /x}}}":                                "f: dynamic_resources.lds_config: paths must refer to an existing path in the system: '/x' does not exist (stat /x: no such file or directory)",
		"dynamic_resources: {ads_config: {api_type: GRPC}}":                                                   "f: dynamic_resources.ads_config.grpc_services: must have 1 to 8 entries, has 0",
		"dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}": "f: dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name: envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'x' does not exist, was added via api, or is an EDS cluster; static_resources.clusters has none",
		"dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{google_grpc: {target_uri: a, stat_prefix: b, credentials_factory_name: c}}]}}":                                                                                                                                                    "f: dynamic_resources.ads_config.grpc_services[0].google_grpc.credentials_factory_name: is not supported",
		"static_resources: {clusters: [{name: x, type: EDS, http2_protocol_options: {}, eds_cluster_config: {eds_config: {ads: {}}}}]}\ndynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}":                                                                 "f: dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name: envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'x' does not exist, was added via api, or is an EDS cluster; static_resources.clusters has x",
		"static_resources: {clusters: [{name: x, http2_protocol_options: {}, load_assignment: {cluster_name: x}, transport_socket: {name: tls, typed_config: {'@type': type.googleapis.com/no.Tls}}}]}\ndynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}": `f: static_resources.clusters[0]: cluster "x": transport_socket: 'tls' with type URL 'type.googleapis.com/no.Tls' is not supported, only envoy.transport_sockets.raw_buffer`,
		"static_resources: {clusters: [{name: x, http2_protocol_options: {}, load_assignment: {cluster_name: x}, transport_socket_matches: [{name: m}]}]}\ndynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}":                                              "f: static_resources.clusters[0].transport_socket_matches: is not supported\nf: static_resources.clusters[0].load_assignment: cluster \"x\" of the control plane has no endpoints",
		"static_resources: {clusters: [{name: x, http2_protocol_options: {}, load_assignment: {cluster_name: x}}]}\ndynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}":                                                                                     `f: static_resources.clusters[0].load_assignment: cluster "x" of the control plane has no endpoints`,
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := Parse("f", []byte(text), protofile.YAML, Options{})
			wantError(t, err, want)
		})
	}
}

func TestUnknownFields(t *testing.T) {
	b, err := Parse("f", []byte("node: {id: a, ids: b}\nfuture: {}"), protofile.YAML, Options{AllowUnknownFields: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.Node.GetId(), "a")
	equal(t, b.UnknownFields, 2)
	equal(t, b.Warnings, []string{"future: unknown field of envoy.config.bootstrap.v3.Bootstrap", "node.ids: unknown field of envoy.config.core.v3.Node"})
	if _, err := Complete(b, func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	equal(t, b.UnknownFields, 2)
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, path := range []string{write("a.yaml", "node: {id: a}"), write("a.json", `{"node": {"id": "a"}}`), write("a.conf", "node: {id: a}")} {
		b, err := Load(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, b.Node.GetId(), "a")
	}
	b, err := Load("", Options{MergeYAML: "node: {id: a}"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.Node.GetId(), "a")

	_, err = Load(write("b.json", "node: {}"), Options{})
	if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "b.json")+": is not JSON: ") {
		t.Errorf("got %v", err)
	}
	_, err = Load("", Options{})
	wantError(t, err, "there is neither a bootstrap file nor a bootstrap text")
	if _, err = Load(filepath.Join(dir, "none.yaml"), Options{}); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	b, err := Parse("f", []byte(strings.Replace(full, "node: {id: n1, cluster: c1}", "", 1)), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, b.Check(), `node.id: must not be empty when there is a control plane (--service-node sets it too)
node.cluster: must not be empty when there is a control plane (--service-cluster sets it too)`)

	b, err = Parse("f", []byte("static_resources: {clusters: [{name: c, type: EDS, eds_cluster_config: {eds_config: {ads: {}}}}]}"), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, b.Check(), `cluster "c": asks for endpoints "c" over EDS: there is no dynamic_resources.ads_config`)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full), true)
	f.Add([]byte(`{"node": {"id": "a"}}`), false)
	f.Add([]byte("static_resources: {listeners: [{filter_chains: [{filters: [{typed_config: {'@type': x}}]}]}]}"), true)
	f.Fuzz(func(t *testing.T, data []byte, yaml bool) {
		format := protofile.JSON
		if yaml {
			format = protofile.YAML
		}
		b, err := Parse("f", data, format, Options{})
		if (b == nil) != (err != nil) {
			t.Fatalf("b = %v, err = %v", b, err)
		}
		if b != nil {
			_ = b.Check()
			if _, err := Complete(b, func(string) string { return "" }); err != nil {
				t.Fatalf("accepted but not to be completed: %v", err)
			}
		}
	})
}

func TestIncremental(t *testing.T) {
	for api, want := range map[string]bool{"GRPC": false, "DELTA_GRPC": true} {
		b, err := Parse("f", []byte(strings.Replace(full, "api_type: GRPC", "api_type: "+api, 1)), protofile.YAML, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if b.ADS.Incremental != want {
			t.Errorf("%s: incremental %t, want %t", api, b.ADS.Incremental, want)
		}
	}
}
