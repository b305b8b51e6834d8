package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// takeResponse passes the response head that was read on to the client. again is false when it cannot be used.
func (x *exchange) takeResponse() (again bool, v verdict) {
	resp := &x.response
	if resp.Status < 200 && resp.Status != 101 {
		return x.takeInformational()
	}
	if resp.Status == 101 && len(x.request.Upgrade) == 0 {
		x.cluster.Stats().Inc(stats.ClusterUpstreamCxProtocolError)
		return false, verdictUpstreamProtocolError
	}
	if !x.bridgeResponse() {
		x.cluster.Stats().Inc(stats.ClusterUpstreamCxProtocolError)
		return false, verdictUpstreamProtocolError
	}
	if x.opensTunnel() {
		resp.EndStream = false // bytes follow, where a body would not
	}
	x.answered()
	x.lease.Reported(&resp.Fields)
	x.passFailureOn()
	if x.retryResponse() {
		return false, verdictNone
	}
	if followed, v := x.followRedirect(); followed {
		return false, v
	}
	x.cancelRivals()
	x.countUpstream()
	x.details = "via_upstream"
	x.headRead = true
	x.marks.answerBegan = x.worker.loop.Now()
	if resp.EndStream {
		x.marks.answerEnded = x.marks.answerBegan
	}
	x.mutateResponseFields()
	if x.filters.ResponseHead(resp) {
		return true, verdictNone // what comes of it is known at the end of the body
	}
	x.respond(x.mustClose())
	if x.opensTunnel() {
		x.becomeTunnel()
	}
	return true, verdictNone
}

// takeInformational passes a 1xx response on. 100 (Continue) is only for a client whose expectation was passed on, and
// none is for one of HTTP/1.0 (RFC 9110 section 15.2).
func (x *exchange) takeInformational() (again bool, v verdict) {
	x.informational++
	x.cancelRivals()
	if x.informational > maxInformational {
		x.cluster.Stats().Inc(stats.ClusterUpstreamCxProtocolError)
		return false, verdictUpstreamProtocolError
	}
	if x.request.Version != message.HTTP10 && (x.response.Status != 100 || x.manager.config.Proxy100Continue) {
		x.down.WriteHead(&x.response, false)
	}
	return true, verdictNone
}

// countUpstream counts the response in its cluster.
func (x *exchange) countUpstream() {
	took := untimed
	if x.requestDone {
		took = x.worker.loop.Now() - x.requestEnd
	}
	countResponse(x.cluster.Stats(), &x.response, x.lease.Host(), origin(x.internal), took)
	x.countResponseInGroups(took)
}

// untimed is the time that a response took which came before its request had ended.
const untimed = int64(-1)

// responseStats are statistics of responses: how many had which status, and how long they took.
type responseStats struct{ status, time int }

// Of all responses of a cluster, and of parts of them. They are never written.
var (
	allResponses      = responseStats{stats.ClusterUpstreamRqStatus, stats.ClusterUpstreamRqTime}
	internalResponses = responseStats{stats.ClusterInternalUpstreamRqStatus, stats.ClusterInternalUpstreamRqTime}
	externalResponses = responseStats{stats.ClusterExternalUpstreamRqStatus, stats.ClusterExternalUpstreamRqTime}
	canaryResponses   = responseStats{stats.ClusterCanaryUpstreamRqStatus, stats.ClusterCanaryUpstreamRqTime}
	zoneResponses     = responseStats{stats.ZoneUpstreamRqStatus, stats.ZoneUpstreamRqTime}
)

// origin returns the part that responses to requests are in which come from inside, or do not.
func origin(internal bool) responseStats {
	if internal {
		return internalResponses
	}
	return externalResponses
}

// count counts a response. took is how long it took from the end of the request on, in nanoseconds, or untimed.
func (s responseStats) count(b *stats.Block, status int, took int64) {
	b.IncStatusOf(s.status, status)
	if took != untimed {
		b.Record(s.time, uint64(took)/1000)
	}
}

// countResponse counts a response in the cluster of its host, by where the request comes from, once more where it is one of a canary,
// and by zones where these are known.
func countResponse(k *stats.Block, resp *message.Response, host *upstream.Host, from responseStats, took int64) {
	allResponses.count(k, resp.Status, took)
	from.count(k, resp.Status, took)
	if host == nil {
		return
	}
	if zone := host.ZoneStats(); zone != nil {
		zoneResponses.count(zone, resp.Status, took)
	}
	if host.Canary || saysCanary(resp) {
		canaryResponses.count(k, resp.Status, took)
	}
}

// saysCanary reports whether a response says to be of a version on trial.
func saysCanary(resp *message.Response) bool {
	if !resp.Fields.Has(message.NameXEnvoyUpstreamCanary) {
		return false
	}
	told, _ := resp.Fields.Get(message.NameXEnvoyUpstreamCanary)
	return string(told) == "true"
}

// countReply counts an answer of our own that takes the place of a host's, as one of its cluster.
func (x *exchange) countReply() {
	countResponse(x.cluster.Stats(), &x.response, x.lease.Host(), origin(x.internal), untimed)
	x.countResponseInGroups(untimed)
}

// mustClose reports whether the response is to tell the client that the connection ends.
func (x *exchange) mustClose() bool {
	resp := &x.response
	if x.request.Version == message.HTTP2 {
		x.leaves()
		return false // GOAWAY says it
	}
	if x.conn.draining() {
		x.chain.http.Inc(stats.HTTPDownstreamCxDrainClose)
		return true
	}
	if x.conn.exhausted() {
		return true
	}
	if x.wantsTunnel() {
		return !x.opensTunnel()
	}
	return x.leaves() || !x.requestDone && resp.EndStream
}

// respond writes the final response head.
func (x *exchange) respond(close bool) {
	x.responded = true
	x.down.WriteHead(&x.response, close)
	if x.response.EndStream {
		x.responseDone = true
	}
	x.lastActivity = x.worker.loop.Now()
	x.marks.responseBegan = x.lastActivity
}
