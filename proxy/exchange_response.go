package proxy

import (
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
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
	x.countUpstream(resp.Status)
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
func (x *exchange) countUpstream(status int) {
	k := x.cluster.Stats()
	k.IncStatusOf(stats.ClusterUpstreamRqStatus, status)
	if x.requestDone {
		k.Record(stats.ClusterUpstreamRqTime, uint64(x.worker.loop.Now()-x.requestEnd)/1000)
	}
}

// mustClose reports whether the response is to tell the client that the connection ends.
func (x *exchange) mustClose() bool {
	resp := &x.response
	if x.request.Version == message.HTTP2 {
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
	return !x.requestDone && resp.EndStream
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

// nameDropOverload tells a client why it was refused. It is never written.
var nameDropOverload = []byte("x-envoy-drop-overload")

// replyVerdict answers the request as the table of verdicts says.
func (x *exchange) replyVerdict(v verdict) {
	a := &answers[v]
	x.verdict = v
	x.flags |= a.flags
	x.details = v.detailsBefore()
	resp := &x.response
	resp.Reset()
	resp.Status = a.status
	body := v.body(x.retry.done > 0)
	x.arenaReply(v, &body)
	x.reply(body, a.close)
}

// filterReply passes an answer of our own through the filters, which have seen the request, and returns what its body becomes.
func (x *exchange) filterReply(body string) string {
	resp := &x.response
	x.filters.ResponseHead(resp)
	switch {
	case resp.EndStream:
		return ""
	case x.filters.LeavesBodies():
		return body
	}
	data := append([]byte(nil), x.filters.ResponseBody([]byte(body))...)
	last, _ := x.filters.ResponseEnd(resp, nil)
	data = append(data, last...)
	resp.EndStream, resp.ContentLength = len(data) == 0, int64(len(data))
	return string(data)
}

// arenaReply completes the answers that the request, the route or the codec have a part in.
func (x *exchange) arenaReply(v verdict, body *string) {
	resp := &x.response
	switch v {
	case verdictCodecError:
		resp.Status, *body, x.details = x.refused.status, x.refused.body, x.refused.details
		if resp.Status >= 500 && resp.Status != 501 {
			resp.Status = 400
		}
	case verdictNoCluster:
		if s := x.route.Config.Forward.ClusterNotFoundStatus; s != 0 {
			resp.Status = s
		}
	case verdictResponseTimeout, verdictPerTryTimeout, verdictPerTryIdleTimeout:
		if x.timeoutStatus != 0 {
			resp.Status, *body = x.timeoutStatus, ""
		}
	case verdictStreamIdleTimeout, verdictMaxStreamDuration, verdictUpstreamMaxDuration:
		if !x.requestDone {
			resp.Status = 408
		}
	case verdictDropOverload:
		if !x.manager.config.Router.SuppressEnvoyHeaders {
			resp.Fields.AddRaw(nameDropOverload, valueTrue)
		}
	case verdictRateLimited:
		resp.Fields.Add(message.NameXEnvoyRateLimited, valueTrue)
	case verdictOverflow:
		if !x.manager.config.Router.SuppressEnvoyHeaders {
			resp.Fields.Add(message.NameXEnvoyOverloaded, valueTrue)
		}
	case verdictFilterReply:
		r := x.filterReplied
		resp.Status, *body, x.details = r.Status, r.Body, r.Details
		if r.Fault {
			x.flags |= FlagFaultInjected
		}
		if r.Fields != nil {
			resp.Fields.CopyFrom(r.Fields)
		}
	case verdictDirectResponse:
		*body = x.directReply(x.route.Config.Direct)
	case verdictRedirect:
		resp.Status = x.route.Config.Redirect.Status
		x.addLocation(x.route.AppendRedirect(x.arena, &x.request))
	case verdictTLSRequired:
		x.addLocation(route.AppendTLSRedirect(x.arena, &x.request))
	case verdictNormalizedPathRedirect:
		resp.Fields.Add(message.NameLocation, x.request.Path)
	}
}

// directReply readies the answer that a route gives by itself, and returns its body without a copy: it is only read.
func (x *exchange) directReply(d *config.DirectResponse) (body string) {
	x.response.Status = d.Status
	if d.ContentType != "" {
		x.response.Fields.Add(message.NameContentType, x.arenaBytes([]byte(d.ContentType)))
	}
	ctx := x.mutationContext()
	ctx.Response = &x.response
	b := x.route.DirectBody(&ctx, &x.arena)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// addLocation makes what was appended to the arena the location of the answer.
func (x *exchange) addLocation(arena []byte) {
	start := len(x.arena)
	x.arena = arena
	x.response.Fields.Add(message.NameLocation, x.added(start))
}

// reply sends an answer of our own, whose status and special fields are in x.response.
func (x *exchange) reply(body string, close bool) {
	resp := &x.response
	if x.grpc {
		x.makeGRPC(body)
		body = ""
	}
	resp.ContentLength = int64(len(body))
	resp.EndStream = len(body) == 0
	if len(body) > 0 && !resp.Fields.Has(message.NameContentType) {
		resp.Fields.Add(message.NameContentType, valueTextPlain)
	}
	x.mutateReplyFields()
	if !x.filters.Empty() {
		body = x.filterReply(body)
	}
	// A request whose body is still coming is not read any further.
	x.respond(close || !x.requestDone || x.conn.draining() || x.conn.exhausted())
	if len(body) > 0 {
		x.bytesSent += int64(len(body))
		x.down.WriteBody(unsafe.Slice(unsafe.StringData(body), len(body)), true) // which only reads it
		x.responseDone = true
	}
	if close {
		x.request.Close = false // the goodbye lingers: the client may be sending still
	}
}
