// Package balancer chooses the host of a request: host sets split by priority, health and locality, and one picker per
// algorithm. It does what Envoy 1.38 does, in integer arithmetic that does not drift.
//
// A choice is made in three steps, each skipped where it has one outcome only:
//
//  1. priority (priority.go): by percentages that follow the health of the priorities, or panic mode;
//  2. locality (locality.go): weighted round robin, when locality weighting is on; otherwise that of this proxy as far as its hosts
//     go (zone.go), when it is known what the proxies are that it is one of;
//  3. host (round_robin.go, least_request.go, random.go), by weights that may grow with time (slow_start.go).
//
// Consistent hashing (hashing.go, ring_hash.go, maglev.go) follows a hash of the request instead of chance, in the choice of
// the priority too, and has the localities in its tables. These are what workers do share: see [Hashing].
//
// The first step needs nothing but the hosts and is done once, by [NewSet]. A [Picker] adds the schedules, which each
// pick moves on.
//
// Nothing else here is safe for use by several goroutines, because nothing else is shared: a worker owns its hosts, sets and
// pickers. When hosts, weights or health change, the worker builds a new [Set] and a new [Picker] and drops the old ones.
// A pick never blocks, locks or allocates, and takes O(log n) steps at most for n hosts, but for consistent hashing with bounded load
// (bounded_load.go), which looks at more hosts the more of them are busy.
//
// # Limitations
//
// A subset of a cluster is a [Set] and a [Picker] of its own. Hosts that must stay out of both load balancing and the panic arithmetic
// (EDS DRAINING) must be left out by the caller.
package balancer

// Kind is a load-balancing algorithm.
type Kind uint8

const (
	// RoundRobin takes the hosts in turn, in proportion to their weights.
	RoundRobin Kind = iota
	// LeastRequest prefers hosts with few requests in flight.
	LeastRequest
	// Random takes any host with equal probability and ignores weights, as Envoy's does.
	Random
	// RingHash takes the host whose point on a ring follows the hash of the request.
	RingHash
	// Maglev looks the hash of the request up in a table.
	Maglev
)

// Hashes reports whether k goes by a hash of the request.
func (k Kind) Hashes() bool { return k == RingHash || k == Maglev }

// String returns the name of k as Envoy's lb_policy spells it.
func (k Kind) String() string {
	switch k {
	case RoundRobin:
		return "ROUND_ROBIN"
	case LeastRequest:
		return "LEAST_REQUEST"
	case RingHash:
		return "RING_HASH"
	case Maglev:
		return "MAGLEV"
	default:
		return "RANDOM"
	}
}

// Envoy's limits and defaults.
const (
	// MaxPriority is the last priority (LocalityLbEndpoints.priority, at most 128 levels).
	MaxPriority = 127
	// DefaultChoiceCount is the default of LeastRequestLbConfig.choice_count, and its minimum.
	DefaultChoiceCount = 2
	// DefaultActiveRequestBias is the default of LeastRequestLbConfig.active_request_bias.
	DefaultActiveRequestBias = 1.0
	// DefaultPanicThreshold is the default of CommonLbConfig.healthy_panic_threshold, in percent.
	DefaultPanicThreshold = 50
	// DefaultOverprovisioningFactor is the default of ClusterLoadAssignment.Policy.overprovisioning_factor, in percent.
	DefaultOverprovisioningFactor = 140
)

// Limits of this package.
const (
	// maxChoiceCount bounds the work of one pick. Envoy sets no upper limit; at 128 choices the best of the sample is
	// in the least busy 4 % of the hosts with a probability of 99.5 %, and a larger sample only costs time.
	maxChoiceCount = 128
	// maxPanicThreshold is all hosts, in percent.
	maxPanicThreshold = 100
)

// Policy says how a cluster's traffic is spread over its hosts.
type Policy struct {
	// Kind is the algorithm that chooses the host.
	Kind Kind
	// LocalityWeighted chooses the locality by its weight before the host.
	LocalityWeighted bool
	// ChoiceCount is how many hosts a least request pick compares when all weights are equal. Values under
	// [DefaultChoiceCount] count as that; the most that is compared is 128.
	ChoiceCount uint32
	// PanicThreshold is the percentage of healthy and degraded hosts of a priority below which health is ignored,
	// 0..100. 0 turns panic mode off, so a caller that was told nothing passes [DefaultPanicThreshold].
	PanicThreshold uint32
	// OverprovisioningFactor is the percentage by which healthy hosts are taken to be able to carry more than their
	// share. 0 means [DefaultOverprovisioningFactor].
	OverprovisioningFactor uint32
	// WeightedHealth has hosts count by their weights in what a priority is able to take (weighted_priority_health). Panic mode goes by
	// their number all the same.
	WeightedHealth bool
	// ActiveRequestBias is the exponent of a host's requests in flight in least request with unequal weights. 0 is a
	// setting of its own (weights only), so a caller that was told nothing passes [DefaultActiveRequestBias]. A
	// negative number or NaN counts as that default.
	ActiveRequestBias float64
	// SlowStart has new hosts get their share of the traffic little by little.
	SlowStart SlowStart
	// FailOnPanic has panic mode give no host instead of any (fail_traffic_on_panic). Consistent hashing does not go by it.
	FailOnPanic bool
	// Peers turn zone aware routing on, as Zones says; nil leaves it off. Consistent hashing does not go by it.
	Peers *Peers
	Zones Zones
	// Hash says how consistent hashing lays the hosts out.
	Hash HashPolicy
}

func (p Policy) choiceCount() uint32 {
	return min(max(p.ChoiceCount, DefaultChoiceCount), maxChoiceCount)
}

func (p Policy) panicThreshold() uint32 { return min(p.PanicThreshold, maxPanicThreshold) }

func (p Policy) overprovisioningFactor() uint32 {
	if p.OverprovisioningFactor == 0 {
		return DefaultOverprovisioningFactor
	}
	return p.OverprovisioningFactor
}

func (p Policy) activeRequestBias() float64 {
	if p.ActiveRequestBias >= 0 {
		return p.ActiveRequestBias
	}
	return DefaultActiveRequestBias
}
