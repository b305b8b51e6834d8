package balancer

// fullLoad is all traffic of a cluster, in percent. Envoy shares it out in whole percents, and so do we: the rounding is
// visible in the split.
const fullLoad = 100

// assignLoad sets the availability and the load of each class and the panic mode of each priority.
//
// It follows Envoy's "Priority levels", "Degraded endpoints" and "Panic threshold":
//
//	availability = min(100, factor * hosts of the class / hosts of the priority)
//	total        = min(100, sum of all availabilities)
//	load         = availability * 100 / total, healthy classes first, until 100 are given away
//
// factor is a percentage, and hosts count by their weights where p says so. ps has at least one element.
func assignLoad(ps []priority, p Policy) {
	total := assignAvailability(ps, p)
	if total > 0 {
		distribute(ps, total)
	}
	assignPanic(ps, total, p.panicThreshold())
}

// assignAvailability sets the availability of each class and returns the normalised total.
func assignAvailability(ps []priority, p Policy) (total uint32) {
	for i := range ps {
		pr := &ps[i]
		whole := extentOf(pr.hosts).of(p.WeightedHealth)
		for j := range pr.classes {
			c := &pr.classes[j]
			c.availability = uint8(availability(extentOf(c.hosts).of(p.WeightedHealth), whole, p.overprovisioningFactor(), fullLoad))
			total = min(total+uint32(c.availability), fullLoad)
		}
	}
	return total
}

// availability is how much of its share a group of hosts can take when usable of its total hosts are usable: full times
// factor percent of usable/total, at most full, rounded down.
func availability(usable, total uint64, factor uint32, full uint64) uint64 {
	if total == 0 {
		return 0
	}
	return min(full, uint64(factor)*full/100*usable/total)
}

// distribute gives the classes their load, total being the normalised total availability, 1..100.
func distribute(ps []priority, total uint32) {
	rest := uint32(fullLoad)
	var first *class
	for health := range classCount {
		for i := range ps {
			c := &ps[i].classes[health]
			if first == nil && c.availability > 0 {
				first = c
			}
			load := min(rest, uint32(c.availability)*fullLoad/total)
			c.load = uint8(load)
			rest -= load
		}
	}
	// Rounding leaves less than one percent per class. The first class that can take anything takes it.
	first.load += uint8(rest)
}

// assignPanic sets the panic mode of each priority. While the priorities together can take everything, none is in
// panic, however few of its hosts are usable.
func assignPanic(ps []priority, total, threshold uint32) {
	if total == fullLoad {
		return
	}
	if threshold == 0 {
		if total == 0 {
			// The load must lie somewhere; priority 0 has no host to give.
			ps[0].classes[Healthy].load = fullLoad
		}
		return
	}
	everywhere := true
	for i := range ps {
		pr := &ps[i]
		pr.panic = pr.below(threshold)
		everywhere = everywhere && pr.panic
		if pr.panic {
			pr.joinLoads()
		}
	}
	if everywhere {
		distributeByCount(ps)
	}
}

// joinLoads has both loads of a priority in panic go to the same hosts, which must be one list to be taken in turn.
func (pr *priority) joinLoads() {
	pr.classes[Healthy].load += pr.classes[Degraded].load
	pr.classes[Degraded].load = 0
}

// below reports whether less than threshold percent of the hosts are healthy or degraded.
func (pr *priority) below(threshold uint32) bool {
	if len(pr.hosts) == 0 {
		return true
	}
	usable := len(pr.classes[Healthy].hosts) + len(pr.classes[Degraded].hosts)
	return 100*uint64(usable) < uint64(threshold)*uint64(len(pr.hosts))
}

// distributeByCount shares the load out by the number of hosts, because every priority is in panic and health says
// nothing any more.
func distributeByCount(ps []priority) {
	total := 0
	for i := range ps {
		total += len(ps[i].hosts)
	}
	rest, first := fullLoad, 0
	for i := len(ps) - 1; i >= 0; i-- {
		load := 0
		if n := len(ps[i].hosts); n > 0 {
			load, first = fullLoad*n/total, i
		}
		ps[i].classes[Healthy].load = uint8(load)
		rest -= load
	}
	ps[first].classes[Healthy].load += uint8(rest)
}
