package bootstrap

import (
	"fmt"
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
	server := func(cluster, ip string) Server {
		return Server{
			Cluster: cluster, Targets: []config.Address{{IP: ip, Port: 80}}, ConnectTimeout: config.DefaultConnectTimeout,
			MaxReceiveBytes: defaultMaxReceive, HTTP2: cluster == "two",
		}
	}
	one, two := server("one", "10.0.0.1"), server("two", "10.0.0.2")
	detailed := one
	detailed.Authority, detailed.MaxReceiveBytes = "a", 7
	detailed.BackoffBase, detailed.BackoffMax = 10*time.Millisecond, 100*time.Millisecond
	detailed.InitialMetadata = []config.Metadata{{Key: "k", Value: "100%"}, {Key: "raw", Value: "%x"}, {Key: "k-bin", Value: "\x00\xff"}}
	bounded := two
	bounded.BackoffBase, bounded.BackoffMax = time.Second, time.Minute
	for source, want := range map[string]ControlPlane{
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one}}]}": {Servers: []Server{one}},
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one, authority: a, max_receive_message_length: 7, retry_policy: {retry_back_off: " +
			"{base_interval: 0.01s}}}, initial_metadata: [{key: K, value: 100%%}, {key: raw, raw_value: JXg=}, {key: k-bin, value: AP8=}]}, " +
			"{envoy_grpc: {cluster_name: two, retry_policy: {retry_back_off: {base_interval: 1s, max_interval: 60s}}}}], rate_limit_settings: {}}": {
			Servers: []Server{detailed, bounded}, RateLimit: RateLimit{100, 10},
		},
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one}}], rate_limit_settings: {max_tokens: 5, fill_rate: 0.5}}": {
			Servers: []Server{one}, RateLimit: RateLimit{5, 0.5},
		},
		"api_config_source: {api_type: DELTA_GRPC, set_node_on_first_message_only: true, grpc_services: [{envoy_grpc: {cluster_name: two}}]}": {
			Servers: []Server{two}, Incremental: true, SetNodeOnFirstMessageOnly: true,
		},
		"api_config_source: {api_type: REST, cluster_names: [one], refresh_delay: 3s, request_timeout: 2s}": {
			Servers: []Server{one}, Polls: &Polls{RefreshDelay: 3 * time.Second, RequestTimeout: 2 * time.Second},
		},
		"api_config_source: {api_type: REST, cluster_names: [two], refresh_delay: 0.001s}": {
			Servers: []Server{two}, Polls: &Polls{RefreshDelay: time.Millisecond},
		},
	} {
		b, err := Parse("f", []byte(sourced(source)), protofile.YAML, Options{})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, _, err := b.ControlPlane(b.CDS.Source)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, &want)
		equal(t, b.ADS, (*ControlPlane)(nil))
		equal(t, b.Check(), nil)
	}
}

// service is a source with one service, with more fields of its envoy_grpc and an entry of initial_metadata.
func service(fields, metadata string) string {
	return "api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one, " + fields + "}, initial_metadata: [" + metadata + "]}]}"
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
		"api_config_source: {api_type: GRPC, grpc_services: [" + strings.Repeat("{envoy_grpc: {cluster_name: one}}, ", 9) + "]}": api + "grpc_services: must have 1 to 8 entries, has 9",
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one}}, {envoy_grpc: {cluster_name: nowhere}}]}": api + "grpc_services[1].envoy_grpc.cluster_name: envoy.config." +
			"core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'nowhere' does not exist, was added via api, or is an EDS cluster; static_resources.clusters has one, two",
		service("retry_policy: {retry_back_off: {base_interval: 2s, max_interval: 1s}}", ""): api + "grpc_services[0].envoy_grpc.retry_policy.retry_back_off.max_interval: 1s must be greater than or equal to the base_interval 2s",
		service("", "{key: k, value: '%ENVIRONMENT(X)%'}"):                                   api + `grpc_services[0]: initial_metadata[0].value: "%ENVIRONMENT(X)%" has a command operator, which is not supported here; write %% for a percent sign`,
		service("", "{key: ':path', value: x}"):                                              api + `grpc_services[0]: initial_metadata[0].key: ":path" must be a name of letters, digits, '_', '-' and '.', and not begin with grpc-, which are gRPC's own`,
		service("", "{key: grpc-timeout, value: x}"):                                         api + `grpc_services[0]: initial_metadata[0].key: "grpc-timeout" must be a name of letters, digits, '_', '-' and '.', and not begin with grpc-, which are gRPC's own`,
		service("", "{key: k-bin, value: '?'}"):                                              api + `grpc_services[0]: initial_metadata[0]: the value of "k-bin" must be base64, as the name ends in -bin: illegal base64 data at input byte 0`,
		service("", "{key: k, raw_value: /w==}"):                                             api + `grpc_services[0]: initial_metadata[0]: the value of "k" must be of printable ASCII; other values need a name that ends in -bin`,
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one}}], rate_limit_settings: {max_tokens: 0}}":       api + "rate_limit_settings.max_tokens: must be at least 1, or nothing could be asked",
		"api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: one}}], rate_limit_settings: {fill_rate: Infinity}}": api + "rate_limit_settings.fill_rate: +Inf must be greater than 0 and finite",
		"path_config_source: {path: /no/such/file}": "dynamic_resources.cds_config: paths must refer to an existing path in the system: '/no/such/file' does not exist (stat /no/such/file: no such file or directory)",
	} {
		_, err := Parse("f", []byte(sourced(source)), protofile.YAML, Options{})
		wantError(t, err, "f: "+want)
	}
}

