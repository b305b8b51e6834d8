// Package fault is envoy.filters.http.fault: it delays requests and answers them with errors, to see what clients make of that.
package fault

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// What the answer to a request that is aborted has.
const (
	Body    = "fault filter abort"
	Details = "fault_filter_abort"
)

// Faults is the compiled configuration.
type Faults struct {
	headers route.HeaderMatchers
	max     uint64 // at a time

	delay      time.Duration
	delayShare uint32 // in parts of a million
	status     int    // of the answer
	grpcStatus int64  // 0 for none
	abortShare uint32
}

// Compile compiles a configuration; fraction says what shares of requests are now.
func Compile(c *config.Fault, fraction func(config.RuntimeFraction) uint32) (*Faults, error) {
	headers, err := route.CompileHeaders(c.Headers)
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	f := &Faults{headers: headers, max: c.MaxActive, delay: c.Delay, status: c.Status, grpcStatus: c.GRPCStatus}
	if c.Delay > 0 {
		f.delayShare = fraction(c.DelayShare)
	}
	if c.Status > 0 {
		f.abortShare = fraction(c.AbortShare)
	}
	return f, nil
}

// Stream is the filter at work on one request. It can be used for one after the other.
type Stream struct {
	faults       *Faults
	active       *atomic.Uint64 // faults in all requests, this one's among them
	count        *stats.Block
	delay, abort bool
}

// Open readies s for a request, and reports whether there is anything to do. random decides on shares of requests; active counts
// the faults in all requests.
func (s *Stream) Open(f *Faults, req *message.Request, random uint64, active *atomic.Uint64, count *stats.Block) bool {
	// Two values that do not hang together, nor with what chose the route.
	random *= spread
	delay, abort := falls(random, f.delayShare), falls(bits.RotateLeft64(random, 32), f.abortShare)
	if !delay && !abort || !f.headers.All(req) {
		return false
	}
	if active.Add(1) > f.max {
		active.Add(^uint64(0))
		count.Inc(stats.FaultOverflow)
		return false
	}
	count.Inc(stats.FaultActive)
	*s = Stream{faults: f, active: active, count: count, delay: delay, abort: abort}
	return true
}

// spread is an odd number near 2^64 divided by the golden ratio, which spreads the bits of what it is multiplied with.
const spread = 0x9E3779B97F4A7C15

// falls reports whether a request is one of a share, by the high half of random.
func falls(random uint64, share uint32) bool {
	return (random>>32)*config.FractionAll>>32 < uint64(share)
}

// Delay returns how long the request is to wait before anything else is done with it, 0 for not at all.
func (s *Stream) Delay() time.Duration {
	if !s.delay {
		return 0
	}
	s.count.Inc(stats.FaultDelaysInjected)
	return s.faults.delay
}

// Abort returns the status of the answer that the request is to have, and its gRPC status, 0 for what follows from the other. ok
// is false when there is none.
func (s *Stream) Abort() (status int, grpc int64, ok bool) {
	if !s.abort {
		return 0, 0, false
	}
	s.count.Inc(stats.FaultAbortsInjected)
	return s.faults.status, s.faults.grpcStatus, true
}

// Close ends the fault.
func (s *Stream) Close() {
	s.count.Dec(stats.FaultActive)
	s.active.Add(^uint64(0))
	*s = Stream{}
}
