package proxy

import (
	"math"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// maxRivals bounds the attempts of an exchange that go on beside the one at hand: each holds a connection or a stream, and what
	// its host has not taken of the body.
	maxRivals = 8
	// maxIdleAttempts bounds the attempts kept for reuse per worker: as many as are needed when a host stalls for a moment.
	maxIdleAttempts = 64
)

// takeAttempt returns an attempt, empty but for the capacity of its response.
func (w *worker) takeAttempt() *attempt {
	n := len(w.attempts) - 1
	if n < 0 {
		return &attempt{}
	}
	a := w.attempts[n]
	w.attempts[n] = nil
	w.attempts = w.attempts[:n]
	return a
}

// putAttempt takes an attempt back that has ended.
func (w *worker) putAttempt(a *attempt) {
	a.clear()
	a.response.Reset()
	if len(w.attempts) < maxIdleAttempts {
		w.attempts = append(w.attempts, a)
	}
}

// hedges reports whether an attempt that takes too long goes on while another one is made. The whole request has gone out then, so
// that nothing is left to do for the attempt but to wait.
func (x *exchange) hedges() bool { return x.retry.hedges && x.requestSent && !x.passedOn() }

// hedge has the attempt at hand, which takes too long, raced by another if the retry policy has one left, whatever its conditions. The
// attempt goes on in any case.
func (x *exchange) hedge() {
	late := x.attempt
	late.slow = true
	late.lease.Late()
	if x.retry.on == 0 || len(x.rivals) == maxRivals {
		return
	}
	x.attempt = x.worker.takeAttempt()
	x.cluster = late.cluster
	if !x.grantRetry() {
		x.flags |= x.retry.refused
		x.worker.putAttempt(x.attempt)
		x.attempt = late
		return
	}
	late.raced, late.stage = true, x.stage
	x.rivals = append(x.rivals, late)
	x.remember(late.lease.Host())
	x.retry.late = true
	x.stage = stageHost
}

// race looks for what has come of the attempts beside the one at hand. The first whose response is good takes its place; one that
// fails, or whose response would be tried again, is given up as long as another goes on.
func (x *exchange) race() {
	for i := 0; i < len(x.rivals) && x.stage != stageOver; {
		a := x.rivals[i]
		if a.expires() <= x.worker.loop.Now() {
			x.swap(i)
			x.countTimeout(verdictUpstreamMaxDuration)
			x.fail(verdictUpstreamMaxDuration)
			continue
		}
		err := a.up.ReadHead(&a.response)
		if err == eventloop.ErrWouldBlock {
			i++
			continue
		}
		x.swap(i)
		v := verdictNone
		if err != nil {
			v = responseFailure(err, x.cluster.Stats())
		} else {
			_, v = x.takeResponse()
		}
		if v != verdictNone {
			x.fail(v)
		}
	}
}

// swap makes a rival the attempt at hand. What was at hand is the last of the rivals then, the first to go on.
func (x *exchange) swap(i int) {
	a := x.rivals[i]
	x.attempt.stage = x.stage
	x.rivals = append(slices.Delete(x.rivals, i, i+1), x.attempt)
	x.resume(a)
}

// yield gives the attempt at hand up for the last of its rivals, if there is one.
func (x *exchange) yield(outcome upstream.Outcome, reuse bool) bool {
	n := len(x.rivals) - 1
	if n < 0 {
		return false
	}
	x.releaseRetry()
	x.leaveHost(outcome, reuse)
	x.worker.putAttempt(x.attempt)
	a := x.rivals[n]
	x.rivals[n] = nil
	x.rivals = x.rivals[:n]
	x.resume(a)
	return true
}

// resume goes on with a where it was.
func (x *exchange) resume(a *attempt) {
	x.attempt, x.stage = a, a.stage
	if a.connected {
		x.hostHTTP2 = a.lease.HTTP2() != nil
	}
}

// cancelRivals gives up all attempts but the one at hand.
func (x *exchange) cancelRivals() {
	outcome := upstream.Cancelled
	if x.verdict == verdictResponseTimeout {
		outcome = upstream.TimedOut
	}
	for i, a := range x.rivals {
		if outcome == upstream.TimedOut {
			a.cluster.Stats().Inc(stats.ClusterUpstreamRqTimeout)
			x.countInGroups(stats.VirtualUpstreamRqTimeout)
		}
		x.releaseRetryOf(a)
		a.lease.Release(outcome, false)
		x.worker.putAttempt(a)
		x.rivals[i] = nil
	}
	x.rivals = x.rivals[:0]
}

// expires returns when an attempt that waits for its response has lasted as long as a stream to its cluster may, math.MaxInt64 when
// there is no limit.
func (a *attempt) expires() int64 {
	limit := a.cluster.Config().MaxStreamDuration
	if limit <= 0 || a.up == nil {
		return math.MaxInt64
	}
	return a.began + int64(limit)
}
