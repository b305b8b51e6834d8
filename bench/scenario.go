package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/internal/bulk"
)

// Measure is what a scenario measures.
type Measure string

const (
	// Throughput drives the proxy as hard as the load allows and measures requests
	// per second, CPU time per request and latency.
	Throughput Measure = "throughput"
	// Transfer drives the proxy with large answers and measures bits per second and CPU time.
	Transfer Measure = "transfer"
	// Download moves one large answer and measures bits per second, CPU time and what
	// it adds to the memory.
	Download Measure = "download"
	// Idle holds connections open and measures the memory each costs.
	Idle Measure = "idle"
	// Stalled holds streams whose client reads nothing and measures the memory each
	// costs.
	Stalled Measure = "stalled"
	// Updated has a control plane push a large configuration to a proxy with a little
	// traffic, then one change of it, and measures time, memory and latency.
	Updated Measure = "update"
	// Churned has a control plane push changes, one after another, to a proxy that serves at a rate, and measures the latency with
	// and without.
	Churned Measure = "churn"
	// Called calls the proxy's ModuleService while the proxy serves at a rate, and while it does not, and measures calls per second
	// and the latency of both.
	Called Measure = "calls"
)

// Scenario is a workload, the same for every proxy.
type Scenario struct {
	Name    string       `json:"name"`
	About   string       `json:"about"`
	Measure Measure      `json:"measure"`
	Traffic peer.Traffic `json:"traffic"`
	// OrHTTP1 has a proxy without HTTP/2 upstreams take part with HTTP/1.1 to the
	// origin. The report says so.
	OrHTTP1 bool `json:"or_http1,omitempty"`

	// Connections the load keeps open.
	Connections int `json:"connections"`
	// Streams per connection, each with a request in flight; 0 for HTTP/1.1.
	Streams int `json:"streams,omitempty"`
	// Workers of the proxy, which has as many CPUs; 0 is 1.
	Workers int `json:"workers,omitempty"`
	// Path is requested from the origin: see packages origin and nghttpd.
	Path string `json:"path"`
	// Body is the size of each answer in bytes.
	Body int `json:"body"`
	// Headers are added to each request, each as "name: value".
	Headers []string `json:"headers,omitempty"`
	// Message is the size of each request's body, of a gRPC call with its prefix; 0 is a GET.
	Message int `json:"message,omitempty"`
	// Messages is how many messages a call carries in traffic of messages, each of them counted as a request.
	Messages int `json:"messages,omitempty"`
	// Push is what is pushed in scenarios of updates.
	Push bulk.Size `json:"push,omitzero"`
	// NewConnections opens a connection per request.
	NewConnections bool `json:"new_connections,omitempty"`
	// Resume has each of them but the first resume a session of TLS.
	Resume bool `json:"resume,omitempty"`
	// Also are requested by turns with Path; Body is the size of the answer of Path only.
	Also []string `json:"also,omitempty"`
	// Slow is how many of the connections read slowly: see load.Config.
	Slow int `json:"slow,omitempty"`
	// Pipeline is how many requests are in flight on each connection of HTTP/1.1; 0 is 1.
	Pipeline int `json:"pipeline,omitempty"`
	// Rate is how many requests are due per second, whether those before them were answered or not; 0 for as many as are answered.
	Rate float64 `json:"rate,omitempty"`

	// Growth says what it is a point of, nil of nothing.
	Growth *Growth `json:"growth,omitempty"`

	// with is the generator where it is not the usual one.
	with Generator
}

// smallPath is what every origin of documents answers with smallBody bytes.
const (
	smallPath = "/16"
	smallBody = 16
)

// memoryRounds are enough for scenarios of memory, of updates and of what is beside requests: it differs by a few percent
// from round to round, where CPU time can differ by tens.
const memoryRounds = 2

// rounds is how many of the rounds asked for the scenario takes. To tell two builds apart takes all of them.
func (o Options) rounds(s Scenario) int {
	if (s.Measure == Idle || s.Measure == Stalled || s.Measure == Updated || s.beside()) && !o.baseline() {
		return min(o.Rounds, memoryRounds)
	}
	return o.Rounds
}

func (s Scenario) http2() bool       { return s.Traffic.Downstream == peer.HTTP2 }
func (s Scenario) http2Origin() bool { return s.Traffic.Upstream == peer.HTTP2 }

// needsNghttpd says that it is the origin.
func (s Scenario) needsNghttpd() bool { return s.http2Origin() && !s.Traffic.Echoes() }

