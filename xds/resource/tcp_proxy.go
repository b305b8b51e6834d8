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
		"access_log_options": noEffect, // TCP proxies have no access logs
	}
	tcpWeightedFields      = fields{"clusters": decoded}
	tcpClusterWeightFields = fields{"name": decoded, "weight": decoded}
)

// tcpProxy decodes a TCP proxy.
func (a *at) tcpProxy(p *tcpproxyv3.TcpProxy) *config.TCPProxy {
	a.only(p, tcpProxyFields)
	out := &config.TCPProxy{
		StatPrefix:            p.GetStatPrefix(),
		IdleTimeout:           a.duration("idle_timeout", p.GetIdleTimeout(), config.DefaultTCPIdle),
		MaxConnectionDuration: a.duration("max_downstream_connection_duration", p.GetMaxDownstreamConnectionDuration(), 0),
		MaxConnectAttempts:    orUint32(p.GetMaxConnectAttempts(), config.DefaultMaxConnectAttempts),
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
	return out
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
