package balancer

import (
	"math"
	"math/rand/v2"
)

// newLeastRequest returns the schedule of least request: a few hosts drawn at random, the least busy of which is taken,
// where all weights are equal; otherwise earliest deadline first by weight / (active + 1)^bias.
func newLeastRequest(hosts []*Host, bias float64, rnd *rand.PCG) schedule {
	weights, equal := hostWeights(hosts)
	if equal {
		return schedule{hosts: hosts, method: choices}
	}
	e := newEDF(weights, 0)
	for i := range e.heap {
		// Each host starts at a random place between two of its turns, so that workers differ and a busy host is not
		// sent a burst.
		entry := &e.heap[i]
		h := hosts[entry.index]
		entry.deadline = interval(entry.weight, h.Active, bias).scale(rnd.Uint64())
	}
	e.heapify()
	return schedule{hosts: hosts, method: leastWeighted, edf: e}
}

// chooseLeast draws count hosts, the same more than once if it so happens, and returns the one with the fewest requests
// in flight.
func (s *schedule) chooseLeast(count uint32, rnd *rand.PCG) *Host {
	least := s.hosts[below(rnd, len(s.hosts))]
	for ; count > 1; count-- {
		if h := s.hosts[below(rnd, len(s.hosts))]; h.Active < least.Active {
			least = h
		}
	}
	return least
}

// pickLeastWeighted returns the host whose turn it is and gives it its next turn by how busy it is now.
func (s *schedule) pickLeastWeighted(bias float64) *Host {
	first := &s.edf.heap[0]
	h := s.hosts[first.index]
	s.edf.delay(interval(first.weight, h.Active, bias))
	return h
}

// maxInterval bounds the time between two turns of a host to what a bias of 1 can give.
const maxInterval = 1 << 32

// interval is the time between two turns of a host, (active + 1)^bias / weight, at most maxInterval.
func interval(weight, active uint32, bias float64) instant {
	requests := uint64(active) + 1
	switch bias {
	case 0:
		return ratio(1, weight)
	case 1:
		return ratio(requests, weight)
	}
	return fraction(math.Pow(float64(requests), bias) / float64(weight))
}
