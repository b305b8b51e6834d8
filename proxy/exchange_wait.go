package proxy

import (
	"math"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// park waits until something happens to one of the exchange's connections or its time is up. It returns why the exchange
// must end, if it must.
func (x *exchange) park() verdict {
	if d := x.nextDeadline(); d < x.armed || x.armed == 0 && d != math.MaxInt64 {
		x.armed = d
		x.worker.loop.SetTimer(&x.timer, time.Duration(d-x.worker.loop.Now()), x)
	}
	x.moved = 0
	x.task.Park()
	if x.armed == 0 || x.worker.loop.Now() >= x.armed {
		x.armed = 0
		if v := x.overdue(); v != verdictNone {
			return v
		}
	}
	if x.down.Gone() {
		return verdictClientGone
	}
	return verdictNone
}

// Expired implements eventloop.Expirer.
func (x *exchange) Expired(*eventloop.Timer) {
	x.armed = 0
	x.task.Wake()
}

// active notes that bytes moved, and gives way to others after a bounded number of them.
func (x *exchange) active(n int) {
	x.lastActivity = x.worker.loop.Now()
	x.moved += n
	if x.moved >= bytesPerTurn {
		x.moved = 0
		x.task.Yield()
	}
}

// deadlines calls f with the time of each limit that applies now and the verdict that follows when it has passed.
func (x *exchange) deadlines(f func(at int64, v verdict)) {
	m := x.manager.config
	if x.timeout > 0 && x.requestDone && !x.upgraded {
		f(x.requestEnd+int64(x.timeout), verdictResponseTimeout)
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
	return next
}

// overdue returns the verdict of the limit that was reached first, verdictNone when none was.
func (x *exchange) overdue() verdict {
	now, first, due := x.worker.loop.Now(), int64(math.MaxInt64), verdictNone
	x.deadlines(func(at int64, v verdict) {
		if at <= now && at < first {
			first, due = at, v
		}
	})
	x.countTimeout(due)
	return due
}

func (x *exchange) countTimeout(v verdict) {
	http := x.listener.http
	switch v {
	case verdictResponseTimeout:
		x.cluster.Stats().Inc(stats.ClusterUpstreamRqTimeout)
	case verdictStreamIdleTimeout:
		http.Inc(stats.HTTPDownstreamRqIdleTimeout)
	case verdictRequestTimeout:
		http.Inc(stats.HTTPDownstreamRqTimeout)
	case verdictMaxStreamDuration:
		http.Inc(stats.HTTPDownstreamRqMaxDurationReached)
	}
}
