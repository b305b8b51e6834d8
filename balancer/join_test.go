package balancer

import (
	"slices"
	"testing"
)

func TestJoin(t *testing.T) {
	// healthy returns a set of a cluster with so many healthy hosts of so many at each of its priorities.
	healthy := func(levels ...[2]int) *Set {
		var hosts []*Host
		for priority, l := range levels {
			for i := range l[1] {
				h := &Host{Address: string(rune('a'+priority)) + string(rune('0'+i)), Priority: uint32(priority)}
				if i >= l[0] {
					h.Health = Unhealthy
				}
				hosts = append(hosts, h)
			}
		}
		return NewSet(hosts, nil, Policy{PanicThreshold: DefaultPanicThreshold})
	}
	tests := map[string]struct {
		sets      []*Set
		threshold uint32
		want      []uint8
	}{
		"all well":                          {[]*Set{healthy([2]int{3, 3}), healthy([2]int{3, 3})}, 50, []uint8{100, 0}},
		"half of the first":                 {[]*Set{healthy([2]int{2, 4}), healthy([2]int{3, 3})}, 50, []uint8{70, 30}},
		"none of the first":                 {[]*Set{healthy([2]int{0, 4}), healthy([2]int{3, 3})}, 50, []uint8{0, 100}},
		"the first has no hosts":            {[]*Set{healthy(), healthy([2]int{3, 3})}, 50, []uint8{0, 100}},
		"the first has priorities":          {[]*Set{healthy([2]int{1, 4}, [2]int{1, 4}), healthy([2]int{3, 3})}, 50, []uint8{70, 30}},
		"together they can take everything": {[]*Set{healthy([2]int{1, 2}), healthy([2]int{1, 2})}, 50, []uint8{70, 30}},
		"too few, no panic":                 {[]*Set{healthy([2]int{1, 4}), healthy([2]int{1, 4})}, 0, []uint8{50, 50}},
		"panic is by the number of hosts":   {[]*Set{healthy([2]int{0, 3}), healthy([2]int{0, 1})}, 50, []uint8{75, 25}},
		"nobody":                            {[]*Set{healthy(), healthy()}, 50, []uint8{0, 0}},
		"no cluster":                        {nil, 50, []uint8{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Join(tc.sets, tc.threshold); !slices.Equal(got, tc.want) {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
	// The sets stay as they are.
	s := healthy([2]int{1, 2})
	before := s.priorities[0].classes
	Join([]*Set{healthy([2]int{2, 2}), s}, 50)
	if after := s.priorities[0].classes; after[0].load != before[0].load || after[1].load != before[1].load {
		t.Errorf("the loads of a set became %d and %d", after[0].load, after[1].load)
	}
}
