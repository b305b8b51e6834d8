package message

// trailersForbidden are the well-known names that frame, route, authenticate or describe the message, or say who its
// client is, and so mean something else or nothing after the body (RFC 9110 section 6.5.1). It is never written.
var trailersForbidden = NewNameSet(
	NameAuthorization, NameConnection, NameContentLength, NameContentType,
	NameCookie, NameExpect, NameHTTP2Settings, NameHost, NameKeepAlive,
	NameProxyConnection, NameTE, NameTrailer, NameTransferEncoding, NameUpgrade,
	NameXForwardedClientCert, NameXForwardedFor, NameXForwardedHost,
	NameXForwardedPort, NameXForwardedProto)

// ForbiddenTrailer reports whether a field of this lower-case name is dropped from trailers.
func ForbiddenTrailer(name []byte) bool {
	if id := LookupName(name); id != NameOther {
		return trailersForbidden.Contains(id)
	}
	switch string(name) {
	case "cache-control", "content-encoding", "content-range", "max-forwards", "proxy-authenticate",
		"proxy-authorization", "range", "set-cookie", "www-authenticate":
		return true
	}
	return false
}
