//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	clusterFields = fields{
		"name": decoded, "alt_stat_name": decoded, "type": decoded, "cluster_type": decoded, "eds_cluster_config": decoded,
		"connect_timeout": decoded, "per_connection_buffer_limit_bytes": decoded, "lb_policy": decoded,
		"load_assignment": decoded, "load_balancing_policy": decoded, "least_request_lb_config": decoded,
		"lb_subset_config": decoded, "round_robin_lb_config": decoded, "ring_hash_lb_config": decoded, "maglev_lb_config": decoded, "common_lb_config": decoded, "circuit_breakers": decoded,
		"max_requests_per_connection": decoded, "common_http_protocol_options": decoded, "http_protocol_options": decoded,
		"http2_protocol_options": decoded, "protocol_selection": decoded, "typed_extension_protocol_options": decoded, "dns_refresh_rate": decoded,
		"dns_failure_refresh_rate": decoded, "dns_jitter": decoded, "respect_dns_ttl": decoded, "dns_lookup_family": decoded, "transport_socket": decoded, "transport_socket_matches": decoded,
		"health_checks": decoded, "outlier_detection": decoded, "upstream_connection_options": decoded, "ignore_health_on_host_removal": decoded,
		"close_connections_on_host_health_failure": decoded, "upstream_bind_config": decoded,

		"metadata":                       noEffect,
		"upstream_http_protocol_options": decoded,
		// Statistics beyond the ones that every cluster has.
		"track_timeout_budgets": noEffect, "track_cluster_stats": noEffect,
		"cleanup_interval": decoded, "original_dst_lb_config": decoded,

		"wait_for_warm_on_init": decoded, "use_tcp_for_dns_lookups": onlyFalse,
		"connection_pool_per_downstream_connection": onlyFalse,
	}
	connectionOptionFields = fields{"tcp_keepalive": decoded, "happy_eyeballs_config": decoded, "set_local_interface_name_on_upstream_connections": onlyFalse}

	happyEyeballsFields = fields{"first_address_family_version": decoded, "first_address_family_count": decoded}

	edsFields         = fields{"eds_config": decoded, "service_name": decoded}
	retryBudgetFields = fields{"budget_percent": decoded, "min_retry_concurrency": decoded, "budget_interval": decoded}
	breakerFields     = fields{"thresholds": decoded, "per_host_thresholds": decoded}
	perHostFields     = fields{"priority": decoded, "max_connections": decoded}
	thresholdsFields  = fields{
		"priority": decoded, "max_connections": decoded, "max_pending_requests": decoded, "max_requests": decoded,
		"max_retries": decoded, "retry_budget": decoded, "track_remaining": decoded,
	}
)

// Cluster decodes a cluster. AddedViaAPI is left false.
//
// A cluster of type STRICT_DNS without load_assignment becomes one of type EDS under its own name: control planes exist
// that send such clusters and give the endpoints by EDS.
func Cluster(c *clusterv3.Cluster) (*config.Cluster, error) {
	root := newReport("cluster", c.GetName())
	if !root.validate(c) {
		return nil, root.err()
	}
	if c.GetName() == "" {
		root.in("name").errorf("must not be empty")
	}
	root.only(c, clusterFields)
	out := &config.Cluster{
		Name:           c.GetName(),
		AltStatName:    c.GetAltStatName(),
		ConnectTimeout: root.positive("connect_timeout", c.GetConnectTimeout(), config.DefaultConnectTimeout),
		BufferLimit:    orUint32(c.GetPerConnectionBufferLimitBytes(), config.DefaultBufferLimit),
	}
	out.TLS, out.ProxyHeader = root.upstreamSocket(c.GetTransportSocket())
	out.SocketMatches = root.socketMatches(c.GetTransportSocketMatches())
	root.discovery(c, out)
	root.balancing(c, out)
	root.in("circuit_breakers").circuitBreakers(c.GetCircuitBreakers(), out)
	root.upstreamProtocol(c, out)
	out.HealthCheck = root.healthChecks(c, out.Protocol)
	if o := c.GetUpstreamConnectionOptions(); o != nil {
		place := root.in("upstream_connection_options")
		place.only(o, connectionOptionFields)
		out.SocketOptions = place.tcpKeepalive("tcp_keepalive", o.GetTcpKeepalive())
		out.HappyEyeballs = place.happyEyeballs(o.GetHappyEyeballsConfig())
	}
	out.Bind = root.in("upstream_bind_config").bind(c.GetUpstreamBindConfig())
	out.Outlier = root.in("outlier_detection").outlier(c.GetOutlierDetection())
	out.RemoveHealthyHosts = c.GetIgnoreHealthOnHostRemoval()
	out.WithoutWarming = c.GetWaitForWarmOnInit() != nil && !c.GetWaitForWarmOnInit().GetValue()
	out.CloseOnHealthFailure = c.GetCloseConnectionsOnHostHealthFailure()
	if root.failed() {
		return nil, root.err()
	}
	return out, nil
}

