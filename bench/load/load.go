// Package load makes load for the lab, in HTTP/1.1 and in HTTP/2, under TLS or not, on event loops of the proxy's own kind, so
// that it is cheaper than what it measures. Requests come at a given rate, whether those before them were answered or not, or as
// fast as they are answered. Responses are read strictly enough that a proxy which answers wrongly cannot look fast.
//
// At a given rate the latency of a request counts from when it was due. If it has to wait for an answer that is late, because all
// connections are taken, that is the server's doing as much as the late answer is; to leave it out is what Gil Tene calls
// coordinated omission.
//
// The package also holds what costs a proxy memory, in either version of HTTP: many idle connections, and streams whose client
// reads nothing.
package load

import (
	"errors"
	"fmt"
	"time"
)

const (
	// maxConnections bounds Config.Connections; each costs a descriptor on both sides.
	maxConnections = 100_000
	// maxRate bounds Config.Rate, far above what one machine can serve.
	maxRate = 100_000_000
	// maxPipeline bounds Config.Pipeline: more than any client that pipelines.
	maxPipeline = 1000
	// maxMessages bounds Config.Messages.
	maxMessages = 1_000_000
	// maxThreads bounds Config.Threads.
	maxThreads = 256
	// Timeout bounds one exchange, connecting included. A proxy that
	// needs longer under this load is broken, and the round counts a timeout.
	Timeout = 10 * time.Second
	// errorPause keeps a connection that fails from spinning.
	errorPause = 10 * time.Millisecond
)

// Config says what load to make.
type Config struct {
	// Address of the server, host:port.
	Address string
	// Path is the request target.
	Path string
	// Headers are sent after Host, each as "name: value".
	Headers []string
	// BodyFile names a file that is the body of each request, which is then a POST.
	BodyFile string
	// TLS makes it TLS. Certificates of servers are not looked at.
	TLS bool
	// Resume has each connection resume the session of the one before it, with TLS and NewConnections.
	Resume bool
	// HTTP2 makes it HTTP/2, in cleartext with prior knowledge, or under TLS by ALPN, which Run alone knows.
	HTTP2 bool
	// GRPC has each answer end with the trailer grpc-status: 0, with HTTP2; without it a request has failed.
	GRPC bool
	// Messages is how many messages a call carries, one after another, each sent when the one before it has come back; BodyFile is
	// such a message with its prefix, and what is counted as a request, with GRPC; 0 is a call for each.
	Messages int
	// WebSocket has each connection of HTTP/1.1 be upgraded and carry frames after that, one after another, each sent when the one
	// before it has come back. BodyFile is what is in a frame, and a frame is what is counted as a request.
	WebSocket bool
	// Connections is the number of connections, each with one request in flight, or
	// of HTTP/2 with Streams.
	Connections, Streams int
	// Pipeline is how many requests of HTTP/1.1 are in flight on each connection; 0 is 1.
	Pipeline int
	// Rate is how many requests are due per second, on all connections together; 0 for as many as are answered.
	Rate float64
	// Paths are requested in turn, in place of Path.
	Paths []string
	// Slow is how many of the connections read no more than slowBytes of HTTP/1.1 in slowEvery. Their requests count, but not
	// their latencies.
	Slow int
	// Limited has answers of status 429 be no errors: they are counted in Result.Limited.
	Limited bool
	// Threads is how many event loops share the connections; 0 is 1.
	Threads int
	// Duration is how long new requests are started.
	Duration time.Duration
	// Requests is how many are made, in place of Duration; 0 for no such number.
	Requests uint64
	// NewConnections opens a connection per request and asks the server to close it.
	NewConnections bool
}

// Errors counts what went wrong, by step. Every error is one lost request.
type Errors struct {
	Connect uint64 `json:"connect"`
	Read    uint64 `json:"read"` // malformed and short responses included
	Write   uint64 `json:"write"`
	Timeout uint64 `json:"timeout"`
	Status  uint64 `json:"status"` // any status that is not 2xx
}

// Total returns the sum.
func (e Errors) Total() uint64 { return e.Connect + e.Read + e.Write + e.Timeout + e.Status }

// Add returns the sums by step.
func (e Errors) Add(o Errors) Errors {
	return Errors{e.Connect + o.Connect, e.Read + o.Read, e.Write + o.Write, e.Timeout + o.Timeout, e.Status + o.Status}
}

// Result is what a run of load saw. It is printed as JSON by the load processes.
// Latencies that a generator does not tell are 0: Min and SD of this package's, the quantiles of h2load's.
type Result struct {
	Requests uint64        `json:"requests"` // responses read in full, whatever their status
	Bytes    uint64        `json:"bytes"`    // of those responses; wrk's include header sections
	Elapsed  time.Duration `json:"elapsed_ns"`
	Min      time.Duration `json:"min_ns"`
	Mean     time.Duration `json:"mean_ns"`
	SD       time.Duration `json:"sd_ns"`
	P50      time.Duration `json:"p50_ns"`
	P90      time.Duration `json:"p90_ns"`
	P99      time.Duration `json:"p99_ns"`
	P999     time.Duration `json:"p999_ns"`
	Max      time.Duration `json:"max_ns"`
	Errors   Errors        `json:"errors"`
	// Resumed is how many of Requests came over a session of TLS that was resumed, as far as the generator knows.
	Resumed uint64 `json:"resumed,omitempty"`
	// Sent is the bytes of the bodies of those requests, as far as the generator knows.
	Sent uint64 `json:"sent_bytes,omitempty"`
	// Limited is how many of Requests were refused with status 429, where that was to be expected.
	Limited uint64 `json:"limited,omitempty"`
	// Unsent is how many requests were due and had not been sent at the end, because all connections were waiting: the server
	// does not keep up with the rate, and the latencies say nothing.
	Unsent uint64 `json:"unsent,omitempty"`
}

// Add returns what both come to, but for latencies.
func (r Result) Add(o Result) Result {
	return Result{
		Requests: r.Requests + o.Requests, Bytes: r.Bytes + o.Bytes, Sent: r.Sent + o.Sent, Elapsed: r.Elapsed + o.Elapsed,
		Resumed: r.Resumed + o.Resumed, Limited: r.Limited + o.Limited, Unsent: r.Unsent + o.Unsent, Errors: r.Errors.Add(o.Errors),
	}
}

// RequestsPerSecond returns the mean rate; 0 for an empty run.
func (r Result) RequestsPerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Elapsed.Seconds()
}

// AdmittedPerSecond is RequestsPerSecond of those that were not Limited.
func (r Result) AdmittedPerSecond() float64 {
	r.Requests -= min(r.Limited, r.Requests)
	return r.RequestsPerSecond()
}

// URL returns what is asked for.
func (c Config) URL() string {
	if c.TLS {
		return "https://" + c.Address + c.Path
	}
	return "http://" + c.Address + c.Path
}

// check is about what Run, Hold and Stall have in common.
func (c Config) check() error {
	switch {
	case c.Connections < 1 || c.Connections > maxConnections:
		return fmt.Errorf("connections: %d is not in [1, %d]", c.Connections, maxConnections)
	case len(c.Path) == 0 || c.Path[0] != '/':
		return fmt.Errorf("path: %q does not begin with /", c.Path)
	case c.Resume && !(c.TLS && c.NewConnections):
		return errors.New("resumption: want TLS and new connections with it")
	}
	return nil
}
