package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/hist"
)

// maxBodyFile bounds the body of a request, which is held in memory.
const maxBodyFile = 64 << 20

func (c Config) checkRun() error {
	if c.Duration <= 0 && c.Requests == 0 {
		return fmt.Errorf("duration: %v is not positive", c.Duration)
	}
	return Check(c)
}

// Check says what is wrong with a config, but for how long it is to take: Run refuses it for the same reason.
func Check(c Config) error {
	switch {
	case c.Rate < 0 || c.Rate > maxRate:
		return fmt.Errorf("rate: %v is not in [0, %d]", c.Rate, maxRate)
	case c.Pipeline < 0 || c.Pipeline > maxPipeline:
		return fmt.Errorf("pipeline: %d is not in [0, %d]", c.Pipeline, maxPipeline)
	case c.Streams < 0 || c.Streams > maxStreams:
		return fmt.Errorf("streams: %d is not in [0, %d]", c.Streams, maxStreams)
	case c.Threads < 0 || c.Threads > maxThreads:
		return fmt.Errorf("threads: %d is not in [0, %d]", c.Threads, maxThreads)
	case c.Slow < 0 || c.Slow > c.Connections:
		return fmt.Errorf("slow connections: %d is not in [0, %d]", c.Slow, c.Connections)
	case c.HTTP2 && (c.NewConnections || c.Pipeline > 0 || c.Slow > 0):
		return errors.New("new connections, pipelining and slow connections: package load makes them in HTTP/1.1 only")
	case !c.HTTP2 && (c.Streams > 0 || c.GRPC):
		return errors.New("streams and gRPC: want HTTP/2 with them")
	case c.Messages < 0 || c.Messages > maxMessages:
		return fmt.Errorf("messages: %d is not in [0, %d]", c.Messages, maxMessages)
	case c.Messages > 0 && !(c.GRPC && c.BodyFile != ""):
		return errors.New("messages: want gRPC and a body with them")
	case c.WebSocket && (c.HTTP2 || c.TLS || c.NewConnections || c.Pipeline > 0 || c.Slow > 0 || len(c.Paths) > 0 || c.BodyFile == ""):
		return errors.New("WebSocket: want HTTP/1.1 in cleartext over connections that stay, one path, and a body")
	case c.NewConnections && c.Pipeline > 1:
		return errors.New("pipelining: want connections that stay")
	}
	for _, path := range c.Paths {
		if len(path) == 0 || path[0] != '/' {
			return fmt.Errorf("path: %q does not begin with /", path)
		}
	}
	return c.check()
}

// run is what the drivers of one Run share.
type run struct {
	config Config
	server netip.AddrPort
	paths  []string
	body   []byte
	drive  []*driver
	// upgrade is nil but for WebSocket.
	upgrade *upgrade

	latency  hist.Histogram
	requests atomic.Uint64
	resumed  atomic.Uint64
	bytes    atomic.Uint64
	unsent   atomic.Uint64
	limited  atomic.Uint64
	// left is how many requests may still be sent, where their number is given.
	left atomic.Int64

	connectErrors, readErrors, timeouts, statusErrors atomic.Uint64
}

// Run makes load until the duration has passed, the number of requests is sent or ctx ends, and lets requests in flight finish.
// Failed requests are counted in the result; the error is only about config.
func Run(ctx context.Context, config Config) (Result, error) {
	r, err := newRun(config)
	if err != nil {
		return Result{}, err
	}
	if config.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, config.Duration)
		defer cancel()
	}
	start := time.Now()
	var group sync.WaitGroup
	failed := make(chan error, len(r.drive))
	for _, d := range r.drive {
		group.Go(func() {
			if err := d.run(ctx); err != nil {
				failed <- err
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return Result{}, err
	default:
	}
	return r.result(time.Since(start)), nil
}

func newRun(config Config) (*run, error) {
	if err := config.checkRun(); err != nil {
		return nil, err
	}
	r := &run{config: config, paths: config.Paths}
	if len(r.paths) == 0 {
		r.paths = []string{config.Path}
	}
	var err error
	if r.server, err = netip.ParseAddrPort(config.Address); err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	if config.BodyFile != "" {
		info, err := os.Stat(config.BodyFile)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxBodyFile {
			return nil, fmt.Errorf("%s has %d bytes, want at most %d", config.BodyFile, info.Size(), maxBodyFile)
		}
		if r.body, err = os.ReadFile(config.BodyFile); err != nil {
			return nil, err
		}
	}
	if config.WebSocket {
		if r.upgrade, err = newUpgrade(config, r.body); err != nil {
			return nil, err
		}
	}
	r.left.Store(int64(config.Requests))
	threads := min(max(1, config.Threads), config.Connections)
	for i := range threads {
		d, err := newDriver(r, i, threads)
		if err != nil {
			return nil, err
		}
		r.drive = append(r.drive, d)
	}
	return r, nil
}

// take has a request be sent, unless as many as were asked for are.
func (r *run) take() bool { return r.config.Requests == 0 || r.left.Add(-1) >= 0 }

// answered counts a response that was read in full.
func (r *run) answered(status int, bytes uint64, resumed bool) {
	r.requests.Add(1)
	r.bytes.Add(bytes)
	if resumed {
		r.resumed.Add(1)
	}
	switch {
	case status == http.StatusTooManyRequests && r.config.Limited:
		r.limited.Add(1)
	case status/100 != 2:
		r.statusErrors.Add(1)
	}
}

// failed counts requests that were lost at a step.
func (r *run) failed(s step, requests int) {
	n := uint64(requests)
	switch s {
	case stepConnect:
		r.connectErrors.Add(n)
	case stepTimeout:
		r.timeouts.Add(n)
	default:
		r.readErrors.Add(n)
	}
}

func (r *run) result(elapsed time.Duration) Result {
	return Result{
		Requests: r.requests.Load(),
		Bytes:    r.bytes.Load(),
		Resumed:  r.resumed.Load(),
		Sent:     r.requests.Load() * uint64(len(r.body)),
		Unsent:   r.unsent.Load(),
		Limited:  r.limited.Load(),
		Elapsed:  elapsed,
		Mean:     r.latency.Mean(),
		P50:      r.latency.Quantile(0.50),
		P90:      r.latency.Quantile(0.90),
		P99:      r.latency.Quantile(0.99),
		P999:     r.latency.Quantile(0.999),
		Max:      r.latency.Max(),
		Errors: Errors{
			Connect: r.connectErrors.Load(),
			Read:    r.readErrors.Load(),
			Timeout: r.timeouts.Load(),
			Status:  r.statusErrors.Load(),
		},
	}
}
