package balancer

import (
	"fmt"
	"iter"
)

// Set is the hosts of one cluster, split by priority, health and locality, with the share of the traffic that each part
// gets. It is immutable and describes the hosts as they were when it was built.
type Set struct {
	hosts      []*Host
	priorities []priority // never empty
	single     [1]priority
	zones      *zoneRouting // of priority 0; nil without zone aware routing
	healthy    uint32
	degraded   uint32
	note       Note
}

// priority is the hosts of one priority level.
type priority struct {
	hosts []*Host
	// classes holds the usable hosts: Healthy at 0, Degraded at 1. Unhealthy hosts are in hosts only.
	classes [classCount]class
	// panic says that the load goes to hosts, whatever their health. It is then all in the healthy class.
	panic bool
}

// classCount is the number of [Health] values that take traffic outside panic mode.
const classCount = 2

// class is the hosts of one health at one priority.
type class struct {
	hosts []*Host
	// localities splits hosts under locality weighting. It is nil where the class takes no traffic, where locality
	// weighting is off, and where no locality has a weight; then hosts is used as one list.
	localities []locality
	// availability is what the class could take, in percent of the cluster's traffic.
	availability uint8
	// load is what the class takes, in percent of the cluster's traffic. Over all classes it adds up to 100.
	load uint8
}

// NewSet splits hosts as p says. weights are used under locality weighting only; of two entries for one priority and
// locality the last counts.
//
// The set keeps hosts and the caller must not change the slice any more; weights is not kept. Addresses must be unique.
// The priorities should be contiguous from 0; a level without hosts has no health. NewSet panics if a host's priority
// is over [MaxPriority], which a decoder has to refuse.
func NewSet(hosts []*Host, weights []LocalityWeight, p Policy) *Set {
	s := &Set{hosts: hosts[:len(hosts):len(hosts)]}
	s.splitByPriority()
	for i := range s.priorities {
		pr := &s.priorities[i]
		pr.splitByHealth()
		s.healthy += uint32(len(pr.classes[Healthy].hosts))
		s.degraded += uint32(len(pr.classes[Degraded].hosts))
	}
	assignLoad(s.priorities, p)
	if p.LocalityWeighted {
		splitByLocality(s.priorities, weights, p.overprovisioningFactor())
	}
	if p.Peers != nil {
		s.routeByZone(p)
	}
	return s
}

// Hosts returns all hosts in the order given to [NewSet], whatever their health. The slice belongs to the set; the
// caller must not change it.
func (s *Set) Hosts() []*Host { return s.hosts }

// Total returns the number of hosts, for the gauge membership_total.
func (s *Set) Total() int { return len(s.hosts) }

// Healthy returns the number of healthy hosts, for the gauge membership_healthy.
func (s *Set) Healthy() int { return int(s.healthy) }

// Degraded returns the number of degraded hosts, for the gauge membership_degraded.
func (s *Set) Degraded() int { return int(s.degraded) }

// Note returns what is to be counted of the set having been made.
func (s *Set) Note() Note { return s.note }

// zonesOf returns how the traffic of a class is spread over localities, nil where it does not go by that.
func (s *Set) zonesOf(pr *priority, c *class) *zoneRouting {
	if pr != &s.priorities[0] || pr.panic || len(c.localities) > 0 {
		return nil
	}
	return s.zones
}

// loaded yields the parts that take traffic, in the order in which the load is shared out: healthy hosts before degraded
// ones, then by priority.
func (s *Set) loaded() iter.Seq2[*priority, *class] {
	return func(yield func(*priority, *class) bool) {
		for health := range classCount {
			for i := range s.priorities {
				pr := &s.priorities[i]
				if c := &pr.classes[health]; c.load > 0 && !yield(pr, c) {
					return
				}
			}
		}
	}
}

// only returns the list of hosts that takes all traffic and whether that is for panic, if it is one list.
func (s *Set) only() (hosts []*Host, panicked, ok bool) {
	for i := range s.priorities {
		pr := &s.priorities[i]
		for j := range pr.classes {
			c := &pr.classes[j]
			if c.load < fullLoad {
				continue
			}
			switch {
			case pr.panic:
				return pr.hosts, true, true
			case s.zonesOf(pr, c) != nil:
				return nil, false, false
			case len(c.localities) == 0:
				return c.hosts, false, true
			case len(c.localities) == 1:
				return c.localities[0].hosts, false, true
			}
			return nil, false, false
		}
	}
	return nil, false, false
}

// splitByPriority sets the priorities and their hosts. A set of one priority, which most are, shares the caller's slice
// and needs no memory of its own.
func (s *Set) splitByPriority() {
	var counts [MaxPriority + 1]int
	last := uint32(0)
	for _, h := range s.hosts {
		if h.Priority > MaxPriority {
			panic(fmt.Sprintf("balancer: host %s has priority %d, want 0..%d", h.Address, h.Priority, MaxPriority))
		}
		counts[h.Priority]++
		last = max(last, h.Priority)
	}
	if last == 0 {
		s.priorities = s.single[:]
		s.priorities[0].hosts = s.hosts
		return
	}
	s.priorities = make([]priority, last+1)
	free := make([]*Host, len(s.hosts))
	for i := range s.priorities {
		n := counts[i]
		s.priorities[i].hosts, free = free[:0:n], free[n:]
	}
	for _, h := range s.hosts {
		pr := &s.priorities[h.Priority]
		pr.hosts = append(pr.hosts, h)
	}
}

// splitByHealth sets the hosts of the classes.
func (pr *priority) splitByHealth() {
	for health := range pr.classes {
		pr.classes[health].hosts = ofHealth(pr.hosts, Health(health))
	}
}

// ofHealth returns the hosts of one health in their order: hosts itself where all are.
func ofHealth(hosts []*Host, health Health) []*Host {
	n := 0
	for _, h := range hosts {
		if h.Health == health {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case len(hosts):
		return hosts
	}
	some := make([]*Host, 0, n)
	for _, h := range hosts {
		if h.Health == health {
			some = append(some, h)
		}
	}
	return some
}
