package balancer

import (
	"fmt"
	"math/rand/v2"
)

// pickCase is a cluster and how its traffic is spread.
type pickCase struct {
	name    string
	hosts   []*Host
	weights []LocalityWeight
	policy  Policy
}

func (c pickCase) set() *Set { return NewSet(c.hosts, c.weights, c.policy) }

func (c pickCase) picker(seed uint64) Picker { return New(c.set(), c.policy, rand.NewPCG(seed, 1)) }

// fleet returns n healthy hosts of weight 1 at priority 0.
func fleet(n int) []*Host {
	hosts := make([]*Host, n)
	for i := range hosts {
		hosts[i] = &Host{Address: fmt.Sprintf("10.0.%d.%d:80", i/256, i%256), Weight: 1}
	}
	return hosts
}

// weigh gives the hosts the weights 1, 2, 3, ...
func weigh(hosts []*Host) []*Host {
	for i, h := range hosts {
		h.Weight = uint32(i + 1)
	}
	return hosts
}

// withWeights returns one host per weight.
func withWeights(weights ...uint32) []*Host {
	hosts := fleet(len(weights))
	for i, h := range hosts {
		h.Weight = weights[i]
	}
	return hosts
}

// zones deals the hosts out to n zones in turn.
func zones(hosts []*Host, n int) []*Host {
	for i, h := range hosts {
		h.Locality = zone(i % n)
	}
	return hosts
}

func zone(i int) Locality { return Locality{Region: "r", Zone: fmt.Sprint("z", i)} }

// zoneWeights gives the zones weights at priority 0.
func zoneWeights(weights ...uint32) []LocalityWeight {
	var l []LocalityWeight
	for i, w := range weights {
		l = append(l, LocalityWeight{Locality: zone(i), Weight: w})
	}
	return l
}

// levelled splits the hosts into n priorities of equal size, in order.
func levelled(hosts []*Host, n int) []*Host {
	for i, h := range hosts {
		h.Priority = uint32(i * n / len(hosts))
	}
	return hosts
}

// halfHealthy makes every other host unhealthy.
func halfHealthy(hosts []*Host) []*Host {
	for i, h := range hosts {
		if i%2 == 1 {
			h.Health = Unhealthy
		}
	}
	return hosts
}

// allOf gives all hosts one health.
func allOf(hosts []*Host, health Health) []*Host {
	for _, h := range hosts {
		h.Health = health
	}
	return hosts
}

// levelHealth says how many percent of a priority's 100 hosts are healthy and degraded.
type levelHealth struct{ healthy, degraded int }

// hundreds returns 100 hosts per priority.
func hundreds(levels ...levelHealth) []*Host {
	hosts := fleet(100 * len(levels))
	for i, h := range hosts {
		l, percent := levels[i/100], i%100
		h.Priority = uint32(i / 100)
		switch {
		case percent < l.healthy:
		case percent < l.healthy+l.degraded:
			h.Health = Degraded
		default:
			h.Health = Unhealthy
		}
	}
	return hosts
}

// count returns how often each of the hosts is picked in n picks.
func count(p *Picker, n int) map[*Host]int {
	counts := make(map[*Host]int)
	for range n {
		h, _ := p.Pick()
		counts[h]++
	}
	return counts
}
