package config

import (
	"iter"
	"time"
)

// ClusterType is Cluster.type: where the endpoints come from.
type ClusterType uint8

// The types.
const (
	ClusterStatic ClusterType = iota
	ClusterStrictDNS
	ClusterEDS
	ClusterAggregate   // no hosts of its own: requests go to Members
	ClusterLogicalDNS  // one host, whose connections go to the first address of the latest answer
	ClusterOriginalDst // the addresses that clients have connected to, each made a host when it is first needed
)

// LBPolicy is the algorithm of a cluster.
type LBPolicy uint8

// The algorithms.
const (
	RoundRobin LBPolicy = iota
	LeastRequest
	Random
	RingHash
	Maglev
)

// Protocol is what a cluster's hosts are spoken to in.
type Protocol uint8

// The protocols.
const (
	ProtocolHTTP1 Protocol = iota
	ProtocolHTTP2
	ProtocolDownstream // what the client speaks (use_downstream_protocol_config)
	ProtocolAuto       // what the host chooses by ALPN (auto_config)
)

// DNSFamily is Cluster.dns_lookup_family.
type DNSFamily uint8

// The families.
const (
	DNSAuto DNSFamily = iota // IPv6 addresses, and IPv4 when there are none
	DNSV4Only
	DNSV6Only
	DNSV4Preferred
	DNSAll
)

// Defaults of envoy.config.cluster.v3.
const (
	DefaultMaxConnections  = 1024
	DefaultMaxPending      = 1024
	DefaultMaxRequests     = 1024
	DefaultMaxRetries      = 3
	DefaultPanicThreshold  = 50 // percent
	DefaultOverprovision   = 140
	DefaultDNSRefresh      = 5 * time.Second
	DefaultUpstreamIdle    = time.Hour
	DefaultHostCleanup     = 5 * time.Second             // cleanup_interval
	DefaultHostField       = "x-envoy-original-dst-host" // http_header_name
	DefaultLeastRqChoices  = 2
	DefaultMaxResponseKB   = 60
	DefaultMaxResponseHdrs = 100
)

// RoutingPriority is RouteAction.priority. Requests of each have circuit breakers and connections apart from those of the other.
type RoutingPriority uint8

// The priorities.
const (
	PriorityDefault RoutingPriority = iota
	PriorityHigh
	RoutingPriorities // how many there are
)

// Thresholds are the circuit breakers of one priority of a cluster, over all workers.
type Thresholds struct {
	MaxConnections uint32
	MaxPending     uint32
	MaxRequests    uint32
	MaxRetries     uint32
	// MaxPerHost bounds the connections to each host (per_host_thresholds.max_connections); nil does not.
	MaxPerHost *uint32
	// TrackRemaining has the statistics tell how far the breakers are from opening.
	TrackRemaining bool
	// RetryBudget takes the place of MaxRetries; nil for none.
	RetryBudget *RetryBudget
}

// Backoff is a range of waits that grow.
type Backoff struct{ Base, Max time.Duration }

// SlowStart is envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig. A Window of 0 is off.
type SlowStart struct {
	Window     time.Duration
	Aggression float64 // more than 0
	MinWeight  float64 // min_weight_percent as a fraction, 0..1
}

// AutoName has connections under TLS be asked for by what requests name, and kept apart by it.
type AutoName struct {
	SNI bool // auto_sni: that is the server name, before what the transport socket says
	SAN bool // auto_san_validation: the certificate must be for it, whatever the transport socket says
	// Header is the field that names the host before :authority does (override_auto_sni_header), in lower case, empty for none.
	Header string
}

// OriginalDstHosts are the hosts of a cluster of type ORIGINAL_DST.
type OriginalDstHosts struct {
	// Field is the name of the field in which a request may name its host, lower-case; "" for none.
	Field string
	// Port takes the place of that of the address (upstream_port_override); 0 does not.
	Port uint16
	// Cleanup is how often hosts are forgotten that were of no use since the last time (cleanup_interval).
	Cleanup time.Duration
}

