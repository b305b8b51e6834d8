package proxy

import "github.com/penguintechinc/marchproxy-alb/proxy/upstream"

// verdict is why an exchange ends other than by a response that was passed on. This is the only place where reasons become
// answers: the table below says for each what a client is told.
type verdict uint8

const (
	verdictNone verdict = iota

	// Before a route is known.
	verdictCodecError       // the refusal says more
	verdictMalformedRequest // the codec has reset the stream, maybe in the body
	verdictNotAbsolutePath
	verdictPathNormalizationFailed
	verdictUpgradeForbidden
	verdictNoRoute
	verdictNoCluster
	verdictTLSRequired
	verdictMisdirected  // RFC 9110 section 15.5.20
	verdictNoOriginalIP // the refusal has the status

	// Answers the configuration asks for.
	verdictDirectResponse
	verdictRedirect
	verdictNormalizedPathRedirect
	verdictRateLimited
	verdictDropOverload
	verdictFilterReply // which says more

	// In the body of the request.
	verdictInvalidBase64 // of gRPC-Web

	// Upstream, before its response began.
	verdictNoHealthyUpstream
	verdictOverflow
	verdictLocalConnectionFailure
	verdictRemoteConnectionFailure
	verdictConnectionTimeout
	verdictConnectionTermination
	verdictUpstreamMaxDuration
	verdictRemoteReset
	verdictRefusedStream
	verdictConnectError
	verdictUpstreamProtocolError
	verdictResponseTimeout
	verdictPerTryTimeout
	verdictPerTryIdleTimeout

	// Downstream.
	verdictClientGone  // with its connection
	verdictClientReset // the stream
	verdictStreamIdleTimeout
	verdictRequestTimeout
	verdictHeaderTimeout
	verdictMaxStreamDuration
	verdictDraining

	verdictCount
)

// answer is what a verdict tells the client and the access log.
type answer struct {
	status  int
	body    string
	flags   Flags
	details string
	// reset is the upstream reset reason, which body and details are made of when it is not empty.
	reset string
	// close ends the connection after the answer.
	close bool
	// grpc is the gRPC status where it does not follow from the HTTP status.
	grpc int64
}

// answers is the table of verdicts (Envoy's router and connection manager). It is never written.
var answers = [verdictCount]answer{
	verdictNone:                    {},
	verdictCodecError:              {status: 400, flags: FlagDownstreamProtocolError, details: "http1.codec_error", close: true},
	verdictMalformedRequest:        {flags: FlagDownstreamProtocolError, details: "http2.violation.of.messaging.rule", close: true},
	verdictNotAbsolutePath:         {status: 404, flags: 0, details: "absolute_path_rejected"},
	verdictPathNormalizationFailed: {status: 400, details: "path_normalization_failed"},
	verdictUpgradeForbidden:        {status: 403, details: "upgrade_failed", close: true},
	verdictNoRoute:                 {status: 404, flags: FlagNoRouteFound, details: "route_not_found"},
	verdictNoCluster:               {status: 503, flags: FlagNoClusterFound, details: "cluster_not_found"},
	verdictTLSRequired:             {status: 301, details: "direct_response"},
	verdictMisdirected:             {status: 421, body: "the host is not the server name of the TLS connection", details: "host_is_not_server_name"},
	verdictNoOriginalIP:            {status: 403, details: "rejecting_because_detection_failed"},

	verdictDirectResponse:         {details: "direct_response"},
	verdictRedirect:               {details: "direct_response"},
	verdictNormalizedPathRedirect: {status: 307, details: "path_normalization_redirect"},
	verdictRateLimited:            {status: 429, body: "local_rate_limited", flags: FlagRateLimited, details: "local_rate_limited"},
	verdictDropOverload:           {status: 503, body: "drop overload", flags: FlagDropOverload, details: "drop_overload"},

	verdictFilterReply: {status: 500, details: "filter_reply"},

	verdictInvalidBase64: {status: 400, body: "Bad gRPC-web request, invalid base64 data.", details: "grpc_base_64_decode_failed"},

	verdictNoHealthyUpstream:       {status: 503, body: "no healthy upstream", flags: FlagNoHealthyUpstream, details: "no_healthy_upstream"},
	verdictOverflow:                {status: 503, flags: FlagUpstreamOverflow, reset: "overflow"},
	verdictLocalConnectionFailure:  {status: 503, flags: FlagUpstreamConnectionFailure, reset: "local connection failure"},
	verdictRemoteConnectionFailure: {status: 503, flags: FlagUpstreamConnectionFailure, reset: "remote connection failure"},
	verdictConnectionTimeout:       {status: 503, flags: FlagUpstreamConnectionFailure, reset: "connection timeout"},
	verdictConnectionTermination:   {status: 503, flags: FlagUpstreamConnectionTermination, reset: "connection termination"},
	verdictRemoteReset:             {status: 503, flags: FlagUpstreamRemoteReset, reset: "remote reset"},
	verdictRefusedStream:           {status: 503, flags: FlagUpstreamRemoteReset, reset: "remote refused stream reset"},
	verdictConnectError:            {status: 503, flags: FlagUpstreamRemoteReset, reset: "remote error with CONNECT request"},
	verdictUpstreamProtocolError:   {status: 502, flags: FlagUpstreamProtocolError, reset: "protocol error"},
	verdictUpstreamMaxDuration: {status: 504, body: "upstream max stream duration reached", flags: FlagUpstreamMaxStreamDuration,
		details: "upstream_max_stream_duration_reached"},
	verdictResponseTimeout:   {status: 504, body: "upstream request timeout", flags: FlagUpstreamRequestTimeout, details: "response_timeout"},
	verdictPerTryTimeout:     {status: 504, body: "upstream request timeout", flags: FlagUpstreamRequestTimeout, details: "upstream_per_try_timeout"},
	verdictPerTryIdleTimeout: {status: 504, body: "upstream request timeout", flags: FlagStreamIdleTimeout, details: "upstream_per_try_idle_timeout"},

	verdictClientGone:        {flags: FlagDownstreamConnectionTermination, details: "downstream_remote_disconnect", close: true},
	verdictClientReset:       {flags: FlagDownstreamRemoteReset, details: "http2.remote_reset", close: true},
	verdictStreamIdleTimeout: {status: 504, body: "stream timeout", flags: FlagStreamIdleTimeout, details: "stream_idle_timeout"},
	verdictRequestTimeout:    {status: 408, body: "request timeout", details: "request_overall_timeout", close: true},
	verdictHeaderTimeout:     {status: 408, body: "request header timeout", details: "request_header_timeout", close: true},
	verdictMaxStreamDuration: {status: 504, body: "downstream duration timeout", flags: FlagDurationTimeout, details: "max_duration_timeout", grpc: grpcDeadlineExceeded},
	verdictDraining:          {status: 503, details: "local_drain", close: true},
}

