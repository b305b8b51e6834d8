package balancer

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// twoZones returns two zones of 100 hosts, of which the first has so many healthy.
func twoZones(healthy int) []*Host {
	hosts := fleet(200)
	for i, h := range hosts {
		h.Locality = zone(i / 100)
		if i < 100 && i >= healthy {
			h.Health = Unhealthy
		}
	}
	return hosts
}

func countZones(p *Picker, n int) map[Locality]int {
	counts := make(map[Locality]int)
	for h, c := range count(p, n) {
		counts[h.Locality] += c
	}
	return counts
}

// The table of "Locality weighted load balancing": X has weight 1, Y has weight 2 and is healthy.
func TestLocalityWeighted(t *testing.T) {
	for _, tt := range []struct{ healthy, x, y int }{
		{healthy: 100, x: 1, y: 2},
		{healthy: 72, x: 1, y: 2},
		{healthy: 70, x: 9800, y: 20000}, // 0.98 : 2
		{healthy: 69, x: 9660, y: 20000}, // 33 and 67 %
		{healthy: 50, x: 7, y: 20},       // 26 and 74 %
		{healthy: 25, x: 35, y: 200},     // 15 and 85 %
		{healthy: 0, x: 0, y: 1},
	} {
		t.Run(fmt.Sprint(tt.healthy), func(t *testing.T) {
			c := pickCase{hosts: twoZones(tt.healthy), weights: zoneWeights(1, 2), policy: Policy{LocalityWeighted: true}}
			p := c.picker(1)
			counts := countZones(&p, tt.x+tt.y)
			if x, y := counts[zone(0)], counts[zone(1)]; x != tt.x || y != tt.y {
				t.Errorf("got %d : %d, want %d : %d", x, y, tt.x, tt.y)
			}
		})
	}
}

// weightsOf returns the localities of a class of priority 0.
func weightsOf(s *Set, health Health) []uint32 {
	var l []uint32
	for _, lo := range s.priorities[0].classes[health].localities {
		l = append(l, lo.weight)
	}
	return l
}

func TestLocalityWeights(t *testing.T) {
	const full = fullAvailability
	elsewhere := []LocalityWeight{{Priority: 1, Locality: zone(0), Weight: 9}, {Locality: Locality{Zone: "z9"}, Weight: 9}}
	for _, tt := range []struct {
		name    string
		weights []LocalityWeight
		off     bool
		want    []uint32
	}{
		{name: "each its own", weights: zoneWeights(3, 2, 1), want: []uint32{3 * full, 2 * full, full}},
		{name: "weight 0 and none", weights: zoneWeights(3, 0), want: []uint32{3 * full}},
		{name: "all 0", weights: zoneWeights(0, 0, 0)},
		{name: "no weights"},
		{name: "locality weighting off", weights: zoneWeights(3, 2, 1), off: true},
		{name: "weights of another place", weights: elsewhere},
		{name: "the last counts", weights: append(zoneWeights(3), zoneWeights(5)...), want: []uint32{5 * full}},
		{
			name: "weights as large as they get", weights: zoneWeights(math.MaxUint32, math.MaxUint32/2, 1),
			want: []uint32{math.MaxUint32 * full >> 14, math.MaxUint32 / 2 * full >> 14, 1},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSet(zones(fleet(9), 3), tt.weights, Policy{LocalityWeighted: !tt.off})
			if got := weightsOf(s, Healthy); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// One usable host among very many still gets something.
func TestLocalityNeverRoundsToNothing(t *testing.T) {
	one := weighLocalities(zones(fleet(1), 1), map[Locality]int{zone(0): 15000}, indexWeights(zoneWeights(1000)), 100)
	if len(one) != 1 || one[0].weight != 1000 {
		t.Errorf("got %v, want one locality of weight 1000, a hundredth of a percent of its share", one)
	}
}

// Where no locality has a weight the hosts are used as one list, as Envoy does.
func TestLocalitiesWithoutWeight(t *testing.T) {
	for _, n := range []int{1, 3} {
		hosts := zones(fleet(6), n)
		p := pickCase{hosts: hosts, weights: zoneWeights(0, 0, 0), policy: Policy{LocalityWeighted: true}}.picker(1)
		for h, c := range count(&p, 60) {
			if h == nil || c != 10 {
				t.Errorf("%d localities: %v picked %d times, want 10", n, h, c)
			}
		}
	}
}

// Degraded hosts are weighed by locality on their own.
func TestLocalityWeightedDegraded(t *testing.T) {
	hosts := zones(fleet(40), 2)
	for i, h := range hosts {
		switch {
		case i < 10: // 5 of 20 in each zone
		case h.Locality == zone(0): // the other 15
			h.Health = Degraded
		case i < 24: // 7 of 20
			h.Health = Degraded
		default:
			h.Health = Unhealthy
		}
	}
	s := NewSet(hosts, zoneWeights(1, 1), Policy{LocalityWeighted: true})
	if got, want := weightsOf(s, Healthy), []uint32{3500, 3500}; !slices.Equal(got, want) {
		t.Errorf("healthy: got %v, want %v", got, want)
	}
	if got, want := weightsOf(s, Degraded), []uint32{10000, 4900}; !slices.Equal(got, want) {
		t.Errorf("degraded: got %v, want %v", got, want)
	}
}

// Panic takes all hosts of a priority and no notice of localities.
func TestLocalityWeightedPanic(t *testing.T) {
	hosts := allOf(zones(fleet(4), 2), Unhealthy)
	c := pickCase{hosts: hosts, weights: zoneWeights(1, 0), policy: Policy{LocalityWeighted: true, PanicThreshold: 50}}
	p := c.picker(1)
	for range 2 {
		for h, n := range count(&p, 4) {
			if n != 1 {
				t.Errorf("%s picked %d times of 4, want 1", h.Address, n)
			}
		}
	}
	if _, note := p.Pick(); note != Panic {
		t.Error("panic is not reported")
	}
}

// Within a locality hosts go by their own weights, and each locality keeps its own schedule.
func TestLocalityThenHostWeight(t *testing.T) {
	hosts := zones(withWeights(3, 1, 1, 1), 2) // zone 0: weights 3 and 1; zone 1: 1 and 1
	p := pickCase{hosts: hosts, weights: zoneWeights(2, 1), policy: Policy{LocalityWeighted: true}}.picker(1)
	counts := count(&p, 1200)
	for i, want := range []int{600, 200, 200, 200} {
		if got := counts[hosts[i]]; got != want {
			t.Errorf("host %d picked %d times, want %d", i, got, want)
		}
	}
}