// Cluster is envoy.config.cluster.v3.Cluster.
type Cluster struct {
	Name        string
	AltStatName string
	Type        ClusterType
	// EDSName is the name of the ClusterLoadAssignment that an EDS cluster subscribes to.
	EDSName string
	// EDS tells where an EDS cluster subscribes to it.
	EDS Discovery
	// TLS is transport_socket, nil for plaintext: of the hosts that none of SocketMatches is for.
	TLS *UpstreamTLS
	// ProxyHeader is what connections to the same hosts begin with, before TLS; nil for nothing.
	ProxyHeader *ProxyHeader
	// AutoName is nil where requests do not name the hosts.
	AutoName *AutoName
	// SocketMatches are transport_socket_matches.
	SocketMatches []SocketMatch
	// Assignment is the inline load_assignment of a STATIC or STRICT_DNS cluster.
	Assignment *ClusterLoadAssignment

	// OriginalDst is of a cluster of that type.
	OriginalDst OriginalDstHosts

	// Members are the clusters that an aggregate sends its requests to, in the order of preference. They may not exist.
	Members []string

	ConnectTimeout time.Duration
	BufferLimit    uint32
	MaxHeaderKB    uint32 // max_response_headers_kb
	MaxHeaderCount uint32

	LB                LBPolicy
	LocalityWeighted  bool
	ChoiceCount       uint32  // least request
	ActiveRequestBias float64 // least request
	PanicThreshold    uint32  // percent
	ZoneAware         ZoneAware
	// OverrideHeaders are fields of requests that may name the host, before the balancing is asked (policy override_host);
	// lower-case.
	OverrideHeaders []string
	// LoadReports has RoundRobin weigh hosts by what they report (policy client_side_weighted_round_robin), in place of the weights
	// of the assignment; nil for these.
	LoadReports *LoadReports
	// SlowStart has hosts that are new or healthy again get their share little by little; of RoundRobin and LeastRequest.
	SlowStart SlowStart
	// Subsets divides the hosts; nil when they are one.
	Subsets *Subsets
	// Hashing says how RingHash and Maglev hash requests and hosts.
	Hashing Hashing
	// Retry and Mirrors are of HttpProtocolOptions and take the place of those of a route, as a whole; nil leaves those in force.
	Retry   *RetryPolicy
	Mirrors []MirrorPolicy

	DNSFamily  DNSFamily
	DNSRefresh time.Duration
	// RespectDNSTTL has a name be looked up again when its answer has expired, in place of DNSRefresh, but not within DNSMinRefresh.
	RespectDNSTTL bool
	DNSMinRefresh time.Duration
	// DNSJitter is up to how much later, by chance, a name is looked up again; 0 for none.
	DNSJitter time.Duration
	// DNSFailure is the wait after a lookup that failed: by chance up to its Base at first, twice that with each further one, up
	// to its Max. DNSRefresh where Base is 0.
	DNSFailure Backoff

	// HappyEyeballs says in which order the addresses of hosts with several are tried.
	HappyEyeballs HappyEyeballs
	// Bind is where connections to hosts begin, nil for where the bootstrap says they do.
	Bind *Bind

	Breakers Thresholds // of priority DEFAULT
	// HighBreakers are those of priority HIGH.
	HighBreakers Thresholds

	Protocol Protocol
	// HTTP2 is http2_protocol_options, where the protocol is or may be HTTP/2.
	HTTP2 HTTP2

	// IdleTimeout closes a pooled connection that was not used for so long.
	IdleTimeout time.Duration
	// MaxRequestsPerConnection closes a pooled connection after so many requests, 0 means never.
	MaxRequestsPerConnection uint32
	MaxConnectionDuration    time.Duration
	// MaxStreamDuration bounds an attempt from when it has its connection to the end of its response; 0 means no bound.
	MaxStreamDuration time.Duration
	EnableTrailers    bool
	HeaderCase        HeaderCase

	// SocketOptions are those of connections to hosts, each a number (upstream_connection_options.tcp_keepalive).
	SocketOptions []SocketOption
	// Outlier is outlier_detection; nil when no host is ejected.
	Outlier *OutlierDetection
	// Errors says which answers outlier detection takes for errors (error_matcher); nil for those of 5xx.
	Errors *ResponseMatch
	// HealthCheck is the one of health_checks; nil means that hosts are not checked.
	HealthCheck *HealthCheck
	// IgnoreNewHosts leaves hosts whose first check is still to come out of balancing and of the count for panic
	// (ignore_new_hosts_until_first_hc).
	IgnoreNewHosts bool
	// RemoveHealthyHosts has a host that discovery no longer lists leave though it passes its checks
	// (ignore_health_on_host_removal).
	RemoveHealthyHosts bool
	// CloseOnHealthFailure ends connections of the TCP proxy to a host that fails its checks
	// (close_connections_on_host_health_failure).
	CloseOnHealthFailure bool

	// WithoutWarming has the cluster not wait for first lookups and health checks (wait_for_warm_on_init: false).
	WithoutWarming bool
	// CloseOnHostSetChange lets go of all connections to the hosts when one comes or leaves (close_connections_on_host_set_change).
	CloseOnHostSetChange bool

	// AddedViaAPI tells a cluster that came by CDS from one of the bootstrap.
	AddedViaAPI bool
	// WithoutTraffic is a cluster of the bootstrap that only a client of the control plane can speak to, as it asks for what the
	// data plane cannot do: to routes it does not exist.
	WithoutTraffic bool
}

