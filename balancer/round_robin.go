package balancer

import "math/rand/v2"

// newRoundRobin returns the schedule of round robin: a rotation that starts at a random host where all weights are equal,
// otherwise earliest deadline first, begun at a random time.
func newRoundRobin(hosts []*Host, rnd *rand.PCG) schedule {
	weights, equal := hostWeights(hosts)
	if equal {
		return schedule{hosts: hosts, method: rotate, next: below(rnd, len(hosts))}
	}
	return schedule{hosts: hosts, method: weighted, edf: newEDF(weights, rnd.Uint64())}
}

// rotate returns the next host of a rotation.
func (s *schedule) rotate() *Host {
	i := s.next
	if int(i) >= len(s.hosts) {
		i = 0
	}
	s.next = i + 1
	return s.hosts[i]
}
