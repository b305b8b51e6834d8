package peer

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"text/template"
)

// proxyALBTemplate is an Envoy v3 bootstrap. use_remote_address is what has the
// connection manager append to x-forwarded-for; request ids, server and date are
// its defaults.
var proxyALBTemplate = template.Must(template.New("envoy.yaml").Parse(`admin:
  address:
    socket_address: {address: {{.Admin.Host}}, port_value: {{.Admin.Port}}}
static_resources:
  listeners:
  - name: bench
    address:
      socket_address: {address: {{.Listen.Host}}, port_value: {{.Listen.Port}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          use_remote_address: true
          route_config:
            name: bench
            virtual_hosts:
            - name: bench
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route: {cluster: origin}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {address: {{.Origin.Host}}, port_value: {{.Origin.Port}}}
`))

type hostPort struct{ Host, Port string }

func configureProxyALB(s Spec) (Launch, error) {
	var at [6]hostPort
	for i, address := range []string{s.Admin, s.Listen, s.Origin, s.GRPC, s.Metrics, s.Health} {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return Launch{}, fmt.Errorf("configure %s: %w", ProxyALB, err)
		}
		at[i] = hostPort{host, port}
	}
	var text strings.Builder
	err := proxyALBTemplate.Execute(&text, struct{ Admin, Listen, Origin hostPort }{at[0], at[1], at[2]})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Files: map[string]string{"envoy.yaml": text.String()},
		Args:  []string{"-c", filepath.Join(s.Dir, "envoy.yaml"), "--concurrency", "1"},
		Env:   []string{"GRPC_PORT=" + at[3].Port, "METRICS_PORT=" + at[4].Port, "HEALTH_PORT=" + at[5].Port},
		Unset: []string{"ENVOY_CONFIG_PATH"},
	}, nil
}
