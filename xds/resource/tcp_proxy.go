//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"math"

	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const tcpProxyMessage = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

var (
	tcpProxyFields = fields{
		"stat_prefix": decoded, "cluster": decoded, "weighted_clusters": decoded, "idle_timeout": decoded,
		"max_downstream_connection_duration": decoded, "max_connect_attempts": decoded,
		"max_downstream_connection_duration_jitter_percentage": decoded,
		"access_log": decoded, "access_log_options": decoded, "access_log_flush_interval": decoded, "flush_access_log_on_connected": decoded,
		"metadata_match": decoded,
	}
	tcpLogFields = fields{
		"access_log_flush_interval": decoded, "flush_access_log_on_connected": decoded, "flush_access_log_on_start": decoded,
	}
	tcpWeightedFields      = fields{"clusters": decoded}
	tcpClusterWeightFields = fields{"name": decoded, "weight": decoded, "metadata_match": decoded}
)

// tcpProxy decodes a TCP proxy.
func (a *at) tcpProxy(p *tcpproxyv3.TcpProxy) *config.TCPProxy {
	a.only(p, tcpProxyFields)
	out := &config.TCPProxy{
		StatPrefix:               p.GetStatPrefix(),
		IdleTimeout:              a.duration("idle_timeout", p.GetIdleTimeout(), config.DefaultTCPIdle),
		MaxConnectionDuration:    a.duration("max_downstream_connection_duration", p.GetMaxDownstreamConnectionDuration(), 0),
		ConnectionDurationJitter: p.GetMaxDownstreamConnectionDurationJitterPercentage().GetValue(),
		MaxConnectAttempts:       orUint32(p.GetMaxConnectAttempts(), config.DefaultMaxConnectAttempts),
	}
	switch c := p.GetClusterSpecifier().(type) {
	case *tcpproxyv3.TcpProxy_Cluster:
		if c.Cluster == "" {
			a.in("cluster").errorf("must not be empty")
		}
		out.Clusters = []config.WeightedCluster{{Name: c.Cluster, Weight: 1}}
	case *tcpproxyv3.TcpProxy_WeightedClusters:
		out.Clusters = a.in("weighted_clusters").tcpClusters(c.WeightedClusters)
	}
	out.AccessLogs = a.accessLogs(p.GetAccessLog())
	a.tcpLogOptions(p, out)
	a.tcpMatches(p, out)
	return out
}

// tcpLogOptions decodes when access logs are told of connections, in the current or the deprecated form.
func (a *at) tcpLogOptions(p *tcpproxyv3.TcpProxy, out *config.TCPProxy) {
	place, every := a, p.GetAccessLogFlushInterval()
	out.LogOnConnected = p.GetFlushAccessLogOnConnected()
	if o := p.GetAccessLogOptions(); o != nil {
		if every != nil || out.LogOnConnected {
			a.in("access_log_options").errorf("cannot be set together with access_log_flush_interval and flush_access_log_on_connected")
		}
		place, every = a.in("access_log_options"), o.GetAccessLogFlushInterval()
		place.only(o, tcpLogFields)
		out.LogOnConnected, out.LogOnStart = o.GetFlushAccessLogOnConnected(), o.GetFlushAccessLogOnStart()
	}
	if every != nil {
		out.LogInterval = place.duration("access_log_flush_interval", every, 0)
		if out.LogInterval < config.MinTCPLogInterval {
			place.in("access_log_flush_interval").errorf("must be at least %s", config.MinTCPLogInterval)
		}
	}
}

// tcpClusters decodes what connections are split over. Every weight is more than 0: validation has seen to it.
func (a *at) tcpClusters(w *tcpproxyv3.TcpProxy_WeightedCluster) []config.WeightedCluster {
	a.only(w, tcpWeightedFields)
	var out []config.WeightedCluster
	sum := uint64(0)
	for i, c := range w.GetClusters() {
		a.item("clusters", i).only(c, tcpClusterWeightFields)
		sum += uint64(c.GetWeight())
		out = append(out, config.WeightedCluster{Name: c.GetName(), Weight: c.GetWeight()})
	}
	if sum > math.MaxUint32 {
		a.in("clusters").errorf("the sum of the weights is %d, it must be at most %d", sum, uint32(math.MaxUint32))
	}
	return out
}
