package proxy

import (
	"strconv"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// retry is what an exchange knows of the attempts that its retry policy allows.
type retry struct {
	policy *route.Retry // the target cluster's, or the route's where it has none

	on      config.RetryOn // 0: there are none, or no more
	left    uint32         // retries that are still allowed
	done    uint32         // retries that were begun
	at      int64          // when the next attempt begins, with stageBackOff
	refused Flags          // why the policy has allowed no more
	late    bool           // the attempt before has taken too long
	hedges  bool           // an attempt that takes too long is raced by the next, and goes on

	forgiven int // how many of the hosts that were tried no longer keep attempts away from their priorities

	perTry, perTryIdle time.Duration // 0 means no bound

	// What the request itself adds to the policy: lists of statuses and of names of fields.
	statusCodes, fieldNames []byte
}

// retryFields are those by which a client chooses how it is tried again. It is never written.
var retryFields = message.NewNameSet(
	message.NameXEnvoyRetryOn, message.NameXEnvoyRetryGRPCOn, message.NameXEnvoyMaxRetries,
	message.NameXEnvoyRetriableStatusCodes, message.NameXEnvoyRetriableHeaderNames,
	message.NameXEnvoyUpstreamRqPerTryTimeoutMs, message.NameXEnvoyHedgeOnPerTryTimeout,
)

// setRetry takes the retry policy of the target cluster or else of the route, and what an internal client adds to it; the fields of
// others were taken out.
func (x *exchange) setRetry() {
	r := &x.retry
	r.policy = x.route.Retry()
	if own := x.clusterPolicies(); own != nil && own.Retry != nil {
		r.policy = own.Retry
	}
	p := r.policy
	r.on, r.left, r.perTry, r.perTryIdle = p.On, p.NumRetries, p.PerTryTimeout, p.PerTryIdleTimeout
	r.hedges = x.route.Hedges()
	if x.request.Fields.HasAny(&retryFields) {
		x.takeRetryFields()
	}
	if r.on != 0 && !p.Allows(&x.request) {
		r.on = 0
	}
	r.hedges = r.hedges && !x.wantsTunnel() // of which nothing is kept to send again
	if x.timeout > 0 && r.perTry >= x.timeout {
		r.perTry = 0
	}
}

func (x *exchange) takeRetryFields() {
	fields, r := &x.request.Fields, &x.retry
	value := func(id message.NameID) []byte {
		v, _ := fields.Get(id)
		return v
	}
	r.on |= config.ParseRetryOn(value(message.NameXEnvoyRetryOn)) | config.ParseRetryOnGRPC(value(message.NameXEnvoyRetryGRPCOn))
	if n, ok := parseUint32(value(message.NameXEnvoyMaxRetries)); ok {
		r.left = n
	}
	if millis, ok := parseUint32(value(message.NameXEnvoyUpstreamRqPerTryTimeoutMs)); ok {
		r.perTry = time.Duration(millis) * time.Millisecond
	}
	r.statusCodes, r.fieldNames = value(message.NameXEnvoyRetriableStatusCodes), value(message.NameXEnvoyRetriableHeaderNames)
	switch string(value(message.NameXEnvoyHedgeOnPerTryTimeout)) {
	case "true":
		r.hedges = true
	case "false":
		r.hedges = false
	}
	fields.DelSet(&retryFields)
}

// parseUint32 returns the value of a field that is a decimal number. One that is absent costs no error.
func parseUint32(value []byte) (n uint32, ok bool) {
	if len(value) == 0 {
		return 0, false
	}
	parsed, err := strconv.ParseUint(string(value), 10, 32)
	return uint32(parsed), err == nil
}

// tellTimeout tells the host how long the attempt may take.
func (x *exchange) tellTimeout(left time.Duration) {
	if x.retry.perTry > 0 {
		left = x.retry.perTry
	}
	if !x.manager.config.Router.SuppressEnvoyHeaders && left > 0 {
		x.request.Fields.Set(message.NameXEnvoyExpectedRqTimeoutMs, x.arenaInt(left.Milliseconds()))
	}
}

// nameIsTimeoutRetry is never written.
var nameIsTimeoutRetry = []byte("x-envoy-is-timeout-retry")

// tellRetry tells the host of a further attempt what it should know of those before.
func (x *exchange) tellRetry() {
	x.tellTimeLeft()
	if !x.route.VirtualHost.Config.IncludeIsTimeoutRetry {
		return
	}
	value := valueFalse
	if x.retry.late {
		value = valueTrue
	}
	x.request.Fields.SetName(nameIsTimeoutRetry, value)
}

// tellTimeLeft is tellTimeout for a further attempt, which shares the route's timeout with those before it.
func (x *exchange) tellTimeLeft() {
	left := x.timeout
	if left > 0 && x.requestDone {
		left = max(left-time.Duration(x.worker.loop.Now()-x.requestEnd), time.Millisecond)
	}
	x.tellTimeout(left)
}

// tryDeadlines calls f with the limits on the time of an attempt, which run from when it has its connection; the first of them
// also waits for the whole request.
func (x *exchange) tryDeadlines(f func(at int64, v verdict)) {
	r := &x.retry
	if !x.connected {
		return
	}
	if limit := x.cluster.Config().MaxStreamDuration; limit > 0 {
		f(x.began+int64(limit), verdictUpstreamMaxDuration)
	}
	if x.upgraded {
		return
	}
	if x.slow && !x.headRead {
		return
	}
	if r.perTry > 0 && x.requestDone && !x.headRead && (!r.hedges || x.requestSent) {
		f(x.tryBegan()+int64(r.perTry), verdictPerTryTimeout)
	}
	if r.perTryIdle > 0 {
		f(max(x.began, x.lastActivity)+int64(r.perTryIdle), verdictPerTryIdleTimeout)
	}
}

// tryBegan returns from when on the host could answer: where another attempt may race it, it has to have been sent all of the request.
func (x *exchange) tryBegan() int64 {
	if x.retry.hedges {
		return max(x.began, x.requestEnd, x.marks.sendEnded)
	}
	return max(x.began, x.requestEnd)
}

// passedOn reports whether the client has seen something of a response, after which there is no other one.
func (x *exchange) passedOn() bool { return x.headRead || x.informational > 0 }

// retryFailure has the request tried again that ended with v, if the retry policy says so.
func (x *exchange) retryFailure(v verdict) bool {
	if v == verdictResponseTimeout {
		return false // which is no word of a host on the retry in flight
	}
	if x.retry.on == 0 || !v.upstream() || x.passedOn() || !x.allowRetry(x.retry.on&x.conditionsOf(v) != 0) {
		return false
	}
	x.retryAfter(x.backOff(), v.outcome(), false)
	return true
}

// conditionsOf returns the conditions of retry_on that an attempt meets which has ended with v.
func (x *exchange) conditionsOf(v verdict) (on config.RetryOn) {
	switch v {
	case verdictOverflow, verdictNoHealthyUpstream, verdictResponseTimeout:
		return 0
	case verdictLocalConnectionFailure, verdictRemoteConnectionFailure, verdictConnectionTimeout:
		on = config.RetryOnConnectFailure
	case verdictRefusedStream:
		on = config.RetryOnRefusedStream
	}
	if !x.connected {
		on |= config.RetryOnResetBeforeRequest
	}
	return on | config.RetryOn5xx | config.RetryOnGatewayError | config.RetryOnReset
}

// retryResponse has the request tried again whose response is at hand, if the retry policy says so.
func (x *exchange) retryResponse() bool {
	if x.retry.on == 0 || x.informational > 0 {
		return false
	}
	meets := x.responseMeets()
	if !x.raced && x.allowRetry(meets) {
		x.retryResponseAfterWait()
		return true
	}
	x.flags |= x.retry.refused
	return meets && x.yield(x.responseOutcome(), x.responseWhole())
}

// retryResponseAfterWait has the request tried again whose response is at hand, when it says so or the policy does.
func (x *exchange) retryResponseAfterWait() {
	wait, limited := x.retry.policy.ResetAfter(&x.response.Fields, time.Now().Unix())
	k, status := x.cluster.Stats(), x.response.Status
	k.IncStatusOf(stats.ClusterRetryUpstreamRqStatus, status)
	switch {
	case limited && wait > 0:
		k.Inc(stats.ClusterUpstreamRqRetryBackoffRatelimited)
		wait += time.Duration(x.worker.random.Uint64() % uint64(wait/2)) // so that not all come at once
	default:
		wait = x.backOff()
	}
	x.retryAfter(wait, x.responseOutcome(), x.responseWhole())
}

// responseOutcome tells the host of a response that is not passed on what it was.
func (x *exchange) responseOutcome() upstream.Outcome {
	if x.response.Status >= 500 {
		return upstream.ServerError
	}
	return upstream.Success
}

// responseWhole reports whether nothing follows the head of a response that is not passed on, so that its connection is of use.
func (x *exchange) responseWhole() bool { return x.response.EndStream && x.requestSent }

// responseMeets reports whether the response at hand meets a condition of retry_on.
func (x *exchange) responseMeets() bool {
	fields, status, on, p := &x.response.Fields, x.response.Status, x.retry.on, x.retry.policy
	if fields.Has(message.NameXEnvoyRateLimited) {
		return on&config.RetryOnEnvoyRateLimited != 0
	}
	switch {
	case on&config.RetryOn5xx != 0 && status >= 500,
		on&config.RetryOnGatewayError != 0 && status >= 502 && status <= 504,
		on&config.RetryOnRetriable4xx != 0 && status == 409,
		on&config.RetryOnRetriableStatusCodes != 0 && (p.HasStatus(status) || listsStatus(x.retry.statusCodes, status)),
		on&config.RetryOnRetriableHeaders != 0 && (p.MatchesResponse(fields) || hasListed(fields, x.retry.fieldNames)):
		return true
	}
	return on&config.RetryOnGRPC != 0 && on&grpcCondition(fields) != 0
}

// listsStatus reports whether a comma-separated list has a status.
func listsStatus(list []byte, status int) bool {
	for item, rest, ok := config.NextItem(list); ok; item, rest, ok = config.NextItem(rest) {
		if n, err := strconv.Atoi(string(item)); err == nil && n == status {
			return true
		}
	}
	return false
}

// hasListed reports whether a message has one of the fields whose names a comma-separated list has.
func hasListed(fields *message.Fields, names []byte) bool {
	for name, rest, ok := config.NextItem(names); ok; name, rest, ok = config.NextItem(rest) {
		for _, f := range fields.All() {
			if message.EqualFold(name, string(f.Name)) {
				return true
			}
		}
	}
	return false
}

// grpcCondition returns the condition that the gRPC status in the head of a response meets.
func grpcCondition(fields *message.Fields) config.RetryOn {
	switch status, _ := fields.Get(message.NameGRPCStatus); string(status) {
	case "1":
		return config.RetryOnGRPCCancelled
	case "4":
		return config.RetryOnGRPCDeadlineExceeded
	case "8":
		return config.RetryOnGRPCResourceExhausted
	case "13":
		return config.RetryOnGRPCInternal
	case "14":
		return config.RetryOnGRPCUnavailable
	default:
		return 0
	}
}

// allowRetry ends the retry that was in flight, if one was, and begins the next if it is wanted, one is left and the circuit
// breaker of retries is closed.
func (x *exchange) allowRetry(wanted bool) bool {
	r, k := &x.retry, x.cluster.Stats()
	if x.counted && !wanted {
		k.Inc(stats.ClusterUpstreamRqRetrySuccess)
		x.countInGroups(stats.VirtualUpstreamRqRetrySuccess)
	}
	x.releaseRetry()
	r.refused = 0
	return wanted && x.grantRetry()
}

// grantRetry begins a retry if one is left and the circuit breaker of retries is closed.
func (x *exchange) grantRetry() bool {
	r, k := &x.retry, x.cluster.Stats()
	r.refused = 0
	if r.left == 0 {
		k.Inc(stats.ClusterUpstreamRqRetryLimitExceeded)
		x.countInGroups(stats.VirtualUpstreamRqRetryLimitExceeded)
		r.refused = FlagUpstreamRetryLimitExceeded
		return false
	}
	r.left--
	if percent := x.retry.policy.Percent; percent < 100 && x.worker.random.Uint64()%100 >= percent {
		return false
	}
	if !x.routed.AcquireRetry(x.priority()) {
		k.Inc(stats.ClusterUpstreamRqRetryOverflow)
		x.countInGroups(stats.VirtualUpstreamRqRetryOverflow)
		r.refused = FlagUpstreamOverflow
		return false
	}
	x.counted = true
	r.done++
	k.Inc(stats.ClusterUpstreamRqRetry)
	x.countInGroups(stats.VirtualUpstreamRqRetry)
	return true
}

// releaseRetry takes the retry in flight off the circuit breaker.
func (x *exchange) releaseRetry() { x.releaseRetryOf(x.attempt) }

func (x *exchange) releaseRetryOf(a *attempt) {
	if a.counted {
		a.counted = false
		x.routed.ReleaseRetry(x.priority())
	}
}

// abandonRetry ends the retry policy's part in a request whose body has become too long to be kept.
func (x *exchange) abandonRetry() {
	if !x.keepsBody() || x.headRead {
		return
	}
	x.cluster.Stats().Inc(stats.ClusterRetryOrShadowAbandoned)
	x.releaseRetry()
	x.retry.on = 0
}

// backOff returns how long to wait before the retry that was allowed: any time within a range that doubles, so that requests
// which have failed together do not come back together.
func (x *exchange) backOff() time.Duration {
	x.cluster.Stats().Inc(stats.ClusterUpstreamRqRetryBackoffExponential)
	return time.Duration(x.worker.random.Uint64() % uint64(x.retry.policy.BackOffRange(x.retry.done)))
}

// retryAfter leaves the host at hand, and has the next attempt begin when wait has passed.
func (x *exchange) retryAfter(wait time.Duration, outcome upstream.Outcome, reuse bool) {
	x.remember(x.lease.Host())
	x.retry.late = outcome == upstream.TimedOut
	x.leaveHost(outcome, reuse)
	x.retry.at = x.worker.loop.Now() + int64(wait)
	x.stage = stageBackOff
}

// remember takes note of a host that the next attempt may be to avoid.
func (x *exchange) remember(h *upstream.Host) {
	if p := x.retry.policy; p.AvoidPreviousHosts || p.PriorityFrequency > 0 {
		x.tried = append(x.tried, h)
	}
}
