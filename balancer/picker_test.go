package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// everyKind returns clusters that together reach every method, level and locality, with every algorithm.
func everyKind() []pickCase {
	var all []pickCase
	for _, policy := range []Policy{
		{Kind: RoundRobin},
		{Kind: LeastRequest, ChoiceCount: 3},
		{Kind: LeastRequest, ActiveRequestBias: 1},
		{Kind: LeastRequest, ActiveRequestBias: 0.7},
		{Kind: Random},
	} {
		policy.PanicThreshold, policy.LocalityWeighted = DefaultPanicThreshold, true
		for _, c := range []pickCase{
			{name: "no host"},
			{name: "one host", hosts: fleet(1)},
			{name: "equal", hosts: fleet(10)},
			{name: "weights", hosts: weigh(fleet(10))},
			{name: "localities", hosts: zones(fleet(10), 3), weights: zoneWeights(3, 2, 1)},
			{name: "localities and weights", hosts: zones(weigh(fleet(10)), 3), weights: zoneWeights(3, 2, 1)},
			{name: "priorities", hosts: halfHealthy(levelled(weigh(fleet(20)), 2))},
			{name: "priorities and localities", hosts: halfHealthy(levelled(zones(fleet(21), 3), 2)), weights: zoneWeights(3, 2, 1)},
			{name: "degraded", hosts: hundreds(levelHealth{30, 60})},
			{name: "panic", hosts: allOf(weigh(fleet(10)), Unhealthy)},
			{name: "panic of several priorities", hosts: hundreds(levelHealth{20, 0}, levelHealth{0, 10}, levelHealth{})},
		} {
			c.name = fmt.Sprintf("%v bias %v %s", policy.Kind, policy.ActiveRequestBias, c.name)
			c.policy = policy
			all = append(all, c)
		}
	}
	return all
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, c := range append(everyKind(), benchCases()...) {
		p := c.picker(1)
		if n := testing.AllocsPerRun(200, func() {
			if h, _ := p.Pick(); h != nil {
				h.Active++
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per pick", c.name, n)
		}
	}
}

func TestPickIsDeterministic(t *testing.T) {
	for _, c := range everyKind() {
		a, b, other := c.picker(1), c.picker(1), c.picker(2)
		differ := 0
		for i := range 500 {
			h, _ := a.Pick()
			same, _ := b.Pick()
			if h != same {
				t.Fatalf("%s: pick %d differs with the same seed", c.name, i)
			}
			if h, _ := other.Pick(); h != same {
				differ++
			}
		}
		if c.policy.Kind == Random && len(c.hosts) > 1 && differ == 0 {
			t.Errorf("%s: two seeds make the same 500 picks", c.name)
		}
	}
}

func TestPickWithoutHosts(t *testing.T) {
	down := allOf(fleet(3), Unhealthy)
	for _, tt := range []struct {
		name   string
		hosts  []*Host
		policy Policy
		note   Note
	}{
		{name: "empty", policy: Policy{PanicThreshold: 50}, note: Panic},
		{name: "empty, no panic"},
		{name: "all down, no panic", hosts: down},
		{name: "all down in two priorities, no panic", hosts: hundreds(levelHealth{}, levelHealth{})},
	} {
		p := pickCase{hosts: tt.hosts, policy: tt.policy}.picker(1)
		if h, note := p.Pick(); h != nil || note != tt.note {
			t.Errorf("%s: got %v, %v, want no host, %v", tt.name, h, note, tt.note)
		}
	}
	var zero Picker
	if h, note := zero.Pick(); h != nil || note != 0 {
		t.Errorf("zero picker: got %v, %v", h, note)
	}
}

// group is what the priority step decides.
type group struct {
	priority uint32
	health   Health
	panic    bool
}

// A pick outside panic is a usable host of a class that has a load, and the classes are picked by their loads.
func TestPickByLoad(t *testing.T) {
	const picks = 20000
	rnd := rand.New(rand.NewPCG(11, 1))
	for i := range 40 {
		c := randomCluster(rnd)
		s := c.set()
		p := New(s, c.policy, rand.NewPCG(uint64(i), 1))
		got := make(map[group]int)
		for range picks {
			h, note := p.Pick()
			if h == nil {
				t.Fatalf("cluster %d: no host, loads %v", i, shares(s))
			}
			if note == Panic {
				got[group{h.Priority, Healthy, true}]++
				continue
			}
			got[group{h.Priority, h.Health, false}]++
		}
		checkLoads(t, s, got, picks)
	}
}

// checkLoads compares the picks of each class with its load.
func checkLoads(t *testing.T, s *Set, got map[group]int, picks float64) {
	t.Helper()
	sum := 0
	for i, pr := range s.priorities {
		for health, c := range pr.classes {
			g := group{uint32(i), Health(health), pr.panic}
			chance := float64(c.load) / 100
			want, deviation := picks*chance, math.Sqrt(picks*chance*(1-chance))
			if n := float64(got[g]); math.Abs(n-want) > 5*deviation {
				t.Errorf("%+v picked %v times, want %v +- %v; loads %v", g, n, want, deviation, shares(s))
			}
			sum += int(c.load)
			delete(got, g)
		}
	}
	if sum != 100 || len(got) > 0 {
		t.Errorf("loads add up to %d, unexpected picks %v", sum, got)
	}
}

// randomCluster returns a cluster of up to 4 priorities, 3 localities and all healths, under any policy with panic on.
func randomCluster(rnd *rand.Rand) pickCase {
	c := pickCase{hosts: zones(levelled(fleet(1+rnd.IntN(60)), 1+rnd.IntN(4)), 1+rnd.IntN(3))}
	usable := rnd.IntN(100)
	for _, h := range c.hosts {
		h.Weight = 1 + rnd.Uint32N(5)
		if rnd.IntN(100) >= usable {
			h.Health = Unhealthy
		} else if rnd.IntN(3) == 0 {
			h.Health = Degraded
		}
	}
	for priority := range uint32(4) {
		for _, w := range zoneWeights(rnd.Uint32N(3), rnd.Uint32N(3), rnd.Uint32N(3)) {
			w.Priority = priority
			c.weights = append(c.weights, w)
		}
	}
	c.policy = Policy{
		Kind:              Kind(rnd.IntN(3)),
		LocalityWeighted:  rnd.IntN(2) == 0,
		PanicThreshold:    1 + rnd.Uint32N(100),
		ActiveRequestBias: float64(rnd.IntN(3)),
	}
	return c
}

// The load of 100 priorities, one percent each, is the most levels there can be.
func TestPickFromManyPriorities(t *testing.T) {
	hosts := fleet(MaxPriority + 1)
	for i, h := range hosts {
		h.Priority = uint32(i)
	}
	p := pickCase{hosts: hosts, policy: Policy{OverprovisioningFactor: 1}}.picker(1)
	counts := count(&p, 100000)
	for i, h := range hosts {
		if n := counts[h]; i < 100 && (n < 850 || n > 1150) || i >= 100 && n != 0 {
			t.Errorf("host of priority %d picked %d times of 100000", i, n)
		}
	}
}

// A priority in panic is one list, so that its hosts are taken in turn.
func TestPanicRotatesOverAllHosts(t *testing.T) {
	hosts := hundreds(levelHealth{10, 20})
	p := pickCase{hosts: hosts, policy: Policy{PanicThreshold: 50}}.picker(1)
	for h, n := range count(&p, 300) {
		if n != 3 {
			t.Errorf("%s picked %d times of 300, want 3", h.Address, n)
		}
	}
}
