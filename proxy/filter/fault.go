package filter

import (
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/proxy/filter/fault"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// faultFilter is envoy.filters.http.fault. What a route says takes the place of its own configuration.
type faultFilter struct {
	faults *fault.Faults
	active *atomic.Uint64
}

// Open implements Filter.
func (f faultFilter) Open(o *Opening, kept Stream) Stream {
	faults := f.faults
	if len(o.Configs) > 0 {
		own, ok := o.Configs[0].(*fault.Faults)
		if !ok {
			return nil // the configuration of another filter
		}
		faults = own
	}
	s, ok := kept.(*faultStream)
	if !ok {
		s = &faultStream{}
	}
	if !s.fault.Open(faults, o.Request, o.Random, f.active, o.Stats) {
		return nil
	}
	return s
}

// faultStream is fault.Stream as a Stream.
type faultStream struct {
	unchanged
	fault fault.Stream
	reply Reply
}

// RequestHead implements Stream.
func (s *faultStream) RequestHead(req *message.Request) *Reply {
	if wait := s.fault.Delay(); wait > 0 {
		s.reply = Reply{Wait: wait}
		return &s.reply
	}
	return s.Waited(req)
}

// Waited implements Waiter.
func (s *faultStream) Waited(*message.Request) *Reply {
	status, grpc, aborted := s.fault.Abort()
	if !aborted {
		return nil
	}
	s.reply = Reply{Status: status, GRPCStatus: grpc, Body: fault.Body, Details: fault.Details, Fault: true}
	return &s.reply
}

// ResponseHead implements Stream.
func (s *faultStream) ResponseHead(*message.Response) (hold bool) { return false }

// Close implements Stream.
func (s *faultStream) Close() { s.fault.Close() }
