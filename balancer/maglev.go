package balancer

import (
	"cmp"
	"slices"
	"strings"
)

// maglev is the lookup table of Google's Maglev ("Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4):
// a host for each remainder of a hash. A change of the hosts moves few of the others' entries.
type maglev struct {
	size uint64
	// The place of a host among members by entry, in the narrowest of these that can hold it: a byte each makes a table
	// small enough for the caches.
	narrow []uint8
	wide   []uint16
	full   []uint32
	hosts  []uint32 // by the place: the host's place in its level
	counts []uint64 // by the place: the entries it has
}

// claim is a host that takes entries of a table, in turns.
type claim struct {
	member
	place        uint32
	offset, skip uint64 // of its permutation of the entries
	next         uint64
	due          float64 // its turns are those by which its share adds up to this
	count        uint64
}

// newMaglev returns the table of members, of which there are at least two, in size entries, a prime. Hosts take turns in
// the order of their keys: the one with the largest share in each round, others in a part of them.
func newMaglev(members []member, size uint64) maglev {
	claims, largest := newClaims(members, size)
	const free = ^uint32(0)
	table := make([]uint32, size)
	for i := range table {
		table[i] = free
	}
	filled := uint64(0)
	for round := 1.0; filled < size; round++ {
		for i := range claims {
			c := &claims[i]
			if round*c.share < c.due || filled == size {
				continue
			}
			c.due += largest
			entry := c.entry(size)
			for table[entry] != free {
				entry = c.entry(size)
			}
			table[entry] = c.place
			c.count++
			filled++
		}
	}
	m := maglev{size: size, hosts: make([]uint32, len(claims)), counts: make([]uint64, len(claims))}
	for _, c := range claims {
		m.hosts[c.place], m.counts[c.place] = c.index, c.count
	}
	m.keep(table)
	return m
}

// newClaims returns the members in the order in which they take turns, and the largest share.
func newClaims(members []member, size uint64) (claims []claim, largest float64) {
	claims = make([]claim, len(members))
	for i, m := range members {
		claims[i] = claim{
			member: m,
			place:  uint32(i),
			offset: xxHash64(m.key, 0) % size,
			skip:   xxHash64(m.key, 1)%(size-1) + 1,
		}
		largest = max(largest, m.share)
	}
	slices.SortFunc(claims, func(a, b claim) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.place, b.place))
	})
	return claims, largest
}

// entry returns the next entry of the host's permutation.
func (c *claim) entry(size uint64) uint64 {
	entry := (c.offset + c.skip*c.next) % size
	c.next++
	return entry
}

// keep takes the table over in the narrowest form.
func (m *maglev) keep(table []uint32) {
	switch n := len(m.hosts); {
	case n <= 1<<8:
		m.narrow = make([]uint8, len(table))
		for i, place := range table {
			m.narrow[i] = uint8(place)
		}
	case n <= 1<<16:
		m.wide = make([]uint16, len(table))
		for i, place := range table {
			m.wide[i] = uint16(place)
		}
	default:
		m.full = table
	}
}

// pick returns the place of the host for hash in its level. Further attempts look elsewhere in the table, as Envoy's do.
func (m *maglev) pick(hash uint64, attempt uint32) uint32 {
	if attempt > 0 {
		hash ^= ^uint64(0) - uint64(attempt) + 1
	}
	switch entry := hash % m.size; {
	case m.narrow != nil:
		return m.hosts[m.narrow[entry]]
	case m.wide != nil:
		return m.hosts[m.wide[entry]]
	default:
		return m.hosts[m.full[entry]]
	}
}

func (m *maglev) stats() HashStats {
	s := HashStats{Size: m.size, PerHostMin: m.size}
	for _, n := range m.counts {
		s.PerHostMin, s.PerHostMax = min(s.PerHostMin, n), max(s.PerHostMax, n)
	}
	return s
}
