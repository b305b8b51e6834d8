package peer

import "strconv"

// Protocol is a version of HTTP.
type Protocol string

const (
	// HTTP1 is HTTP/1.1.
	HTTP1 Protocol = "HTTP/1.1"
	// HTTP2 is HTTP/2, in cleartext with prior knowledge (RFC 9113 section 3.3).
	HTTP2 Protocol = "HTTP/2"
)

// Traffic is what a proxy is to carry.
type Traffic struct {
	Downstream Protocol `json:"downstream"`
	Upstream   Protocol `json:"upstream"`
	// TLS says that clients speak TLS, the origin does not.
	TLS bool `json:"tls,omitempty"`
	// GRPC says that requests are gRPC calls: answers end with trailers.
	GRPC bool `json:"grpc,omitempty"`
	// Messages says that gRPC calls have message after message both ways, of which the origin sends back each.
	Messages bool `json:"messages,omitempty"`
	// WebSocket says that connections of clients are upgraded, and then carry frames, of which the origin sends back each.
	WebSocket bool `json:"websocket,omitempty"`
	// TCP says that the proxy passes on bytes and knows nothing of what they are. To clients and the origin it is as WebSocket.
	TCP bool `json:"tcp,omitempty"`
	// RateLimit is how many requests per second the proxy lets pass; it answers the others itself, with status 429. 0 is no limit.
	RateLimit int `json:"rate_limit,omitempty"`
	// AddHeaders has the proxy add RequestHeader to each request and ResponseHeader
	// to each response, both with the value HeaderValue.
	AddHeaders bool `json:"add_headers,omitempty"`
	// Bulk says that there are few requests with large answers, for which buffers may
	// be large.
	Bulk bool `json:"bulk,omitempty"`
	// Uploads says that requests have large bodies.
	Uploads bool `json:"uploads,omitempty"`
	// Stalls says that there are clients which do not read what they asked for.
	Stalls bool `json:"stalls,omitempty"`
	// ControlPlane says that listeners, routes and clusters come over xDS.
	ControlPlane bool `json:"control_plane,omitempty"`
	// ModuleService says that it is called.
	ModuleService bool `json:"module_service,omitempty"`
	// Routes is how many routes there are, each with a prefix of its own, RoutePath; 0 is one route of all paths.
	Routes int `json:"routes,omitempty"`
	// Clusters is how many clusters the routes go to by turns, all of the same origin; 0 is one.
	Clusters int `json:"clusters,omitempty"`
	// Buffers bound what the proxy keeps of a stream; nil leaves it to its own
	// settings.
	Buffers *Buffers `json:"buffers,omitempty"`
}

// RateBurst is how many requests a proxy may let pass at once that has been idle: those of a tenth of a second.
func (t Traffic) RateBurst() int { return max(1, t.RateLimit/rateBursts) }

// rateBursts is how many bursts are in a second.
const rateBursts = 10

// Echoes says that the origin sends back what it gets as it comes.
func (t Traffic) Echoes() bool { return t.Messages || t.WebSocket || t.TCP }

// lacksControlPlane is what a proxy without xDS lacks.
const lacksControlPlane = "has no xDS"

// managed says what a proxy lacks that is no module of MarchProxy, "" where that takes nothing.
func (t Traffic) managed() string {
	switch {
	case t.ControlPlane:
		return lacksControlPlane
	case t.ModuleService:
		return "has no ModuleService"
	}
	return ""
}

// RoutePath returns a path that route i of Traffic.Routes is for, and no other. The origin answers it as it does rest, which
// begins with a slash.
func RoutePath(i int, rest string) string { return "/r" + strconv.Itoa(i) + rest }

// Headers that Traffic.AddHeaders asks for.
const (
	RequestHeader  = "x-bench-request"
	ResponseHeader = "x-bench-response"
	HeaderValue    = "added"
)

// MaxStreams is how many concurrent streams each proxy allows per connection, and
// each HTTP/2 origin.
const MaxStreams = 1000

// Buffers are limits in bytes. A proxy has those that it knows.
type Buffers struct {
	// Data is the most that is buffered for one stream, frames not counted.
	Data int `json:"data"`
	// StreamWindow and ConnectionWindow are the flow control windows that the proxy
	// grants its peers on either side.
	StreamWindow     int `json:"stream_window"`
	ConnectionWindow int `json:"connection_window"`
}
