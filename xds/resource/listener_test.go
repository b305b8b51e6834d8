package resource_test

import (
	"strings"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const (
	listenerBase = `name: l
address: {socket_address: {address: 0.0.0.0, port_value: 80}}
`
	routerFilter = `{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`
	hcmPath      = "filter_chains[0].filters[0].typed_config."
)

// managerWith returns a listener whose connection manager has the fields in text, and RDS and a router unless text has
// its own.
func managerWith(text string) string {
	return listenerBase + `filter_chains:
- filters:
  - name: hcm
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: s
      ` + indent(6, text) + "\n"
}

const (
	rds    = "\nrds: {route_config_name: rc, config_source: {ads: {}}}"
	router = "\nhttp_filters: [" + routerFilter + "]"
)

func defaultListener() *config.Listener {
	return &config.Listener{
		Name: "l", Address: config.Address{IP: "0.0.0.0", Port: 80}, BufferLimit: 1 << 20, FiltersTimeout: 15 * time.Second,
		Chains: []*config.FilterChain{{HTTP: &config.HTTPConnectionManager{
			StatPrefix: "s", RouteConfigName: "rc", RDS: config.Discovery{FetchTimeout: 15 * time.Second}, ServerName: "envoy",
			GenerateRequestID: true, MaxHeaderKB: 60, MaxHeaderCount: 100, ConnectionIdle: time.Hour,
			StreamIdle: 5 * time.Minute, DrainTimeout: 5 * time.Second, DelayedClose: time.Second,
			HTTP2: config.DefaultHTTP2(),
		}}},
	}
}

// earlyMutation returns an extension with mutations.
func earlyMutation(mutations string) string {
	return "early_header_mutation_extensions: [{name: m, typed_config: {'@type': " +
		"type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation, mutations: [" + mutations + "]}}]"
}

const healthCheckFilter = "'@type': type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck"

func TestConnectionManager(t *testing.T) {
	type hcm = config.HTTPConnectionManager
	tests := map[string]struct {
		text string
		want func(*hcm)
	}{
		"defaults":    {rds + router, func(*hcm) {}},
		"codec HTTP1": {"codec_type: HTTP1" + rds + router, func(m *hcm) { m.Codec = config.CodecHTTP1 }},
		"codec HTTP2": {"codec_type: HTTP2\nhttp2_protocol_options: {" + everyHTTP2Option + "}" + rds + router, func(m *hcm) {
			m.Codec, m.HTTP2 = config.CodecHTTP2, allHTTP2Options()
		}},
		"errors cost the connection": {"stream_error_on_invalid_http_message: false" + rds + router, func(m *hcm) { m.HTTP2.StrictMessages = true }},
		"errors cost the stream":     {"stream_error_on_invalid_http_message: false\nhttp2_protocol_options: {override_stream_error_on_invalid_http_message: true}" + rds + router, func(*hcm) {}},
		"server and via": {"server_name: srv\nvia: v\nserver_header_transformation: PASS_THROUGH" + rds + router,
			func(h *hcm) { h.ServerName, h.Via, h.ServerHeader = "srv", "v", config.ServerPassThrough }},
		"append server": {"server_header_transformation: APPEND_IF_ABSENT" + rds + router, func(h *hcm) { h.ServerHeader = config.ServerAppendIfAbsent }},
		"addresses": {"use_remote_address: true\nxff_num_trusted_hops: 2\nskip_xff_append: true\ninternal_address_config: {unix_sockets: true, cidr_ranges: [{address_prefix: 10.1.2.3, prefix_len: 8}, {address_prefix: 'fc00::', prefix_len: 7}]}" + rds + router,
			func(h *hcm) {
				h.UseRemoteAddress, h.XFFNumTrustedHops, h.SkipXFFAppend, h.InternalAddresses = true, 2, true, []string{"10.0.0.0/8", "fc00::/7"}
				h.InternalUnixSockets = true
			}},
		"client certificates": {"forward_client_cert_details: APPEND_FORWARD\nset_current_client_cert_details: {subject: true, uri: true, dns: true}" + rds + router,
			func(h *hcm) {
				h.ForwardClientCert, h.ClientCertDetails = config.ClientCertAppendForward, config.ClientCertDetails{Subject: true, URI: true, DNS: true}
			}},
		"access log": {"access_log: [{name: als, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig, common_config: {log_name: l, transport_api_version: V3, buffer_size_bytes: 1, grpc_service: {envoy_grpc: {cluster_name: als}}}, additional_request_headers_to_log: [X-A]}}]" + rds + router,
			func(h *hcm) {
				h.AccessLogs = []*config.AccessLog{{GRPC: &config.GRPCAccessLog{LogName: "l", Cluster: "als", FlushInterval: time.Second, BufferBytes: 1, RequestFields: []string{"x-a"}}}}
			}},
		"request id": {"generate_request_id: false\npreserve_external_request_id: true\nalways_set_request_id_in_response: true\nproxy_100_continue: true" + rds + router,
			func(h *hcm) {
				h.GenerateRequestID, h.PreserveExternalRequestID, h.AlwaysSetRequestID, h.Proxy100Continue = false, true, true, true
			}},
		"early mutations": {earlyMutation("{remove: X-A}, {append: {header: {key: X-B, value: '%REQ(X-C)%'}, append_action: ADD_IF_ABSENT}}") + rds + router, func(h *hcm) {
			h.EarlyMutations = []config.HeaderMutations{
				{RequestRemove: []string{"x-a"}}, {RequestAdd: []config.HeaderValue{{Name: "x-b", Value: "%REQ(X-C)%", Action: config.AddIfAbsent}}},
			}
		}},
		"scheme":                 {"scheme_header_transformation: {scheme_to_overwrite: https, match_upstream: true}" + rds + router, func(h *hcm) { h.Scheme = "https" }},
		"scheme of the host":     {"scheme_header_transformation: {match_upstream: true}" + rds + router, func(h *hcm) { h.SchemeOfHost = true }},
		"stream flush timeout":   {"stream_flush_timeout: 0s" + rds + router, func(h *hcm) { h.StreamFlush = new(time.Duration(0)) }},
		"forwarded port":         {"append_x_forwarded_port: true" + rds + router, func(h *hcm) { h.AppendForwardedPort = true }},
		"drain jitter":           {"drain_timeout_jitter: {value: 12.5}" + rds + router, func(h *hcm) { h.DrainJitter = 12.5 }},
		"request id extension":   {"request_id_extension: {}" + rds + router, func(*hcm) {}},
		"trace reason is packed": {"request_id_extension: {typed_config: {'@type': type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig, use_request_id_for_trace_sampling: false}}" + rds + router, func(*hcm) {}},
		"trace reason is kept": {"request_id_extension: {typed_config: {'@type': type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig, pack_trace_reason: false}}" + rds + router,
			func(h *hcm) { h.KeepTraceReason = true }},
		"paths and hosts": {"normalize_path: true\nmerge_slashes: true\npath_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT\nstrip_matching_host_port: true\nstrip_trailing_host_dot: true" + rds + router,
			func(h *hcm) {
				h.NormalizePath, h.MergeSlashes, h.EscapedSlashes, h.StripMatchingHostPort, h.StripTrailingHostDot = true, true, config.EscapedSlashesUnescapeAndRedirect, true, true
			}},
		"any port, reject": {"strip_any_host_port: true\npath_with_escaped_slashes_action: REJECT_REQUEST" + rds + router,
			func(h *hcm) { h.StripAnyHostPort, h.EscapedSlashes = true, config.EscapedSlashesReject }},
		"forward": {"path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD" + rds + router, func(h *hcm) { h.EscapedSlashes = config.EscapedSlashesUnescapeAndForward }},
		"keep":    {"path_with_escaped_slashes_action: KEEP_UNCHANGED" + rds + router, func(*hcm) {}},
		"timeouts": {"stream_idle_timeout: 0s\nrequest_timeout: 1s\nrequest_headers_timeout: 2s\ndrain_timeout: 3s\ndelayed_close_timeout: 0s\nmax_request_headers_kb: 96" + rds + router,
			func(h *hcm) {
				h.StreamIdle, h.RequestTimeout, h.RequestHeadersTimeout, h.DrainTimeout, h.DelayedClose, h.MaxHeaderKB = 0, time.Second, 2*time.Second, 3*time.Second, 0, 96
			}},
		"connection duration jitter": {"common_http_protocol_options: {max_connection_duration: 1s, max_connection_duration_jitter: {value: 12.5}}" + rds + router,
			func(h *hcm) { h.MaxConnectionDuration, h.ConnectionDurationJitter = time.Second, 12.5 }},
		"common options": {"common_http_protocol_options: {idle_timeout: 0s, max_connection_duration: 1s, max_stream_duration: 2s, max_headers_count: 3, max_requests_per_connection: 4, headers_with_underscores_action: DROP_HEADER}" + rds + router,
			func(h *hcm) {
				h.ConnectionIdle, h.MaxConnectionDuration, h.MaxStreamDuration, h.MaxHeaderCount, h.MaxRequestsPerConnection, h.Underscores = 0, time.Second, 2*time.Second, 3, 4, config.UnderscoreDrop
			}},
		"underscores": {"common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}" + rds + router, func(h *hcm) { h.Underscores = config.UnderscoreReject }},
		"http1": {"http_protocol_options: {accept_http_10: true, default_host_for_http_10: h, enable_trailers: true, allow_absolute_url: true}" + rds + router,
			func(h *hcm) { h.AcceptHTTP10, h.DefaultHostForHTTP10, h.EnableTrailers = true, "h", true }},
		"upgrades": {"upgrade_configs: [{upgrade_type: WebSocket}, {upgrade_type: x, enabled: false}]" + rds + router,
			func(h *hcm) { h.Upgrades = []config.Upgrade{{Type: "websocket", Enabled: true}, {Type: "x"}} }},
		"first fetch": {"rds: {route_config_name: q, config_source: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}}" + router,
			func(h *hcm) { h.RouteConfigName, h.RDS.FetchTimeout = "q", 0 }},
		"inline routes": {"route_config: {virtual_hosts: [{name: v, domains: ['*']}]}" + router, func(h *hcm) {
			h.RouteConfigName, h.RDS.FetchTimeout = "", 0
			h.Routes = &config.RouteConfiguration{InternalOnlyHeaders: []string{}, VirtualHosts: []*config.VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: []*config.Route{}}}}
		}},
		"router":                {"http_filters: [{name: any, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true, dynamic_stats: false}}]" + rds, func(h *hcm) { h.Router.SuppressEnvoyHeaders = true }},
		"router without config": {"http_filters: [{name: envoy.filters.http.router}]" + rds, func(*hcm) {}},
		"router as JSON":        {"http_filters: [{name: r, typed_config: {'@type': type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, value: {suppressEnvoyHeaders: true}}}]" + rds, func(h *hcm) { h.Router.SuppressEnvoyHeaders = true }},
		"health check filter": {"http_filters: [{name: hc, typed_config: {" + healthCheckFilter + ", pass_through_mode: false, headers: [{name: ':path', string_match: {exact: /ready}}]}}, " + routerFilter + "]" + rds, func(h *hcm) {
			h.Filters = []config.HTTPFilter{{Name: "hc", Config: &config.HealthCheckFilter{Headers: []config.HeaderMatcher{
				{Name: ":path", Kind: config.HeaderString, String: config.StringMatcher{Value: "/ready"}},
			}}}}
		}},
		"health check filter that passes on": {"http_filters: [{name: hc, disabled: true, typed_config: {" + healthCheckFilter + ", pass_through_mode: true}}, " + routerFilter + "]" + rds, func(h *hcm) {
			h.Filters = []config.HTTPFilter{{Name: "hc", Config: &config.HealthCheckFilter{PassThrough: true}, Disabled: true}}
		}},
		"optional filter": {"http_filters: [{name: o, is_optional: true, typed_config: {'@type': type.googleapis.com/no.Such, a: 1}}, " + routerFilter + "]" + rds, func(*hcm) {}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := defaultListener()
			test.want(want.Chains[0].HTTP)
			got, err := resource.Listener(parse(t, managerWith(test.text), &listenerv3.Listener{}))
			checkEqual(t, got, want, err)
		})
	}
}

