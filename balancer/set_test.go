package balancer

import (
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestSetCounts(t *testing.T) {
	hosts := hundreds(levelHealth{50, 20}, levelHealth{0, 0}, levelHealth{7, 93})
	s := NewSet(hosts, nil, Policy{})
	if s.Total() != 300 || s.Healthy() != 57 || s.Degraded() != 113 {
		t.Errorf("got %d, %d, %d, want 300, 57, 113", s.Total(), s.Healthy(), s.Degraded())
	}
	if !slices.Equal(s.Hosts(), hosts) {
		t.Error("hosts are not in the order given")
	}
	for _, h := range s.priorities[1].hosts {
		if h.Priority != 1 {
			t.Errorf("host of priority %d in priority 1", h.Priority)
		}
	}
}

// A set does not follow its hosts: it is what they were.
func TestSetIsImmutable(t *testing.T) {
	hosts := fleet(4)
	s := NewSet(hosts, nil, Policy{PanicThreshold: 50})
	allOf(hosts, Unhealthy)
	if s.Healthy() != 4 || shares(s)[0].panic {
		t.Error("the set changed with its hosts")
	}
}

// Appending to what Hosts returns must not write into the array of the caller of NewSet.
func TestSetHostsHasNoSpareCapacity(t *testing.T) {
	backing := fleet(3)
	s := NewSet(backing[:2], nil, Policy{})
	last := backing[2]
	_ = append(s.Hosts(), fleet(1)...)
	if backing[2] != last {
		t.Error("append wrote over the caller's host")
	}
}

func TestSetOfUnknownHealth(t *testing.T) {
	s := NewSet(allOf(fleet(2), Unhealthy+1), nil, Policy{})
	if s.Healthy()+s.Degraded() != 0 {
		t.Error("hosts of unknown health count as usable")
	}
}

func TestSetRefusesPriority(t *testing.T) {
	hosts := fleet(2)
	hosts[1].Priority = MaxPriority
	NewSet(hosts, nil, Policy{})
	hosts[1].Priority = MaxPriority + 1
	defer func() {
		if msg, _ := recover().(string); !strings.Contains(msg, "10.0.0.1:80 has priority 128, want 0..127") {
			t.Errorf("got panic %q", msg)
		}
	}()
	NewSet(hosts, nil, Policy{})
	t.Error("priority 128 was accepted")
}

// There may be 10,000 clusters on each worker, most of them small and plain.
func TestSmallClusterIsSmall(t *testing.T) {
	const limit = 300 // bytes besides the hosts
	if size := unsafe.Sizeof(Set{}) + unsafe.Sizeof(Picker{}); size > limit {
		t.Errorf("a set and its picker take %d bytes, want at most %d", size, limit)
	}
	for _, c := range []pickCase{
		{name: "round robin", hosts: fleet(3)},
		{name: "least request", hosts: fleet(3), policy: Policy{Kind: LeastRequest}},
		{name: "one host of many weights", hosts: withWeights(9), policy: Policy{Kind: LeastRequest}},
		{name: "one locality", hosts: fleet(3), weights: zoneWeights(1), policy: Policy{LocalityWeighted: true}},
		{name: "all degraded", hosts: allOf(fleet(3), Degraded)},
		{name: "panic", hosts: allOf(fleet(3), Unhealthy), policy: Policy{PanicThreshold: 50}},
	} {
		// The set, and the generator that pickCase makes for the picker.
		if n := testing.AllocsPerRun(100, func() { c.picker(1) }); n > 2 {
			t.Errorf("%s: building takes %v allocations besides the generator, want 1", c.name, n-1)
		}
	}
}
