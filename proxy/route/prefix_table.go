package route

import "slices"

// prefixTable finds all prefixes of a path that routes name. It is a hash table probed once for every length that a
// prefix has, with a hash that grows byte by byte along the path: the probes do not wait for each other's memory, as
// steps down a tree would, and a path is read only as far as the longest prefix goes.
type prefixTable struct {
	lengths []int // of the prefixes, ascending, each once
	slots   []prefixSlot
	shift   uint // 64 minus the binary logarithm of len(slots)
	groups  []prefixGroup
}

// prefixSlot is one place of the table, filled by open addressing with linear probing.
type prefixSlot struct {
	tag   uint32 // low half of the hash
	group uint32 // position in groups plus one, 0 for an empty slot
}

// prefixGroup holds the routes of one prefix.
type prefixGroup struct {
	value     string
	prefix    span // routes with this prefix
	separated span // routes with this path-separated prefix
}

// The hash is FNV-1a over the bytes, and a multiplication by 2^64 over the golden ratio to bring all bits to the top.
// Keys come from the configuration, so it need not resist collisions made on purpose: a request can at most meet
// another prefix's slot and compare.
const (
	fnvOffset  = 0xcbf29ce484222325
	fnvPrime   = 0x100000001b3
	goldenStep = 0x9e3779b97f4a7c15
)

func hashByte(hash uint64, b byte) uint64 { return (hash ^ uint64(b)) * fnvPrime }

func newPrefixTable(groups []prefixGroup) prefixTable {
	t := prefixTable{groups: groups, shift: 63}
	for 1<<(64-t.shift) < 2*len(groups) {
		t.shift--
	}
	t.slots = make([]prefixSlot, 1<<(64-t.shift))
	for i, g := range groups {
		hash := uint64(fnvOffset)
		for j := range len(g.value) {
			hash = hashByte(hash, g.value[j])
		}
		at := t.slot(hash)
		for t.slots[at].group != 0 {
			at = t.next(at)
		}
		t.slots[at] = prefixSlot{tag: uint32(hash), group: uint32(i + 1)}
		t.lengths = append(t.lengths, len(g.value))
	}
	slices.Sort(t.lengths)
	t.lengths = slices.Compact(t.lengths)
	return t
}

func (t *prefixTable) slot(hash uint64) int { return int(hash * goldenStep >> t.shift) }

func (t *prefixTable) next(slot int) int { return (slot + 1) & (len(t.slots) - 1) }

// find returns the group of a prefix with a hash, nil when there is none. At least half of the slots are empty, so the
// walk ends.
func (t *prefixTable) find(prefix []byte, hash uint64) *prefixGroup {
	for at := t.slot(hash); t.slots[at].group != 0; at = t.next(at) {
		if t.slots[at].tag == uint32(hash) {
			if g := &t.groups[t.slots[at].group-1]; string(prefix) == g.value {
				return g
			}
		}
	}
	return nil
}
