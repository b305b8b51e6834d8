package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBoundedSlots holds how many requests a host may have, with Envoy's arithmetic.
func TestBoundedSlots(t *testing.T) {
	for _, tc := range []struct {
		factor uint64
		share  float64
		active uint32
		want   float64
	}{
		{100, .5, 0, 1}, {100, .5, 1, 1}, {100, .5, 2, 2}, {100, .5, 3, 2}, {100, .25, 99, 25}, {150, .25, 99, 38}, {150, .01, 9, 1},
		{200, 1, 9, 20}, {math.MaxUint32, .5, math.MaxUint32, math.Ceil(((1<<32)*float64(math.MaxUint32) + 99) / 100 / 2)},
	} {
		b := bound{factor: tc.factor}
		if got := b.slots(tc.share, tc.active); math.Abs(got-tc.want) > tc.want/1e9 {
			t.Errorf("%d %% of %v with %d in flight are %v slots, want %v", tc.factor, tc.share, tc.active, got, tc.want)
		}
	}
}

// TestBoundedLoad holds every pick against the rule: the host of the table while it has room, otherwise any that has, otherwise the
// least full; and the same for the same hash.
func TestBoundedLoad(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		kind := hashKinds[round%2]
		hosts := fleet(2 + rnd.IntN(9))
		total := uint32(0)
		for _, h := range hosts {
			h.Weight = 1 + rnd.Uint32N(3)
			h.Active = rnd.Uint32N(8)
			total += h.Active
		}
		c := pickCase{hosts: hosts, policy: Policy{Kind: kind, Hash: HashPolicy{TableSize: 257, MinRingSize: 257}}}
		plain, _ := hashed(c, nil)
		c.policy.Hash.BalanceFactor = 100 + rnd.Uint32N(60)
		bounded, _ := hashed(c, nil)
		table, limit := bounded.levels[0].table, bounded.levels[0].bound
		full := func(h *Host) float64 {
			return limit.overload(h, table.shares[slices.Index(hosts, h)], total)
		}
		least := slices.MinFunc(hosts, func(a, b *Host) int { return int(math.Copysign(1, full(a)-full(b))) })
		for range 50 {
			hash := rnd.Uint64()
			want, _ := plain.Pick(hash, 0, total)
			got, _ := bounded.Pick(hash, 0, total)
			switch {
			case full(want) <= 1 && got != want:
				t.Fatalf("%s was passed over with room, it is %v full", want.Address, full(want))
			case full(want) > 1 && full(least) <= 1 && full(got) > 1:
				t.Fatalf("%s was picked, which is %v full, and %s has room", got.Address, full(got), least.Address)
			case full(least) > 1 && full(got) != full(least):
				t.Fatalf("%s was picked, which is %v full, and the least is %v", got.Address, full(got), full(least))
			}
			if again, _ := bounded.Pick(hash, 0, total); again != got {
				t.Fatalf("hash %d led to %s and then to %s", hash, got.Address, again.Address)
			}
		}
	}
}

// TestBoundedLoadSpreads holds that all others share evenly what a host has no room for.
func TestBoundedLoadSpreads(t *testing.T) {
	const picks = 40_000
	hosts := fleet(9)
	hosts[4].Active = 1000
	p, _ := hashed(pickCase{hosts: hosts, policy: Policy{Kind: Maglev, Hash: HashPolicy{BalanceFactor: 200}}}, nil)
	plain, _ := hashed(pickCase{hosts: hosts, policy: Policy{Kind: Maglev}}, nil)
	rnd := rand.NewPCG(3, 4)
	counts := make(map[*Host]float64)
	for moved := 0; moved < picks; {
		hash := rnd.Uint64()
		if h, _ := plain.Pick(hash, 0, 0); h != hosts[4] {
			continue
		}
		moved++
		h, _ := p.Pick(hash, 0, 1000)
		counts[h]++
	}
	for i, h := range hosts {
		want := picks / 8.
		if i == 4 {
			want = 0
		}
		if math.Abs(counts[h]-want) > 5*math.Sqrt(picks/8.) {
			t.Errorf("%s got %v of what was moved, want about %v", h.Address, counts[h], want)
		}
	}
}

// TestBoundedLoadHolds holds that in a cluster where requests come and go no host ever has more than its bound and one.
func TestBoundedLoadHolds(t *testing.T) {
	for _, factor := range []uint32{100, 125, 200} {
		t.Run(fmt.Sprint(factor), func(t *testing.T) {
			hosts := withWeights(1, 1, 2, 4)
			p, _ := hashed(pickCase{hosts: hosts, policy: Policy{Kind: RingHash, Hash: HashPolicy{BalanceFactor: factor}}}, nil)
			rnd := rand.New(rand.NewPCG(8, 9))
			var flying []*Host
			for range 20_000 {
				if len(flying) > 0 && rnd.IntN(400) < len(flying) {
					i := rnd.IntN(len(flying))
					flying[i].Active--
					flying = slices.Delete(flying, i, i+1)
					continue
				}
				active := uint32(len(flying))
				h, _ := p.Pick(rnd.Uint64N(7)*0x9e3779b97f4a7c15, 0, active) // a few keys
				b := p.levels[0].bound
				if most := b.slots(float64(h.Weight)/8, active); float64(h.Active) > most {
					t.Fatalf("%s has %d of %d requests and gets another, its bound is %v", h.Address, h.Active, active, most)
				}
				h.Active++
				flying = append(flying, h)
			}
		})
	}
}
