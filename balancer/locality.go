package balancer

import "math"

// locality is the hosts of one health in one locality of one priority.
type locality struct {
	hosts []*Host
	// weight is the share of the traffic of the class, relative to its other localities, at least 1.
	weight uint32
}

// fullAvailability is the availability of a locality that can take its whole share. Envoy weighs localities in floating
// point; a hundredth of a percent is fine enough that no split differs visibly.
const fullAvailability = 10000

// localityKey names the group of hosts that has one locality weight.
type localityKey struct {
	priority uint32
	locality Locality
}

// splitByLocality sets the localities of the classes that take traffic in ps. Priorities in panic ignore localities.
//
// It follows Envoy's "Locality weighted load balancing":
//
//	effective weight = weight * min(100, factor * hosts of the class / hosts of the locality)
//
// factor is a percentage.
func splitByLocality(ps []priority, weights []LocalityWeight, factor uint32) {
	var byKey map[localityKey]uint32 // made when the first priority needs it
	for i := range ps {
		pr := &ps[i]
		// With a weight a lone locality gets everything, and without one so does the list of all hosts.
		if pr.panic || oneLocality(pr.hosts) {
			continue
		}
		if byKey == nil {
			byKey = indexWeights(weights)
		}
		totals := make(map[Locality]int)
		for _, h := range pr.hosts {
			totals[h.Locality]++
		}
		for j := range pr.classes {
			if c := &pr.classes[j]; c.load > 0 {
				c.localities = weighLocalities(c.hosts, totals, byKey, factor)
			}
		}
	}
}

// oneLocality reports whether all hosts are in the same locality.
func oneLocality(hosts []*Host) bool {
	for _, h := range hosts {
		if h.Locality != hosts[0].Locality {
			return false
		}
	}
	return true
}

// indexWeights returns the weights by what they are for; of two for the same locality and priority the last counts.
func indexWeights(weights []LocalityWeight) map[localityKey]uint32 {
	byKey := make(map[localityKey]uint32, len(weights))
	for _, w := range weights {
		byKey[localityKey{w.Priority, w.Locality}] = w.Weight
	}
	return byKey
}

// weighLocalities groups the hosts of one class by locality, in the order in which the localities first appear, and
// drops the localities without a weight. It returns nil when none is left: Envoy then uses the hosts as one list.
func weighLocalities(hosts []*Host, totals map[Locality]int, weights map[localityKey]uint32, factor uint32) []locality {
	index := make(map[Locality]int, len(totals))
	var localities []locality
	for _, h := range hosts {
		if weights[localityKey{h.Priority, h.Locality}] == 0 {
			continue
		}
		i, ok := index[h.Locality]
		if !ok {
			i = len(localities)
			index[h.Locality] = i
			localities = append(localities, locality{})
		}
		localities[i].hosts = append(localities[i].hosts, h)
	}
	effective := make([]uint64, len(localities))
	for i, l := range localities {
		h := l.hosts[0]
		available := availability(uint64(len(l.hosts)), uint64(totals[h.Locality]), factor, fullAvailability)
		effective[i] = uint64(weights[localityKey{h.Priority, h.Locality}]) * max(available, 1)
	}
	for i, w := range fitUint32(effective) {
		localities[i].weight = w
	}
	return localities
}

// fitUint32 scales weights by the power of two that makes the largest fit, none below 1. What is lost is less than one
// part in 2^31 of the largest.
func fitUint32(weights []uint64) []uint32 {
	largest := uint64(0)
	for _, w := range weights {
		largest = max(largest, w)
	}
	shift := 0
	for largest>>shift > math.MaxUint32 {
		shift++
	}
	fit := make([]uint32, len(weights))
	for i, w := range weights {
		fit[i] = uint32(max(w>>shift, 1))
	}
	return fit
}
