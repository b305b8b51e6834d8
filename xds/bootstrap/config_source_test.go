package bootstrap

import (
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// sourced is a bootstrap whose clusters come from source, with static clusters that can be control planes.
func sourced(source string) string {
	return `
node: {id: n1, cluster: c1}
static_resources:
  clusters:
  - {name: one, load_assignment: {cluster_name: one, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}}]}]}}
  - name: two
    http2_protocol_options: {}
    load_assignment: {cluster_name: two, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.2, port_value: 80}}}}]}]}
dynamic_resources:
  cds_config: {` + source + "}\n"
}

func TestControlPlaneOfASource(t *testing.T) {
	for source, want := range map[string]ControlPlane{
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one, authority: a}}]}": {
			Cluster: "one", Authority: "a", Targets: []config.Address{{IP: "10.0.0.1", Port: 80}},
		},
		"api_config_source: {api_type: DELTA_GRPC, set_node_on_first_message_only: true, grpc_services: [{envoy_grpc: {cluster_name: two}}]}": {
			Cluster: "two", Targets: []config.Address{{IP: "10.0.0.2", Port: 80}}, Incremental: true, SetNodeOnFirstMessageOnly: true,
		},
		"api_config_source: {api_type: REST, cluster_names: [one], refresh_delay: 3s, request_timeout: 2s}": {
			Cluster: "one", Targets: []config.Address{{IP: "10.0.0.1", Port: 80}},
			Polls: &Polls{RefreshDelay: 3 * time.Second, RequestTimeout: 2 * time.Second},
		},
		"api_config_source: {api_type: REST, cluster_names: [two], refresh_delay: 0.001s}": {
			Cluster: "two", Targets: []config.Address{{IP: "10.0.0.2", Port: 80}}, Polls: &Polls{RefreshDelay: time.Millisecond, HTTP2: true},
		},
	} {
		b, err := Parse("f", []byte(sourced(source)), protofile.YAML, Options{})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		want.ConnectTimeout, want.MaxReceiveBytes = config.DefaultConnectTimeout, defaultMaxReceive
		got, _, err := b.ControlPlane(b.CDS.Source)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, &want)
		equal(t, b.ADS, (*ControlPlane)(nil))
		equal(t, b.Check(), nil)
	}
}

func TestSourceRefused(t *testing.T) {
	const api = "dynamic_resources.cds_config.api_config_source."
	for source, want := range map[string]string{
		"api_config_source: {api_type: REST}":                                           api + "cluster_names: must have exactly one entry with api_type REST\nf: " + api + "refresh_delay: must be at least 1ms with api_type REST",
		"api_config_source: {api_type: REST, cluster_names: [a, b], refresh_delay: 1s}": api + "cluster_names: must have exactly one entry with api_type REST",
		"api_config_source: {api_type: REST, cluster_names: [one], refresh_delay: 1s, grpc_services: [{envoy_grpc: {cluster_name: one}}]}": api +
			"grpc_services: must not be set with api_type REST, cluster_names has the cluster",
		"api_config_source: {api_type: REST, cluster_names: [nowhere], refresh_delay: 1s}": api + "cluster_names[0]: envoy.config.core.v3.ApiConfigSource must have a statically " +
			"defined non-EDS cluster: 'nowhere' does not exist, was added via api, or is an EDS cluster; static_resources.clusters has one, two",
		"api_config_source: {api_type: GRPC, cluster_names: [one], grpc_services: [{envoy_grpc: {cluster_name: one}}]}": api +
			"cluster_names: must not be set with api_type GRPC, grpc_services has the cluster",
		"path_config_source: {path: /no/such/file}": "dynamic_resources.cds_config: paths must refer to an existing path in the system: '/no/such/file' does not exist (stat /no/such/file: no such file or directory)",
	} {
		_, err := Parse("f", []byte(sourced(source)), protofile.YAML, Options{})
		wantError(t, err, "f: "+want)
	}
}

// TestStaticResourcesAskSomewhere holds that what static resources ask for can be asked for, and that a control plane needs a node.
func TestStaticResourcesAskSomewhere(t *testing.T) {
	const cluster = "  - {name: e, type: EDS, eds_cluster_config: {eds_config: {%}}}\n"
	for source, want := range map[string]string{
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one}}]}": "",
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: e}}]}": `cluster "e": asks for endpoints "e" over EDS: api_config_source.grpc_services[0].` +
			"envoy_grpc.cluster_name: envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'e' does not exist, was added via api, or is an EDS " +
			"cluster; static_resources.clusters has one, two, e",
		"path: /no": `cluster "e": asks for endpoints "e" over EDS: paths must refer to an existing path in the system: '/no' does not exist (stat /no: no such file or directory)`,
		"path: /":   "",
		"self: {}":  `cluster "e": asks for endpoints "e" over EDS: there is no dynamic_resources.ads_config`,
	} {
		text, _, _ := strings.Cut(sourced(""), "dynamic_resources:")
		b, err := Parse("f", []byte(text+strings.ReplaceAll(cluster, "%", source)), protofile.YAML, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Check(); want == "" && err != nil {
			t.Errorf("%s: %v", source, err)
		} else if want != "" {
			wantError(t, err, want)
		}
		if strings.HasPrefix(source, "api") && want == "" {
			b.Node.Id = ""
			wantError(t, b.Check(), "node.id: must not be empty when there is a control plane (--service-node sets it too)")
		}
	}
}
