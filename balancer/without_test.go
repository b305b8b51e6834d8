package balancer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func avoiding(priorities ...uint32) (ps Priorities) {
	for _, p := range priorities {
		ps.Add(p)
	}
	return ps
}

func TestPriorities(t *testing.T) {
	ps := avoiding(0, 63, 64, MaxPriority)
	for p := range uint32(MaxPriority + 1) {
		if want := p == 0 || p == 63 || p == 64 || p == MaxPriority; ps.Has(p) != want {
			t.Errorf("%d is in the set: %v", p, ps.Has(p))
		}
	}
}

// TestWithout holds where the load goes when it leaves priorities. Each entry of loads is healthy and degraded.
func TestWithout(t *testing.T) {
	whole := levelHealth{100, 0}
	for _, tc := range []struct {
		name  string
		hosts []*Host
		avoid Priorities
		loads [][2]uint8 // nil for none
	}{
		{"the first", hundreds(whole, whole, whole), avoiding(0), [][2]uint8{{0, 0}, {100, 0}, {0, 0}}},
		{"the first two", hundreds(whole, whole, whole), avoiding(0, 1), [][2]uint8{{0, 0}, {0, 0}, {100, 0}}},
		{"all", hundreds(whole, whole, whole), avoiding(0, 1, 2), nil},
		{"one that is not loaded", hundreds(whole, whole), avoiding(1), [][2]uint8{{100, 0}, {0, 0}}},
		{"the only one", hundreds(whole), avoiding(0), nil},
		{"the rest is down", hundreds(whole, levelHealth{0, 0}), avoiding(0), nil},
		{"the rest is small", hundreds(whole, levelHealth{10, 0}, levelHealth{30, 0}), avoiding(0), [][2]uint8{{0, 0}, {25, 0}, {75, 0}}},
		{"degraded", hundreds(whole, levelHealth{20, 30}), avoiding(0), [][2]uint8{{0, 0}, {40, 60}}},
	} {
		s := NewSet(tc.hosts, nil, Policy{PanicThreshold: 50})
		before := shares(s)
		rest := s.Without(tc.avoid, nil, Policy{PanicThreshold: 50})
		if (rest == nil) != (tc.loads == nil) || s.Available(tc.avoid) != (tc.loads != nil) {
			t.Errorf("%s: there is a rest: %v, available: %v", tc.name, rest != nil, s.Available(tc.avoid))
			continue
		}
		if !slices.Equal(shares(s), before) {
			t.Errorf("%s: the set itself changed", tc.name)
		}
		for i, want := range tc.loads {
			if got := [2]uint8{rest.priorities[i].classes[Healthy].load, rest.priorities[i].classes[Degraded].load}; got != want {
				t.Errorf("%s: priority %d has %v, want %v", tc.name, i, got, want)
			}
		}
	}
}

// TestWithoutKeepsPanic holds that panic is what it was with all priorities: a small rest is no reason for it, and one that was in
// panic still is.
func TestWithoutKeepsPanic(t *testing.T) {
	policy := Policy{PanicThreshold: 50}
	calm := NewSet(hundreds(levelHealth{100, 0}, levelHealth{10, 0}), nil, policy).Without(avoiding(0), nil, policy)
	p := New(calm, policy, rand.NewPCG(1, 1))
	for range 200 {
		if h, note := p.Pick(); h.Health != Healthy || h.Priority != 1 || note != 0 {
			t.Fatalf("picked %+v, %v", h, note)
		}
	}
	shaken := NewSet(hundreds(levelHealth{30, 0}, levelHealth{5, 10}), nil, policy).Without(avoiding(0), nil, policy)
	p = New(shaken, policy, rand.NewPCG(1, 1))
	seen := make(map[*Host]int)
	for range 200 {
		h, note := p.Pick()
		if seen[h]++; h.Priority != 1 || note != Panic {
			t.Fatalf("picked %+v, %v", h, note)
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d hosts were picked in panic, want 100 in turn", len(seen))
	}
}

// TestWithoutKeepsLocalities holds that the weights of localities count in what is left.
func TestWithoutKeepsLocalities(t *testing.T) {
	hosts := levelled(zones(fleet(16), 2), 2)
	policy := Policy{PanicThreshold: 50, LocalityWeighted: true}
	weights := []LocalityWeight{{Priority: 1, Locality: zone(0), Weight: 3}, {Priority: 1, Locality: zone(1), Weight: 1}}
	p := New(NewSet(hosts, weights, policy).Without(avoiding(0), weights, policy), policy, rand.NewPCG(1, 1))
	if counts := countZones(&p, 400); counts[zone(0)] != 300 || counts[zone(1)] != 100 {
		t.Errorf("got %v", counts)
	}
}

// TestJoinWithout holds which members of an aggregate the load goes to when it leaves priorities.
func TestJoinWithout(t *testing.T) {
	policy := Policy{PanicThreshold: 50}
	whole := levelHealth{100, 0}
	sets := []*Set{NewSet(hundreds(whole, whole), nil, policy), NewSet(nil, nil, policy), NewSet(hundreds(whole), nil, policy)}
	for _, tc := range []struct {
		avoid []Priorities
		want  []uint8
	}{
		{[]Priorities{{}, {}, {}}, []uint8{100, 0, 0}},
		{[]Priorities{avoiding(0), {}, {}}, []uint8{100, 0, 0}},
		{[]Priorities{avoiding(0, 1), {}, {}}, []uint8{0, 0, 100}},
		{[]Priorities{avoiding(0, 1), {}, avoiding(0)}, nil},
	} {
		if got := JoinWithout(sets, tc.avoid); !slices.Equal(got, tc.want) {
			t.Errorf("without %v: %v, want %v", tc.avoid, got, tc.want)
		}
	}
}
