package balancer

// Health is what a host may be used for.
type Health uint8

const (
	// Healthy hosts take traffic first. It is the zero value: a host nobody has checked is used.
	Healthy Health = iota
	// Degraded hosts take the traffic that the healthy hosts of all priorities are too few for.
	Degraded
	// Unhealthy hosts take traffic in panic mode only.
	Unhealthy
)

// String returns the name of h as Envoy's admin interface prints it.
func (h Health) String() string {
	switch h {
	case Healthy:
		return "healthy"
	case Degraded:
		return "degraded"
	default:
		return "unhealthy"
	}
}

// Locality says where a host runs (config.core.v3.Locality). The zero value is a locality like any other.
type Locality struct {
	Region, Zone, SubZone string
}

// Host is one endpoint as one worker sees it. It is owned by that worker's thread.
//
// Address, Hostname, HashKey and Locality must not change after the host has been given to [NewSet]. Weight, Priority and Health
// are read when a [Set] and its [Picker] are built: after changing one of them, build both again.
type Host struct {
	// Address is "ip:port", the host's identity within its cluster.
	Address string
	// Hostname is the name the endpoint was configured with; it may be empty.
	Hostname string
	// HashKey is what consistent hashing knows the host by, in place of its address or name; empty for these.
	HashKey string
	// Locality is where the host runs.
	Locality Locality
	// Data is the state of the connection pool; nothing here touches it.
	Data any
	// Weight is the host's share of the traffic of its locality, 1..2^32-1. 0 counts as 1.
	Weight uint32
	// Priority is the level the host belongs to, 0 (first choice) to [MaxPriority].
	Priority uint32
	// HealthySince is when the host joined, or passed its health checks again, on the clock of SlowStart.Now; 0 where that is
	// not known, which is long ago.
	HealthySince int64
	// Active is the number of requests in flight to the host from this worker. The pool keeps it; a least request
	// picker reads it on each pick.
	Active uint32
	// Health is what the host may be used for.
	Health Health
}

// weight is h.Weight with the value that would never be scheduled replaced by the smallest that is.
func (h *Host) weight() uint32 { return max(h.Weight, 1) }

// LocalityWeight is the weight of one locality at one priority (LocalityLbEndpoints.load_balancing_weight). A locality
// of weight 0, or without an entry, gets no traffic under locality weighting.
type LocalityWeight struct {
	Priority uint32
	Locality Locality
	Weight   uint32
}
