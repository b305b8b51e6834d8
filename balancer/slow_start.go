package balancer

import (
	"math"
	"time"
)

// DefaultMinWeight is the default of SlowStartConfig.min_weight_percent, as a fraction.
const DefaultMinWeight = 0.1

// minRamp is the least time that counts as passed since a host has joined, as in Envoy.
const minRamp = time.Millisecond

// SlowStart has hosts that are new, or healthy again, begin with a part of their weight:
//
//	weight * max(MinWeight, (time since then / Window)^(1/Aggression))
//
// It is for [RoundRobin] and [LeastRequest]. The zero value is off.
type SlowStart struct {
	// Window is how long a host takes to get its whole weight; 0 is off.
	Window time.Duration
	// Aggression bends the ramp, more than 0; 1 is a straight line, and what 0 stands for.
	Aggression float64
	// MinWeight is the least part of its weight that a host has, 0..1.
	MinWeight float64
	// Now returns the time on the clock of Host.HealthySince, in nanoseconds. It must be set where Window is.
	Now func() int64
}

// applies reports whether any of the hosts is on its way to its whole weight.
func (s *SlowStart) applies(hosts []*Host) bool {
	now := s.Now()
	for _, h := range hosts {
		if s.part(h, now) < 1 {
			return true
		}
	}
	return false
}

// part returns the part of its weight that a host has at a time, 1 for the whole of it.
func (s *SlowStart) part(h *Host, now int64) float64 {
	passed := time.Duration(now - h.HealthySince)
	if h.HealthySince == 0 || h.Health != Healthy || passed >= s.Window {
		return 1
	}
	part := float64(max(passed, minRamp)) / float64(s.Window)
	if s.Aggression > 0 && s.Aggression != 1 {
		part = math.Pow(part, 1/s.Aggression)
	}
	return min(max(part, s.MinWeight), 1)
}

// newRamping returns the schedule of hosts of which some are on their way: earliest deadline first by what their weights are
// when their turn comes.
func (p *Picker) newRamping(hosts []*Host, kind Kind) schedule {
	s := schedule{hosts: hosts, method: ramping, edf: newEDF(eachWeight(hosts), 0), byActive: kind == LeastRequest}
	for i := range s.edf.heap {
		e := &s.edf.heap[i]
		e.deadline = p.rampInterval(&s, e).scale(p.rnd.Uint64())
	}
	s.edf.heapify()
	return s
}

// pickRamping returns the host whose turn it is and gives it its next turn by its weight now.
func (p *Picker) pickRamping(s *schedule) *Host {
	first := &s.edf.heap[0]
	h := s.hosts[first.index]
	s.edf.delay(p.rampInterval(s, first))
	return h
}

// rampInterval is the time between two turns of a host of a schedule.
func (p *Picker) rampInterval(s *schedule, e *entry) instant {
	h := s.hosts[e.index]
	active, bias := h.Active, p.bias
	if !s.byActive {
		active, bias = 0, 1
	}
	part := p.slow.part(h, p.slow.Now())
	if part >= 1 {
		return interval(e.weight, active, bias)
	}
	return fraction(math.Pow(float64(active)+1, bias) / (float64(e.weight) * part))
}

// fraction returns t as an instant, at most maxInterval.
func fraction(t float64) instant {
	whole, frac := math.Modf(min(t, maxInterval))
	return instant{whole: uint64(whole), frac: uint64(math.Ldexp(frac, 64))}
}

// eachWeight returns the weights of hosts.
func eachWeight(hosts []*Host) []uint32 {
	weights := make([]uint32, len(hosts))
	for i, h := range hosts {
		weights[i] = h.weight()
	}
	return weights
}
