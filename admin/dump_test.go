package admin

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func pack(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return packed
}

func inline(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

// tlsCluster returns a cluster with secrets in an Any.
func tlsCluster(name string) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:           name,
		AltStatName:    name + "_stats",
		ConnectTimeout: durationpb.New(1e9),
		TransportSocket: &corev3.TransportSocket{
			Name: "tls",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(&tlsv3.UpstreamTlsContext{
				CommonTlsContext: &tlsv3.CommonTlsContext{TlsCertificates: []*tlsv3.TlsCertificate{{
					CertificateChain: inline("CHAIN"),
					PrivateKey:       inline("SECRET"),
					Password: &corev3.DataSource{
						Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte("SECRET")},
					},
				}}},
			})},
		},
	}
}

func testDump() *adminv3.ConfigDump {
	when := &timestamppb.Timestamp{Seconds: 1893456000}
	dynamic := func(name string) *adminv3.ClustersConfigDump_DynamicCluster {
		return &adminv3.ClustersConfigDump_DynamicCluster{VersionInfo: "7", Cluster: pack(tlsCluster(name)), LastUpdated: when}
	}
	return &adminv3.ConfigDump{Configs: []*anypb.Any{
		pack(&adminv3.BootstrapConfigDump{
			Bootstrap: &bootstrapv3.Bootstrap{Node: &corev3.Node{Id: "alb-node", Cluster: "marchproxy-cluster"}}, LastUpdated: when,
		}),
		pack(&adminv3.ClustersConfigDump{
			VersionInfo:           "7",
			StaticClusters:        []*adminv3.ClustersConfigDump_StaticCluster{{Cluster: pack(tlsCluster("static")), LastUpdated: when}},
			DynamicActiveClusters: []*adminv3.ClustersConfigDump_DynamicCluster{dynamic("blue"), dynamic("green")},
		}),
		pack(&adminv3.EndpointsConfigDump{DynamicEndpointConfigs: []*adminv3.EndpointsConfigDump_DynamicEndpointConfig{
			{VersionInfo: "8", EndpointConfig: pack(&endpointv3.ClusterLoadAssignment{ClusterName: "blue"})},
			{VersionInfo: "8", EndpointConfig: pack(&endpointv3.ClusterLoadAssignment{ClusterName: "green"})},
		}}),
		pack(&adminv3.ListenersConfigDump{VersionInfo: "9", DynamicListeners: []*adminv3.ListenersConfigDump_DynamicListener{{
			Name: "http",
			ActiveState: &adminv3.ListenersConfigDump_DynamicListenerState{
				VersionInfo: "9", LastUpdated: when,
				Listener: pack(&listenerv3.Listener{Name: "http", FilterChains: []*listenerv3.FilterChain{{
					Filters: []*listenerv3.Filter{{
						Name: "unknown",
						ConfigType: &listenerv3.Filter_TypedConfig{
							TypedConfig: &anypb.Any{TypeUrl: "type.googleapis.com/example.Unknown", Value: []byte("SECRET")},
						},
					}},
				}}}),
			},
		}}}),
		pack(&adminv3.RoutesConfigDump{DynamicRouteConfigs: []*adminv3.RoutesConfigDump_DynamicRouteConfig{
			{VersionInfo: "9", RouteConfig: pack(&routev3.RouteConfiguration{Name: "default"}), LastUpdated: when},
		}}),
	}}
}

// withoutEDS returns the dump, with its endpoints only when asked for.
func withoutEDS(dump *adminv3.ConfigDump, eds bool) *adminv3.ConfigDump {
	if eds {
		return dump
	}
	return &adminv3.ConfigDump{Configs: slices.DeleteFunc(slices.Clone(dump.Configs), func(part *anypb.Any) bool {
		return part.MessageIs(&adminv3.EndpointsConfigDump{})
	})}
}

func TestConfigDump(t *testing.T) {
	f := newFixture()
	before := proto.Clone(f.dump)
	p := f.admin(t)
	for _, tc := range []struct{ target, file string }{
		{"/config_dump", "config_dump.json"},
		{"/config_dump?include_eds", "config_dump_eds.json"},
	} {
		a := p.get(tc.target)
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", tc.target, a.StatusCode, a.Header.Get("Content-Type"))
		}
		golden(t, tc.file, a.body)
		if strings.Contains(a.body, "SECRET") || strings.Contains(a.body, "U0VDUkVU") {
			t.Errorf("%s shows a secret", tc.target)
		}
	}
	if !proto.Equal(before, f.dump) {
		t.Error("the dump that was handed in has changed")
	}
}

