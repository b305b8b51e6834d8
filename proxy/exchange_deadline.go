package proxy

import (
	"math"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// deadlines calls f with the time of each limit that applies now and the verdict that follows when it has passed.
func (x *exchange) deadlines(f func(at int64, v verdict)) {
	m := x.manager.config
	if x.timeout > 0 && x.requestDone && !x.upgraded {
		f(x.requestEnd+int64(x.timeout), verdictResponseTimeout)
	}
	if x.stage == stageBodies {
		x.tryDeadlines(f)
	}
	if x.streamIdle > 0 {
		f(x.lastActivity+int64(x.streamIdle), verdictStreamIdleTimeout)
	}
	if m.RequestTimeout > 0 && !x.requestDone {
		f(x.started+int64(m.RequestTimeout), verdictRequestTimeout)
	}
	if x.maxDuration > 0 {
		f(x.started+int64(x.maxDuration), verdictMaxStreamDuration)
	}
}

// nextDeadline returns when the first of the limits is reached, math.MaxInt64 when there is none.
func (x *exchange) nextDeadline() int64 {
	next := int64(math.MaxInt64)
	x.deadlines(func(at int64, _ verdict) { next = min(next, at) })
	for _, a := range x.rivals {
		next = min(next, a.expires())
	}
	switch x.stage {
	case stageBackOff:
		next = min(next, x.retry.at)
	case stageFilters:
		next = min(next, x.resumeAt)
	}
	return next
}

// overdue returns the verdict of the limit that was reached first, verdictNone when none was that ends the attempt at hand.
func (x *exchange) overdue() verdict {
	now, first, due := x.worker.loop.Now(), int64(math.MaxInt64), verdictNone
	x.deadlines(func(at int64, v verdict) {
		if at <= now && at < first {
			first, due = at, v
		}
	})
	if (due == verdictPerTryTimeout || due == verdictPerTryIdleTimeout) && x.hedges() {
		x.hedge()
		return x.overdue() // of another limit: that one is no more
	}
	x.countTimeout(due)
	return due
}

func (x *exchange) countTimeout(v verdict) {
	http := x.chain.http
	switch v {
	case verdictResponseTimeout:
		x.cluster.Stats().Inc(stats.ClusterUpstreamRqTimeout)
		x.countInGroups(stats.VirtualUpstreamRqTimeout)
	case verdictPerTryTimeout:
		x.cluster.Stats().Inc(stats.ClusterUpstreamRqPerTryTimeout)
	case verdictPerTryIdleTimeout:
		x.cluster.Stats().Inc(stats.ClusterUpstreamRqPerTryIdleTimeout)
	case verdictUpstreamMaxDuration:
		x.cluster.Stats().Inc(stats.ClusterUpstreamRqMaxDurationReached)
	case verdictStreamIdleTimeout:
		http.Inc(stats.HTTPDownstreamRqIdleTimeout)
	case verdictRequestTimeout:
		http.Inc(stats.HTTPDownstreamRqTimeout)
	case verdictMaxStreamDuration:
		http.Inc(stats.HTTPDownstreamRqMaxDurationReached)
	}
}