// What a client is told before the reset reason, and after a retry.
const (
	resetBody   = "upstream connect error or disconnect/reset before headers. reset reason: "
	retriedBody = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
)

// detailsBefore returns the response code details of an exchange that ended with v before its response began.
func (v verdict) detailsBefore() string {
	a := &answers[v]
	if a.reset == "" {
		return a.details
	}
	return resetDetails[v].before
}

// detailsAfter returns the details of an exchange that ended with v after the response head had been sent.
func (v verdict) detailsAfter() string {
	if answers[v].reset == "" {
		return answers[v].details
	}
	return resetDetails[v].after
}

// resetTexts are the texts made of a reset reason, made once so that a request makes none.
type resetTexts struct{ body, retried, before, after string }

// resetDetails is derived from answers and never written.
var resetDetails = makeResetDetails()

func makeResetDetails() (texts [verdictCount]resetTexts) {
	for v := range answers {
		reason := answers[v].reset
		if reason == "" {
			continue
		}
		word := underscored(reason)
		texts[v] = resetTexts{
			body:    resetBody + reason,
			retried: retriedBody + reason,
			before:  "upstream_reset_before_response_started{" + word + "}",
			after:   "upstream_reset_after_response_started{" + word + "}",
		}
	}
	return texts
}

func underscored(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == ' ' {
			b[i] = '_'
		}
	}
	return string(b)
}

// unanswerable reports whether nobody is left to answer because of the client: it has gone, or has made a mistake that costs
// the stream.
func (v verdict) unanswerable() bool {
	return v == verdictClientGone || v == verdictClientReset || v == verdictMalformedRequest
}

// body returns the body of the answer to v.
func (v verdict) body(retried bool) string {
	switch {
	case answers[v].reset == "":
		return answers[v].body
	case retried:
		return resetDetails[v].retried
	default:
		return resetDetails[v].body
	}
}

// upstream reports whether v is about an attempt to get a response from a host.
func (v verdict) upstream() bool {
	return v >= verdictNoHealthyUpstream && v <= verdictPerTryIdleTimeout
}

// inPlaceOfHost reports whether the answer counts as one of the cluster (Envoy's chargeUpstreamCode). One to a stream that has lasted as
// long as it may does not.
func (v verdict) inPlaceOfHost() bool {
	return v.upstream() && v != verdictUpstreamMaxDuration || v == verdictDropOverload
}

// timedOut reports whether the host was too slow.
func (v verdict) timedOut() bool {
	return v == verdictResponseTimeout || v == verdictPerTryTimeout || v == verdictPerTryIdleTimeout
}

// outcome returns what v says of the host. That a stream has lasted as long as it may is no fault of it.
func (v verdict) outcome() upstream.Outcome {
	switch {
	case v.unanswerable(), v == verdictUpstreamMaxDuration:
		return upstream.Cancelled
	case v.timedOut():
		return upstream.TimedOut
	default:
		return upstream.ServerError
	}
}
