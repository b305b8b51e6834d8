package balancer

import (
	"math"
	"math/rand/v2"
)

// bound keeps hosts from more than their part of the requests in flight, on one worker ("Consistent Hashing with Bounded Loads",
// arXiv:1608.01350): what a host has no room for goes to others, in an order that follows the hash, so that they share it
// ("Revisiting Consistent Hashing with Bounded Loads", arXiv:1908.08762).
type bound struct {
	factor uint64 // of the average, in percent
	// order is the members of the table, in their order but during a pick, and swaps has room for one each.
	order, swaps []uint32
}

// newBound returns the bound of a table whose policy has one, nil otherwise.
func newBound(p HashPolicy, t *hashTable) *bound {
	if p.BalanceFactor == 0 || len(t.members) < 2 {
		return nil
	}
	b := &bound{factor: uint64(p.BalanceFactor), order: make([]uint32, len(t.members)), swaps: make([]uint32, len(t.members))}
	for i := range b.order {
		b.order[i] = uint32(i)
	}
	return b
}

// slots returns how many requests in flight a host with a share may have and get another, given how many there are altogether.
func (b *bound) slots(share float64, active uint32) float64 {
	total := ((uint64(active)+1)*b.factor + 99) / 100
	return max(math.Ceil(float64(total)*share), 1)
}

// overload returns how full a host is: it has room up to 1.
func (b *bound) overload(h *Host, share float64, active uint32) float64 {
	return float64(h.Active) / b.slots(share, active)
}

// pick returns the place in its level of the host for hash, given the one that the table has: that one while it has room, otherwise
// the first in an order by chance that is always the same for a hash, or the least full when none has room. Like Envoy's, it
// looks at as many hosts as it takes.
func (b *bound) pick(hash uint64, first uint32, level *hashLevel, active uint32) uint32 {
	t := level.table
	least := b.overload(level.hosts[first], t.shares[first], active)
	if least <= 1 {
		return first
	}
	var rnd rand.PCG
	rnd.Seed(hash, 0)
	picked, n := first, 0
	for ; n < len(b.order) && least > 1; n++ {
		b.swaps[n] = uint32(n) + below(&rnd, len(b.order)-n)
		b.swap(n)
		m := &t.members[b.order[n]]
		if full := b.overload(level.hosts[m.index], m.share, active); full <= 1 || full < least {
			picked, least = m.index, full
		}
	}
	for n--; n >= 0; n-- {
		b.swap(n)
	}
	return picked
}

func (b *bound) swap(n int) {
	i := b.swaps[n]
	b.order[n], b.order[i] = b.order[i], b.order[n]
}
