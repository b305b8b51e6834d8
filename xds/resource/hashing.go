//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonlbv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	ringhashv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	ringHashMessage = lbPackage + "ring_hash.v3.RingHash"
	maglevMessage   = lbPackage + "maglev.v3.Maglev"
)

// Sizes of rings and tables, as Envoy's documentation has them.
const (
	defaultMinRingSize = 1024
	maxRingSize        = 8 << 20
	defaultTableSize   = 65537
	maxTableSize       = 5_000_011
)

var (
	ringHashFields = fields{
		"hash_function": decoded, "minimum_ring_size": decoded, "maximum_ring_size": decoded,
		"use_hostname_for_hashing": decoded, "hash_balance_factor": decoded, "consistent_hashing_lb_config": decoded,
		"locality_weighted_lb_config": decoded,
	}
	maglevFields = fields{
		"table_size": decoded, "consistent_hashing_lb_config": decoded, "locality_weighted_lb_config": decoded,
	}
	consistentHashingFields       = fields{"use_hostname_for_hashing": decoded, "hash_balance_factor": decoded, "hash_policy": decoded}
	legacyRingHashFields          = fields{"minimum_ring_size": decoded, "hash_function": decoded, "maximum_ring_size": decoded}
	legacyMaglevFields            = fields{"table_size": decoded}
	legacyConsistentHashingFields = fields{"use_hostname_for_hashing": decoded, "hash_balance_factor": decoded}
)

// ringHash decodes the policy RingHash.
func (a *at) ringHash(m *ringhashv3.RingHash, out *config.Cluster) {
	a.only(m, ringHashFields)
	out.LB, out.LocalityWeighted = config.RingHash, m.GetLocalityWeightedLbConfig() != nil
	out.Hashing = config.Hashing{
		Hostnames:   m.GetUseHostnameForHashing(),
		MurmurHash2: m.GetHashFunction() == ringhashv3.RingHash_MURMUR_HASH_2,

		BalanceFactor: m.GetHashBalanceFactor().GetValue(),
	}
	a.ringSize(m.GetMinimumRingSize(), m.GetMaximumRingSize(), &out.Hashing)
	a.consistentHashing(m.GetConsistentHashingLbConfig(), &out.Hashing)
}

// maglev decodes the policy Maglev.
func (a *at) maglev(m *maglevv3.Maglev, out *config.Cluster) {
	a.only(m, maglevFields)
	out.LB, out.LocalityWeighted = config.Maglev, m.GetLocalityWeightedLbConfig() != nil
	out.Hashing = config.Hashing{TableSize: a.tableSize(m.GetTableSize())}
	a.consistentHashing(m.GetConsistentHashingLbConfig(), &out.Hashing)
}

// consistentHashing decodes what both policies have in common. Where it is set, it takes the place of the older field of the
// ring's own.
func (a *at) consistentHashing(c *commonlbv3.ConsistentHashingLbConfig, out *config.Hashing) {
	if c == nil {
		return
	}
	place := a.in("consistent_hashing_lb_config")
	place.only(c, consistentHashingFields)
	out.Hostnames = c.GetUseHostnameForHashing()
	out.BalanceFactor = c.GetHashBalanceFactor().GetValue()
	out.Policies = place.hashPolicies(c.GetHashPolicy())
}

// legacyHashing decodes the fields of a cluster for lb_policy RING_HASH and MAGLEV.
func (a *at) legacyHashing(c *clusterv3.Cluster, out *config.Cluster) {
	var hashing config.Hashing
	if common := c.GetCommonLbConfig().GetConsistentHashingLbConfig(); common != nil {
		a.in("common_lb_config").in("consistent_hashing_lb_config").only(common, legacyConsistentHashingFields)
		hashing.Hostnames = common.GetUseHostnameForHashing()
		hashing.BalanceFactor = common.GetHashBalanceFactor().GetValue()
	}
	if r := c.GetRingHashLbConfig(); r != nil {
		place := a.in("ring_hash_lb_config")
		place.only(r, legacyRingHashFields)
		place.ringSize(r.GetMinimumRingSize(), r.GetMaximumRingSize(), &hashing)
		hashing.MurmurHash2 = r.GetHashFunction() == clusterv3.Cluster_RingHashLbConfig_MURMUR_HASH_2
	} else {
		a.ringSize(nil, nil, &hashing)
	}
	if m := c.GetMaglevLbConfig(); m != nil {
		place := a.in("maglev_lb_config")
		place.only(m, legacyMaglevFields)
		hashing.TableSize = place.tableSize(m.GetTableSize())
	} else {
		hashing.TableSize = defaultTableSize
	}
	switch c.GetLbPolicy() {
	case clusterv3.Cluster_RING_HASH:
		hashing.TableSize = 0
	case clusterv3.Cluster_MAGLEV:
		hashing.MinRingSize, hashing.MaxRingSize, hashing.MurmurHash2 = 0, 0, false
	default: // they are of no use to the others
		return
	}
	out.Hashing = hashing
}

// ringSize decodes the bounds of a ring.
func (a *at) ringSize(smallest, largest *wrapperspb.UInt64Value, out *config.Hashing) {
	out.MinRingSize, out.MaxRingSize = defaultMinRingSize, maxRingSize
	if smallest != nil {
		out.MinRingSize = smallest.GetValue()
	}
	if largest != nil {
		out.MaxRingSize = largest.GetValue()
	}
	switch {
	case out.MinRingSize < 1 || out.MinRingSize > maxRingSize:
		a.in("minimum_ring_size").errorf("%d must be from 1 to %d", out.MinRingSize, maxRingSize)
	case out.MaxRingSize < 1 || out.MaxRingSize > maxRingSize:
		a.in("maximum_ring_size").errorf("%d must be from 1 to %d", out.MaxRingSize, maxRingSize)
	case out.MinRingSize > out.MaxRingSize:
		a.errorf("ring hash: minimum_ring_size (%d) > maximum_ring_size (%d)", out.MinRingSize, out.MaxRingSize)
	}
}

// tableSize decodes the size of a Maglev table.
func (a *at) tableSize(w *wrapperspb.UInt64Value) uint64 {
	if w == nil {
		return defaultTableSize
	}
	size := w.GetValue()
	if size > maxTableSize || !isPrime(size) || size < 3 {
		a.in("table_size").errorf("%d: the table size of maglev must be prime number, from 3 to %d", size, maxTableSize)
	}
	return size
}

// hashKey returns the key under which consistent hashing knows an endpoint, empty when its metadata have none.
func hashKey(m *corev3.Metadata) string {
	return m.GetFilterMetadata()["envoy.lb"].GetFields()["hash_key"].GetStringValue()
}