// Warms reports whether it must be found out what c's hosts are or how they are before it is good for traffic.
func (c *Cluster) Warms() bool {
	return !c.WithoutWarming && (c.Type == ClusterStrictDNS || c.Type == ClusterLogicalDNS || c.HealthCheck != nil)
}

// HealthStatus is the health that a control plane gives an endpoint.
type HealthStatus uint8

// The statuses.
const (
	HealthUnknown HealthStatus = iota // usable
	HealthHealthy
	HealthUnhealthy
	HealthDraining
	HealthTimeout
	HealthDegraded
)

// ClusterLoadAssignment is envoy.config.endpoint.v3.ClusterLoadAssignment.
type ClusterLoadAssignment struct {
	Name          string
	Localities    []LocalityEndpoints
	Overprovision uint32 // overprovisioning_factor, percent; 140 by default
	// WeightedHealth has the health of a priority be that of its hosts by their weights (weighted_priority_health).
	WeightedHealth bool
	// StaleAfter is how long the endpoints are good for since they were received (endpoint_stale_after); 0 is for ever.
	StaleAfter time.Duration
	// Drop is the share of requests that are refused, in parts of a million (drop_overloads).
	Drop uint32
}

// LocalityEndpoints are the endpoints of one locality and priority.
type LocalityEndpoints struct {
	Region, Zone, SubZone string
	Priority              uint32
	// Weight is the locality's share under locality weighting; 0 gets no traffic then.
	Weight    uint32
	Endpoints []Endpoint
}

// Endpoint is one host.
type Endpoint struct {
	// Address is an IP except in a STRICT_DNS cluster's inline assignment, where IP holds the name to resolve.
	Address  Address
	Hostname string
	// Additional are further addresses of the host, which are connected to where Address does not answer; nil for none.
	Additional *MoreAddresses
	Weight     uint32 // at least 1
	Health     HealthStatus
	// Logical says that the address stands for the host named Hostname, and may change without that the host does: of
	// LOGICAL_DNS.
	Logical bool
	// HashKey is what consistent hashing knows the host by, where it is not its address (metadata envoy.lb, hash_key).
	HashKey string
	// SocketLabels and LocalityLabels are what the metadata of the endpoint and of its locality say to SocketMatches, nil for
	// nothing.
	SocketLabels, LocalityLabels *Labels
	// Canary says that the host has a version on trial, whose responses are counted apart (metadata envoy.lb, canary).
	Canary bool
	// SubsetLabels are what the metadata of the endpoint say to Subsets, nil for nothing.
	SubsetLabels *SubsetLabels
	// HealthCheck is health_check_config.
	HealthCheck EndpointHealthCheck
	// PendingRemoval is set where the data plane keeps an endpoint that discovery no longer lists, as it passes its checks.
	PendingRemoval bool
}

// Endpoints yields the endpoints of a with their localities, none for a nil a.
func (a *ClusterLoadAssignment) Endpoints() iter.Seq2[*LocalityEndpoints, *Endpoint] {
	return func(yield func(*LocalityEndpoints, *Endpoint) bool) {
		localities := a.All()
		for i := range localities {
			for j := range localities[i].Endpoints {
				if !yield(&localities[i], &localities[i].Endpoints[j]) {
					return
				}
			}
		}
	}
}

// All returns the localities of a, none for a nil a.
func (a *ClusterLoadAssignment) All() []LocalityEndpoints {
	if a == nil {
		return nil
	}
	return a.Localities
}
