// Package filter is the chain of HTTP filters: what a request passes between its route and its host, and the response on the
// way back. Each filter has a folder of its own; New is the one list of them.
package filter

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter/cors"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter/fault"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter/healthcheck"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Filter is a filter as it is configured. It is shared by all workers.
type Filter interface {
	// Open returns what is at work on one request and its response, nil when the filter has nothing to do with it. kept is what
	// it returned for an earlier request, closed and now for its use, or nil.
	Open(o *Opening, kept Stream) Stream
}

// Opening is a request on its way to the filters.
type Opening struct {
	Request *message.Request
	Target  *route.Target // where the request goes, nil when it goes nowhere
	// Configs are what the target, the route and what is above them say to the filter, the most specific one first.
	Configs []any
	// Forwards says that there is a route and that it leads to a host.
	Forwards bool
	Random   uint64 // decides on shares of requests
	Process  *Process
	Stats    *stats.Block // of the filter's schema
	// HealthCheck is set by the filter that finds that the request is a health check of this proxy.
	HealthCheck bool
}

// Process is what filters know of the process.
type Process struct {
	// HealthCheckFailed says that health checks are to fail (/healthcheck/fail).
	HealthCheckFailed atomic.Bool
	// ServiceCluster is the name of the cluster that this proxy is of (node.cluster).
	ServiceCluster []byte
}

// Stream is a filter at work on one request and its response. It belongs to the exchange. Bytes that it returns are valid
// until its next call.
type Stream interface {
	// RequestHead changes the head of the request, or answers the request: then nothing of it goes any further.
	RequestHead(req *message.Request) *Reply
	// RequestBody returns what follows the filter for some of the body. ok is false when the body is not what it has to be.
	RequestBody(data []byte, end bool) (converted []byte, ok bool)
	// ResponseHead changes the head of the response. hold keeps it back until ResponseEnd has completed it.
	ResponseHead(resp *message.Response) (hold bool)
	// ResponseBody returns what follows the filter for some of the body.
	ResponseBody(data []byte) []byte
	// ResponseEnd takes the trailers, which may be nil, and returns the last of the body and what is left of them. A head that
	// was held is complete then.
	ResponseEnd(resp *message.Response, trailers *message.Fields) (last []byte, rest *message.Fields)
	// Close ends the work. The Stream keeps nothing of the request, as it may be opened for another.
	Close()
}

// Reply is a filter's own answer to a request. It is valid until the Stream is closed.
type Reply struct {
	Status  int
	Body    string          // plain text
	Details string          // response code details
	Fields  *message.Fields // further fields, nil for none
	// GRPCStatus is for a client of gRPC, 0 where it follows from Status.
	GRPCStatus int64
	Fault      bool // it was injected
	Response   bool // it is a response like that of a host, and no local reply

	// Wait says that there is no answer yet: when that time has passed, the Stream, which is a Waiter, is asked again.
	Wait time.Duration
}

// Waiter is a Stream that may have a request wait.
type Waiter interface {
	// Waited is RequestHead after Reply.Wait has passed. It does not ask for another wait.
	Waited(req *message.Request) *Reply
}

// Entry is a filter in its place in http_filters.
type Entry struct {
	Filter
	Name     string
	Disabled bool // it is at work only where a route has a configuration for it

	// StatPrefix is what follows the connection manager's prefix in the names of Schema, which is nil for none.
	StatPrefix string
	Schema     *stats.Schema
}

// Options are what filters are made with.
type Options struct {
	// Fraction says what a share of requests is now.
	Fraction func(config.RuntimeFraction) uint32
	// ActiveFaults returns the count of faults that are injected now, which outlives the filter.
	ActiveFaults func() *atomic.Uint64
}

// New returns the filter that a configuration asks for.
func New(f *config.HTTPFilter, o Options) (*Entry, error) {
	e := &Entry{Name: f.Name, Disabled: f.Disabled}
	switch c := f.Config.(type) {
	case nil:
		e.Filter = missing{}
	case config.GRPCWeb:
		e.Filter = grpcWeb{}
	case config.CORS:
		e.Filter, e.StatPrefix, e.Schema = corsFilter{}, "cors.", stats.CORS
	case *config.HealthCheckFilter:
		check, err := healthcheck.Compile(c)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", f.Name, err)
		}
		e.Filter = healthCheck{check}
	case *config.Fault:
		faults, err := fault.Compile(c, o.Fraction)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", f.Name, err)
		}
		e.Filter, e.StatPrefix, e.Schema = faultFilter{faults, o.ActiveFaults()}, "fault.", stats.Fault
	default:
		return nil, fmt.Errorf("filter %q: there is no filter with a configuration of type %T", f.Name, f.Config)
	}
	return e, nil
}

// CompileConfig compiles what a route says to a filter.
func CompileConfig(c any, fraction func(config.RuntimeFraction) uint32) (any, error) {
	switch c := c.(type) {
	case *config.CORSPolicy:
		return cors.Compile(c, fraction)
	case *config.Fault:
		return fault.Compile(c, fraction)
	default:
		return nil, fmt.Errorf("there is no filter that takes a configuration of type %T", c)
	}
}
