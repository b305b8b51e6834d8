package config

// Defaults of zone_aware_lb_config.
const (
	DefaultZoneRouting    = 100 // percent
	DefaultZoneMinCluster = 6   // hosts
)

// Locality is envoy.config.core.v3.Locality. The zero value is none.
type Locality struct{ Region, Zone, SubZone string }

// ZoneAware is zone_aware_lb_config of RoundRobin, LeastRequest and Random. It is of meaning where it is known what the proxies are
// that this one is one of (local_cluster_name), but for FailOnPanic.
type ZoneAware struct {
	Enabled        uint32 // routing_enabled, in percent of the requests
	MinClusterSize uint64 // healthy hosts below which requests do not go by zones
	// FailOnPanic has no host be taken in panic mode (fail_traffic_on_panic).
	FailOnPanic bool
	// ForceLocal is how many healthy hosts in the zone are enough for all requests (force_local_zone); 0 turns that off.
	ForceLocal uint32
	// ByWeight has hosts count by their weights (locality_basis HEALTHY_HOSTS_WEIGHT).
	ByWeight bool
}