// TestControlPlanePipe holds that a stream may go to a Unix domain socket, of a path that a gRPC target can hold, and polls may not.
// TestControlPlaneBind holds where connections to a control plane begin: as its cluster says, or else the cluster manager.
func TestControlPlaneBind(t *testing.T) {
	const at = "upstream_bind_config: {source_address: {address: %s, port_value: 0}}"
	bound := func(ip string) string { return fmt.Sprintf(at, ip) }
	for want, cluster := range map[string]string{"127.0.0.2": bound("127.0.0.2"), "127.0.0.3": ""} {
		b, err := Parse("f", []byte(`
dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: cp}}]}}
cluster_manager:
  `+bound("127.0.0.3")+`
static_resources:
  clusters:
  - name: cp
    type: STATIC
    http2_protocol_options: {}
    load_assignment: {cluster_name: cp, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}
    `+cluster+`
`), protofile.YAML, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.ADS.Servers[0].Bind; got == nil || got.V4.Address.Addr().String() != want {
			t.Errorf("connections begin at %+v, want %s", got, want)
		}
		equal(t, b.Warnings, []string(nil))
	}
}

func TestControlPlanePipe(t *testing.T) {
	parse := func(path, source string) (*Bootstrap, error) {
		text := strings.Replace(sourced("api_config_source: {"+source+"}"), "socket_address: {address: 10.0.0.2, port_value: 80}", "pipe: {path: '"+path+"'}", 1)
		return Parse("f", []byte(text), protofile.YAML, Options{})
	}
	const stream, polls = "api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: two}}]", "api_type: REST, cluster_names: [two], refresh_delay: 1s"
	for _, path := range []string{"./etc/XDS", "@name", "/a%b?c#d"} {
		b, err := parse(path, stream)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := b.ControlPlane(b.CDS.Source)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got.Servers[0].Targets, []config.Address{{Path: path}})
	}
	_, err := parse("./a?b", stream)
	wantError(t, err, `f: static_resources.clusters[1].load_assignment: pipe "./a?b" of a control plane must be absolute to hold any of %?#`)
	_, err = parse("/a", polls)
	wantError(t, err, `f: dynamic_resources.cds_config.api_config_source.cluster_names[0]: a pipe of cluster "two" is not supported for polls, only for streams`)
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

// TestTLSToAControlPlane holds that the transport socket of the cluster is handed over, and that its secrets can be had before the
// first connection.
func TestTLSToAControlPlane(t *testing.T) {
	parse := func(context string) (*Bootstrap, error) {
		return Parse("f", []byte(`
node: {id: n1, cluster: c1}
static_resources:
  clusters:
  - name: xds
    http2_protocol_options: {}
    load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {hostname: cp.test, address: {socket_address: {address: 10.0.0.1, port_value: 80}}}}]}]}
    transport_socket:
      name: dummy
      typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, `+context+`}
dynamic_resources:
  ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
`), protofile.YAML, Options{})
	}
	b, err := parse(`sni: cp.test, common_tls_context: {validation_context: {trusted_ca: {filename: /ca}}, ` +
		`tls_certificate_sds_secret_configs: [{name: own, sds_config: {path_config_source: {path: /}}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	got := b.ADS.Servers[0].TLS
	equal(t, got.SNI, "cp.test")
	equal(t, b.ADS.Servers[0].Hostnames, map[string]string{"10.0.0.1:80": "cp.test"})
	equal(t, got.Validation.CA, config.DataSource{File: "/ca"})
	equal(t, len(got.CertificateSecrets) == 1 && got.CertificateSecrets[0].Name == "own" && got.CertificateSecrets[0].SDS.Source.Path == "/", true)

	const place = "f: static_resources.clusters[0]: transport_socket: secret "
	_, err = parse("common_tls_context: {validation_context_sds_secret_config: {name: ca, sds_config: {ads: {}}}}")
	wantError(t, err, place+`"ca" of a control plane must be static or come from a file, by path_config_source`)
	_, err = parse("common_tls_context: {validation_context_sds_secret_config: {name: ca, sds_config: {path: /no}}}")
	wantError(t, err, place+`"ca": paths must refer to an existing path in the system: '/no' does not exist (stat /no: no such file or directory)`)
}

// injected is a bootstrap whose control plane is told a credential, as %s and %s say: the HTTP filters of its cluster, and the secrets.
const injected = `
node: {id: n1, cluster: c1}
static_resources:
  secrets: [%s]
  clusters:
  - name: xds
    load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}}]}]}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {connection_keepalive: {interval: 30s, timeout: 5s}}}
        http_filters: [%s]
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
`

// generic is a credential_injector with a Generic credential, codec the filter that ends the chain.
func generic(injector, fields string) string {
	return "{name: i, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector, " + injector +
		"credential: {name: g, typed_config: {'@type': type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic, " + fields + "}}}}"
}

const codec = ", {name: c, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}"

func TestCredential(t *testing.T) {
	for _, test := range []struct {
		secrets, filters string
		want             *Credential
	}{
		{"{name: token, generic_secret: {secret: {filename: /token}}}", generic("overwrite: true, ", "credential: {name: token}") + codec,
			&Credential{Header: "authorization", Value: config.DataSource{File: "/token"}, Overwrite: true}},
		{"{name: a, generic_secret: {secret: {inline_string: x}}}, {name: b, generic_secret: {secret: {environment_variable: Y}}}",
			generic("allow_request_without_credential: true, ", "credential: {name: b}, header: X-Token, header_value_prefix: 'Bearer '"),
			&Credential{Header: "x-token", Prefix: "Bearer ", Value: config.DataSource{Variable: "Y"}, Optional: true}},
		{"", "{name: off, disabled: true, typed_config: {'@type': type.googleapis.com/no.Filter}}" + codec, nil},
		{"", "{name: may be, is_optional: true, typed_config: {'@type': type.googleapis.com/no.Filter}}", nil},
	} {
		b, err := Parse("f", fmt.Appendf(nil, injected, test.secrets, test.filters), protofile.YAML, Options{})
		if err != nil {
			t.Errorf("%s: %v", test.filters, err)
			continue
		}
		equal(t, b.ADS.Servers[0].Credential, test.want)
		equal(t, b.Clusters[0].WithoutTraffic, true) // it would have no credential
		equal(t, b.ADS.Servers[0].KeepaliveInterval, 30*time.Second)
	}
}

func TestCredentialRefused(t *testing.T) {
	const (
		filter = "f: static_resources.clusters[0].typed_extension_protocol_options.http_filters[0]"
		config = filter + ".typed_config.credential.typed_config"
		secret = "{name: token, generic_secret: {secret: {inline_string: a}}}"
	)
	for _, test := range []struct{ secrets, filters, want string }{
		{"", "{name: buffer, typed_config: {'@type': type.googleapis.com/no.Filter}}",
			filter + ": 'buffer' with type URL 'type.googleapis.com/xds.type.v3.TypedStruct' is not supported for a control plane, only credential_injector and upstream_codec"},
		{"", generic("", "credential: {name: token}"), config + `.credential.name: "token" is not among static_resources.secrets`},
		{"{name: token, generic_secret: {}}", generic("", "credential: {name: token}"),
			"f: static_resources.secrets[0].generic_secret.secret: must have filename, inline_bytes, inline_string or environment_variable, and not an empty one"},
		{secret, generic("", "credential: {name: token, sds_config: {ads: {}}}"), config + ".credential.sds_config: is not supported"},
		{secret, generic("", "credential: {name: token}, header: ':path'"),
			config + `.header: ":path" must be a name of letters, digits, '_', '-' and '.', and not begin with grpc- or end in -bin`},
		{secret, generic("", "credential: {name: token}, header_value_prefix: 'ü'"), config + ".header_value_prefix: must be of at most 256 characters of printable ASCII"},
		{secret, generic("", "credential: {name: token}") + ", " + generic("", "credential: {name: token}"),
			strings.TrimSuffix(filter, "[0]") + "[1]: is a second credential, a control plane is told one"},
	} {
		_, err := Parse("f", fmt.Appendf(nil, injected, test.secrets, test.filters), protofile.YAML, Options{})
		wantError(t, err, test.want)
	}
}
