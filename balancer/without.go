package balancer

import "slices"

// Priorities is a set of priorities.
type Priorities [(MaxPriority + 1) / 64]uint64

// Add adds a priority, 0..MaxPriority.
func (p *Priorities) Add(priority uint32) { p[priority/64] |= 1 << (priority % 64) }

// Has reports whether a priority is in the set.
func (p *Priorities) Has(priority uint32) bool { return p[priority/64]&(1<<(priority%64)) != 0 }

// Without returns the set with the traffic of the priorities in avoid shared out over the others, for an attempt that is to go
// elsewhere than those before it. Panic mode is as it was. weights and p are those that s was made with. It returns nil where no
// other priority has a host that may be used.
func (s *Set) Without(avoid Priorities, weights []LocalityWeight, p Policy) *Set {
	next := &Set{hosts: s.hosts, zones: s.zones, healthy: s.healthy, degraded: s.degraded, priorities: slices.Clone(s.priorities)}
	total := leave(next.priorities, avoid)
	if total == 0 {
		return nil
	}
	distribute(next.priorities, total)
	for i := range next.priorities {
		if pr := &next.priorities[i]; pr.panic {
			pr.joinLoads()
		}
	}
	if p.LocalityWeighted {
		splitByLocality(next.priorities, weights, p.overprovisioningFactor())
	}
	return next
}

// Available reports whether a priority that is not in avoid has a host that may be used, and so whether Without returns a set.
func (s *Set) Available(avoid Priorities) bool {
	for i := range s.priorities {
		if !avoid.Has(uint32(i)) && s.priorities[i].available() > 0 {
			return true
		}
	}
	return false
}

// leave takes away all loads, and what the priorities in avoid could take, and returns the normalised total of what is available.
func leave(ps []priority, avoid Priorities) (total uint32) {
	for i := range ps {
		pr := &ps[i]
		for j := range pr.classes {
			c := &pr.classes[j]
			c.load, c.localities = 0, nil
			if avoid.Has(uint32(i)) {
				c.availability = 0
			}
		}
		total = min(total+pr.available(), fullLoad)
	}
	return total
}

// available is what the hosts of the priority could take, in percent of the traffic.
func (pr *priority) available() uint32 {
	return uint32(pr.classes[Healthy].availability) + uint32(pr.classes[Degraded].availability)
}
