package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// originalYAML is a listener that hands connections off, and has a route to a cluster for the others.
const originalYAML = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
node: {id: n, cluster: c}
dynamic_resources:
  lds_config: {path_config_source: {path: %[1]s/lds.yaml}}
  cds_config: {path_config_source: {path: %[1]s/cds.yaml}}
static_resources:
  clusters:
  - {name: static, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, connect_timeout: 1s}
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    use_original_dst: true
    listener_filters: [{name: proxy, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}}]
    filter_chains: [{filters: [{name: http, typed_config: %[2]s}]}]
`

// managerTo is a connection manager that sends everything to a cluster.
func managerTo(cluster string) string {
	return `{"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: p,
      route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: ` + cluster + `}}]}]},
      http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}`
}

// TestOriginalDestinations takes listeners that do not bind and clusters of type ORIGINAL_DST from the bootstrap and from a control
// plane, which changes and removes them.
func TestOriginalDestinations(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) }))
	defer origin.Close()
	at := origin.Listener.Addr().(*net.TCPAddr)
	dir := t.TempDir()
	version := 0
	serve := func(file, resources string) {
		version++
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path+".next", fmt.Appendf(nil, "version_info: '%d'\nresources:\n%s", version, resources), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
	}
	virtual := func(cluster string) string {
		return fmt.Sprintf(`- {"@type": type.googleapis.com/envoy.config.listener.v3.Listener, name: virtual, bind_to_port: false,
   address: {socket_address: {address: 0.0.0.0, port_value: 7}}, filter_chains: [{filters: [{name: http, typed_config: %s}]}]}
`, managerTo(cluster))
	}
	dynamic := func(port int) string {
		return fmt.Sprintf(`- {"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster, name: dynamic, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED,
   connect_timeout: 1s, original_dst_lb_config: {upstream_port_override: %d}}
`, port)
	}
	serve("cds.yaml", dynamic(at.Port))
	serve("lds.yaml", virtual("dynamic"))
	r := startProxy(t, write(t, fmt.Sprintf(originalYAML, dir, managerTo("static"))))
	listeners := r.get(r.admin, "/listeners")
	main, _, _ := strings.Cut(strings.TrimPrefix(listeners, "main::"), "\n")
	if !strings.HasSuffix(listeners, "virtual::0.0.0.0:7\n") {
		t.Fatalf("/listeners: %q", listeners)
	}
	ask := func(port int) string {
		c, err := net.Dial("tcp", main)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "PROXY TCP4 192.0.2.1 127.0.0.1 5 %d\r\nGET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", port)
		b := make([]byte, 1<<12)
		n, _ := c.Read(b)
		status, _, _ := strings.Cut(string(b[:n]), "\r\n")
		return status
	}
	const good, bad = "HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable"
	if got := ask(at.Port); got != good {
		t.Errorf("by the bootstrap's cluster: %q", got)
	}
	if got := ask(7); got != good {
		t.Errorf("by the control plane's cluster: %q", got)
	}
	if got := r.get(r.admin, "/clusters"); !strings.Contains(got, fmt.Sprintf("dynamic::127.0.0.1:%d::cx_total::1", at.Port)) {
		t.Errorf("/clusters: %s", got)
	}
	serve("lds.yaml", virtual("static"))
	r.eventually(t, func() bool { return ask(7) == bad }) // nobody listens on port 7
	serve("lds.yaml", virtual("dynamic"))
	r.eventually(t, func() bool { return ask(7) == good })
	serve("cds.yaml", dynamic(7))
	r.eventually(t, func() bool { return ask(7) == bad })
	serve("cds.yaml", dynamic(at.Port))
	r.eventually(t, func() bool { return ask(7) == good })
	serve("lds.yaml", "")
	r.eventually(t, func() bool { return ask(7) == bad })
	serve("cds.yaml", "")
	r.eventually(t, func() bool { return !strings.Contains(r.get(r.admin, "/clusters"), "dynamic::") })
	if got := ask(at.Port); got != good {
		t.Errorf("at the end: %q", got)
	}
}
