package proxy

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// pickUntried picks a host. For a further attempt it is one that the policy has nothing against, if there is one to be found.
func (x *exchange) pickUntried() *upstream.Host {
	h := x.pickHost(0)
	if x.retry.done == 0 {
		return h
	}
	for again := range x.retry.policy.HostAttempts {
		if h == nil || !x.omits(h) {
			break
		}
		h = x.pickHost(again + 1)
	}
	return h
}

// omits reports whether the policy has something against h for a further attempt.
func (x *exchange) omits(h *upstream.Host) bool {
	p := x.retry.policy
	if p.AvoidPreviousHosts && slices.Contains(x.tried, h) || p.OmitCanary && h.Canary {
		return true
	}
	for i := range p.OmitLabels {
		if h.HasAll(&p.OmitLabels[i]) {
			return true
		}
	}
	return false
}

// chooseMember sets the cluster that the attempt goes to: the target itself, or one of an aggregate. When all priorities that have
// hosts were tried, all may be tried again.
func (x *exchange) chooseMember() {
	random := x.worker.random.Uint64()
	if avoid := x.avoided(); len(avoid) > 0 {
		if member, ok := x.routed.MemberWithout(random, avoid); ok {
			x.cluster = member
			return
		}
		x.retry.forgiven = len(x.tried)
	}
	x.cluster = x.routed.Member(random)
}

// avoided returns the hosts that were tried whose priorities the attempt stays away from, nil for none: all of them as of the last
// time that the policy has looked at them.
func (x *exchange) avoided() []*upstream.Host {
	every := x.retry.policy.PriorityFrequency
	if every == 0 {
		return nil
	}
	tried := x.tried[x.retry.forgiven:]
	return tried[:len(tried)/every*every]
}