func TestConnectionManagerRefused(t *testing.T) {
	const lua = "{name: envoy.filters.http.lua, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}"
	const notFound = "Didn't find a registered implementation for 'envoy.filters.http.lua' with type URL: 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua'"
	const last = "(type URL 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router')"
	tests := map[string]struct{ text, want string }{
		"unknown filter":    {"http_filters: [" + lua + ", " + routerFilter + "]" + rds, "http_filters[0]: " + notFound},
		"no filters":        {rds, "http_filters: must have a router filter " + last + " as the last one"},
		"router not last":   {"http_filters: [" + routerFilter + ", " + routerFilter + "]" + rds, "http_filters[0]: the router filter must be the last one in http_filters"},
		"no router":         {"http_filters: [{name: o, is_optional: true, typed_config: {'@type': type.googleapis.com/no.Such}}]" + rds, "http_filters[0]: the last one in http_filters must be a router filter " + last},
		"disabled router":   {"http_filters: [{name: envoy.filters.http.router, disabled: true}]" + rds, "http_filters[0].disabled: true is not supported on the router filter"},
		"by name alone":     {"http_filters: [{name: envoy.filters.http.cors}, " + routerFilter + "]" + rds, "http_filters[0].typed_config: must be set on filter 'envoy.filters.http.cors'"},
		"discovered filter": {"http_filters: [{name: d, config_discovery: {config_source: {ads: {}}, type_urls: [x]}}, " + routerFilter + "]" + rds, "http_filters[0].config_discovery.type_urls[0]: Error: no factory found for a required type URL x."},
		"upstream_log":      {"http_filters: [{name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, upstream_log: [{name: a}]}}]" + rds, "http_filters[0].typed_config.upstream_log[0]: is not supported"},
		"codec":             {"codec_type: HTTP3" + rds + router, "codec_type: HTTP3 is not supported, only AUTO, HTTP1 and HTTP2"},
		"access log":        {"access_log: [{name: f, typed_config: {'@type': type.googleapis.com/no.Log}}]" + rds + router, "access_log[0]: 'f' with type URL 'type.googleapis.com/no.Log' is not supported, only type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig, type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog"},
		"access log server": {"access_log: [{name: f, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig, common_config: {log_name: l, grpc_service: {google_grpc: {target_uri: a, stat_prefix: b}}}}}]" + rds + router,
			"access_log[0].typed_config.common_config.grpc_service.google_grpc: is not supported"},
		"tracing":      {"tracing: {}" + rds + router, "tracing: is not supported"},
		"client certs": {"set_current_client_cert_details: {issuer: true}" + rds + router, "set_current_client_cert_details.issuer: is not supported"},
		"http3":        {"http3_protocol_options: {}" + rds + router, "http3_protocol_options: is not supported"},
		"scheme":       {"scheme_header_transformation: {scheme_to_overwrite: ftp}" + rds + router, "scheme_header_transformation.scheme_to_overwrite: value must be in list [http https]"},
		"early mutation": {"early_header_mutation_extensions: [{name: x, typed_config: {'@type': type.googleapis.com/no.X}}]" + rds + router,
			"early_header_mutation_extensions[0]: 'x' with type URL 'type.googleapis.com/no.X' is not supported, only type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"},
		"early mutation of the host": {earlyMutation("{append: {header: {key: Host, value: b}}}") + rds + router,
			`early_header_mutation_extensions[0].typed_config.mutations[0].append.header.key: "Host": :-prefixed or host headers may not be modified`},
		"too many early mutations": {earlyMutation(strings.Repeat("{remove: a}, ", 257)) + rds + router,
			"early_header_mutation_extensions[0].typed_config.mutations: makes it more than 256 mutations, which is the most that are allowed"},
		"request id extension": {"request_id_extension: {typed_config: {'@type': type.googleapis.com/no.X}}" + rds + router,
			"request_id_extension.typed_config: type URL 'type.googleapis.com/no.X' is not supported, only type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"},
		"duration jitter": {"common_http_protocol_options: {max_connection_duration_jitter: {value: 101}}" + rds + router,
			"common_http_protocol_options.max_connection_duration_jitter.value: value must be inside range [0, 100]"},
		"drain jitter":     {"drain_timeout_jitter: {value: 101}" + rds + router, "drain_timeout_jitter.value: value must be inside range [0, 100]"},
		"preserve case":    {"http_protocol_options: {header_key_format: {stateful_formatter: {name: p, typed_config: {'@type': type.googleapis.com/no.P}}}}" + rds + router, "http_protocol_options.header_key_format.stateful_formatter: 'p' with type URL 'type.googleapis.com/no.P' is not supported, only type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"},
		"no header format": {"http_protocol_options: {header_key_format: {}}" + rds + router, "http_protocol_options.header_key_format.header_format: value is required"},
		"chunked length":   {"http_protocol_options: {allow_chunked_length: true}" + rds + router, "http_protocol_options.allow_chunked_length: is not supported"},
		"absolute url":     {"http_protocol_options: {allow_absolute_url: false}" + rds + router, "http_protocol_options.allow_absolute_url: false is not supported, only true"},
		"user agent":       {"add_user_agent: true" + rds + router, "add_user_agent: true is not supported, only false"},
		"both strips":      {"strip_matching_host_port: true\nstrip_any_host_port: true" + rds + router, "strip_matching_host_port: cannot be set together with strip_any_host_port"},
		"upgrade filters":  {"upgrade_configs: [{upgrade_type: websocket, filters: [" + routerFilter + "]}]" + rds + router, "upgrade_configs[0].filters[0]: 'r' with type URL 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' is not supported"},
		"connect":          {"upgrade_configs: [{upgrade_type: CONNECT-UDP}]" + rds + router, "upgrade_configs[0].upgrade_type: CONNECT-UDP is not supported, only CONNECT and protocols of the Upgrade field"},
		"upgrade twice":    {"upgrade_configs: [{upgrade_type: a}, {upgrade_type: A}]" + rds + router, "upgrade_configs[1].upgrade_type: a is listed twice"},
		"cidr":             {"internal_address_config: {cidr_ranges: [{address_prefix: x, prefix_len: 8}]}" + rds + router, "internal_address_config.cidr_ranges[0].address_prefix: malformed IP address: x"},
		"cidr length":      {"internal_address_config: {cidr_ranges: [{address_prefix: 1.2.3.4, prefix_len: 40}]}" + rds + router, "internal_address_config.cidr_ranges[0].prefix_len: 40 must be at most 32"},
		"negative":         {"request_timeout: -1s" + rds + router, "request_timeout: must be from 0s to 87600h0m0s"},
		"routes from file": {"rds: {route_config_name: a, config_source: {path_config_source: {path: /x, poll_interval: 1s}}}" + router, "rds.config_source.path_config_source.poll_interval: is not supported"},
		"scoped routes":    {"scoped_routes: {name: a, scope_key_builder: {fragments: [{header_value_extractor: {name: h}}]}, rds_config_source: {ads: {}}, scoped_rds: {scoped_rds_config_source: {ads: {}}}}" + router, "scoped_routes.scope_key_builder.fragments[0].header_value_extractor: must have index or element: HeaderValueExtractor extract_type not set."},
		"no routes":        {router, "route_specifier: value is required"},
		"inline route":     {"route_config: {virtual_hosts: [{name: v, domains: ['a*b']}]}" + router, `route_config.virtual_hosts[0].domains[0]: "a*b" may have one wildcard, at its beginning or its end`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, managerWith(test.text), &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+hcmPath+test.want)
		})
	}
}

