package balancer

// Join shares the traffic of an aggregate out over clusters: their priorities are taken as one list, those of the first
// cluster first, and the load goes over it as it goes over the priorities of one cluster. threshold is that of panic mode, in
// percent. It returns what each set gets, in percent; the sum is 100, or 0 where no set has a host that may be used.
func Join(sets []*Set, threshold uint32) []uint8 {
	var ps []priority
	total := uint32(0)
	for _, s := range sets {
		for i := range s.priorities {
			pr := s.priorities[i]
			pr.panic = false
			for j := range pr.classes {
				pr.classes[j].load = 0
				total = min(total+uint32(pr.classes[j].availability), fullLoad)
			}
			ps = append(ps, pr)
		}
	}
	shares := make([]uint8, len(sets))
	if len(ps) == 0 {
		return shares
	}
	if total > 0 {
		distribute(ps, total)
	}
	assignPanic(ps, total, min(threshold, maxPanicThreshold))
	for i, s := range sets {
		for range s.priorities {
			if len(ps[0].hosts) > 0 {
				shares[i] += ps[0].classes[Healthy].load + ps[0].classes[Degraded].load
			}
			ps = ps[1:]
		}
	}
	return shares
}
