// Package load makes HTTP/1.1 load for the lab: a closed loop of keep-alive
// connections, each sending its next request when the last was answered. Requests
// are bytes made once; responses are read strictly enough that a proxy which answers
// wrongly cannot look fast. It also holds what costs a proxy memory, in either
// version of HTTP: many idle connections, and streams whose client reads nothing.
package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/hist"
)

const (
	// maxConnections bounds Config.Connections; each costs two goroutines' worth
	// of memory here and a descriptor on both sides.
	maxConnections = 100_000
	// Timeout bounds one exchange, connecting included. A proxy that
	// needs longer under this load is broken, and the round counts a timeout.
	Timeout = 10 * time.Second
	// errorPause keeps a connection that fails from spinning.
	errorPause = 10 * time.Millisecond
)

// Config says what load to make. Run makes HTTP/1.1 only and for a duration only;
// what it refuses is for other generators.
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
	// HTTP2 makes it HTTP/2, in cleartext with prior knowledge.
	HTTP2 bool
	// Connections is the number of connections, each with one request in flight, or
	// of HTTP/2 with Streams.
	Connections, Streams int
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
// Latencies that a generator does not tell are 0: Min, Mean and SD of this package's,
// the quantiles of h2load's.
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
}

// RequestsPerSecond returns the mean rate; 0 for an empty run.
func (r Result) RequestsPerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Elapsed.Seconds()
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
	case c.TLS && c.HTTP2:
		return errors.New("HTTP/2 under TLS: package load speaks it in cleartext only")
	case c.Resume && !(c.TLS && c.NewConnections):
		return errors.New("resumption: want TLS and new connections with it")
	}
	return nil
}

func (c Config) checkRun() error {
	switch {
	case c.HTTP2 || c.Streams != 0 || c.BodyFile != "" || c.Requests != 0:
		return errors.New("HTTP/2, streams, a body or a number of requests: package load makes no such load")
	case c.Duration <= 0:
		return fmt.Errorf("duration: %v is not positive", c.Duration)
	}
	return c.check()
}

// run is the state that the connections of one Run share.
type run struct {
	config   Config
	request  []byte
	requests atomic.Uint64
	resumed  atomic.Uint64
	bytes    atomic.Uint64
	latency  hist.Histogram

	connectErrors, readErrors, writeErrors, timeouts, statusErrors atomic.Uint64
}

// Run makes load until the duration has passed or ctx ends, and lets requests in
// flight finish. Failed requests are counted in the result; the error is only
// about config.
func Run(ctx context.Context, config Config) (Result, error) {
	if err := config.checkRun(); err != nil {
		return Result{}, err
	}
	r := &run{config: config, request: appendRequest(nil, config)}
	ctx, cancel := context.WithTimeout(ctx, config.Duration)
	defer cancel()
	start := time.Now()
	var group sync.WaitGroup
	for i := range config.Connections {
		group.Go(func() { r.connection(ctx, i) })
	}
	group.Wait()
	return r.result(time.Since(start)), nil
}

// connection makes requests one after another until ctx ends.
func (r *run) connection(ctx context.Context, i int) {
	c := newConn(r.config, i)
	defer c.close()
	for ctx.Err() == nil {
		start := time.Now()
		response, err := c.exchange(r.request, start.Add(Timeout))
		if err != nil {
			r.countError(err)
			c.close()
			pause(ctx, errorPause)
			continue
		}
		r.latency.Record(time.Since(start))
		r.requests.Add(1)
		r.bytes.Add(uint64(response.size))
		if c.resumed {
			r.resumed.Add(1)
		}
		if response.status/100 != 2 {
			r.statusErrors.Add(1)
		}
		if r.config.NewConnections || response.close {
			c.close()
		}
	}
}

func (r *run) countError(err error) {
	var timeout net.Error
	var step *stepError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		r.timeouts.Add(1)
	case errors.As(err, &step) && step.step == stepConnect:
		r.connectErrors.Add(1)
	case errors.As(err, &step) && step.step == stepWrite:
		r.writeErrors.Add(1)
	default:
		r.readErrors.Add(1)
	}
}

func (r *run) result(elapsed time.Duration) Result {
	return Result{
		Requests: r.requests.Load(),
		Bytes:    r.bytes.Load(),
		Resumed:  r.resumed.Load(),
		Elapsed:  elapsed,
		P50:      r.latency.Quantile(0.50),
		P90:      r.latency.Quantile(0.90),
		P99:      r.latency.Quantile(0.99),
		P999:     r.latency.Quantile(0.999),
		Max:      r.latency.Max(),
		Errors: Errors{
			Connect: r.connectErrors.Load(),
			Read:    r.readErrors.Load(),
			Write:   r.writeErrors.Load(),
			Timeout: r.timeouts.Load(),
			Status:  r.statusErrors.Load(),
		},
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