// handshakes says that the scenario is about how connections under TLS begin.
func (s Scenario) handshakes() bool { return s.Traffic.TLS && s.NewConnections }

// beside says that it is about what the proxy does beside its requests.
func (s Scenario) beside() bool { return s.Measure == Churned || s.Measure == Called }

// driven says that the proxy is driven as hard as the load allows.
func (s Scenario) driven() bool { return s.Measure == Throughput || s.Measure == Transfer }

// held is the number of things that a scenario of memory holds, and what they are.
func (s Scenario) held() (n int, unit string) {
	if s.Measure == Stalled {
		return s.Connections * s.Streams, "stream"
	}
	return s.Connections, "connection"
}

// inFlight is the most requests at a time, those of the warm-up included.
func (s Scenario) inFlight() int {
	warm := s
	if !s.driven() {
		warm = s.small()
	}
	n := warm.Connections * max(1, warm.Streams)
	if s.Measure == Stalled {
		n = max(n, s.Connections*s.Streams)
	}
	return n
}

// load is what the generator is asked for, but how much.
func (s Scenario) load(address string) load.Config {
	var paths []string
	if len(s.Also) > 0 {
		paths = append([]string{s.Path}, s.Also...)
	}
	return load.Config{
		Paths: paths, Slow: s.Slow,
		Address: address, Path: s.Path, Headers: s.Headers, HTTP2: s.http2(),
		Connections: s.Connections, Streams: s.Streams, NewConnections: s.NewConnections,
		Messages: s.Messages, WebSocket: s.Traffic.WebSocket || s.Traffic.TCP,
		TLS: s.Traffic.TLS, Resume: s.Resume, GRPC: s.Traffic.GRPC, Pipeline: s.Pipeline, Rate: s.Rate,
		Limited: s.Traffic.RateLimit > 0,
	}
}

// small is the scenario as one of throughput with small answers, which warms up a proxy
// whose memory is then measured.
func (s Scenario) small() Scenario {
	s.Path, s.Body, s.Connections, s.Also, s.Slow = smallPath, smallBody, loadConnections, nil, 0
	if s.http2() {
		s.Connections, s.Streams = http2Connections, http2Streams
	}
	return s
}

// probed is the path that the proxy is asked for before it is measured, and the size of
// the answer. A large one would be half the measurement.
func (s Scenario) probed() (path string, body int) {
	if s.Measure == Download || s.Body > load.MaxProbeBody {
		return smallPath, smallBody
	}
	return s.Path, s.Body
}

// question is the request that a proxy is asked before it is measured.
func (s Scenario) question(address string) load.Question {
	path, _ := s.probed()
	q := load.Question{Address: address, Path: path, TLS: s.Traffic.TLS, HTTP2: s.http2(), Headers: s.Headers}
	if s.Message > 0 {
		q.Body = s.message()
	}
	return q
}

// message returns the body of a request.
func (s Scenario) message() []byte {
	if s.Traffic.GRPC {
		return message(s.Message)
	}
	return bytes.Repeat([]byte{'x'}, s.Message)
}

// moved is how many bytes of bodies a request and its answer have.
func (s Scenario) moved() int { return s.Message + s.Body }

// messagePrefix is the length of what comes before a gRPC message: that it is not compressed, and its length (gRPC over HTTP/2,
// "Length-Prefixed-Message").
const messagePrefix = 5

// message returns a gRPC message of size bytes with its prefix.
func message(size int) []byte { return prefixed(bytes.Repeat([]byte{'x'}, size-messagePrefix)) }

// prefixed returns the message with its prefix.
func prefixed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// of returns the scenario as the proxy takes part in it, and a note where that is not as
// it says; false when it takes no part.
func (s Scenario) of(p Proxy) (own Scenario, note string, ok bool) {
	kind := p.Kind
	lacks := kind.Lacks(s.Traffic)
	if lacks == "" {
		_, lacks = kind.Module(p.Path, s.Traffic)
	}
	if lacks == "" {
		return s, "", true
	}
	own = s
	own.Traffic.Upstream = peer.HTTP1
	if s.OrHTTP1 && kind.Lacks(own.Traffic) == "" {
		return own, fmt.Sprintf("%s %s: %s to the origin", kind.Name, lacks, peer.HTTP1), true
	}
	return s, fmt.Sprintf("%s %s: left out", kind.Name, lacks), false
}
