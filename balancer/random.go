package balancer

import (
	"math/bits"
	"math/rand/v2"
)

// pickRandom returns any of the hosts with equal probability.
func (s *schedule) pickRandom(rnd *rand.PCG) *Host {
	return s.hosts[below(rnd, len(s.hosts))]
}

// below returns a random number in 0..n-1, n > 0. The product of a random fraction and n favours some numbers by at most
// n parts in 2^64, which no traffic can show, and is cheaper than a remainder.
func below(rnd *rand.PCG, n int) uint32 {
	i, _ := bits.Mul64(rnd.Uint64(), uint64(n))
	return uint32(i)
}
