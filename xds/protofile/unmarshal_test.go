package protofile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// strict is a message of the type of m in protobuf's own JSON.
func strict(t *testing.T, text string, m proto.Message) proto.Message {
	t.Helper()
	out := m.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

// TestLeniency has a case for each thing that Envoy accepts and proto3's JSON mapping, or YAML 1.2, does not.
func TestLeniency(t *testing.T) {
	cluster, bootstrap, layer := &clusterv3.Cluster{}, &bootstrapv3.Bootstrap{}, &structpb.Struct{}
	tests := []struct {
		name   string
		format Format
		text   string
		m      proto.Message
		want   string // in protobuf's own JSON
	}{
		{"field names in snake case", YAML, "lb_policy: RANDOM", cluster, `{"lbPolicy": "RANDOM"}`},
		{"field names in camel case", YAML, "lbPolicy: RANDOM", cluster, `{"lbPolicy": "RANDOM"}`},
		{"field names in snake case, JSON", JSON, `{"lb_policy": "RANDOM"}`, cluster, `{"lbPolicy": "RANDOM"}`},

		{"enum by number", YAML, "lb_policy: 3", cluster, `{"lbPolicy": "RANDOM"}`},
		{"enum by number in quotes", YAML, `lb_policy: "3"`, cluster, `{"lbPolicy": "RANDOM"}`},
		{"enum in another case", YAML, "lb_policy: Random", cluster, `{"lbPolicy": "RANDOM"}`},
		{"enum by a number that has no name", YAML, "lb_policy: 77", cluster, `{"lbPolicy": 77}`},

		{"object where a list is expected", YAML, "health_checks: {timeout: 1s}", cluster, `{"healthChecks": [{"timeout": "1s"}]}`},
		{"scalar where a list is expected", YAML, "watchdog: {}\ninline_headers: {inline_header_name: a}", bootstrap,
			`{"watchdog": {}, "inlineHeaders": [{"inlineHeaderName": "a"}]}`},
		{"string where a list is expected", YAML, "cds_config: {api_config_source: {cluster_names: a}}", &bootstrapv3.Bootstrap_DynamicResources{},
			`{"cdsConfig": {"apiConfigSource": {"clusterNames": ["a"]}}}`},
		{"list in a list", YAML, "health_checks: [[{timeout: 1s}], [[{timeout: 2s}]]]", cluster, `{"healthChecks": [{"timeout": "1s"}, {"timeout": "2s"}]}`},
		{"null in a list", YAML, "health_checks: [null, {timeout: 1s}]", cluster, `{"healthChecks": [{}, {"timeout": "1s"}]}`},
		{"null for a list", YAML, "health_checks: ~", cluster, `{}`},
		{"null for a message", YAML, "load_assignment:", cluster, `{}`},
		{"null for a scalar", JSON, `{"name": null}`, cluster, `{}`},

		{"duration as text", YAML, "connect_timeout: 0.25s", cluster, `{"connectTimeout": "0.25s"}`},
		{"duration as object", YAML, "connect_timeout: {seconds: 1, nanos: 500000000}", cluster, `{"connectTimeout": "1.5s"}`},
		{"duration as object with texts", JSON, `{"connect_timeout": {"seconds": "5"}}`, cluster, `{"connectTimeout": "5s"}`},
		{"duration as empty object", YAML, "connect_timeout: {}", cluster, `{"connectTimeout": "0s"}`},
		{"negative duration as object", YAML, "connect_timeout: {nanos: -1}", cluster, `{"connectTimeout": "-0.000000001s"}`},
		{"wrapper as scalar", YAML, "per_connection_buffer_limit_bytes: 5", cluster, `{"perConnectionBufferLimitBytes": 5}`},
		{"wrapper as object", YAML, "per_connection_buffer_limit_bytes: {value: 5}", cluster, `{"perConnectionBufferLimitBytes": 5}`},
		{"wrapper as empty object", YAML, "per_connection_buffer_limit_bytes: {}", cluster, `{"perConnectionBufferLimitBytes": 0}`},
		{"wrapper of a boolean as object", YAML, "use_all_default_tags: {value: no}", &metricsv3.StatsConfig{}, `{"useAllDefaultTags": false}`},
		{"number in quotes", YAML, `per_connection_buffer_limit_bytes: "5"`, cluster, `{"perConnectionBufferLimitBytes": 5}`},
		{"whole number with a fraction", YAML, "per_connection_buffer_limit_bytes: 5.0", cluster, `{"perConnectionBufferLimitBytes": 5}`},
		{"whole number with an exponent", YAML, "per_connection_buffer_limit_bytes: 1e3", cluster, `{"perConnectionBufferLimitBytes": 1000}`},
		{"hexadecimal number", YAML, "per_connection_buffer_limit_bytes: 0x10", cluster, `{"perConnectionBufferLimitBytes": 16}`},
		{"octal number", YAML, "per_connection_buffer_limit_bytes: 010", cluster, `{"perConnectionBufferLimitBytes": 8}`},
		{"large number", YAML, "per_connection_buffer_limit_bytes: 4294967295", cluster, `{"perConnectionBufferLimitBytes": 4294967295}`},
		{"double in quotes", YAML, `healthy_panic_threshold: {value: "12.5"}`, &clusterv3.Cluster_CommonLbConfig{}, `{"healthyPanicThreshold": {"value": 12.5}}`},
		{"infinity", YAML, `healthy_panic_threshold: {value: .inf}`, &clusterv3.Cluster_CommonLbConfig{}, `{"healthyPanicThreshold": {"value": "Infinity"}}`},

		{"boolean as a word", YAML, "use_tcp_for_dns_lookups: Yes", cluster, `{"useTcpForDnsLookups": true}`},
		{"boolean as a letter", YAML, "use_tcp_for_dns_lookups: y", cluster, `{"useTcpForDnsLookups": true}`},
		{"boolean as a switch", YAML, "use_tcp_for_dns_lookups: ON\nrespect_dns_ttl: off", cluster, `{"useTcpForDnsLookups": true}`},
		{"boolean in quotes", JSON, `{"use_tcp_for_dns_lookups": "TRUE", "respect_dns_ttl": "0"}`, cluster, `{"useTcpForDnsLookups": true}`},

		{"text that looks like something else", YAML, "name: '010'", cluster, `{"name": "010"}`},
		{"text that looks like a boolean, without quotes", YAML, "name: n", cluster, `{"name": "n"}`},
		{"text that looks like a number, without quotes", YAML, "name: 1.10", cluster, `{"name": "1.10"}`},
		{"text that looks like a large number, without quotes", YAML, "name: 0x1000000000", cluster, `{"name": "0x1000000000"}`},
		{"bytes that look like a number", YAML, "inline_bytes: 1234", &corev3.DataSource{}, `{"inlineBytes": "1234"}`},
		{"wrapper of a text that looks like a number", YAML, "typed_config: {'@type': type.googleapis.com/google.protobuf.StringValue, value: 010}",
			&corev3.TypedExtensionConfig{}, `{"typedConfig": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "010"}}`},
		{"text with a tag", YAML, "name: !!str 10", cluster, `{"name": "10"}`},
		{"text in a block", YAML, "name: |-\n  yes", cluster, `{"name": "yes"}`},
		{"text with an underscore", YAML, "name: 1_0", cluster, `{"name": "1_0"}`},
		{"number of another language", YAML, "name: 0b1", cluster, `{"name": "0b1"}`},

		{"values of a Struct", YAML, "a: 1\nb: 1.5\nc: yes\nd: ~\ne: 5000000000\nf: [x, 0x10]\ng: '1'", layer,
			`{"a": 1, "b": 1.5, "c": true, "d": null, "e": "5000000000", "f": ["x", 16], "g": "1"}`},
		{"anchor of an ignored key", YAML, "!ignore x: &x {timeout: 1s}\nhealth_checks: [*x, *x]", cluster,
			`{"healthChecks": [{"timeout": "1s"}, {"timeout": "1s"}]}`},
		{"merge key", YAML, "health_checks: [&x {timeout: 1s, interval: 2s}, {<<: *x, interval: 3s}, {<<: [*x, {reuse_connection: no}]}]", cluster,
			`{"healthChecks": [{"timeout": "1s", "interval": "2s"}, {"timeout": "1s", "interval": "3s"}, {"timeout": "1s", "interval": "2s", "reuseConnection": false}]}`},
		{"JSON in YAML", YAML, `{"name": "a", "connect_timeout": "1s"}`, cluster, `{"name": "a", "connectTimeout": "1s"}`},
		{"JSON with single quotes and a last comma", JSON, `{'name': 'a', connect_timeout: "1s",}`, cluster, `{"name": "a", "connectTimeout": "1s"}`},
		{"JSON with surrogates", JSON, `{"name": "\ud83d\ude00\/"}`, cluster, `{"name": "😀/"}`},

		{"empty Any", YAML, "typed_config: {}", &corev3.TypedExtensionConfig{}, `{"typedConfig": {}}`},
		{"leniency within an Any", YAML, "typed_config: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, lb_policy: random, connect_timeout: {seconds: 1}}",
			&corev3.TypedExtensionConfig{}, `{"typedConfig": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "lbPolicy": "RANDOM", "connectTimeout": "1s"}}`},
		{"well-known type in an Any", YAML, "typed_config: {'@type': type.googleapis.com/google.protobuf.Duration, value: {seconds: 1}}",
			&corev3.TypedExtensionConfig{}, `{"typedConfig": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}`},
		{"unknown type in an Any", YAML, "typed_config: {'@type': type.googleapis.com/no.Such, a: {b: 0x1}}",
			&corev3.TypedExtensionConfig{}, `{"typedConfig": {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "typeUrl": "type.googleapis.com/no.Such", "value": {"a": {"b": 1}}}}`},
		{"bytes without padding", JSON, `{"inline_bytes": "YQ"}`, &corev3.DataSource{}, `{"inlineBytes": "YQ=="}`},
		{"timestamp as object", YAML, "valid_from: {seconds: 1, nanos: 5}", &adminv3.CertificateDetails{}, `{"validFrom": "1970-01-01T00:00:01.000000005Z"}`},
		{"list value as object", YAML, "a: {values: [1]}", layer, `{"a": {"values": [1]}}`},
		{"map of messages", YAML, "filter_metadata: {a: {b: y}, c: ~}", &corev3.Metadata{}, `{"filterMetadata": {"a": {"b": true}, "c": {}}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := test.m.ProtoReflect().New().Interface()
			if _, err := Unmarshal([]byte(test.text), test.format, got, Options{}); err != nil {
				t.Fatalf("%v in\n%s", err, test.text)
			}
			if want := strict(t, test.want, test.m); !proto.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// laughs returns a text whose size is 10^n once its aliases are expanded.
func laughs(n int) string {
	text := "a0: &a0 lol\n"
	for i := range n {
		ten := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ",")
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, ten)
	}
	return text
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		format Format
		text   string
		want   string // what the error begins with
	}{
		"yaml":            {YAML, "a: [", "is not YAML: yaml: line 1: "},
		"json":            {JSON, "{", "is not JSON: unexpected EOF"},
		"json array":      {JSON, "[1, ", "is not JSON: unexpected EOF"},
		"yaml as json":    {JSON, "name: a", "is not JSON: invalid character"},
		"json tail":       {JSON, "{} {}", "is not JSON: there is more after the value"},
		"nothing":         {YAML, "", "is not an object, it must have fields"},
		"list":            {JSON, "[]", "is not an object, it must have fields"},
		"key":             {YAML, "? [a]\n: b", "line 1: a key is not a scalar, it must be the name of a field"},
		"merge":           {YAML, "<<: 5", "line 1: the value of << is not a mapping"},
		"deep":            {JSON, strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "is nested deeper than 100 levels"},
		"deep yaml":       {YAML, strings.Repeat("[", 200) + strings.Repeat("]", 200), "is nested deeper than 100 levels"},
		"alias of itself": {YAML, "name: &a [*a]", "is nested deeper than 100 levels"},
		"large":           {YAML, strings.Repeat("#", maxText+1), "is larger than 16777216 bytes"},
		"binary":          {Binary, "\xff", "is not a protobuf message: "},
		"text":            {Text, "name: 5", "is not protobuf text: "},

		"unknown field":     {YAML, "nam: a\nload_assignment: {policy: {x: 1}}", "load_assignment.policy.x: unknown field of envoy.config.endpoint.v3.ClusterLoadAssignment.Policy\nnam: unknown field of envoy.config.cluster.v3.Cluster"},
		"scalar message":    {YAML, "load_assignment: 5", "load_assignment: 5 is not an object, it must have fields of envoy.config.endpoint.v3.ClusterLoadAssignment"},
		"list as scalar":    {YAML, "name: [a]", "name: a list is not a text"},
		"number as text":    {JSON, `{"name": 5}`, "name: 5 is not a text"},
		"text as boolean":   {YAML, "use_tcp_for_dns_lookups: maybe", `use_tcp_for_dns_lookups: "maybe" is not a boolean, it must be true or false`},
		"number as boolean": {YAML, "use_tcp_for_dns_lookups: 1", "use_tcp_for_dns_lookups: 1 is not a boolean, it must be true or false"},
		"fraction":          {YAML, "per_connection_buffer_limit_bytes: 1.5", "per_connection_buffer_limit_bytes: invalid value for uint32 field value: 1.5"},
		"negative":          {YAML, "per_connection_buffer_limit_bytes: -1", "per_connection_buffer_limit_bytes: invalid value for uint32 field value: -1"},
		"enum":              {YAML, "lb_policy: RANDO", `lb_policy: "RANDO" is not a value of envoy.config.cluster.v3.Cluster.LbPolicy (ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG)`},
		"duration":          {YAML, "connect_timeout: 5", "connect_timeout: 5 is not a duration, it must be like 5s"},
		"unit":              {YAML, "connect_timeout: 5ms", `connect_timeout: "5ms" is not a duration, it must be like 5s`},
		"duration object":   {YAML, "connect_timeout: {second: 1}", "connect_timeout.second: unknown field of google.protobuf.Duration"},
		"duration signs":    {YAML, "connect_timeout: {seconds: 1, nanos: -1}", "connect_timeout: 1 seconds and -1 nanos are not a duration: want nanos below 1000000000 and of the sign of seconds"},
		"duration parts":    {YAML, "connect_timeout: {seconds: x, nanos: 1.5}", "connect_timeout.seconds: \"x\" is not a whole number\nconnect_timeout.nanos: 1.5 is not a whole number"},
		"wrapper object":    {YAML, "per_connection_buffer_limit_bytes: {val: 5}", "per_connection_buffer_limit_bytes.val: unknown field of google.protobuf.UInt32Value"},
		"map":               {YAML, "metadata: {filter_metadata: [a]}", "metadata.filter_metadata: is not an object, it must have entries"},
		"struct":            {YAML, "metadata: {filter_metadata: {a: 5}}", `metadata.filter_metadata["a"]: 5 is not an object`},
		"any":               {YAML, "transport_socket: {typed_config: 5}", `transport_socket.typed_config: 5 is not an object, it must have "@type" and the fields of that type`},
		"any without type":  {YAML, "transport_socket: {typed_config: {a: 1}}", `transport_socket.typed_config: has no "@type", which tells the type of its fields`},
		"within an any": {YAML, "transport_socket: {typed_config: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, nam: a}}",
			"transport_socket.typed_config.nam: unknown field of envoy.config.cluster.v3.Cluster"},
		"both of a oneof": {JSON, `{"type": "STATIC", "cluster_type": {}}`, "type: error parsing \"type\", oneof envoy.config.cluster.v3.Cluster.cluster_discovery_type is already set"},
		"multibyte":       {YAML, "health_checks: [{}, {tls_options: {alpn_protocols: [é, b]}, alt_port: x}]", "health_checks[1].alt_port: invalid value for uint32 field value: \"x\""},
		// What may be a private key is not repeated.
		"bytes":          {YAML, "health_checks: [{tcp_health_check: {send: {binary: 'private!'}}}]", "health_checks[0].tcp_health_check.send.binary: invalid value for bytes field binary, want base64"},
		"text as object": {YAML, "upstream_config: private", "upstream_config: a text is not an object, it must have fields of envoy.config.core.v3.TypedExtensionConfig"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Unmarshal([]byte(test.text), test.format, &clusterv3.Cluster{}, Options{})
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "private") {
				t.Errorf("the error repeats a value: %v", err)
			}
		})
	}
}

// TestBudget has texts that grow beyond what is allowed once they are parsed.
func TestBudget(t *testing.T) {
	const budget = 1 << 16
	tests := map[string]func(p *parser) (any, error){
		"alias bomb": func(p *parser) (any, error) {
			return p.parseYAML([]byte("a: &a [" + strings.Repeat("x", 1<<10) + "]\nb: [" + strings.Repeat("*a,", 100) + "]"))
		},
		"laughs": func(p *parser) (any, error) { return p.parseYAML([]byte(laughs(12))) },
		"merges": func(p *parser) (any, error) {
			return p.parseYAML([]byte("a: &a {b: " + strings.Repeat("x", 1<<10) + "}\nc: [" + strings.Repeat("{<<: *a},", 100) + "]"))
		},
		"many values": func(p *parser) (any, error) { return p.parseJSON([]byte("[" + strings.Repeat("0,", 1<<13) + "0]")) },
		"long keys":   func(p *parser) (any, error) { return p.parseJSON([]byte(`{"` + strings.Repeat("k", budget) + `": 0}`)) },
	}
	for name, parse := range tests {
		t.Run(name, func(t *testing.T) {
			p := parser{budget: budget}
			if _, err := parse(&p); !errors.Is(err, errTooMuch) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestDropped has what Envoy leaves out without a word, and we with a note.
func TestDropped(t *testing.T) {
	tests := map[string]struct {
		format Format
		text   string
		want   []string
	}{
		"key twice, YAML": {YAML, "name: x\nload_assignment: {cluster_name: a, cluster_name: b}\nname: kept",
			[]string{"load_assignment.cluster_name: occurs more than once, the last one counts", "name: occurs more than once, the last one counts"}},
		"key twice, JSON": {JSON, `{"name": "x", "load_assignment": {"endpoints": [{"priority": 1, "priority": 2}]}, "name": "kept"}`,
			[]string{"load_assignment.endpoints[0].priority: occurs more than once, the last one counts", "name: occurs more than once, the last one counts"}},
		"documents":          {YAML, "name: kept\n---\nname: z", []string{"has more than one YAML document, the first one counts"}},
		"a broken document":  {YAML, "name: kept\n---\n]", []string{"has more than one YAML document, the first one counts"}},
		"the end of the one": {YAML, "---\nname: kept\n...\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var c clusterv3.Cluster
			notes, err := Unmarshal([]byte(test.text), test.format, &c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if c.GetName() != "kept" {
				t.Errorf("name %q, want kept", c.GetName())
			}
			if !reflect.DeepEqual(notes.All(), test.want) {
				t.Errorf("got  %q\nwant %q", notes.All(), test.want)
			}
		})
	}
}

func TestAllowUnknown(t *testing.T) {
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1)
	inner := &corev3.Locality{Zone: "z"}
	inner.ProtoReflect().SetUnknown(unknown)
	packed, err := anypb.New(inner)
	if err != nil {
		t.Fatal(err)
	}
	sent := &clusterv3.Cluster{
		Name: "c", HealthChecks: []*corev3.HealthCheck{{}}, TransportSocket: &corev3.TransportSocket{ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"x": packed},
	}
	sent.HealthChecks[0].ProtoReflect().SetUnknown(append(unknown, unknown...))
	sent.ProtoReflect().SetUnknown(unknown)
	binary, err := proto.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		format Format
		text   string
		want   []string
	}{
		{YAML, "name: c\nnew: {a: 1}\nhealth_checks: [{newer: 1}]", []string{
			"health_checks[0].newer: unknown field of envoy.config.core.v3.HealthCheck", "new: unknown field of envoy.config.cluster.v3.Cluster"}},
		{Binary, string(binary), []string{
			"health_checks[0]: unknown field 4000 of envoy.config.core.v3.HealthCheck",
			"transport_socket.typed_config: unknown field 4000 of envoy.config.core.v3.Locality",
			`typed_extension_protocol_options["x"]: unknown field 4000 of envoy.config.core.v3.Locality`,
			"unknown field 4000 of envoy.config.cluster.v3.Cluster"}},
	}
	for _, test := range tests {
		var c clusterv3.Cluster
		notes, err := Unmarshal([]byte(test.text), test.format, &c, Options{AllowUnknown: true})
		if err != nil {
			t.Fatal(err)
		}
		if c.GetName() != "c" || len(c.GetHealthChecks()) != 1 {
			t.Errorf("got %v", &c)
		}
		if !reflect.DeepEqual(notes.Unknown, test.want) {
			t.Errorf("got  %q\nwant %q", notes.Unknown, test.want)
		}
		if _, err := Unmarshal([]byte(test.text), test.format, &clusterv3.Cluster{}, Options{}); err == nil || err.Error() != strings.Join(test.want, "\n") {
			t.Errorf("got  %v\nwant %q", err, test.want)
		}
	}
	if _, err := Unmarshal([]byte("name: 'c' newer: 1"), Text, &clusterv3.Cluster{}, Options{AllowUnknown: true}); err != nil {
		t.Error(err)
	}
}

func TestFromStruct(t *testing.T) {
	s, err := structpb.NewStruct(map[string]any{"name": "c", "lb_policy": 3, "connect_timeout": map[string]any{"seconds": 2}, "new": "x"})
	if err != nil {
		t.Fatal(err)
	}
	var c clusterv3.Cluster
	notes, err := FromStruct(s, &c, Options{AllowUnknown: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := strict(t, `{"name": "c", "lbPolicy": "RANDOM", "connectTimeout": "2s"}`, &c); !proto.Equal(&c, want) {
		t.Errorf("got %v, want %v", &c, want)
	}
	if want := []string{"new: unknown field of envoy.config.cluster.v3.Cluster"}; !reflect.DeepEqual(notes.Unknown, want) {
		t.Errorf("got %q", notes.Unknown)
	}
}

// TestLoad reads the same message in each format.
func TestLoad(t *testing.T) {
	want := &discoveryv3.DiscoveryResponse{VersionInfo: "1", ControlPlane: &corev3.ControlPlane{Identifier: "x"}}
	binary, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	text, err := prototext.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	const yaml, json = "version_info: '1'\ncontrol_plane: {identifier: x}", `{"version_info": "1", "control_plane": {"identifier": "x"}}`
	for name, content := range map[string]string{
		"a.yaml": yaml, "a.YML": yaml, "a.json": json, "a.pb": string(binary), "a.pb_text": string(text),
		"none": yaml, "a.conf": "\ufeff \n" + json,
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var got discoveryv3.DiscoveryResponse
		if _, err := Load(path, &got, Options{}); err != nil || !proto.Equal(&got, want) {
			t.Errorf("%s: %v, %v", name, &got, err)
		}
	}
}

// TestLoadDescriptor reads a pipe by the name of its descriptor.
func TestLoadDescriptor(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString(`{"name": "c",}`); err != nil {
		t.Fatal(err)
	}
	write.Close()
	var c clusterv3.Cluster
	if _, err := Load(fmt.Sprintf("/dev/fd/%d", read.Fd()), &c, Options{}); err != nil || c.GetName() != "c" {
		t.Errorf("%v, %v", &c, err)
	}
}

func TestLoadRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, []byte("nam: a\nlb: b"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, &clusterv3.Cluster{}, Options{})
	want := path + ": lb: unknown field of envoy.config.cluster.v3.Cluster\n" + path + ": nam: unknown field of envoy.config.cluster.v3.Cluster"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	notes, err := Load(path, &clusterv3.Cluster{}, Options{AllowUnknown: true})
	if err != nil || strings.Join(notes.All(), "\n") != want {
		t.Errorf("got  %v, %v\nwant %s", notes.All(), err, want)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none"), &clusterv3.Cluster{}, Options{}); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	if _, err := Load(t.TempDir(), &clusterv3.Cluster{}, Options{}); err == nil {
		t.Error("a directory was read")
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("#", maxText+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, &clusterv3.Cluster{}, Options{}); err == nil || err.Error() != path+": is larger than 16777216 bytes" {
		t.Errorf("got %v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte("name: a\nhealth_checks: [{timeout: {seconds: 1}}]"), uint8(YAML))
	f.Add([]byte(`{"name": "a", 'lb_policy': 3,}`), uint8(JSON))
	f.Add([]byte(laughs(3)), uint8(YAML))
	f.Add([]byte("!ignore a: &a {b: *a}\n<<: *a"), uint8(YAML))
	f.Add([]byte("transport_socket: {typed_config: {'@type': type.googleapis.com/google.protobuf.Duration, value: 5}}"), uint8(YAML))
	f.Add([]byte("\x0a\x01a\xf8\xf9\x01\x01"), uint8(Binary))
	f.Add([]byte("name: 'a'"), uint8(Text))
	f.Fuzz(func(t *testing.T, data []byte, format uint8) {
		var c clusterv3.Cluster
		if _, err := Unmarshal(data, Format(format%4), &c, Options{}); err != nil {
			return
		}
		// What was accepted is a message that can be written and read again, the same.
		text, err := protojson.Marshal(&c)
		if err != nil {
			return // a duration out of range, say: protobuf's binary format takes it
		}
		var again clusterv3.Cluster
		if _, err := Unmarshal(text, JSON, &again, Options{}); err != nil || !proto.Equal(&c, &again) {
			t.Fatalf("%v: %s", err, text)
		}
	})
}
