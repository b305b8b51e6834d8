package balancer

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Defaults and limits of consistent hashing, as in Envoy's RingHash and Maglev.
const (
	// DefaultMinRingSize is the default of minimum_ring_size.
	DefaultMinRingSize = 1024
	// MaxRingSize is the default of maximum_ring_size, and its largest value.
	MaxRingSize = 8 << 20
	// DefaultTableSize is the default of Maglev's table_size, a prime.
	DefaultTableSize = 65537
	// MaxTableSize is the largest table_size.
	MaxTableSize = 5_000_011
)

// HashPolicy says how the hosts are laid out for consistent hashing. It is of use to [RingHash] and [Maglev] only.
type HashPolicy struct {
	// MinRingSize and MaxRingSize bound the entries of a ring, 1..[MaxRingSize]. 0 means [DefaultMinRingSize] and
	// [MaxRingSize].
	MinRingSize, MaxRingSize uint64
	// TableSize is the number of entries of a Maglev table, a prime of at most [MaxTableSize]. 0 means [DefaultTableSize].
	TableSize uint64
	// Hostnames has hosts be known by their names instead of their addresses, where they have one.
	Hostnames bool
	// MurmurHash2 hashes the entries of a ring with MurmurHash2 instead of xxHash64.
	MurmurHash2 bool
	// BalanceFactor is how many requests in flight a host may have, in percent of its share of all, at least 100; what is more
	// goes to others. 0 is no bound.
	BalanceFactor uint32
}

func (p HashPolicy) ringSize() (smallest, largest uint64) {
	if smallest, largest = p.MinRingSize, p.MaxRingSize; smallest == 0 {
		smallest = DefaultMinRingSize
	}
	if largest == 0 {
		largest = MaxRingSize
	}
	return min(smallest, MaxRingSize), min(largest, MaxRingSize)
}

func (p HashPolicy) tableSize() uint64 {
	if p.TableSize == 0 {
		return DefaultTableSize
	}
	return min(p.TableSize, MaxTableSize)
}

// Hashing is what consistent hashing looks hosts up in: a table for each part of a [Set] that takes traffic. It is
// immutable and knows hosts by their place only, so all workers whose sets are alike share one: the same hosts in the same
// order, of the same weights, priorities, localities and health.
type Hashing struct {
	kind   Kind
	policy HashPolicy
	tables []hashTable // by the order of levels
}

// hashTable looks up the hosts of one level.
type hashTable struct {
	members []member  // what it was made of
	shares  []float64 // of members, by their index, where there is a BalanceFactor
	ring    ring      // of RingHash
	maglev  maglev    // of Maglev
}

// member is a host with its share of the traffic of its level.
type member struct {
	key   string
	index uint32 // in the hosts of the level
	share float64
}

// NewHashing returns the tables of set under p, whose Kind is [RingHash] or [Maglev]. weights are those that set was made
// with. Of old, which may be nil, the tables whose hosts have stayed the same are taken over: building one takes about a
// millisecond.
func NewHashing(set *Set, weights []LocalityWeight, p Policy, old *Hashing) *Hashing {
	h := &Hashing{kind: p.Kind, policy: p.Hash}
	if old != nil && (old.kind != p.Kind || old.policy != p.Hash) {
		old = nil
	}
	var byKey map[localityKey]uint32
	if p.LocalityWeighted {
		byKey = indexWeights(weights)
	}
	for pr, c := range set.loaded() {
		hosts := c.hosts
		if pr.panic {
			hosts = pr.hosts
		}
		h.tables = append(h.tables, h.newTable(members(hosts, byKey, p), old, len(h.tables)))
	}
	return h
}