func TestListener(t *testing.T) {
	text := managerWith(rds+router) + `stat_prefix: p
per_connection_buffer_limit_bytes: 32768
max_connections_to_accept_per_socket_event: 1
metadata: {}
traffic_direction: INBOUND
drain_type: MODIFY_ONLY
enable_reuse_port: false
tcp_backlog_size: 5
tcp_fast_open_queue_length: 5
bypass_overload_manager: true
bind_to_port: true
connection_balance_config: {exact_balance: {}}
use_original_dst: false
`
	want := defaultListener()
	want.StatPrefix, want.BufferLimit, want.Socket.Backlog, want.IgnoreGlobalConnLimit = "p", 32768, 5, true
	want.ModifyOnly, want.Inbound = true, true
	got, err := resource.Listener(parse(t, text, &listenerv3.Listener{}))
	checkEqual(t, got, want, err)

	l := parse(t, managerWith(rds+router), &listenerv3.Listener{})
	l.DefaultFilterChain, l.FilterChains = l.FilterChains[0], nil
	l.Address.GetSocketAddress().Address = "0:0::0"
	want = defaultListener()
	want.Address.IP = "::"
	want.Chains, want.Default = nil, want.Chains[0]
	got, err = resource.Listener(l)
	checkEqual(t, got, want, err)
}

