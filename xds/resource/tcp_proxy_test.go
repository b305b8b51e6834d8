package resource_test

import (
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// tcpProxyWith returns a listener whose TCP proxy has the fields in text.
func tcpProxyWith(text string) string {
	return listenerBase + `filter_chains:
- filters:
  - name: any
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
      ` + indent(6, text) + "\n"
}

func TestTCPProxy(t *testing.T) {
	type tcp = config.TCPProxy
	tests := map[string]struct {
		text string
		want func(*tcp)
	}{
		"defaults": {"stat_prefix: s\ncluster: c", func(*tcp) {}},
		"limits": {"stat_prefix: s\ncluster: c\nidle_timeout: 0s\nmax_downstream_connection_duration: 2s\nmax_connect_attempts: 3", func(p *tcp) {
			p.IdleTimeout, p.MaxConnectionDuration, p.MaxConnectAttempts = 0, 2*time.Second, 3
		}},
		"jitter": {"stat_prefix: s\ncluster: c\nmax_downstream_connection_duration: 2s\nmax_downstream_connection_duration_jitter_percentage: {value: 50}", func(p *tcp) {
			p.MaxConnectionDuration, p.ConnectionDurationJitter = 2*time.Second, 50
		}},
		"logs": {"stat_prefix: s\ncluster: c\naccess_log: [{name: o, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}}]\n" +
			"access_log_options: {access_log_flush_interval: 3s, flush_access_log_on_connected: true, flush_access_log_on_start: true}", func(p *tcp) {
			p.AccessLogs = []*config.AccessLog{{File: &config.FileAccessLog{Path: config.StdoutPath, Format: config.LogFormat{Text: config.DefaultLogFormat}}}}
			p.LogInterval, p.LogOnConnected, p.LogOnStart = 3*time.Second, true, true
		}},
		"logs, deprecated": {"stat_prefix: s\ncluster: c\naccess_log_flush_interval: 3s\nflush_access_log_on_connected: true", func(p *tcp) {
			p.LogInterval, p.LogOnConnected = 3*time.Second, true
		}},
		"weights": {"stat_prefix: s\nweighted_clusters: {clusters: [{name: a, weight: 1}, {name: b, weight: 3}]}", func(p *tcp) {
			p.Clusters = []config.WeightedCluster{{Name: "a", Weight: 1}, {Name: "b", Weight: 3}}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := &config.Listener{Name: "l", Address: config.Address{IP: "0.0.0.0", Port: 80}, BufferLimit: 1 << 20, FiltersTimeout: 15 * time.Second, Chains: []*config.FilterChain{{TCP: &tcp{
				StatPrefix: "s", Clusters: []config.WeightedCluster{{Name: "c", Weight: 1}}, IdleTimeout: time.Hour, MaxConnectAttempts: 1,
			}}}}
			test.want(want.Chains[0].TCP)
			got, err := resource.Listener(parse(t, tcpProxyWith(test.text), &listenerv3.Listener{}))
			checkEqual(t, got, want, err)
		})
	}
}

// knownLogs are the types of access logs that there are.
const knownLogs = "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig, " +
	"type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, " +
	"type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, " +
	"type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog"

func TestTCPProxyRefused(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no cluster":   {"stat_prefix: s", "cluster_specifier: value is required"},
		"empty name":   {"stat_prefix: s\ncluster: ''", "cluster: must not be empty"},
		"no weight":    {"stat_prefix: s\nweighted_clusters: {clusters: [{name: a}]}", "weighted_clusters.clusters[0].weight: value must be greater than or equal to 1"},
		"heavy":        {"stat_prefix: s\nweighted_clusters: {clusters: [{name: a, weight: 4294967295}, {name: b, weight: 1}]}", "weighted_clusters.clusters: the sum of the weights is 4294967296, it must be at most 4294967295"},
		"access log":   {"stat_prefix: s\ncluster: c\naccess_log: [{name: f, typed_config: {'@type': type.googleapis.com/no.Log}}]", "access_log[0]: 'f' with type URL 'type.googleapis.com/no.Log' is not supported, only " + knownLogs},
		"log options":  {"stat_prefix: s\ncluster: c\naccess_log_flush_interval: 3s\naccess_log_options: {}", "access_log_options: cannot be set together with access_log_flush_interval and flush_access_log_on_connected"},
		"log interval": {"stat_prefix: s\ncluster: c\naccess_log_options: {access_log_flush_interval: 0s}", "access_log_options.access_log_flush_interval: value must be greater than or equal to 1ms"},
		"tunnel":       {"stat_prefix: s\ncluster: c\ntunneling_config: {hostname: h}", "tunneling_config: is not supported"},
		"hash":         {"stat_prefix: s\ncluster: c\nhash_policy: [{source_ip: {}}]", "hash_policy[0]: is not supported"},
		"idle upwards": {"stat_prefix: s\ncluster: c\nupstream_idle_timeout: 1s", "upstream_idle_timeout: is not supported"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, tcpProxyWith(test.text), &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+hcmPath+test.want)
		})
	}
}
