package filter

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/filter/cors"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// corsFilter is envoy.filters.http.cors.
type corsFilter struct{}

// Open implements Filter.
func (corsFilter) Open(o *Opening, kept Stream) Stream {
	if !o.Forwards || len(o.Configs) == 0 {
		return nil
	}
	s, ok := kept.(*corsStream)
	if !ok {
		s = &corsStream{}
	}
	if !s.cors.Open(o.Request, o.Configs, o.Random, o.Stats) {
		s.Close()
		return nil
	}
	return s
}

// corsStream is cors.Stream as a Stream.
type corsStream struct {
	unchanged
	cors  cors.Stream
	reply Reply
}

// RequestHead implements Stream.
func (s *corsStream) RequestHead(req *message.Request) *Reply {
	fields, preflight := s.cors.Preflight(req)
	if !preflight {
		return nil
	}
	s.reply = Reply{Status: 200, Details: cors.Details, Fields: fields, Response: true}
	return &s.reply
}

// ResponseHead implements Stream.
func (s *corsStream) ResponseHead(resp *message.Response) (hold bool) {
	s.cors.ResponseHead(resp)
	return false
}

// Close implements Stream.
func (s *corsStream) Close() { s.cors.Close() }
