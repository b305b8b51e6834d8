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
	panic   bool // of single
}

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

// New returns the picker of set. Of p it uses Kind, ChoiceCount, ActiveRequestBias and SlowStart; the rest has gone into set.
//
// rnd is kept and drawn from on picks that need chance. All pickers of a worker may share one, and a picker does the
// same for the same seed. It must not be nil.
func New(set *Set, p Policy, rnd *rand.PCG) Picker {
	picker := Picker{rnd: rnd, bias: p.activeRequestBias(), choices: p.choiceCount()}
	if p.SlowStart.Window > 0 {
		slow := p.SlowStart
		picker.slow = &slow
	}
	if hosts, panicked, ok := set.only(); ok {
		picker.single = picker.newSchedule(hosts, p.Kind)
		picker.panic = panicked
	} else {
		picker.several = picker.newLevels(set, p.Kind)
	}
	return picker
}

// Pick returns the host of the next request, or nil if none may be used, and whether panic mode applied, which is what the
// counter lb_healthy_panic counts. Envoy counts a cluster without hosts as in panic too: then it is nil and true, unless
// the threshold is 0.
func (p *Picker) Pick() (h *Host, panicked bool) {
	if p.single.method == rotate { // most clusters: one priority, one locality, equal weights
		return p.single.rotate(), p.panic
	}
	if p.several == nil {
		return p.take(&p.single), p.panic
	}
	level := p.several.choose(p.rnd)
	return p.take(level.choose()), level.panic
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