func TestListenerRefused(t *testing.T) {
	ok := managerWith(rds + router)
	tests := map[string]struct{ text, want string }{
		"access log":     {ok + "access_log: [{name: f}]", "access_log[0].typed_config: must be set"},
		"udp":            {ok + "udp_listener_config: {}", "udp_listener_config: is not supported"},
		"balance":        {ok + "connection_balance_config: {extend_balance: {name: x, typed_config: {'@type': type.googleapis.com/no.B}}}", "connection_balance_config.extend_balance: Didn't find a registered implementation for 'x' with type URL: 'type.googleapis.com/no.B'"},
		"no chain":       {listenerBase, "filter_chains: no filter chains specified: there must be one, or a default_filter_chain"},
		"no address":     {"name: l\ndefault_filter_chain: {}", "address: must have a socket_address\nlistener \"l\": default_filter_chain.filters: must have an HTTP connection manager or a TCP proxy"},
		"network filter": {listenerBase + "filter_chains: [{filters: [{name: tcp, typed_config: {'@type': type.googleapis.com/no.Tcp}}]}]", "filter_chains[0].filters[0]: Didn't find a registered implementation for 'tcp' with type URL: 'type.googleapis.com/no.Tcp'"},
		"two filters":    {listenerBase + "filter_chains: [{filters: [{name: a}, {name: rbac, typed_config: {'@type': type.googleapis.com/no.Rbac}}]}]", "filter_chains[0].filters[1]: 'rbac' with type URL 'type.googleapis.com/no.Rbac' is not supported, only one HTTP connection manager or TCP proxy"},
		"tls":            {listenerBase + "default_filter_chain: {filters: [{name: a}], transport_socket: {name: t, typed_config: {'@type': type.googleapis.com/no.Tls}}}", "default_filter_chain.transport_socket: 't' with type URL 'type.googleapis.com/no.Tls' is not supported, only envoy.transport_sockets.raw_buffer\nlistener \"l\": default_filter_chain.filters[0].typed_config: must be set"},
		"port":           {"name: l\naddress: {socket_address: {address: h, port_value: 1}}\ndefault_filter_chain: {filters: [{name: a}]}", "address.socket_address.address: malformed IP address: h (a name needs a cluster of type STRICT_DNS)\nlistener \"l\": default_filter_chain.filters[0].typed_config: must be set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, test.text, &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+test.want)
		})
	}
}
