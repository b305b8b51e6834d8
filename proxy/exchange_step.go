package proxy

import (
	"math"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// stage is what an exchange does next.
//
//	filters
//	  ▲ │
//	  │ ▼
//	request ──▶ host ──▶ lease ──▶ bodies ──▶ over
//	   │         ▲ ▲                 │ │       ▲
//	   │         │ └───── again ─────┘ │       │
//	   │         └───── back-off ◀─────┘       │
//	   └──────────── an answer of our own ─────┘
type stage uint8

const (
	stageRequest stage = iota // everything that comes before an upstream
	stageHost                 // a host is picked and asked for a connection
	stageLease                // the connection may have to be waited for
	stageBodies               // the request goes up and the response comes down
	stageBackOff              // the next attempt is waited for
	stageFilters              // a filter has the request wait
	stageOver
)

// step takes the exchange as far as it gets without waiting, and reports whether that was to its end. Otherwise its waker is
// woken when there is news, and step is to be called again; it may be called without any.
func (x *exchange) step() (over bool) {
	x.moved = 0
	if v := x.interrupted(); v != verdictNone {
		x.fail(v)
	}
	if len(x.rivals) > 0 {
		x.race()
	}
	for x.stage != stageOver {
		v, waits := x.advance()
		if waits {
			x.setTimer()
			return false
		}
		if v != verdictNone {
			x.fail(v)
		}
	}
	x.finish()
	return true
}

// advance goes through the stage at hand and on to the next.
func (x *exchange) advance() (v verdict, waits bool) {
	switch x.stage {
	case stageRequest:
		x.stage = stageHost
		return x.prepare(), false
	case stageHost:
		x.stage = stageLease
		return x.askHost(), false
	case stageLease:
		if x.lease.Waiting() || x.wantsExtendedConnect() && !x.lease.AwaitSettings() {
			return verdictNone, true
		}
		x.stage = stageBodies
		return x.sendRequest(), false
	case stageFilters:
		if x.worker.loop.Now() < x.resumeAt {
			return verdictNone, true
		}
		return x.resumeFilters(), false
	case stageBackOff:
		if x.worker.loop.Now() < x.retry.at {
			return verdictNone, true
		}
		x.stage = stageHost
		return verdictNone, false
	default:
		return x.moveBodies()
	}
}

// fail takes note that the stage at hand has failed: the request is sent once more, another attempt goes on, or the exchange is over.
//
// The retry policy goes first. Whatever it says, a request that no host has begun to process is sent on another connection: one that went out on a kept connection which the
// host was closing at the same time (RFC 9112 section 9.3.1), or one that the host says it has refused (RFC 9113 section 8.7).
func (x *exchange) fail(v verdict) {
	switch {
	case !x.raced && x.retryFailure(v):
	case !x.raced && !x.resent && x.repeatable(v):
		x.resent = true
		x.leaveHost(upstream.ServerError, false)
		x.stage = stageHost
	default:
		x.flags |= x.retry.refused
		if v.upstream() && v != verdictResponseTimeout && x.yield(v.outcome(), false) {
			return
		}
		x.stage = stageOver
		x.end(v)
	}
}

// leaveHost ends the part of the exchange with the host at hand, of which nothing was passed on.
func (x *exchange) leaveHost(outcome upstream.Outcome, reuse bool) {
	x.lease.Release(outcome, reuse)
	x.up, x.connected, x.slow = nil, false, false
}

// Step implements eventloop.Stepper, for an HTTP/2 stream.
func (x *exchange) Step() {
	whole := false
	defer func() {
		if !whole { // a panic is on its way to the loop
			x.leaveStream()
		}
	}()
	over := x.step()
	whole = true
	if over {
		x.leaveStream()
	}
}

// interrupted returns why the exchange must end whatever it is doing, if it must: a time is up, or the client has gone.
func (x *exchange) interrupted() verdict {
	if x.stage == stageRequest {
		// Nothing has been waited for, but a stream may have been reset: nothing of it goes upstream then.
		if x.request.Version == message.HTTP2 && x.down.Gone() {
			return x.goneVerdict()
		}
		return verdictNone
	}
	if x.armed == 0 || x.worker.loop.Now() >= x.armed {
		x.armed = 0
		if v := x.overdue(); v != verdictNone {
			return v
		}
	}
	if x.down.Gone() {
		return x.goneVerdict()
	}
	return verdictNone
}

// goneVerdict tells why nobody is left to answer: the client has gone, or the codec has reset its stream or connection for what
// it sent.
func (x *exchange) goneVerdict() verdict {
	if x.stream.Stream == nil {
		return verdictClientGone
	}
	switch x.stream.Err() {
	case http2.ErrReset, http2.ErrRefused:
		return verdictClientReset
	case http2.ErrMalformed, http2.ErrProtocol, http2.ErrTooLarge, http2.ErrFlood:
		return verdictMalformedRequest
	default:
		return verdictClientGone
	}
}

// setTimer has the exchange woken when the first of its limits on time is reached. A timer that fires earlier is left alone,
// also one of an earlier use: setting it for every request would cost more than to be woken for nothing now and then.
func (x *exchange) setTimer() {
	if d := x.nextDeadline(); d < x.armed || x.armed == 0 && d != math.MaxInt64 {
		x.armed = d
		x.worker.loop.SetTimer(&x.timer, time.Duration(d-x.worker.loop.Now()), x)
	}
}

// Expired implements eventloop.Expirer.
func (x *exchange) Expired(*eventloop.Timer) {
	x.armed = 0
	if x.waker != nil {
		x.waker.Wake()
	}
}

// active notes that bytes moved.
func (x *exchange) active(n int) {
	x.lastActivity = x.worker.loop.Now()
	x.moved += n
}

// tired reports whether the exchange has moved enough in this step to let others have theirs.
func (x *exchange) tired() bool { return x.moved >= bytesPerTurn }
