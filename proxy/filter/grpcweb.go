package filter

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/filter/grpcweb"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// grpcWeb is envoy.filters.http.grpc_web.
type grpcWeb struct{}

// Open implements Filter.
func (grpcWeb) Open(o *Opening, kept Stream) Stream {
	s := grpcweb.Open(o.Request)
	if s == nil {
		return nil
	}
	w, ok := kept.(*grpcWebStream)
	if !ok {
		w = &grpcWebStream{}
	}
	w.Stream = s
	return w
}

// grpcWebStream is grpcweb.Stream as a Stream.
type grpcWebStream struct{ *grpcweb.Stream }

// RequestHead implements Stream.
func (s *grpcWebStream) RequestHead(req *message.Request) *Reply {
	s.Stream.RequestHead(req)
	return nil
}

// Close implements Stream.
func (s *grpcWebStream) Close() { s.Stream = nil }
