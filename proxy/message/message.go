// Package message holds HTTP messages as the proxy sees them between two codecs: ordered fields of byte slices with
// lower-case names, and the parts of a request or response that HTTP/2 spells as pseudo-header fields. It does no I/O.
//
// All byte slices are borrowed. They point into the read buffer of the connection the message came from, or into an
// arena of the exchange, and must not be used after the exchange ends.
package message

// Version is the protocol version a message came in with.
type Version uint8

// The versions.
const (
	HTTP11 Version = iota
	HTTP10
	HTTP2
)

// String returns the version as Envoy's %PROTOCOL% prints it.
func (v Version) String() string {
	switch v {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP2:
		return "HTTP/2"
	default:
		return "HTTP/1.1"
	}
}

// UnknownLength is the ContentLength of a message whose body has no declared length: it is chunked or delimited by the
// end of the stream.
const UnknownLength = -1

// Request is the head of a request.
//
// The Host field of HTTP/1 is not in Fields but in Authority, as in HTTP/2. Connection, Keep-Alive, Proxy-Connection,
// Transfer-Encoding and Upgrade describe a connection, not the message: a codec takes them out of Fields when it
// reads and writes its own. Content-Length stays in Fields for whoever matches on it; the codec that writes the message
// goes by ContentLength alone.
type Request struct {
	Method    []byte
	Scheme    []byte // "http" or "https"; from an absolute-form target or the listener's transport
	Authority []byte // host[:port]; from an absolute-form target before Host (RFC 9112 section 3.2.2)
	Path      []byte // path and query, "*" for OPTIONS *, empty for CONNECT
	Upgrade   []byte // protocol asked for with Upgrade and Connection: upgrade, nil when none
	Version   Version

	// ContentLength is the declared length of the body in bytes, UnknownLength when none is declared and a body follows.
	ContentLength int64
	// EndStream says that no body and no trailers follow the head.
	EndStream bool

	// ExpectContinue says that the client waits for 100 (Continue) before it sends the body (RFC 9110 section 10.1.1).
	ExpectContinue bool
	// Close says that the client wants the connection closed after the response.
	Close bool

	Fields Fields
}

// Reset empties r for another use. Fields that are empty already are left alone.
func (r *Request) Reset() {
	if r.Fields.Len() > 0 {
		r.Fields.Reset()
	}
	r.Method, r.Scheme, r.Authority, r.Path, r.Upgrade = nil, nil, nil, nil, nil
	r.Version, r.ContentLength = HTTP11, 0
	r.EndStream, r.ExpectContinue, r.Close = false, false, false
}

// Response is the head of a response.
type Response struct {
	Status int // 100 to 599

	// Upgrade is the protocol switched to by a 101, nil otherwise.
	Upgrade []byte
	Version Version

	// ContentLength is the declared length of the body in bytes (what it would be, where a response to HEAD or a 304
	// declares it), UnknownLength when none is declared.
	ContentLength int64
	// EndStream says that no body and no trailers follow the head.
	EndStream bool
	// Close says that the peer closes the connection after this response.
	Close bool

	Fields Fields
}

// Reset empties r for another use, with no length declared. Fields that are empty already are left alone.
func (r *Response) Reset() {
	if r.Fields.Len() > 0 {
		r.Fields.Reset()
	}
	r.Status, r.Upgrade, r.Version, r.ContentLength = 0, nil, HTTP11, UnknownLength
	r.EndStream, r.Close = false, false
}
