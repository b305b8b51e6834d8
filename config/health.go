package config

import "time"

// Defaults of envoy.config.core.v3.HealthCheck.
const (
	DefaultNoTrafficInterval   = time.Minute
	DefaultHealthResponseBytes = 1024
)

// MaxHealthResponseBytes bounds how much of a host's answer to a health check is kept and searched.
const MaxHealthResponseBytes = 256 << 10

// HealthCheck is envoy.config.core.v3.HealthCheck: how a cluster's hosts are asked whether they are well. Exactly one of
// HTTP, GRPC and TCP is set.
type HealthCheck struct {
	// Timeout bounds one probe, from the connection to the last byte of the answer. It is more than 0.
	Timeout time.Duration
	// UnhealthyThreshold is how many probes in a row must fail on the network, or with a retriable status, to take a host
	// out. Any other failure does at once. HealthyThreshold is how many must pass to bring one back; the first ever is
	// enough. Both are at least 1.
	UnhealthyThreshold, HealthyThreshold uint32
	// ReuseConnection keeps the connection from one probe to the next.
	ReuseConnection bool
	Intervals       HealthIntervals
	// SocketLabels choose the transport socket instead of the endpoint's (transport_socket_match_criteria), nil for the endpoint's.
	SocketLabels *Labels

	// EventLogs are the paths of the files that events are written to, each once (event_log_path, event_logger).
	EventLogs []string
	// LogFailures and LogSuccesses have every probe in them (always_log_health_check_failures and _success), not only those that
	// change something or are the first.
	LogFailures, LogSuccesses bool

	HTTP *HTTPHealthCheck
	GRPC *GRPCHealthCheck
	TCP  *TCPHealthCheck
}

// HealthIntervals say how long after the end of a probe the next one begins. Those that the configuration leaves out have
// the value that they default to.
type HealthIntervals struct {
	Base time.Duration // interval
	// NoTraffic holds while the cluster has never had a connection, NoTrafficHealthy then for hosts that pass.
	NoTraffic, NoTrafficHealthy time.Duration
	Unhealthy                   time.Duration // after a failure
	// UnhealthyEdge and HealthyEdge hold while a host is on its way to the other state, by the thresholds.
	UnhealthyEdge, HealthyEdge time.Duration
	// InitialJitter is the most that the first probe waits.
	InitialJitter time.Duration
	// Jitter and JitterPercent, of the interval, are the most that is added to each wait.
	Jitter        time.Duration
	JitterPercent uint32
}

// HTTPHealthCheck is HealthCheck.HttpHealthCheck.
type HTTPHealthCheck struct {
	Host   string // empty: the name of the cluster
	Path   string
	Method string
	HTTP2  bool // codec_client_type
	Send   []byte
	// Receive must be found in the first ResponseBytes of the body, in this order. It is 1 to MaxHealthResponseBytes.
	Receive       [][]byte
	ResponseBytes int
	// Expected are the statuses of a host that is well, Retriable those that count towards UnhealthyThreshold.
	Expected, Retriable []StatusRange
	// ServiceName is what the field x-envoy-upstream-healthchecked-cluster of the answer must match, nil for anything.
	ServiceName *StringMatcher
	// Headers are the fields added to the request, without command operators, and Remove those taken out before.
	Headers []HeaderValue
	Remove  []string
}

// StatusRange is the statuses from Start up to but not including End.
type StatusRange struct{ Start, End int }

// GRPCHealthCheck is HealthCheck.GrpcHealthCheck: the call grpc.health.v1.Health/Check.
type GRPCHealthCheck struct {
	Service   string
	Authority string // empty: the name of the cluster
	Headers   []HeaderValue
}

// TCPHealthCheck is HealthCheck.TcpHealthCheck. Without Receive it is enough that a connection can be made.
type TCPHealthCheck struct {
	Send    []byte
	Receive [][]byte
}

// EndpointHealthCheck is Endpoint.HealthCheckConfig: what one endpoint has that differs from the rest of its cluster.
type EndpointHealthCheck struct {
	IP       string // where to ask; empty: the endpoint's own
	Port     uint32 // 0: the endpoint's own
	Hostname string // in place of the cluster's host or authority
	Disabled bool   // disable_active_health_check
}

// HostHealth is what active health checks and outlier detection say of a host, a set of Envoy's health flags. The zero value is a host that is
// well, or that nobody checks.
type HostHealth uint8

// The flags.
const (
	FailedActiveHC   HostHealth = 1 << iota // it failed, or no probe of it has passed yet
	DegradedActiveHC                        // it passed and said that it is degraded
	PendingActiveHC                         // no probe of it has ended yet
	// ExcludedViaImmediateHCFail is of a host that asked, with the field x-envoy-immediate-health-check-fail, not to be
	// counted where panic is decided on.
	ExcludedViaImmediateHCFail
	ActiveHCTimeout // the last probe failed because it took too long
	// FailedOutlierCheck is of a host that outlier detection has ejected.
	FailedOutlierCheck
)

// Has reports whether h has one of the flags.
func (h HostHealth) Has(flags HostHealth) bool { return h&flags != 0 }

// Excluded reports whether the host takes no part in balancing, nor in the counts that decide on panic.
func (h HostHealth) Excluded() bool { return h.Has(PendingActiveHC | ExcludedViaImmediateHCFail) }

// ClusterHealth is the health of a cluster's hosts by address. A host that is not listed has not been checked yet.
type ClusterHealth struct {
	Hosts map[Address]HostHealth
	// Ejected are the hosts that outlier detection has taken out.
	Ejected map[Address]bool
}

// HealthOf returns the health of an endpoint of c as checks and outlier detection find it, given what they find of all, which may
// be nil.
func (c *Cluster) HealthOf(checked *ClusterHealth, e *Endpoint) HostHealth {
	flags := HostHealth(0)
	if c.Outlier != nil && checked != nil && checked.Ejected[e.Address] {
		flags = FailedOutlierCheck
	}
	if c.HealthCheck == nil || e.HealthCheck.Disabled {
		return flags
	}
	if checked != nil {
		if h, ok := checked.Hosts[e.Address]; ok {
			return flags | h
		}
	}
	if c.IgnoreNewHosts {
		return flags | FailedActiveHC | PendingActiveHC
	}
	return flags | FailedActiveHC
}

// CheckedAt returns the address that health checks of the endpoint go to.
func (e *Endpoint) CheckedAt() Address {
	at := e.Address
	if e.HealthCheck.IP != "" {
		at.IP, at.Path = e.HealthCheck.IP, ""
	}
	if e.HealthCheck.Port != 0 {
		at.Port = e.HealthCheck.Port
	}
	return at
}
