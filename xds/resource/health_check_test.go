package resource_test

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// healthCheck is a cluster's health check with what must be set, and more.
func healthCheck(more string) string {
	return "health_checks: [{timeout: 1s, interval: 10s, unhealthy_threshold: 3, healthy_threshold: 2, " + more + "}]"
}

// defaultHealthCheck is what comes of the fields that must be set.
func defaultHealthCheck() *config.HealthCheck {
	return &config.HealthCheck{
		Timeout: time.Second, UnhealthyThreshold: 3, HealthyThreshold: 2, ReuseConnection: true,
		Intervals: config.HealthIntervals{
			Base: 10 * time.Second, NoTraffic: time.Minute, NoTrafficHealthy: time.Minute, Unhealthy: 10 * time.Second,
			UnhealthyEdge: 10 * time.Second, HealthyEdge: 10 * time.Second,
		},
	}
}

func eventSink(path string) string {
	return "{name: f, typed_config: {'@type': type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink, event_log_path: " + path + "}}"
}

func httpDefaults() *config.HTTPHealthCheck {
	return &config.HTTPHealthCheck{Path: "/h", Method: "GET", ResponseBytes: 1024, Expected: []config.StatusRange{{Start: 200, End: 201}}}
}

func TestHealthCheck(t *testing.T) {
	http := func(change func(*config.HTTPHealthCheck)) func(*config.HealthCheck) {
		return func(c *config.HealthCheck) {
			c.HTTP = httpDefaults()
			change(c.HTTP)
		}
	}
	for name, tc := range map[string]struct {
		text string
		want func(*config.HealthCheck)
	}{
		"TCP": {"tcp_health_check: {}", func(c *config.HealthCheck) { c.TCP = &config.TCPHealthCheck{} }},
		"TCP with payloads": {"tcp_health_check: {send: {text: '0001fF'}, receive: [{binary: cG9uZw==}, {binary: ''}, {text: 6f6b}]}", func(c *config.HealthCheck) {
			c.TCP = &config.TCPHealthCheck{Send: []byte{0, 1, 255}, Receive: [][]byte{[]byte("pong"), []byte("ok")}}
		}},
		"intervals": {"tcp_health_check: {}, initial_jitter: 1s, interval_jitter: 2s, interval_jitter_percent: 7, no_traffic_interval: 3s, unhealthy_interval: 4s, reuse_connection: false", func(c *config.HealthCheck) {
			c.TCP, c.ReuseConnection = &config.TCPHealthCheck{}, false
			c.Intervals = config.HealthIntervals{
				Base: 10 * time.Second, InitialJitter: time.Second, Jitter: 2 * time.Second, JitterPercent: 7, NoTraffic: 3 * time.Second,
				NoTrafficHealthy: 3 * time.Second, Unhealthy: 4 * time.Second, UnhealthyEdge: 4 * time.Second, HealthyEdge: 10 * time.Second,
			}
		}},
		"more intervals": {"tcp_health_check: {}, no_traffic_healthy_interval: 5s, unhealthy_edge_interval: 6s, healthy_edge_interval: 7s, always_log_health_check_failures: true, always_log_health_check_success: true", func(c *config.HealthCheck) {
			c.TCP, c.LogFailures, c.LogSuccesses = &config.TCPHealthCheck{}, true, true
			c.Intervals.NoTrafficHealthy, c.Intervals.UnhealthyEdge, c.Intervals.HealthyEdge = 5*time.Second, 6*time.Second, 7*time.Second
		}},
		"logs of events": {"tcp_health_check: {}, event_log_path: /tmp/a, event_logger: [" + eventSink("/tmp//a") + ", " + eventSink("/tmp/b") + "]", func(c *config.HealthCheck) {
			c.TCP, c.EventLogs = &config.TCPHealthCheck{}, []string{"/tmp/a", "/tmp/b"}
		}},
		"HTTP": {"http_health_check: {path: /h}", http(func(*config.HTTPHealthCheck) {})},
		"HTTP with all": {"http_health_check: {path: /h, host: '*', method: POST, codec_client_type: HTTP2, send: {text: '70'}, receive: [{text: '6f'}, {text: '6b'}], response_buffer_size: 2, " +
			"expected_statuses: [{start: 200, end: 300}, {start: 100, end: 101}], retriable_statuses: [{start: 599, end: 600}], " +
			"request_headers_to_add: [{header: {key: X-A, value: '100%%'}, append_action: OVERWRITE_IF_EXISTS, keep_empty_value: true}], request_headers_to_remove: [User-Agent]}",
			http(func(c *config.HTTPHealthCheck) {
				c.Host, c.Method, c.HTTP2, c.Send, c.ResponseBytes = "*", "POST", true, []byte("p"), 2
				c.Receive = [][]byte{[]byte("o"), []byte("k")}
				c.Expected, c.Retriable = []config.StatusRange{{Start: 200, End: 300}, {Start: 100, End: 101}}, []config.StatusRange{{Start: 599, End: 600}}
				c.Headers = []config.HeaderValue{{Name: "x-a", Value: "100%", Action: config.OverwriteIfExists, KeepEmpty: true}}
				c.Remove = []string{"user-agent"}
			})},
		"HTTP, of a service": {"http_health_check: {path: /h, service_name_matcher: {prefix: A, ignore_case: true}}", http(func(c *config.HTTPHealthCheck) {
			c.ServiceName = &config.StringMatcher{Kind: config.StringPrefix, Value: "a", IgnoreCase: true}
		})},
		"HTTP, the whole body": {"http_health_check: {path: /h, response_buffer_size: 0}", http(func(c *config.HTTPHealthCheck) { c.ResponseBytes = config.MaxHealthResponseBytes })},
		"gRPC":                 {"grpc_health_check: {}", func(c *config.HealthCheck) { c.GRPC = &config.GRPCHealthCheck{} }},
		"gRPC with all": {"grpc_health_check: {service_name: s, authority: a, initial_metadata: [{header: {key: K, value: v}}]}", func(c *config.HealthCheck) {
			c.GRPC = &config.GRPCHealthCheck{Service: "s", Authority: "a", Headers: []config.HeaderValue{{Name: "k", Value: "v"}}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := defaultCluster()
			want.Protocol, want.HTTP2 = config.ProtocolHTTP2, config.DefaultHTTP2()
			want.HealthCheck = defaultHealthCheck()
			tc.want(want.HealthCheck)
			got, err := resource.Cluster(parse(t, "name: c\nhttp2_protocol_options: {}\n"+healthCheck(tc.text), &clusterv3.Cluster{}))
			checkEqual(t, got, want, err)
		})
	}
}

// TestHealthOfHosts holds what goes with health checks in a cluster.
func TestHealthOfHosts(t *testing.T) {
	want := defaultCluster()
	want.IgnoreNewHosts, want.RemoveHealthyHosts, want.CloseOnHealthFailure, want.CloseOnHostSetChange = true, true, true, true
	got, err := resource.Cluster(parse(t, "name: c\nignore_health_on_host_removal: true\nclose_connections_on_host_health_failure: true\ncommon_lb_config: {ignore_new_hosts_until_first_hc: true, close_connections_on_host_set_change: true}", &clusterv3.Cluster{}))
	checkEqual(t, got, want, err)
}

func TestHealthCheckRefused(t *testing.T) {
	const tcp, http, grpc = "tcp_health_check", "http_health_check", "grpc_health_check"
	of := func(check, fields string) string { return healthCheck(check + ": {" + fields + "}") }
	for text, want := range map[string]string{
		"health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}, {timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}]": "health_checks[1]: is not supported, only one health check per cluster",
		"health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 0, healthy_threshold: 1, tcp_health_check: {}}]":                                                                                                  "health_checks[0].unhealthy_threshold: must be at least 1",
		"health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 0, tcp_health_check: {}}]":                                                                                                  "health_checks[0].healthy_threshold: must be at least 1",
		"health_checks: [{timeout: 0s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}]":                                                                                                  "health_checks[0].timeout: value must be greater than 0s",
		"health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, tcp_health_check: {}}]":                                                                                                                        "health_checks[0].healthy_threshold: value is required",
		"health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1}]":                                                                                                                        "health_checks[0].health_checker: value is required",
		of(tcp, "") + "\n": "",
		healthCheck("tcp_health_check: {}, name: first"):                                                                     "health_checks[0].name: is not supported",
		healthCheck("tcp_health_check: {}, alt_port: 80"):                                                                    "health_checks[0].alt_port: is not supported",
		healthCheck("tcp_health_check: {}, event_service: {grpc_service: {envoy_grpc: {cluster_name: c}}}"):                  "health_checks[0].event_service: is not supported",
		healthCheck("tcp_health_check: {}, tls_options: {}"):                                                                 "health_checks[0].tls_options: is not supported",
		healthCheck("tcp_health_check: {}, interval_jitter_percent: 1001"):                                                   "health_checks[0].interval_jitter_percent: 1001 is too large, it must be from 0 to 1000",
		healthCheck("tcp_health_check: {}, initial_jitter: -1s"):                                                             "health_checks[0].initial_jitter: must be from 0s to 87600h0m0s",
		healthCheck("tcp_health_check: {}, unhealthy_interval: 400000000s"):                                                  "health_checks[0].unhealthy_interval: must be from 0s to 87600h0m0s",
		healthCheck("custom_health_check: {name: redis}"):                                                                    "health_checks[0].custom_health_check: is not supported",
		healthCheck("tcp_health_check: {}, event_logger: [{name: f, typed_config: {'@type': type.googleapis.com/no.Such}}]"): "health_checks[0].event_logger[0]: 'f' with type URL 'type.googleapis.com/no.Such' is not supported, only type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink",
		of(tcp, "proxy_protocol_config: {}"):                                                                                 "health_checks[0].tcp_health_check.proxy_protocol_config: is not supported",
		of(tcp, "send: {text: '0'}"):                                                                                         "health_checks[0].tcp_health_check.send.text: invalid hex string '0'",
		of(tcp, "receive: [{text: aa}, {text: xy}]"):                                                                         "health_checks[0].tcp_health_check.receive[1].text: invalid hex string 'xy'",
		of(tcp, "send: {text: '"+strings.Repeat("0", 2*(64<<10)+2)+"'}"):                                                     "health_checks[0].tcp_health_check.send: 65537 bytes are too many, at most 65536 are allowed",
		of(http, "path: ''"):                                                                      "health_checks[0].http_health_check.path: value length must be at least 1 runes",
		of(http, "path: '/a b'"):                                                                  `health_checks[0].http_health_check.path: "/a b" must not have spaces in it`,
		of(http, "path: /, host: 'a b'"):                                                          `health_checks[0].http_health_check.host: "a b" must not have spaces in it`,
		of(http, "path: /, codec_client_type: HTTP3"):                                             "health_checks[0].http_health_check.codec_client_type: HTTP3 is not supported, only HTTP1 and HTTP2",
		of(http, "path: /, use_alpn_protocol: true"):                                              "health_checks[0].http_health_check.use_alpn_protocol: is not supported",
		of(http, "path: /, service_name_matcher: {safe_regex: {regex: '['}}"):                     "health_checks[0].http_health_check.service_name_matcher.safe_regex.regex: error parsing regexp: missing closing ]: `[`",
		of(http, "path: /, send: {text: '70'}"):                                                   "health_checks[0].http_health_check.send: cannot be set with method GET, only with POST, PUT, PATCH and OPTIONS",
		of(http, "path: /, expected_statuses: [{start: 99, end: 200}]"):                           "health_checks[0].http_health_check.expected_statuses[0]: start 99 and end 200 must be from 100 to 600, and start less than end",
		of(http, "path: /, expected_statuses: [{start: 200, end: 200}]"):                          "health_checks[0].http_health_check.expected_statuses[0]: start 200 and end 200 must be from 100 to 600, and start less than end",
		of(http, "path: /, retriable_statuses: [{start: 500, end: 501}, {start: 500, end: 601}]"): "health_checks[0].http_health_check.retriable_statuses[1]: start 500 and end 601 must be from 100 to 600, and start less than end",
		of(http, "path: /, response_buffer_size: 262145"):                                         "health_checks[0].http_health_check.response_buffer_size: 262145 is too large, it must be from 0 to 262144",
		of(http, "path: /, response_buffer_size: 3, receive: [{text: '0102'}, {text: '0304'}]"):   "health_checks[0].http_health_check.receive: 4 bytes are expected, which is more than response_buffer_size, 3",
		of(http, "path: /, request_headers_to_add: [{header: {key: a, value: '%PROTOCOL%'}}]"):    `health_checks[0].http_health_check.request_headers_to_add[0].header.value: "%PROTOCOL%": command operators are not supported in health checks`,
		of(http, "path: /, request_headers_to_remove: [host]"):                                    "health_checks[0].http_health_check.request_headers_to_remove[0]: ",
		of(grpc, ""): "health_checks[0].grpc_health_check: cannot be set on a cluster that does not speak HTTP/2: see http2_protocol_options",
	} {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			if want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if strings.HasSuffix(want, ": ") {
				if err == nil || !strings.HasPrefix(err.Error(), `cluster "c": `+want) {
					t.Errorf("got %v, want %s...", err, want)
				}
				return
			}
			checkError(t, err, `cluster "c": `+want)
		})
	}
}