// happyEyeballs decodes in which order addresses of a host are tried.
func (a *at) happyEyeballs(c *clusterv3.UpstreamConnectionOptions_HappyEyeballsConfig) (out config.HappyEyeballs) {
	if c == nil {
		return out
	}
	a.in("happy_eyeballs_config").only(c, happyEyeballsFields)
	out.Count = c.GetFirstAddressFamilyCount().GetValue()
	switch c.GetFirstAddressFamilyVersion() {
	case clusterv3.UpstreamConnectionOptions_V4:
		out.First = config.FamilyIPv4
	case clusterv3.UpstreamConnectionOptions_V6:
		out.First = config.FamilyIPv6
	}
	return out
}

// discovery decodes where the endpoints come from.
func (a *at) discovery(c *clusterv3.Cluster, out *config.Cluster) {
	a.dns(c, out)
	if custom := c.GetClusterType(); custom != nil {
		a.in("cluster_type").customType(custom, out)
	} else {
		switch c.GetType() {
		case clusterv3.Cluster_STATIC:
			out.Type = config.ClusterStatic
		case clusterv3.Cluster_STRICT_DNS:
			out.Type = config.ClusterStrictDNS
		case clusterv3.Cluster_LOGICAL_DNS:
			out.Type = config.ClusterLogicalDNS
		case clusterv3.Cluster_EDS:
			out.Type = config.ClusterEDS
		case clusterv3.Cluster_ORIGINAL_DST:
			out.Type = config.ClusterOriginalDst
		default:
			a.in("type").errorf("%s is not supported, only STATIC, STRICT_DNS, LOGICAL_DNS, EDS and ORIGINAL_DST", c.GetType())
			return
		}
	}
	a.originalHosts(c, out)
	eds := c.GetEdsClusterConfig()
	switch {
	case out.Type == config.ClusterEDS:
		a.in("eds_cluster_config").eds(c, out)
	case eds != nil:
		a.in("eds_cluster_config").errorf("cannot be set on a cluster that is not of type EDS")
	case out.Type == config.ClusterStrictDNS && c.GetLoadAssignment() == nil:
		out.Type, out.EDSName = config.ClusterEDS, c.GetName()
		out.EDS.FetchTimeout = config.DefaultInitialFetchExpiry
	case out.Type == config.ClusterAggregate && c.GetLoadAssignment() != nil:
		a.in("load_assignment").errorf("cannot be set on an aggregate, which has the endpoints of other clusters")
	case out.Type == config.ClusterAggregate:
		out.Assignment = &config.ClusterLoadAssignment{Name: c.GetName(), Overprovision: config.DefaultOverprovision}
	case out.Type == config.ClusterLogicalDNS:
		out.Assignment = a.in("load_assignment").assignment(c.GetLoadAssignment(), nameOrIP)
		a.oneEndpoint(out.Assignment)
	case out.Type == config.ClusterStrictDNS:
		out.Assignment = a.in("load_assignment").assignment(c.GetLoadAssignment(), nameOrIP)
	case c.GetLoadAssignment() != nil:
		out.Assignment = a.in("load_assignment").assignment(c.GetLoadAssignment(), ipOrPipe)
	default:
		out.Assignment = &config.ClusterLoadAssignment{Name: c.GetName(), Overprovision: config.DefaultOverprovision}
	}
}

