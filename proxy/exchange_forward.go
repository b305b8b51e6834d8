package proxy

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// askHost picks a host of the target cluster and asks it for a connection.
func (x *exchange) askHost() verdict {
	x.attempts++
	x.chooseMember()
	h := x.pickUntried()
	if h == nil {
		x.cluster.Stats().Inc(stats.ClusterUpstreamCxNoneHealthy)
		return verdictNoHealthyUpstream
	}
	if x.manager.config.SchemeOfHost {
		x.request.Scheme = schemeValue(h.Secure())
	}
	if x.attempts == 1 && len(x.mirrors()) > 0 {
		x.mirror()
	}
	name, ok := x.serverName()
	if !ok {
		return verdictLocalConnectionFailure
	}
	ask := upstream.Ask{
		Protocol: x.cluster.Speaks(x.request.Version), Response: &x.response, Name: name, Priority: x.priority(), Again: x.attempts > 1,
	}
	if x.terminatesConnect() {
		ask.Protocol, ask.Fresh = upstream.HTTP1, true
	}
	if h.WantsProxyHeader() {
		start := len(x.arena)
		x.arena = h.AppendProxyHeader(x.arena, x.conn.remoteAddr(), x.conn.localAddr())
		ask.Header = x.added(start)
	}
	switch x.cluster.Acquire(&x.lease, h, x.waker, ask) {
	case upstream.Overflow:
		return verdictOverflow
	case upstream.Failed:
		return verdictLocalConnectionFailure
	default:
		return verdictNone
	}
}

// priority returns whose circuit breakers and connections the request gets.
func (x *exchange) priority() config.RoutingPriority { return x.route.Config.Forward.Priority }

// sendRequest sends the head on the connection that was granted, and the body if that was sent before.
func (x *exchange) sendRequest() verdict {
	switch {
	case x.lease.Stream != nil:
		x.up = x.lease.Stream
	case x.lease.Err != nil:
		return verdictLocalConnectionFailure
	case x.lease.Unreached != nil:
		x.keepFailure(x.lease.Unreached)
		return unreached(x.lease.Unreached)
	default:
		return verdictOverflow
	}
	if x.wantsExtendedConnect() && x.lease.RefusesConnect() {
		return verdictConnectError
	}
	if x.retry.done > 0 {
		x.tellRetry()
	}
	x.rewriteHost(x.lease.Host())
	if x.route.VirtualHost.Config.IncludeRequestAttemptCount {
		x.request.Fields.Set(message.NameXEnvoyAttemptCount, x.arenaInt(int64(x.attempts)))
	}
	x.writeRequestHead()
	x.marks = marks{sendBegan: x.worker.loop.Now()}
	switch {
	case x.request.EndStream:
		x.requestSent = true
	case x.bodySent, x.requestSent:
		x.replayBody()
	}
	if x.requestSent {
		x.marks.sendEnded = x.marks.sendBegan
	}
	return verdictNone
}

// repeatable reports whether a request that ended with v may be sent again without harm.
func (x *exchange) repeatable(v verdict) bool {
	if x.headRead || x.informational > 0 || x.wantsTunnel() {
		return false
	}
	switch v {
	case verdictRefusedStream:
		return !x.bodySent || x.replayable
	case verdictConnectionTermination:
		// It may have been processed, so doing it twice must be the same as doing it once (RFC 9110 section 9.2.2).
		return !x.bodySent && x.up.Reused() && !x.up.ResponseStarted() && x.idempotent()
	default:
		return false
	}
}

