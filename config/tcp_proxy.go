package config

import "time"

// Defaults of envoy.extensions.filters.network.tcp_proxy.v3.
const (
	DefaultTCPIdle            = time.Hour
	DefaultMaxConnectAttempts = 1
)

// TCPProxy is envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy: the bytes of a connection go to a host as they are, and
// those of the host come back.
type TCPProxy struct {
	StatPrefix string
	// Clusters has one entry for cluster, more for weighted_clusters.
	Clusters []WeightedCluster
	// Match is metadata_match, of Clusters that have none of their own; nil when any hosts will do.
	Match *MetadataMatch
	// IdleTimeout ends a connection that neither side has sent anything on; 0 means never.
	IdleTimeout time.Duration
	// MaxConnectionDuration ends a connection after that time (max_downstream_connection_duration); 0 means never.
	MaxConnectionDuration time.Duration
	// ConnectionDurationJitter is how much longer that may be by chance, in percent of it, 0 to 100
	// (max_downstream_connection_duration_jitter_percentage).
	ConnectionDurationJitter float64
	// MaxConnectAttempts is how many hosts are tried, at least 1.
	MaxConnectAttempts uint32

	// AccessLogs are told of every connection when it has ended, and besides: when it begins with LogOnStart, when it has a host
	// with LogOnConnected, and every LogInterval, which is 0 for never.
	AccessLogs                 []*AccessLog
	LogOnStart, LogOnConnected bool
	LogInterval                time.Duration
}

// MinTCPLogInterval is the least TCPProxy.LogInterval.
const MinTCPLogInterval = time.Millisecond
