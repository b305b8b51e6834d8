// Package filter is the chain of HTTP filters: what a request passes between its route and its host, and the response on the
// way back. Each filter has a folder of its own; New is the one list of them.
package filter

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/filter/grpcweb"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Filter is a filter as it is configured. It is shared by all workers.
type Filter interface {
	// Open returns what is at work on one request and its response, nil when the filter has nothing to do with it.
	Open(req *message.Request) Stream
}

// Stream is a filter at work on one request and its response. It belongs to the exchange. Bytes that it returns are valid
// until its next call.
type Stream interface {
	// RequestHead changes the head of the request.
	RequestHead(req *message.Request)
	// RequestBody returns what follows the filter for some of the body. ok is false when the body is not what it has to be.
	RequestBody(data []byte, end bool) (converted []byte, ok bool)
	// ResponseHead changes the head of the response. hold keeps it back until ResponseEnd has completed it.
	ResponseHead(resp *message.Response) (hold bool)
	// ResponseBody returns what follows the filter for some of the body.
	ResponseBody(data []byte) []byte
	// ResponseEnd takes the trailers, which may be nil, and returns the last of the body and what is left of them. A head that
	// was held is complete then.
	ResponseEnd(resp *message.Response, trailers *message.Fields) (last []byte, rest *message.Fields)
}

// New returns the filter that a configuration asks for.
func New(f *config.HTTPFilter) (Filter, error) {
	switch f.Config.(type) {
	case config.GRPCWeb:
		return grpcWeb{}, nil
	default:
		return nil, fmt.Errorf("filter %q: there is no filter with a configuration of type %T", f.Name, f.Config)
	}
}

// grpcWeb is envoy.filters.http.grpc_web.
type grpcWeb struct{}

// Open implements Filter.
func (grpcWeb) Open(req *message.Request) Stream {
	if s := grpcweb.Open(req); s != nil {
		return s
	}
	return nil
}
