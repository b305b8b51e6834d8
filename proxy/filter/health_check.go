package filter

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/filter/healthcheck"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// healthCheck is envoy.filters.http.health_check.
type healthCheck struct{ *healthcheck.Check }

// Open implements Filter.
func (f healthCheck) Open(o *Opening, kept Stream) Stream {
	failing, check := o.Process.HealthCheckFailed.Load(), f.Matches(o.Request)
	o.HealthCheck = o.HealthCheck || check
	if !failing && !check {
		return nil
	}
	s, ok := kept.(*healthCheckStream)
	if !ok {
		s = &healthCheckStream{}
	}
	s.check, s.isCheck, s.failing, s.cluster = f.Check, check, failing, o.Process.ServiceCluster
	return s
}

// healthCheckStream is a health check, or any request while they fail.
type healthCheckStream struct {
	unchanged
	check            *healthcheck.Check
	isCheck, failing bool
	cluster          []byte
	reply            Reply
}

// RequestHead implements Stream.
func (s *healthCheckStream) RequestHead(*message.Request) *Reply {
	if !s.isCheck {
		return nil
	}
	status, details, answered := s.check.Answer(s.failing)
	if !answered {
		return nil
	}
	s.reply = Reply{Status: status, Details: details}
	return &s.reply
}

// ResponseHead implements Stream.
func (s *healthCheckStream) ResponseHead(resp *message.Response) (hold bool) {
	healthcheck.Mark(resp, s.isCheck, s.cluster)
	return false
}

// Close implements Stream.
func (s *healthCheckStream) Close() { s.check, s.cluster = nil, nil }
