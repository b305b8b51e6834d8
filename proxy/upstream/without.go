package upstream

import (
	"github.com/penguintechinc/marchproxy-alb/balancer"
)

// maxWithout bounds the pickers that are kept for attempts which stay away from priorities. They are made when they are first
// needed, and go when hosts or their health change.
const maxWithout = 64

// withoutKey says over which hosts a picker is that stays away from priorities.
type withoutKey struct {
	set   *balancer.Set
	avoid balancer.Priorities
}

// prioritiesOf returns the priorities in k that hosts are of, some of which may be nil.
func (k *Cluster) prioritiesOf(hosts []*Host) (ps balancer.Priorities) {
	for _, h := range hosts {
		if h != nil && h.cluster == k {
			ps.Add(h.Priority)
		}
	}
	return ps
}

// MemberWithout is Member for an attempt that stays away from the priorities of avoid, the hosts of the attempts before it. ok is
// false when no other priority has a host that may be used.
func (k *Cluster) MemberWithout(random uint64, avoid []*Host) (member *Cluster, ok bool) {
	a := k.aggregate
	if a == nil {
		return k, k.set.Available(k.prioritiesOf(avoid))
	}
	sets, leaving := make([]*balancer.Set, len(a.members)), make([]balancer.Priorities, len(a.members))
	for i, m := range a.members {
		sets[i], leaving[i] = m.set, m.prioritiesOf(avoid)
	}
	shares := balancer.JoinWithout(sets, leaving)
	return a.memberAt(random, shares), shares != nil
}

// PickWithout is PickOf for an attempt that stays away from the priorities of avoid. Where no other has a host that is wanted and
// may be used, it does not. Clusters that balance by consistent hashing do not go by it, as Envoy's do not.
func (k *Cluster) PickWithout(m *Match, avoid []*Host) *Host {
	ps := k.prioritiesOf(avoid)
	if k.subsets != nil {
		return k.pickOf(m, &ps)
	}
	if k.Hashes() {
		return k.Pick()
	}
	if p := k.without(k.set, ps, k.balancing); p != nil {
		return k.picked(p.Pick())
	}
	return k.Pick()
}

// without returns the picker over the hosts of a set that are of other priorities than avoid, nil when there is none. balancing says how
// the set was made, and is asked only for a picker that is not there yet.
func (k *Cluster) without(
	set *balancer.Set, avoid balancer.Priorities, balancing func() (balancer.Policy, []balancer.LocalityWeight),
) *balancer.Picker {
	key := withoutKey{set, avoid}
	if p, known := k.withouts[key]; known {
		return p
	}
	if k.withouts == nil || len(k.withouts) >= maxWithout {
		k.withouts = make(map[withoutKey]*balancer.Picker)
	}
	var made *balancer.Picker
	policy, weights := balancing()
	if rest := set.Without(avoid, weights, policy); rest != nil {
		p := balancer.New(rest, policy, k.random)
		made = &p
	}
	k.withouts[key] = made
	return made
}

// pickerOf returns the picker over a group of hosts, for an attempt that stays away from the priorities of avoid as far as others
// have hosts. nil is for one that does not.
func (k *Cluster) pickerOf(g *group, avoid *balancer.Priorities) *balancer.Picker {
	if avoid != nil {
		balancing := func() (balancer.Policy, []balancer.LocalityWeight) { return k.subsets.policy, g.weights }
		if p := k.without(g.set, *avoid, balancing); p != nil {
			return p
		}
	}
	return &g.Picker
}
