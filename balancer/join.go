package balancer

// Join shares the traffic of an aggregate out over clusters: their priorities are taken as one list, those of the first
// cluster first, and the load goes over it as it goes over the priorities of one cluster. threshold is that of panic mode, in
// percent. It returns what each set gets, in percent; the sum is 100, or 0 where no set has a host that may be used.
func Join(sets []*Set, threshold uint32) []uint8 {
	ps, total := joined(sets, nil)
	if len(ps) == 0 {
		return make([]uint8, len(sets))
	}
	if total > 0 {
		distribute(ps, total)
	}
	assignPanic(ps, total, min(threshold, maxPanicThreshold))
	return sharesOf(sets, ps)
}

// JoinWithout is Join for an attempt that is to go elsewhere than those before it: of each set, the priorities in avoid get
// nothing. It returns nil where no other has a host that may be used.
func JoinWithout(sets []*Set, avoid []Priorities) []uint8 {
	ps, total := joined(sets, avoid)
	if total == 0 {
		return nil
	}
	distribute(ps, total)
	return sharesOf(sets, ps)
}

// joined returns the priorities of all sets, without loads, and the normalised total of what is available in them. avoid has what is
// to get nothing; it is nil, or has an entry for each set.
func joined(sets []*Set, avoid []Priorities) (ps []priority, total uint32) {
	for i, s := range sets {
		var leaving Priorities
		if avoid != nil {
			leaving = avoid[i]
		}
		start := len(ps)
		ps = append(ps, s.priorities...)
		for j := range ps[start:] {
			ps[start+j].panic = false
		}
		total = min(total+leave(ps[start:], leaving), fullLoad)
	}
	return ps, total
}

// sharesOf returns the loads of ps, the priorities of all sets, as those of the sets.
func sharesOf(sets []*Set, ps []priority) []uint8 {
	shares := make([]uint8, len(sets))
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