// newTable returns the table of hosts, the one that old has at index i if it is of the same.
func (h *Hashing) newTable(members []member, old *Hashing, i int) hashTable {
	if old != nil && i < len(old.tables) && slices.Equal(old.tables[i].members, members) {
		return old.tables[i]
	}
	t := hashTable{members: members}
	if n := len(members); h.policy.BalanceFactor > 0 && n > 0 {
		t.shares = make([]float64, members[n-1].index+1)
		for _, m := range members {
			t.shares[m.index] = m.share
		}
	}
	switch {
	case len(members) < 2: // which needs no table
	case h.kind == RingHash:
		t.ring = newRing(members, h.policy)
	default:
		t.maglev = newMaglev(members, h.policy.tableSize())
	}
	return t
}

// members returns the hosts of a level that get some of its traffic, in their order, with their shares, which add up to 1
// at most. Under locality weighting a host's share is its part of the weight of its locality among all localities of the
// priority: as in Envoy, a hash does not follow the availability of localities.
func members(hosts []*Host, localities map[localityKey]uint32, p Policy) []member {
	if len(hosts) == 0 {
		return nil
	}
	list := make([]member, 0, len(hosts))
	total := uint64(0)
	for key, weight := range localities {
		if key.priority == hosts[0].Priority {
			total += uint64(weight)
		}
	}
	sums := make(map[localityKey]uint64) // of the weights of the hosts
	for _, h := range hosts {
		sums[groupOf(h, localities)] += uint64(h.weight())
	}
	for i, h := range hosts {
		group := groupOf(h, localities)
		share := float64(h.weight())
		if localities != nil {
			if localities[group] == 0 {
				continue
			}
			share *= float64(localities[group]) / float64(total)
		}
		list = append(list, member{key: h.hashKey(p.Hash), index: uint32(i), share: share / float64(sums[group])})
	}
	return list
}

// groupOf returns what a host shares its traffic with: its locality, or all hosts where localities have no weights.
func groupOf(h *Host, localities map[localityKey]uint32) localityKey {
	if localities == nil {
		return localityKey{}
	}
	return localityKey{h.Priority, h.Locality}
}

// hashKey returns what a host is known by in a ring or table.
func (h *Host) hashKey(p HashPolicy) string {
	switch {
	case h.HashKey != "":
		return h.HashKey
	case p.Hostnames && h.Hostname != "":
		return h.Hostname
	default:
		return h.Address
	}
}

// pick returns the place of the host for hash among those of its level. attempt is 0, and more when the hosts of the attempts
// before it will not do. ok is false when there is no host.
func (t *hashTable) pick(hash uint64, attempt uint32) (index uint32, ok bool) {
	switch {
	case len(t.members) == 0:
		return 0, false
	case len(t.members) == 1:
		return t.members[0].index, true
	case t.ring.hashes != nil:
		return t.ring.pick(hash, attempt), true
	default:
		return t.maglev.pick(hash, attempt), true
	}
}

// HashStats are the numbers of the last priority's table, for the gauges ring_hash_lb.* and maglev_lb.*.
type HashStats struct {
	// Size is the number of entries, and PerHostMin and PerHostMax are how many of them a host has.
	Size, PerHostMin, PerHostMax uint64
}

// Stats returns the numbers of the last table that has hosts, which is what Envoy's gauges hold. A table of one host, which
// needs no entries, has the numbers it would have had.
func (h *Hashing) Stats() HashStats {
	for i := len(h.tables) - 1; i >= 0; i-- {
		switch t := &h.tables[i]; {
		case len(t.members) == 0:
		case t.ring.hashes != nil:
			return perHost(t.ring.hosts, len(t.members), t.members)
		case t.maglev.size > 0:
			return t.maglev.stats()
		default:
			size := h.policy.tableSize()
			if h.kind == RingHash {
				smallest, largest := h.policy.ringSize()
				size = min(smallest, largest)
			}
			return HashStats{Size: size, PerHostMin: size, PerHostMax: size}
		}
	}
	return HashStats{}
}

// xxHash64 hashes s with a seed.
func xxHash64(s string, seed uint64) uint64 {
	d := xxhash.NewWithSeed(seed)
	_, _ = d.WriteString(s) // never an error
	return d.Sum64()
}
