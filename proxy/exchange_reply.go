package proxy

import (
	"bytes"
	"strings"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/localreply"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

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
	if v.inPlaceOfHost() && x.cluster != nil {
		x.countReply()
	}
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
	case verdictNoOriginalIP:
		resp.Status = x.refused.status
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
	x.mutateByRoute()
	body = x.completeReply(body)
	x.finishResponseFields()
	if !x.filters.Empty() {
		body = x.filterReply(body)
	}
	// A request whose body is still coming is not read any further.
	x.respond(x.leaves() || close || !x.requestDone || x.conn.draining() || x.conn.exhausted())
	if len(body) > 0 {
		x.bytesSent += int64(len(body))
		x.down.WriteBody(unsafe.Slice(unsafe.StringData(body), len(body)), true) // which only reads it
		x.responseDone = true
	}
	if close {
		x.request.Close = false // the goodbye lingers: the client may be sending still
	}
}

// completeReply has local_reply_config change the answer, which it makes one of gRPC where that is spoken, and returns its body.
func (x *exchange) completeReply(body string) string {
	resp, contentType := &x.response, valueTextPlain
	typed := resp.Fields.Has(message.NameContentType)
	if w := x.manager.localReply; w != nil && !x.repliedByFilterItself() {
		body, contentType, typed = x.rewriteReply(w, body)
	}
	switch {
	case x.grpc:
		x.makeGRPC(body)
		body = ""
	case body == "":
		resp.Fields.Del(message.NameContentType)
	case !typed:
		resp.Fields.Set(message.NameContentType, contentType)
	}
	resp.ContentLength = int64(len(body))
	resp.EndStream = len(body) == 0
	return body
}

// repliedByFilterItself reports whether the answer is a filter's response and no local reply.
func (x *exchange) repliedByFilterItself() bool {
	return x.verdict == verdictFilterReply && x.filterReplied.Response
}

// rewriteReply has w change the answer. typed says that the fields have the type of its body: they had none, and a mapper has added
// it, or they had it and the body is the same.
func (x *exchange) rewriteReply(w *localreply.Rewriter, before string) (body string, contentType []byte, typed bool) {
	resp := &x.response
	was, _ := resp.Fields.Get(message.NameContentType)
	r := localreply.Reply{
		Entry: x.entry(config.LogNotSet, resp.Status), Context: x.mutationContext(), Route: x.route, Target: x.target,
		Body: before, ContentType: valueTextPlain,
	}
	r.Entry.LocalReply, r.Context.Response = true, resp
	w.Rewrite(&r, &x.arena)
	body = r.Body
	if x.grpc && r.JSON {
		body = strings.TrimSuffix(body, "\n") // which grpc-message has no use for
	}
	is, _ := resp.Fields.Get(message.NameContentType)
	return body, r.ContentType, len(is) > 0 && (body == before || !bytes.Equal(is, was))
}
