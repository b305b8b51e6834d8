package http1

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// Framing is how the end of a message body is found (RFC 9112 section 6).
type Framing uint8

// The framings.
const (
	FramingNone    Framing = iota // no body
	FramingLength                 // as many bytes as Content-Length says
	FramingChunked                // Transfer-Encoding: chunked
	FramingClose                  // until the peer closes the connection; responses only
)

// String returns the name of the framing.
func (f Framing) String() string {
	switch f {
	case FramingNone:
		return "none"
	case FramingLength:
		return "length"
	case FramingChunked:
		return "chunked"
	default:
		return "close"
	}
}

// RequestFraming returns the framing to write req with. A request without a body is given the length 0 where a body could
// be expected, as Envoy does: for methods other than GET, HEAD, DELETE, TRACE and CONNECT, for one that declared it, and
// for an upgrade.
func RequestFraming(req *message.Request) Framing {
	switch {
	case string(req.Method) == "CONNECT":
		return FramingNone
	case len(req.Upgrade) > 0 || req.ContentLength > 0:
		return FramingLength
	case !req.EndStream && req.ContentLength < 0:
		return FramingChunked
	case req.Fields.Has(message.NameContentLength):
		return FramingLength
	}
	switch string(req.Method) {
	case "GET", "HEAD", "DELETE", "TRACE":
		return FramingNone
	}
	return FramingLength
}

// ResponseFraming returns the framing to write resp with to a client that speaks downstream and whose request was HEAD or
// not. A successful answer to CONNECT has no body either: its framing is FramingNone, which the caller knows without
// asking.
func ResponseFraming(resp *message.Response, headRequest bool, downstream message.Version) Framing {
	switch {
	case headRequest || statusWithoutBody(resp.Status):
		return FramingNone
	case resp.ContentLength >= 0 || resp.EndStream:
		return FramingLength
	case downstream == message.HTTP10:
		return FramingClose
	default:
		return FramingChunked
	}
}

// statusWithoutBody reports whether a response of this status never has a body (RFC 9112 section 6.3).
func statusWithoutBody(status int) bool { return status < 200 || status == 204 || status == 304 }
