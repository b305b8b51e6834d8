package balancer

import (
	"math/rand/v2"
	"testing"
)

func TestRandomIgnoresWeights(t *testing.T) {
	hosts := withWeights(1, 10, 100, 1000)
	p := pickCase{hosts: hosts, policy: Policy{Kind: Random}}.picker(1)
	counts := count(&p, 40000)
	for _, h := range hosts {
		// 10000 expected, standard deviation 87.
		if n := counts[h]; n < 9600 || n > 10400 {
			t.Errorf("host of weight %d picked %d times of 40000, want about 10000", h.Weight, n)
		}
	}
}

func TestBelow(t *testing.T) {
	rnd := rand.NewPCG(1, 2)
	for _, n := range []int{1, 2, 3, 100, 1 << 20} {
		for range 1000 {
			if i := below(rnd, n); int(i) >= n {
				t.Fatalf("below(%d) = %d", n, i)
			}
		}
	}
}
