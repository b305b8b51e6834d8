package balancer

import "math/rand/v2"

// Picker chooses the hosts of one cluster's requests. It belongs to one worker, and must not be copied once used. The
// zero value has no hosts.
//
// A picker is replaced, never changed: see the package comment.
type Picker struct {
	// single is the only schedule where one list of hosts takes all traffic; otherwise several has them.
	single  schedule
	several *levels
	rnd     *rand.PCG
	slow    *SlowStart // nil when it is off
	bias    float64
	choices uint32
	note    Note // of single
}

// Note is what is to be counted of a pick, or of a set: a set of bits.
type Note uint8

// The notes, with Envoy's counters for them.
const (
	Panic            Note = 1 << iota // lb_healthy_panic
	ZoneDirect                        // lb_zone_routing_all_directly
	ZoneSampled                       // lb_zone_routing_sampled
	ZoneCross                         // lb_zone_routing_cross_zone
	ZoneFull                          // lb_zone_no_capacity_left
	ZoneTooSmall                      // lb_zone_cluster_too_small, of a set
	ZoneRecalculated                  // lb_recalculate_zone_structures, of a set
	PeersNotOK                        // lb_local_cluster_not_ok
)

// method is how a schedule takes its hosts.
type method uint8

const (
	// noHosts is the schedule of an empty list.
	noHosts method = iota
	// rotate takes the hosts in turn; it also serves every list of one host.
	rotate
	// weighted is earliest deadline first by weight.
	weighted
	// choices takes the least busy of a few random hosts.
	choices
	// leastWeighted is earliest deadline first by weight and requests in flight.
	leastWeighted
	// ramping is earliest deadline first by weights that grow.
	ramping
	// uniform takes a random host.
	uniform
)

// schedule takes hosts out of one list.
type schedule struct {
	hosts    []*Host
	edf      *edf   // weighted, leastWeighted and ramping only
	next     uint32 // rotate only; len(hosts) stands for 0
	method   method
	byActive bool // ramping only: requests in flight count
}

// New returns the picker of set. Of p it uses Kind, ChoiceCount, ActiveRequestBias, SlowStart and FailOnPanic; the rest has gone into
// set.
//
// rnd is kept and drawn from on picks that need chance. All pickers of a worker may share one, and a picker does the
// same for the same seed. It must not be nil.
func New(set *Set, p Policy, rnd *rand.PCG) Picker {
	picker := Picker{rnd: rnd, bias: p.activeRequestBias(), choices: p.choiceCount()}
	if p.SlowStart.Window > 0 {
		slow := p.SlowStart
		picker.slow = &slow
	}
	hosts, panicked, ok := set.only()
	switch {
	case !ok:
		picker.several = picker.newLevels(set, p)
	case panicked:
		picker.single, picker.note = picker.newPanic(hosts, p), Panic
	default:
		picker.single = picker.newSchedule(hosts, p.Kind)
	}
	return picker
}

// Pick returns the host of the next request, or nil if none may be used, and what is to be counted. Envoy counts a cluster without
// hosts as in panic too: then it is nil and [Panic], unless the threshold is 0.
func (p *Picker) Pick() (h *Host, note Note) {
	if p.single.method == rotate { // most clusters: one priority, one locality, equal weights
		return p.single.rotate(), p.note
	}
	if p.several == nil {
		return p.take(&p.single), p.note
	}
	level := p.several.choose(p.rnd)
	if level.zones != nil {
		return p.pickZone(level)
	}
	return p.take(level.choose()), level.note
}

// take returns the next host of s.
func (p *Picker) take(s *schedule) *Host {
	switch s.method {
	case rotate:
		return s.rotate()
	case weighted:
		return s.hosts[s.edf.pick()]
	case choices:
		return s.chooseLeast(p.choices, p.rnd)
	case leastWeighted:
		return s.pickLeastWeighted(p.bias)
	case ramping:
		return p.pickRamping(s)
	case uniform:
		return s.pickRandom(p.rnd)
	case noHosts:
	}
	return nil
}

// newPanic returns the schedule of a priority in panic.
func (p *Picker) newPanic(hosts []*Host, policy Policy) schedule {
	if policy.FailOnPanic {
		hosts = nil
	}
	return p.newSchedule(hosts, policy.Kind)
}

// newSchedule returns the schedule of one list of hosts.
func (p *Picker) newSchedule(hosts []*Host, kind Kind) schedule {
	switch {
	case len(hosts) == 0:
		return schedule{method: noHosts}
	case len(hosts) == 1:
		return schedule{hosts: hosts, method: rotate}
	case p.slow != nil && kind != Random && p.slow.applies(hosts):
		return p.newRamping(hosts, kind)
	case kind == RoundRobin:
		return newRoundRobin(hosts, p.rnd)
	case kind == LeastRequest:
		return newLeastRequest(hosts, p.bias, p.rnd)
	default:
		return schedule{hosts: hosts, method: uniform}
	}
}