func TestConfigDumpSelection(t *testing.T) {
	const dynamicCluster = `{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster"`
	const cluster = `"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster"`
	p := newFixture().admin(t)
	for _, tc := range []struct {
		query  string
		status int
		want   string
	}{
		{"resource=dynamic_active_clusters&mask=cluster.name", 200,
			`{"configs":[` + dynamicCluster + `,` + cluster + `,"name":"blue"}},` + dynamicCluster + `,` + cluster + `,"name":"green"}}]}`},
		{"resource=dynamic_active_clusters&mask=cluster.name,version_info&name_regex=g.*", 200,
			`{"configs":[` + dynamicCluster + `,"version_info":"7",` + cluster + `,"name":"green"}}]}`},
		{"resource=dynamic_active_clusters&mask=cluster.transport_socket.name,cluster.alt_stat_name&name_regex=blue", 200,
			`{"configs":[` + dynamicCluster + `,` + cluster + `,"alt_stat_name":"blue_stats","transport_socket":{"name":"tls"}}}]}`},
		{"resource=dynamic_active_clusters&name_regex=lu", 200, `{}`},
		{"resource=dynamic_warming_clusters", 200, `{}`},
		{"resource=dynamic_endpoint_configs", 404, `dynamic_endpoint_configs not found in config dump`},
		{"resource=dynamic_endpoint_configs&include_eds&name_regex=green", 200,
			`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.EndpointsConfigDump.DynamicEndpointConfig","version_info":"8",` +
				`"endpoint_config":{"@type":"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment","cluster_name":"green"}}]}`},
		{"mask=bootstrap.node.id", 200,
			`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump","bootstrap":{"node":{"id":"alb-node"}}}]}`},
		{"mask=bootstrap.node.id,bootstrap.node", 200,
			`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",` +
				`"bootstrap":{"node":{"id":"alb-node","cluster":"marchproxy-cluster"}}}]}`},
		{"mask=version_info", 200,
			`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","version_info":"7"},` +
				`{"@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump","version_info":"9"}]}`},
		{"resource=version_info", 400, `version_info is not a repeated field. Use ?mask=version_info to get only this field`},
		{"resource=bootstrap", 400, `bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field`},
		{"resource=nothing%0a<b>", 404, `nothing\x0a<b> not found in config dump`},
		{"mask=nothing", 400, `FieldMask nothing could not be successfully applied to any configs.`},
		{"resource=dynamic_active_clusters&mask=cluster.nothing", 400,
			`FieldMask cluster.nothing could not be successfully used: "nothing": envoy.config.cluster.v3.Cluster has no field "nothing"`},
		{"resource=dynamic_active_clusters&mask=cluster.name.x", 400,
			`FieldMask cluster.name.x could not be successfully used: "name.x": envoy.config.cluster.v3.Cluster.name has no fields that a mask could name`},
		{"resource=dynamic_listeners&mask=active_state.version_info&name_regex=http", 200,
			`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener","active_state":{"version_info":"9"}}]}`},
		{"name_regex=(", 400, "Error while parsing name_regex from (: error parsing regexp: missing closing ): `(`"},
		{"name_regex=a)(b", 400, "Error while parsing name_regex from a)(b: error parsing regexp: unexpected ): `a)(b`"},
	} {
		a := p.get("/config_dump?" + tc.query)
		got := a.body
		if a.StatusCode == 200 {
			got = compact(t, got)
		}
		if a.StatusCode != tc.status || got != tc.want {
			t.Errorf("%s:\n%d %s\nwant\n%d %s", tc.query, a.StatusCode, got, tc.status, tc.want)
		}
	}
}

func compact(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(s), &raw); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(raw); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestRedactStopsAtDepth(t *testing.T) {
	deep := &anypb.Any{TypeUrl: "type.googleapis.com/example.Unknown"}
	for range 3 * maxRedactDepth {
		deep = pack(&corev3.TypedExtensionConfig{Name: "x", TypedConfig: deep})
	}
	dump := redacted(&adminv3.ConfigDump{Configs: []*anypb.Any{deep}})
	depth := 0
	for at := dump.Configs[0]; at != nil; depth++ {
		var c corev3.TypedExtensionConfig
		if err := at.UnmarshalTo(&c); err != nil {
			t.Fatal(err)
		}
		at = c.TypedConfig
	}
	if depth == 0 || depth > maxRedactDepth {
		t.Errorf("%d messages are left of %d, want at most %d", depth, 3*maxRedactDepth, maxRedactDepth)
	}
}

func cloneDump(dump *adminv3.ConfigDump) *adminv3.ConfigDump {
	return proto.Clone(dump).(*adminv3.ConfigDump)
}

// equalDumps compares what is in the parts, which may be packed in different ways.
func equalDumps(x, y *adminv3.ConfigDump) bool {
	if len(x.GetConfigs()) != len(y.GetConfigs()) {
		return false
	}
	for i := range x.GetConfigs() {
		a, errA := x.Configs[i].UnmarshalNew()
		b, errB := y.Configs[i].UnmarshalNew()
		if errA != nil || errB != nil || !proto.Equal(a, b) {
			return false
		}
	}
	return true
}
