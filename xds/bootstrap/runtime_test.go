package bootstrap

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

func TestRuntime(t *testing.T) {
	static := func(name string, values map[string]string) config.RuntimeLayer {
		return config.RuntimeLayer{Name: name, Static: values}
	}
	const resets = "overload.premature_reset_total_stream_count"
	for name, test := range map[string]struct {
		layers string
		want   []config.RuntimeLayer
	}{
		"no layer": {`[]`, []config.RuntimeLayer{{Admin: true}}},
		"no value": {`[{name: a, static_layer: {}}]`, []config.RuntimeLayer{static("a", map[string]string{})}},
		"dots":     {`[{name: a, static_layer: {` + resets + `: 7}}]`, []config.RuntimeLayer{static("a", map[string]string{resets: "7"})}},
		"nested": {`[{name: a, static_layer: {overload: {premature_reset_total_stream_count: 7}}}]`,
			[]config.RuntimeLayer{static("a", map[string]string{resets: "7"})}},
		"kinds": {`[{name: a, static_layer: {number: 2.5, big: 12345678901, b: true, t: text, f: {numerator: 5, denominator: MILLION}, e: {}}}]`,
			[]config.RuntimeLayer{static("a", map[string]string{
				"number": "2.5", "big": "12345678901", "b": "true", "t": "text", "f": `{"denominator":"MILLION","numerator":5}`, "e": "{}",
			})}},
		"layers": {`[{name: a, admin_layer: {}}, {name: b, disk_layer: {symlink_root: /r, subdirectory: s, append_service_cluster: true}}]`,
			[]config.RuntimeLayer{{Name: "a", Admin: true},
				{Name: "b", Disk: &config.RuntimeDisk{SymlinkRoot: "/r", Subdirectory: "s", AppendServiceCluster: true}}}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Parse("f", []byte("layered_runtime: {layers: "+test.layers+"}"), protofile.YAML, Options{})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, b.Runtime, test.want)
		})
	}
}

func TestRuntimeLayersRefused(t *testing.T) {
	for layers, want := range map[string]string{
		`[{name: a, admin_layer: {}}, {name: b, admin_layer: {}}]`:  "f: layered_runtime.layers[1].admin_layer: at most one layer may be one, layers[0] is",
		`[{name: a, static_layer: {}}, {name: a, admin_layer: {}}]`: `f: layered_runtime.layers[1].name: "a" is the name of two layers`,
		`[{name: a, disk_layer: {}}]`:                               "f: layered_runtime.layers[0].disk_layer.symlink_root: must not be empty",
		`[{name: a, rtds_layer: {}}]`:                               "f: layered_runtime.layers[0].rtds_layer.name: must not be empty",
		`[{name: a, static_layer: {l: [1]}}]`: "f: layered_runtime.layers[0].static_layer: l: must be a number, a truth value, a text, " +
			"an object, or a fraction with numerator and denominator",
		`[` + strings.Repeat(`{name: a, static_layer: {}},`, 65) + `]`: "f: layered_runtime.layers: has 65 layers, it may have 64",
	} {
		_, err := Parse("f", []byte("layered_runtime: {layers: "+layers+"}"), protofile.YAML, Options{})
		if err == nil || err.Error() != want {
			t.Errorf("%.80s:\ngot  %v\nwant %s", layers, err, want)
		}
	}
}

func TestRuntimeLayerOfTheControlPlane(t *testing.T) {
	b, err := Parse("f", []byte(`
layered_runtime: {layers: [{name: a, rtds_layer: {name: r, rtds_config: {ads: {}, initial_fetch_timeout: 0s}}}]}
dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}
static_resources: {clusters: [{name: x, load_assignment: {cluster_name: x, endpoints: [{lb_endpoints: [
  {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}, http2_protocol_options: {}}]}
`), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.Runtime, []config.RuntimeLayer{{Name: "a", RTDS: &config.RuntimeRTDS{Name: "r"}}})
}

func TestRuntimeWarnings(t *testing.T) {
	b, err := Parse("f", []byte("layered_runtime: {layers: [{name: a, static_layer: {mine: 1, envoy: {reloadable_features: {x: true}}}}]}"), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.Warnings, []string{"layered_runtime.layers[0].static_layer.envoy.reloadable_features.x: has no effect: " +
		"there is no use for the runtime key envoy.reloadable_features.x"})
}

func TestRuntimeRefused(t *testing.T) {
	const layer = "f: layered_runtime.layers[0].static_layer."
	const count = layer + "overload.premature_reset_total_stream_count: "
	const age = layer + "overload.premature_reset_min_stream_lifetime_seconds: "
	for static, want := range map[string]string{
		"{overload: {premature_reset_total_stream_count: 0}}":              count + "must be a whole number from 1 to 4294967295",
		"{overload: {premature_reset_total_stream_count: 1.5}}":            count + "must be a whole number from 1 to 4294967295",
		"{overload: {premature_reset_total_stream_count: 4294967296}}":     count + "must be a whole number from 1 to 4294967295",
		"{overload: {premature_reset_total_stream_count: many}}":           count + "must be a number",
		"{overload: {premature_reset_total_stream_count: true}}":           count + "must be a number",
		"{overload: {premature_reset_total_stream_count: {numerator: 1}}}": count + "must be a number",
		"{overload: {premature_reset_min_stream_lifetime_seconds: -1}}":    age + "must be a number of seconds from 0 to 31536000",
		"{overload: {premature_reset_min_stream_lifetime_seconds: 1e9}}":   age + "must be a number of seconds from 0 to 31536000",
		"{overload: {premature_reset_min_stream_lifetime_seconds: NaN}}":   age + "must be a number of seconds from 0 to 31536000",
		strings.Repeat("{a: ", 18) + "{}" + strings.Repeat("}", 18):        "f: layered_runtime.layers[0].static_layer: " + strings.Repeat("a.", 16) + "a: is nested more than 16 deep",
	} {
		_, err := Parse("f", []byte("layered_runtime: {layers: [{name: a, static_layer: "+static+"}]}"), protofile.YAML, Options{})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", static, err, want)
		}
	}
}
