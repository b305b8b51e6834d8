package peer

import (
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// proxyALBTemplate is an Envoy v3 bootstrap. use_remote_address is what has the
// connection manager append to x-forwarded-for; request ids, server and date are
// its defaults, and so is codec_type AUTO, which knows HTTP/2 by its preface. The
// default circuit breakers let 1,024 requests at a time pass, above any scenario's.
var proxyALBTemplate = template.Must(template.New("envoy.yaml").Parse(`admin:
  address:
    socket_address: {address: {{.AdminAt.Host}}, port_value: {{.AdminAt.Port}}}
static_resources:
  listeners:
  - name: bench
    address:
      socket_address: {address: {{.ListenAt.Host}}, port_value: {{.ListenAt.Port}}}
{{- with .Traffic.Buffers}}
    per_connection_buffer_limit_bytes: {{.Data}}
{{- end}}
    filter_chains:
    - filters:
{{- if .Traffic.TCP}}
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: bench
          cluster: {{(index .Clusters 0)}}
{{- else}}
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          use_remote_address: true
{{- if .Traffic.WebSocket}}
          upgrade_configs: [{upgrade_type: websocket}]
{{- end}}
{{- if .HTTP2}}
          codec_type: AUTO
          http2_protocol_options:
            max_concurrent_streams: {{.Streams}}
{{- with .Traffic.Buffers}}
            initial_stream_window_size: {{.StreamWindow}}
            initial_connection_window_size: {{.ConnectionWindow}}
{{- end}}
{{- end}}
          route_config:
            name: bench
            virtual_hosts:
            - name: bench
              domains: ["*"]
              routes:
{{- range .Routes}}
              - match: {prefix: {{.Prefix}}}
{{- if $.Traffic.RateLimit}}
                name: {{$.LimitedRoute}}
{{- end}}
                route: {cluster: {{.Cluster}}}
{{- if $.Traffic.AddHeaders}}
                request_headers_to_add:
                - header: {key: {{$.RequestHeader}}, value: {{$.HeaderValue}}}
                response_headers_to_add:
                - header: {key: {{$.ResponseHeader}}, value: {{$.HeaderValue}}}
{{- end}}
{{- end}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{{- end}}
{{- if .Traffic.TLS}}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_params:
              tls_minimum_protocol_version: TLSv1_3
              tls_maximum_protocol_version: TLSv1_3
              ecdh_curves: [{{.Curve}}]
            alpn_protocols: [{{if .HTTP2}}h2, {{end}}http/1.1]
            tls_certificates:
            - certificate_chain: {filename: {{.Certificate}}}
              private_key: {filename: {{.Key}}}
{{- end}}
  clusters:
{{- range .Clusters}}
  - name: {{.}}
    type: STATIC
    connect_timeout: 5s
{{- with $.Traffic.Buffers}}
    per_connection_buffer_limit_bytes: {{.Data}}
{{- end}}
{{- if $.OriginHTTP2}}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
{{- with $.Traffic.Buffers}}
          http2_protocol_options:
            initial_stream_window_size: {{.StreamWindow}}
            initial_connection_window_size: {{.ConnectionWindow}}
{{- else}}
          http2_protocol_options: {}
{{- end}}
{{- end}}
    load_assignment:
      cluster_name: {{.}}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {address: {{$.OriginAt.Host}}, port_value: {{$.OriginAt.Port}}}
{{- end}}
`))

// managedProxyALBTemplate is a bootstrap that says where the control plane is.
var managedProxyALBTemplate = template.Must(template.New("envoy.yaml").Parse(`node: {id: bench, cluster: bench}
admin:
  address:
    socket_address: {address: {{.AdminAt.Host}}, port_value: {{.AdminAt.Port}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: control-plane}}]
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: control-plane
    type: STATIC
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options: {}
    load_assignment:
      cluster_name: control-plane
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {address: {{.OriginAt.Host}}, port_value: {{.OriginAt.Port}}}
`))

func configureProxyALB(s Spec) (Launch, error) {
	text := proxyALBTemplate
	if s.Traffic.ControlPlane {
		text, s.Origin = managedProxyALBTemplate, s.ControlPlane
	}
	return s.configureProxyALB(text)
}

func (s Spec) configureProxyALB(bootstrap *template.Template) (Launch, error) {
	at, err := splitAll(s.Admin, s.Listen, s.Origin, s.GRPC, s.Metrics, s.Health)
	if err != nil {
		return Launch{}, err
	}
	var text strings.Builder
	err = bootstrap.Execute(&text, struct {
		words
		AdminAt, ListenAt, OriginAt hostPort
		LimitedRoute                string
	}{s.words(), at[0], at[1], at[2], limitedRoute})
	if err != nil {
		return Launch{}, err
	}
	var calls []Call
	if s.Traffic.RateLimit > 0 {
		limit, err := limitCall(s.Traffic)
		if err != nil {
			return Launch{}, err
		}
		calls = append(calls, limit)
	}
	return Launch{
		Calls: calls,
		Files: map[string]string{"envoy.yaml": text.String()},
		Args:  []string{"-c", filepath.Join(s.Dir, "envoy.yaml"), "--concurrency", strconv.Itoa(s.workers())},
		Env:   []string{"GRPC_PORT=" + at[3].Port, "METRICS_PORT=" + at[4].Port, "HEALTH_PORT=" + at[5].Port},
		Unset: []string{"ENVOY_CONFIG_PATH"},
	}, nil
}
