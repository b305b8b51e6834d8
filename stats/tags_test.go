package stats

import (
	"fmt"
	"strings"
	"testing"
)

// format writes what a name is turned into.
func format(n promName) string {
	var b strings.Builder
	b.WriteString(n.family)
	for _, l := range n.labels {
		fmt.Fprintf(&b, " %s=%q", l.GetName(), l.GetValue())
	}
	return b.String()
}

func TestDefaultTags(t *testing.T) {
	tagger := newTagger(nil, true)
	for name, want := range map[string]string{
		"cluster.foo.upstream_cx_total":              `envoy_cluster_upstream_cx_total envoy_cluster_name="foo"`,
		"cluster.a.b.upstream_cx_total":              `envoy_cluster_b_upstream_cx_total envoy_cluster_name="a"`,
		"cluster.default/eg/rule/0.membership_total": `envoy_cluster_membership_total envoy_cluster_name="default/eg/rule/0"`,
		"cluster.foo.upstream_rq_200":                `envoy_cluster_upstream_rq envoy_cluster_name="foo" envoy_response_code="200"`,
		"cluster.foo.upstream_rq_2xx":                `envoy_cluster_upstream_rq_xx envoy_cluster_name="foo" envoy_response_code_class="2"`,
		"cluster.foo.retry.upstream_rq_503":          `envoy_cluster_retry_upstream_rq envoy_cluster_name="foo" envoy_response_code="503"`,
		"cluster.foo.ext_authz.x.ok":                 `envoy_cluster_ext_authz_ok envoy_cluster_name="foo" envoy_ext_authz_prefix="x"`,
		"cluster.foo.grpc.svc.method.success":        `envoy_cluster_grpc_success envoy_cluster_name="foo" envoy_grpc_bridge_method="method" envoy_grpc_bridge_service="svc"`,
		"cluster.foo.ssl.ciphers.AES128-SHA":         `envoy_cluster_ssl_ciphers cipher_suite="AES128-SHA" envoy_cluster_name="foo"`,
		"http.in.downstream_rq_time":                 `envoy_http_downstream_rq_time envoy_http_conn_manager_prefix="in"`,
		"http.in.fault.down.delays_injected":         `envoy_http_fault_delays_injected envoy_fault_downstream_cluster="down" envoy_http_conn_manager_prefix="in"`,
		"http.in.user_agent.ios.downstream_cx_total": `envoy_http_user_agent_downstream_cx_total envoy_http_conn_manager_prefix="in" envoy_http_user_agent="ios"`,
		"http.in.rds.my.routes-1.update_success":     `envoy_http_rds_update_success envoy_http_conn_manager_prefix="in" envoy_rds_route_config="my.routes-1"`,
		"listener.0.0.0.0_10000.downstream_cx_total": `envoy_listener_downstream_cx_total envoy_listener_address="0.0.0.0_10000"`,
		"listener.[__]_10080.downstream_cx_total":    `envoy_listener_downstream_cx_total envoy_listener_address="[__]_10080"`,
		"listener.edge.downstream_cx_total":          `envoy_listener_downstream_cx_total envoy_listener_address="edge"`,
		"listener.admin.downstream_cx_total":         `envoy_listener_admin_downstream_cx_total`,
		"listener.0.0.0.0_80.http.in.downstream_rq_5xx": `envoy_listener_http_downstream_rq_xx envoy_http_conn_manager_prefix="in" ` +
			`envoy_listener_address="0.0.0.0_80" envoy_response_code_class="5"`,
		"listener.0.0.0.0_80.worker_3.downstream_cx_active": `envoy_listener_worker_downstream_cx_active ` +
			`envoy_listener_address="0.0.0.0_80" envoy_worker_id="3"`,
		"listener.0.0.0.0_80.ssl.versions.TLSv1.3": `envoy_listener_ssl_versions envoy_listener_address="0.0.0.0_80" envoy_ssl_version="TLSv1.3"`,
		"listener.0.0.0.0_80.ssl.certificate.spiffe://a.b/c.expiration_unix_time_seconds": `envoy_listener_ssl_certificate_expiration_unix_time_seconds ` +
			`envoy_listener_address="0.0.0.0_80" envoy_tls_certificate="spiffe://a.b/c"`,
		"cluster.c.ssl.certificate.client.expiration_unix_time_seconds": `envoy_cluster_ssl_certificate_expiration_unix_time_seconds ` +
			`envoy_cluster_name="c" envoy_tls_certificate="client"`,
		"vhost.v.vcluster.c.upstream_rq_total":   `envoy_vhost_vcluster_upstream_rq_total envoy_virtual_cluster="c" envoy_virtual_host="v"`,
		"vhost.v.route.r.upstream_rq_total":      `envoy_vhost_route_upstream_rq_total envoy_route="r" envoy_virtual_host="v"`,
		"tcp.t.downstream_cx_total":              `envoy_tcp_downstream_cx_total envoy_tcp_prefix="t"`,
		"pre.http_local_rate_limit.enforced":     `envoy_http_local_rate_limit_enforced envoy_local_http_ratelimit_prefix="pre"`,
		"server.live":                            `envoy_server_live`,
		"cluster_manager.cds.version":            `envoy_cluster_manager_cds_version`,
		"listener_manager.worker_0.dispatcher.x": `envoy_listener_manager_worker_dispatcher_x envoy_worker_id="0"`,
		"cluster.":                               `envoy_cluster_`,
	} {
		if got := format(tagger.extract(name)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestConfiguredTags(t *testing.T) {
	service, err := RegexTag("service", `^cluster\.((.+?)\|)`)
	if err != nil {
		t.Fatal(err)
	}
	oneCapture, err := RegexTag("envoy.cluster_name", `^cluster\.[^.]*\|([^.]+)\.`)
	if err != nil {
		t.Fatal(err)
	}
	tagger := newTagger([]TagRule{FixedTag("module_type", "ALB"), service, oneCapture}, true)
	for name, want := range map[string]string{
		"cluster.shop|v1.upstream_cx_total": `envoy_cluster__upstream_cx_total envoy_cluster_name="v1" module_type="ALB" service="shop"`,
		"server.live":                       `envoy_server_live module_type="ALB"`,
	} {
		if got := format(tagger.extract(name)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestNoDefaultTags(t *testing.T) {
	rules, err := DefaultTag("envoy.http_conn_manager_prefix")
	if err != nil {
		t.Fatal(err)
	}
	tagger := newTagger(rules, false)
	for name, want := range map[string]string{
		"http.in.rq_total":               `envoy_http_rq_total envoy_http_conn_manager_prefix="in"`,
		"listener.l.http.in.rq_total":    `envoy_listener_l_http_rq_total envoy_http_conn_manager_prefix="in"`,
		"cluster.foo.upstream_rq_2xx":    `envoy_cluster_foo_upstream_rq_2xx`,
		"cluster.f\u00f6\xff.upstream-x": `envoy_cluster_f___upstream_x`,
	} {
		if got := format(tagger.extract(name)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestBadTagsAreNamed(t *testing.T) {
	for _, pattern := range []string{`^cluster\.(?=x)((.*?)\.)`, `(`, `no_capture`} {
		_, err := RegexTag("mine", pattern)
		if err == nil || !strings.Contains(err.Error(), "mine") || !strings.Contains(err.Error(), pattern) {
			t.Errorf("%s: error %v does not name tag and pattern", pattern, err)
		}
	}
	if _, err := DefaultTag("envoy.nothing"); err == nil || !strings.Contains(err.Error(), "envoy.nothing") {
		t.Errorf("error %v does not name the tag", err)
	}
}
