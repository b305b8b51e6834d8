package upstream

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/balancer"
)

// aggregate is what a cluster of type aggregate sends its requests to.
type aggregate struct {
	members []*Cluster
	sets    []*balancer.Set // of the members, that shares is made of
	shares  []uint8         // of the members, in percent
}

// Aggregate makes k a cluster that has no hosts of its own: its requests go to members, in their order as far as those are able
// to take them. Members that are aggregates themselves get nothing.
func (k *Cluster) Aggregate(members []*Cluster) {
	if k.aggregate != nil && slices.Equal(k.aggregate.members, members) {
		return
	}
	k.aggregate = &aggregate{members: members}
}

// Member returns the cluster that the next request goes to: k itself unless it is an aggregate, and then the one of its members
// that random falls on. An aggregate without a member that has hosts returns itself, which has none either.
func (k *Cluster) Member(random uint64) *Cluster {
	a := k.aggregate
	if a == nil {
		return k
	}
	if !a.current() {
		a.share(k.config.PanicThreshold)
	}
	if m := a.memberAt(random, a.shares); m != nil {
		return m
	}
	return k
}

// memberAt returns the member that random falls on by shares, in percent; nil when they are 0.
func (a *aggregate) memberAt(random uint64, shares []uint8) *Cluster {
	percent := random % 100
	for i, share := range shares {
		if percent < uint64(share) {
			return a.members[i]
		}
		percent -= uint64(share)
	}
	return nil
}

// current reports whether the hosts of the members are those that the shares were made of.
func (a *aggregate) current() bool {
	if len(a.sets) != len(a.members) {
		return false
	}
	for i, m := range a.members {
		if m.set != a.sets[i] {
			return false
		}
	}
	return len(a.members) == len(a.shares)
}

// share shares the traffic out anew, as the hosts of a member are not as before.
func (a *aggregate) share(threshold uint32) {
	a.sets = a.sets[:0]
	for _, m := range a.members {
		a.sets = append(a.sets, m.set)
	}
	a.shares = balancer.Join(a.sets, threshold)
}
