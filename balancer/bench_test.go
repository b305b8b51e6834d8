package balancer

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchCases are the shapes of clusters that take different paths through Pick.
func benchCases() []pickCase {
	return []pickCase{
		{name: "single host", hosts: fleet(1), policy: Policy{Kind: LeastRequest}},
		{name: "round robin", hosts: fleet(10), policy: Policy{}},
		{name: "round robin weighted 10", hosts: weigh(fleet(10)), policy: Policy{}},
		{name: "round robin weighted 1000", hosts: weigh(fleet(1000)), policy: Policy{}},
		{name: "least request", hosts: fleet(10), policy: Policy{Kind: LeastRequest}},
		{name: "least request weighted 10", hosts: weigh(fleet(10)), policy: Policy{Kind: LeastRequest, ActiveRequestBias: 1}},
		{name: "least request weighted bias 1.5", hosts: weigh(fleet(10)), policy: Policy{Kind: LeastRequest, ActiveRequestBias: 1.5}},
		{name: "random", hosts: fleet(10), policy: Policy{Kind: Random}},
		{name: "localities", hosts: zones(fleet(10), 3), weights: zoneWeights(5, 3, 2), policy: Policy{LocalityWeighted: true}},
		{name: "priorities", hosts: halfHealthy(levelled(fleet(20), 2)), policy: Policy{PanicThreshold: 50}},
	}
}

func BenchmarkPick(b *testing.B) {
	for _, c := range benchCases() {
		b.Run(c.name, func(b *testing.B) {
			p := c.picker(1)
			b.ReportAllocs()
			for b.Loop() {
				p.Pick()
			}
		})
	}
}

// BenchmarkBuild is what an update of a cluster costs each worker.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1, 3, 1000} {
		for _, c := range []pickCase{
			{name: "round robin", hosts: fleet(n)},
			{name: "weighted", hosts: weigh(fleet(n))},
			{name: "one locality", hosts: zones(fleet(n), 1), weights: zoneWeights(1), policy: Policy{LocalityWeighted: true}},
			{name: "localities", hosts: zones(fleet(n), 3), weights: zoneWeights(3, 2, 1), policy: Policy{LocalityWeighted: true}},
		} {
			b.Run(fmt.Sprintf("%s %d", c.name, n), func(b *testing.B) {
				rnd := rand.NewPCG(1, 1)
				b.ReportAllocs()
				for b.Loop() {
					New(NewSet(c.hosts, c.weights, c.policy), c.policy, rnd)
				}
			})
		}
	}
}

// BenchmarkPickBounded is what a pick by hash costs when a part of the hosts has no room.
func BenchmarkPickBounded(b *testing.B) {
	for _, busy := range []int{0, 10, 90, 100} {
		b.Run(fmt.Sprintf("%d of 100 busy", busy), func(b *testing.B) {
			hosts := fleet(100)
			for i := range busy {
				hosts[i].Active = 1000
			}
			p, _ := hashed(pickCase{hosts: hosts, policy: Policy{Kind: Maglev, Hash: HashPolicy{BalanceFactor: 125}}}, nil)
			b.ReportAllocs()
			hash := uint64(1)
			for b.Loop() {
				hash *= 0x9e3779b97f4a7c15
				p.Pick(hash, 0, uint32(busy))
			}
		})
	}
}
