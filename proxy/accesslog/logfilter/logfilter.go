// Package logfilter decides which entries an access log is told of.
package logfilter

import (
	"fmt"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// Filter is a compiled config.LogFilter. It is immutable; the nil Filter passes everything.
type Filter struct {
	config  *config.LogFilter
	than    uint64 // what is compared with, or how many of config.Sample.Denominator pass
	filters []*Filter
	headers route.HeaderMatchers
}

// Compile compiles f, which may be nil, with the values that the runtime has now.
func Compile(f *config.LogFilter, runtime *config.Runtime) (*Filter, error) {
	if f == nil {
		return nil, nil
	}
	out := &Filter{config: f}
	var err error
	switch f.Kind {
	case config.LogFilterStatus, config.LogFilterDuration:
		out.than = runtime.Integer(f.Compare.Key, uint64(f.Compare.Default))
	case config.LogFilterRuntime:
		out.than = runtime.Integer(f.Sample.Key, uint64(f.Sample.Numerator))
	case config.LogFilterAnd, config.LogFilterOr:
		for _, one := range f.Filters {
			compiled, err := Compile(one, runtime)
			if err != nil {
				return nil, err
			}
			out.filters = append(out.filters, compiled)
		}
	case config.LogFilterHeader:
		out.headers, err = route.CompileHeaders([]config.HeaderMatcher{f.Header})
	case config.LogFilterNotHealthCheck, config.LogFilterTraceable, config.LogFilterFlags, config.LogFilterGRPCStatus, config.LogFilterType:
	default:
		return nil, fmt.Errorf("an access log filter of kind %d is unknown", f.Kind)
	}
	return out, err
}

// Passes reports whether the log is to be told of e.
func (f *Filter) Passes(e *accesslog.Entry) bool {
	if f == nil {
		return true
	}
	switch f.config.Kind {
	case config.LogFilterStatus:
		return f.compares(uint64(e.Status))
	case config.LogFilterDuration:
		return f.compares(uint64(e.Duration / time.Millisecond))
	case config.LogFilterNotHealthCheck:
		return !e.HealthCheck
	case config.LogFilterTraceable:
		return false // nothing is traced
	case config.LogFilterRuntime:
		return f.samples(e)
	case config.LogFilterAnd:
		for _, one := range f.filters {
			if !one.Passes(e) {
				return false
			}
		}
		return true
	case config.LogFilterOr:
		for _, one := range f.filters {
			if one.Passes(e) {
				return true
			}
		}
		return false
	case config.LogFilterHeader:
		return f.headers.All(e.Request)
	case config.LogFilterFlags:
		return f.flagged(e)
	case config.LogFilterGRPCStatus:
		return f.config.GRPC[grpcStatus(e)] != f.config.Exclude
	default:
		return f.config.Types[e.Type] != f.config.Exclude
	}
}

func (f *Filter) compares(n uint64) bool {
	switch f.config.Compare.Op {
	case config.LogAtLeast:
		return n >= f.than
	case config.LogAtMost:
		return n <= f.than
	case config.LogNotEqual:
		return n != f.than
	default:
		return n == f.than
	}
}

// samples draws by x-request-id, so that every proxy that a request passes comes to the same, unless it is told not to or there is
// none that it could be drawn by.
func (f *Filter) samples(e *accesslog.Entry) bool {
	sample := &f.config.Sample
	drawn := e.Random
	if !sample.Independent {
		if id, ok := idNumber(e.Request); ok {
			drawn = id
		}
	}
	return drawn%uint64(sample.Denominator) < f.than
}

// idDigits are the hexadecimal digits of x-request-id, from its beginning, that requests are drawn by.
const idDigits = 8

// idNumber returns what the x-request-id of a request begins with, as a number.
func idNumber(req *message.Request) (n uint64, ok bool) {
	id, _ := req.Fields.Get(message.NameXRequestID)
	if len(id) < idDigits {
		return 0, false
	}
	for _, c := range id[:idDigits] {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | uint64(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

func (f *Filter) flagged(e *accesslog.Entry) bool {
	if len(f.config.Flags) == 0 {
		return len(e.Flags) > 0
	}
	for _, flag := range e.Flags {
		if slices.Contains(f.config.Flags, flag) {
			return true
		}
	}
	return false
}

// unknownStatus is the gRPC status of what has none (UNKNOWN).
const unknownStatus = 2

// grpcStatus returns the gRPC status of a response, or what its HTTP status amounts to. One that is invalid is none that a filter
// can name.
func grpcStatus(e *accesslog.Entry) uint32 {
	if n, ok := e.GRPCStatus(); ok {
		return uint32(n)
	}
	return unknownStatus
}