// idempotent reports whether the method is one that may be repeated.
func (x *exchange) idempotent() bool {
	switch string(x.request.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// moveBodies moves the request body up and the response down, at the pace of the slower side of each, until the response has
// ended.
func (x *exchange) moveBodies() (v verdict, waits bool) {
	if v := x.checkConnected(); v != verdictNone {
		return v, false
	}
	x.passMetadata()
	for tunnel := x.upgraded; ; tunnel = x.upgraded {
		if v := x.pumpRequest(); v != verdictNone {
			return v, false
		}
		if v := x.pumpResponse(); v != verdictNone {
			return v, false
		}
		switch {
		case x.stage != stageBodies:
			return verdictNone, false // the response is not to be had, and the request is tried again
		case x.responseDone && (!x.upgraded || x.requestSent && x.tunnelDrained()):
			x.stage = stageOver
			return verdictNone, false
		case x.tired():
			x.waker.Wake()
			return verdictNone, true
		case x.upgraded == tunnel:
			return verdictNone, true
		}
		// The response has made a tunnel: what waited for it may go up now.
	}
}

// passMetadata passes METADATA frames on, both ways, where both sides speak HTTP/2.
func (x *exchange) passMetadata() {
	up, down := x.lease.HTTP2(), x.stream.Stream
	if down != nil && x.manager.http2.AllowMetadata {
		down.PassMetadata(up)
	}
	if up != nil && x.cluster.Config().HTTP2.AllowMetadata {
		up.PassMetadata(down)
	}
}

func (x *exchange) checkConnected() verdict {
	if x.connected {
		return verdictNone
	}
	done, err := x.up.Connected()
	if done {
		x.connected, x.began = true, x.worker.loop.Now()
		x.hostAsked, x.hostHTTP2 = true, x.lease.HTTP2() != nil
		if err == nil {
			x.countInGroups(stats.VirtualUpstreamRqTotal)
		}
	}
	if err != nil {
		x.keepFailure(err)
		return unreached(err)
	}
	return verdictNone
}

// unreached tells what it means that a connection to a host could not be established.
func unreached(why error) verdict {
	if why == upstream.ErrConnectTimeout {
		return verdictConnectionTimeout
	}
	return verdictRemoteConnectionFailure
}

// pumpRequest moves request body bytes that are there, as far as the upstream side has room.
func (x *exchange) pumpRequest() verdict {
	for !x.requestSent && !x.tired() {
		if x.up.WriteErr() != nil {
			return verdictNone // its response may be on the way; what it does not want is not read
		}
		if limit := x.upstreamLimit(); x.up.Pending() >= limit {
			x.up.NotifyBelow(limit/2 + 1)
			return verdictNone
		}
		if len(x.shadows) > 0 && x.shadowsBehind() {
			return verdictNone
		}
		if !x.upgraded && x.wantsTunnel() {
			return verdictNone // what follows an upgrade waits for the answer
		}
		x.sendContinue()
		data, done, err := x.down.ReadBody()
		if err != nil {
			return x.requestError(err)
		}
		if v := x.passRequest(data, done); v != verdictNone {
			return v
		}
	}
	return verdictNone
}

// passRequest passes request body bytes on to the host.
func (x *exchange) passRequest(data []byte, done bool) verdict {
	if done && !x.requestDone {
		x.requestComplete()
	}
	x.bytesReceived += int64(len(data))
	came := len(data)
	if !x.filters.Empty() && !x.upgraded {
		var ok bool
		if data, ok = x.filters.RequestBody(data, done); !ok {
			return verdictInvalidBase64
		}
	}
	trailers := x.down.Trailers()
	if len(x.shadows) > 0 {
		x.shadowBody(data, done, trailers)
	}
	if len(data) > 0 {
		x.record(data)
		x.up.WriteBody(data, done && trailers == nil)
	}
	if done {
		x.requestSent, x.marks.sendEnded = true, x.worker.loop.Now()
		if len(data) == 0 || trailers != nil {
			x.up.WriteEnd(trailers)
		}
	}
	x.active(came)
	return verdictNone
}

// requestError tells what a failure to read the request body means.
func (x *exchange) requestError(err error) verdict {
	if err == eventloop.ErrWouldBlock {
		return verdictNone
	}
	refused, malformed := err.(http1.Error)
	if !malformed {
		return x.goneVerdict()
	}
	x.chain.http.Inc(stats.HTTPDownstreamCxProtocolError)
	x.refused = refusalOf(refused)
	return verdictCodecError
}

// sendContinue answers Expect: 100-continue once the body is wanted.
func (x *exchange) sendContinue() {
	if x.request.ExpectContinue && !x.continued && !x.manager.config.Proxy100Continue {
		x.continued = true
		x.down.WriteContinue()
	}
}

// pumpResponse moves response bytes that are there, as far as the client has room.
func (x *exchange) pumpResponse() verdict {
	for !x.responseDone && !x.tired() {
		if !x.headRead {
			if again, v := x.readResponseHead(); !again {
				return v
			}
			continue
		}
		if limit := x.chain.compiled.bufferLimit; x.down.Pending() >= limit {
			x.down.NotifyBelow(limit/2 + 1)
			return verdictNone
		}
		data, done, err := x.up.ReadBody()
		if err != nil {
			return x.responseError(err)
		}
		x.passResponse(data, done)
	}
	return verdictNone
}

// passResponse passes response body bytes on to the client.
func (x *exchange) passResponse(data []byte, done bool) {
	came, trailers := len(data), x.up.Trailers()
	if done && trailers != nil {
		x.lease.Reported(trailers)
		if x.logs != nil {
			x.keepTrailers(trailers)
		}
	}
	if !x.filters.Empty() && !x.upgraded {
		data = x.filters.ResponseBody(data)
		if done {
			x.writeResponse(data, false)
			data, trailers = x.endFilters(trailers)
		}
	}
	x.writeResponse(data, done && trailers == nil)
	if done {
		x.marks.answerEnded = x.worker.loop.Now()
	}
	if done && !x.responseDone {
		x.responseDone = true
		if len(data) == 0 || trailers != nil {
			x.down.WriteEnd(trailers)
		}
	}
	x.active(came)
}

// writeResponse writes response body bytes, if there are some. last says that nothing follows.
func (x *exchange) writeResponse(data []byte, last bool) {
	if len(data) > 0 {
		x.bytesSent += int64(len(data))
		x.down.WriteBody(data, last)
	}
}

// endFilters passes the end of the response, with trailers that may be nil, through the filters. What these returned before
// must have been written.
func (x *exchange) endFilters(trailers *message.Fields) (last []byte, rest *message.Fields) {
	last, rest = x.filters.ResponseEnd(&x.response, trailers)
	if !x.responded {
		x.respond(x.mustClose()) // it was held
	}
	return last, rest
}

// readResponseHead reads one response head and passes it on. again is false when none is there or it failed.
func (x *exchange) readResponseHead() (again bool, v verdict) {
	if x.terminatesConnect() {
		return x.acceptConnect()
	}
	if err := x.up.ReadHead(&x.response); err != nil {
		return false, x.responseError(err)
	}
	return x.takeResponse()
}

// responseError tells what a failure to read the response means.
func (x *exchange) responseError(err error) verdict {
	if err == eventloop.ErrWouldBlock {
		return verdictNone
	}
	return responseFailure(err, x.cluster.Stats())
}

// responseFailure tells what it means that no response could be read, and counts it for the cluster.
func responseFailure(err error, k *stats.Block) verdict {
	k.Inc(stats.ClusterUpstreamRqRxReset)
	switch err := err.(type) {
	case http1.Error:
		k.Inc(stats.ClusterUpstreamCxProtocolError)
		return verdictUpstreamProtocolError
	case http2.Error:
		return resetVerdict(err)
	}
	var errno syscall.Errno
	if err == io.EOF || err == io.ErrUnexpectedEOF || errors.As(err, &errno) {
		k.Inc(stats.ClusterUpstreamCxDestroyWithActiveRq)
		k.Inc(stats.ClusterUpstreamCxDestroyRemoteWithActiveRq)
	}
	return verdictConnectionTermination
}

// resetVerdict tells what the end of an HTTP/2 stream before its time means.
func resetVerdict(err http2.Error) verdict {
	switch err {
	case http2.ErrRefused:
		return verdictRefusedStream
	case http2.ErrReset:
		return verdictRemoteReset
	case http2.ErrConnect:
		return verdictConnectError
	case http2.ErrMalformed, http2.ErrProtocol, http2.ErrTooLarge, http2.ErrFlood:
		return verdictUpstreamProtocolError
	default:
		return verdictConnectionTermination
	}
}

func (x *exchange) upstreamLimit() int { return int(x.cluster.Config().BufferLimit) }

// serviceMillis returns the milliseconds since the whole request was received.
func (x *exchange) serviceMillis() (millis int64, ok bool) {
	if !x.requestDone {
		return 0, false
	}
	return (x.worker.loop.Now() - x.requestEnd) / int64(time.Millisecond), true
}
