package proxy

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// forward sends the request to a host of the target cluster and passes the response on. It returns why that failed.
//
// A request that no host has begun to process is sent once more, on another connection: one that went out on a kept
// connection which the host was closing at the same time (RFC 9112 section 9.3.1), or one that the host says it has refused
// (RFC 9113 section 8.7).
func (x *exchange) forward() verdict {
	for {
		x.attempts++
		v := x.attempt()
		if x.attempts == maxAttempts || !x.repeatable(v) {
			return v
		}
		x.lease.Release(upstream.ServerError, false)
		x.up, x.connected = nil, false
	}
}

// attempt tries one host.
func (x *exchange) attempt() verdict {
	h := x.cluster.Pick()
	if h == nil {
		x.cluster.Stats().Inc(stats.ClusterUpstreamCxNoneHealthy)
		return verdictNoHealthyUpstream
	}
	if v := x.acquire(h); v != verdictNone {
		return v
	}
	x.rewriteHost(h)
	if x.route.VirtualHost.Config.IncludeRequestAttemptCount {
		x.request.Fields.Set(message.NameXEnvoyAttemptCount, x.arenaInt(int64(x.attempts)))
	}
	x.writeRequestHead()
	switch {
	case x.request.EndStream:
		x.requestSent = true
	case x.bodySent:
		x.replayBody()
	}
	return x.exchangeBodies()
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

// acquire gets a connection to h, waiting for one when the breakers say so.
func (x *exchange) acquire(h *upstream.Host) verdict {
	ask := upstream.Ask{HTTP2: x.cluster.SpeaksHTTP2(x.request.Version), Response: &x.response, Again: x.attempts > 1}
	if x.terminatesConnect() {
		ask.HTTP2, ask.Fresh = false, true
	}
	switch x.cluster.Acquire(&x.lease, h, x.task, ask) {
	case upstream.Overflow:
		return verdictOverflow
	case upstream.Failed:
		return verdictLocalConnectionFailure
	}
	for x.lease.Waiting() {
		if v := x.park(); v != verdictNone {
			return v
		}
	}
	switch {
	case x.lease.Stream != nil:
		x.up = x.lease.Stream
		return verdictNone
	case x.lease.Err != nil:
		return verdictLocalConnectionFailure
	default:
		return verdictOverflow
	}
}

// exchangeBodies moves the request body up and the response down until the response has ended, at the pace of the slower
// side of each.
func (x *exchange) exchangeBodies() verdict {
	for {
		if v := x.checkConnected(); v != verdictNone {
			return v
		}
		sent, v := x.pumpRequest()
		if v != verdictNone {
			return v
		}
		received, v := x.pumpResponse()
		if v != verdictNone {
			return v
		}
		if x.responseDone && (!x.upgraded || x.requestSent && x.tunnelDrained()) {
			return verdictNone
		}
		if !sent && !received {
			if v := x.park(); v != verdictNone {
				return v
			}
		}
	}
}

func (x *exchange) checkConnected() verdict {
	if x.connected {
		return verdictNone
	}
	done, err := x.up.Connected()
	x.connected = done
	switch {
	case err == nil:
		return verdictNone
	case err == upstream.ErrConnectTimeout:
		return verdictConnectionTimeout
	default:
		return verdictRemoteConnectionFailure
	}
}

// pumpRequest moves request body bytes that are there, as far as the upstream side has room.
func (x *exchange) pumpRequest() (progress bool, v verdict) {
	for !x.requestSent {
		if x.up.WriteErr() != nil {
			return progress, verdictNone // its response may be on the way; what it does not want is not read
		}
		if limit := x.upstreamLimit(); x.up.Pending() >= limit {
			x.up.NotifyBelow(limit/2 + 1)
			return progress, verdictNone
		}
		if !x.upgraded && x.wantsTunnel() {
			return progress, verdictNone // what follows an upgrade waits for the answer
		}
		x.sendContinue()
		data, done, err := x.down.ReadBody()
		if err != nil {
			return progress, x.requestError(err)
		}
		progress = true
		if v := x.passRequest(data, done); v != verdictNone {
			return progress, v
		}
	}
	return progress, verdictNone
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
	if len(data) > 0 {
		x.record(data)
		x.up.WriteBody(data, done && trailers == nil)
	}
	if done {
		x.requestSent = true
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
		return verdictClientGone
	}
	x.listener.http.Inc(stats.HTTPDownstreamCxProtocolError)
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
func (x *exchange) pumpResponse() (progress bool, v verdict) {
	for !x.responseDone {
		if !x.headRead {
			again, v := x.readResponseHead()
			if !again {
				return progress, v
			}
			progress = true
			continue
		}
		if limit := int(x.listener.compiled.config.BufferLimit); x.down.Pending() >= limit {
			x.down.NotifyBelow(limit/2 + 1)
			return progress, verdictNone
		}
		data, done, err := x.up.ReadBody()
		if err != nil {
			return progress, x.responseError(err)
		}
		progress = true
		x.passResponse(data, done)
	}
	return progress, verdictNone
}

// passResponse passes response body bytes on to the client.
func (x *exchange) passResponse(data []byte, done bool) {
	came, trailers := len(data), x.up.Trailers()
	if !x.filters.Empty() && !x.upgraded {
		data, trailers = x.filterResponse(data, done, trailers)
	}
	if len(data) > 0 {
		x.bytesSent += int64(len(data))
		x.down.WriteBody(data, done && trailers == nil)
	}
	if done && !x.responseDone {
		x.responseDone = true
		if len(data) == 0 || trailers != nil {
			x.down.WriteEnd(trailers)
		}
	}
	x.active(came)
}

// filterResponse passes response body bytes, and trailers at their end, through the filters.
func (x *exchange) filterResponse(data []byte, done bool, trailers *message.Fields) ([]byte, *message.Fields) {
	data = x.filters.ResponseBody(data)
	if !done {
		return data, nil
	}
	last, trailers := x.filters.ResponseEnd(&x.response, trailers)
	if len(last) > 0 {
		data = append(data[:len(data):len(data)], last...)
	}
	if !x.responded {
		x.respond(x.mustClose()) // it was held
	}
	return data, trailers
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
	k := x.cluster.Stats()
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
