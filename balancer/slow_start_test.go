package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// slowly returns a policy of slow start over 10 s at the time that now says.
func slowly(kind Kind, now *time.Duration) Policy {
	return Policy{Kind: kind, PanicThreshold: DefaultPanicThreshold, ActiveRequestBias: DefaultActiveRequestBias, SlowStart: SlowStart{
		Window: 10 * time.Second, MinWeight: DefaultMinWeight, Now: func() int64 { return int64(*now) },
	}}
}

func TestSlowStartPart(t *testing.T) {
	const joined = 100 * time.Second
	tests := map[string]struct {
		passed     time.Duration
		aggression float64
		least      float64
		health     Health
		want       float64
	}{
		"just joined":                {0, 1, .1, Healthy, .1},
		"a millisecond counts":       {0, 1, 0, Healthy, .0001},
		"half of the way":            {5 * time.Second, 1, .1, Healthy, .5},
		"0 stands for a line":        {5 * time.Second, 0, .1, Healthy, .5},
		"over":                       {10 * time.Second, 1, .1, Healthy, 1},
		"steep":                      {2500 * time.Millisecond, 2, .1, Healthy, .5},
		"flat":                       {5 * time.Second, .5, .1, Healthy, .25},
		"the least is all":           {time.Second, 1, 1, Healthy, 1},
		"a degraded host is not new": {time.Second, 1, .1, Degraded, 1},
	}
	for name, tc := range tests {
		s := SlowStart{Window: 10 * time.Second, Aggression: tc.aggression, MinWeight: tc.least}
		h := &Host{Health: tc.health, HealthySince: int64(joined)}
		if got := s.part(h, int64(joined+tc.passed)); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	s := SlowStart{Window: 10 * time.Second}
	if got := s.part(&Host{}, int64(time.Second)); got != 1 {
		t.Errorf("a host of which it is not known since when it is healthy has %v of its weight", got)
	}
}

// TestSlowStartShares holds that a new host has the share of the traffic that its weight has grown to.
func TestSlowStartShares(t *testing.T) {
	for _, kind := range []Kind{RoundRobin, LeastRequest} {
		for _, passed := range []time.Duration{0, 2 * time.Second, 5 * time.Second, 9 * time.Second, 20 * time.Second} {
			t.Run(fmt.Sprint(kind, " ", passed), func(t *testing.T) {
				now := time.Hour + passed
				hosts := withWeights(2, 1, 1)
				hosts[0].HealthySince = int64(time.Hour)
				p := pickCase{hosts: hosts, policy: slowly(kind, &now)}.picker(1)
				const picks = 20_000
				got := 0.
				for range picks {
					if h, _ := p.Pick(); h == hosts[0] {
						got += 1. / picks
					}
				}
				weight := 2 * min(max(float64(passed)/float64(10*time.Second), DefaultMinWeight), 1)
				if want := weight / (weight + 2); math.Abs(got-want) > .005 {
					t.Errorf("the new host has %.3f, want %.3f", got, want)
				}
			})
		}
	}
}

// TestSlowStartGrows holds that a picker follows the time: it is not made anew while a host is on its way.
func TestSlowStartGrows(t *testing.T) {
	now := time.Hour
	hosts := fleet(2)
	hosts[0].HealthySince = int64(now)
	p := pickCase{hosts: hosts, policy: slowly(RoundRobin, &now)}.picker(7)
	share := func() float64 {
		got := 0
		for range 1000 {
			if h, _ := p.Pick(); h == hosts[0] {
				got++
			}
		}
		return float64(got) / 1000
	}
	for _, step := range []struct {
		at   time.Duration
		want float64
	}{{0, 1. / 11}, {5 * time.Second, 1. / 3}, {8 * time.Second, .8 / 1.8}, {10 * time.Second, .5}, {time.Hour, .5}} {
		now = time.Hour + step.at
		if got := share(); math.Abs(got-step.want) > .01 {
			t.Errorf("after %v the new host has %.3f, want %.3f", step.at, got, step.want)
		}
	}
}

// TestSlowStartActive holds that requests in flight count in least request only.
func TestSlowStartActive(t *testing.T) {
	for kind, want := range map[Kind]float64{RoundRobin: .5 / 1.5, LeastRequest: .125 / 1.125} {
		now := time.Hour + 5*time.Second
		hosts := fleet(2)
		hosts[0].HealthySince, hosts[0].Active = int64(time.Hour), 3
		p := pickCase{hosts: hosts, policy: slowly(kind, &now)}.picker(3)
		got := 0.
		for range 9000 {
			if h, _ := p.Pick(); h == hosts[0] {
				got += 1. / 9000
			}
		}
		if math.Abs(got-want) > .005 {
			t.Errorf("%v: the busy new host has %.3f, want %.3f", kind, got, want)
		}
	}
}

// TestSlowStartOff holds that without new hosts nothing changes, and that random does not know it.
func TestSlowStartOff(t *testing.T) {
	now := time.Hour
	old := fleet(3)
	plain := Policy{Kind: RoundRobin, PanicThreshold: DefaultPanicThreshold}
	a, b := pickCase{hosts: old, policy: plain}.picker(5), pickCase{hosts: old, policy: slowly(RoundRobin, &now)}.picker(5)
	for range 30 {
		x, _ := a.Pick()
		if y, _ := b.Pick(); x != y {
			t.Fatalf("%s and %s", x.Address, y.Address)
		}
	}
	fresh := fleet(2)
	fresh[0].HealthySince = int64(now)
	set := NewSet(fresh, nil, slowly(Random, &now))
	if p := New(set, slowly(Random, &now), rand.NewPCG(1, 1)); p.single.method != uniform {
		t.Errorf("random takes hosts by method %d", p.single.method)
	}
}

func TestSlowStartAllocates(t *testing.T) {
	now := time.Hour + time.Second
	for _, kind := range []Kind{RoundRobin, LeastRequest} {
		hosts := withWeights(1, 2, 3)
		hosts[1].HealthySince = int64(time.Hour)
		p := pickCase{hosts: hosts, policy: slowly(kind, &now)}.picker(1)
		if n := testing.AllocsPerRun(1000, func() { p.Pick() }); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
	}
}
