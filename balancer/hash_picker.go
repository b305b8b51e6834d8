package balancer

import "math/rand/v2"

// HashPicker chooses the hosts of one cluster's requests by their hashes. Like a [Picker] it belongs to one worker and is
// replaced, never changed. The zero value has no hosts.
type HashPicker struct {
	levels    []hashLevel
	byPercent *[fullLoad]uint8 // as in levels
	rnd       *rand.PCG
}

// hashLevel is the hosts of one health at one priority, or all of a priority in panic, with their table.
type hashLevel struct {
	hosts []*Host
	table *hashTable
	bound *bound // nil without BalanceFactor
	note  Note
}

// NewHashPicker returns the picker of set that looks up in h, which was made of this set or one that is alike. rnd is drawn
// from for requests without a hash, and must not be nil.
func NewHashPicker(set *Set, h *Hashing, rnd *rand.PCG) HashPicker {
	p := HashPicker{rnd: rnd}
	var shares []uint8
	for pr, c := range set.loaded() {
		level := hashLevel{hosts: c.hosts, table: &h.tables[len(p.levels)]}
		if pr.panic {
			level.hosts, level.note = pr.hosts, Panic
		}
		level.bound = newBound(h.policy, level.table)
		p.levels = append(p.levels, level)
		shares = append(shares, c.load)
	}
	if len(p.levels) > 1 {
		p.byPercent = spread(shares)
	}
	return p
}

// Pick returns the host for a hash, or nil if none may be used, and what is to be counted. attempt is 0, and counts up
// when the host of the attempt before will not do; it may return that host again. active is the requests that the cluster has in
// flight from this worker, which BalanceFactor goes by.
func (p *HashPicker) Pick(hash uint64, attempt, active uint32) (h *Host, note Note) {
	if len(p.levels) == 0 {
		return nil, 0
	}
	level := &p.levels[0]
	if p.byPercent != nil {
		level = &p.levels[p.byPercent[hash%fullLoad]]
	}
	i, ok := level.table.pick(hash, attempt)
	if !ok {
		return nil, level.note
	}
	if level.bound != nil {
		i = level.bound.pick(hash, i, level, active)
	}
	return level.hosts[i], level.note
}

// PickAny returns the host of a request that has no hash, which is that of a random one.
func (p *HashPicker) PickAny(active uint32) (h *Host, note Note) {
	return p.Pick(p.rnd.Uint64(), 0, active)
}