// eds decodes eds_cluster_config.
func (a *at) eds(c *clusterv3.Cluster, out *config.Cluster) {
	eds := c.GetEdsClusterConfig()
	if eds == nil {
		a.errorf("must be set on a cluster of type EDS")
		return
	}
	a.only(eds, edsFields)
	out.EDS = a.in("eds_config").configSource(eds.GetEdsConfig())
	if out.EDSName = a.in("service_name").asked(eds.GetServiceName()); out.EDSName == "" {
		out.EDSName = a.asked(c.GetName())
	}
}

// circuitBreakers decodes the thresholds of both priorities.
func (a *at) circuitBreakers(cb *clusterv3.CircuitBreakers, out *config.Cluster) {
	defaults := config.Thresholds{
		MaxConnections: config.DefaultMaxConnections,
		MaxPending:     config.DefaultMaxPending,
		MaxRequests:    config.DefaultMaxRequests,
		MaxRetries:     config.DefaultMaxRetries,
	}
	out.Breakers, out.HighBreakers = defaults, defaults
	if cb == nil {
		return
	}
	a.only(cb, breakerFields)
	seen := make(map[corev3.RoutingPriority]bool)
	for i, t := range cb.GetThresholds() {
		place := a.item("thresholds", i)
		place.only(t, thresholdsFields)
		if seen[t.GetPriority()] {
			place.in("priority").errorf("%s is listed twice", t.GetPriority())
		}
		seen[t.GetPriority()] = true
		thresholds := config.Thresholds{
			MaxConnections: orUint32(t.GetMaxConnections(), defaults.MaxConnections),
			MaxPending:     orUint32(t.GetMaxPendingRequests(), defaults.MaxPending),
			MaxRequests:    orUint32(t.GetMaxRequests(), defaults.MaxRequests),
			MaxRetries:     orUint32(t.GetMaxRetries(), defaults.MaxRetries),
			RetryBudget:    place.in("retry_budget").retryBudget(t.GetRetryBudget()),
			TrackRemaining: t.GetTrackRemaining(),
		}
		if t.GetPriority() == corev3.RoutingPriority_HIGH {
			out.HighBreakers = thresholds
		} else {
			out.Breakers = thresholds
		}
	}
	a.perHostBreakers(cb.GetPerHostThresholds(), out)
}

// perHostBreakers decodes per_host_thresholds of both priorities.
func (a *at) perHostBreakers(list []*clusterv3.CircuitBreakers_Thresholds, out *config.Cluster) {
	seen := make(map[corev3.RoutingPriority]bool)
	for i, t := range list {
		place := a.item("per_host_thresholds", i)
		place.only(t, perHostFields)
		if seen[t.GetPriority()] {
			place.in("priority").errorf("%s is listed twice", t.GetPriority())
		}
		seen[t.GetPriority()] = true
		if t.GetMaxConnections() == nil {
			continue
		}
		limit := t.GetMaxConnections().GetValue()
		if t.GetPriority() == corev3.RoutingPriority_HIGH {
			out.HighBreakers.MaxPerHost = &limit
		} else {
			out.Breakers.MaxPerHost = &limit
		}
	}
}

// retryBudget decodes what bounds the retries in flight, nil for max_retries.
func (a *at) retryBudget(b *clusterv3.CircuitBreakers_Thresholds_RetryBudget) *config.RetryBudget {
	if b == nil {
		return nil
	}
	a.only(b, retryBudgetFields)
	out := &config.RetryBudget{
		Percent:        config.DefaultBudgetPercent,
		MinConcurrency: orUint32(b.GetMinRetryConcurrency(), config.DefaultBudgetConcurrency),
		Interval:       a.duration("budget_interval", b.GetBudgetInterval(), 0),
	}
	if p := b.GetBudgetPercent(); p != nil {
		out.Percent = p.GetValue()
	}
	return out
}
