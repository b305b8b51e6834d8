//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"encoding/hex"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxJitterPercent bounds interval_jitter_percent: ten times the interval is no jitter any more.
	maxJitterPercent = 1000
	// maxPayload bounds what a health check sends, and each thing that it expects.
	maxPayload = 64 << 10
)

var (
	healthCheckFields = fields{
		"timeout": decoded, "interval": decoded, "initial_jitter": decoded, "interval_jitter": decoded,
		"interval_jitter_percent": decoded, "unhealthy_threshold": decoded, "healthy_threshold": decoded,
		"reuse_connection": decoded, "no_traffic_interval": decoded, "no_traffic_healthy_interval": decoded,
		"unhealthy_interval": decoded, "unhealthy_edge_interval": decoded, "healthy_edge_interval": decoded,
		"transport_socket_match_criteria": decoded,
		"http_health_check":               decoded, "grpc_health_check": decoded, "tcp_health_check": decoded,
		"always_log_health_check_failures": decoded, "always_log_health_check_success": decoded,
		"event_log_path": decoded, "event_logger": decoded,
	}
	httpHealthCheckFields = fields{
		"host": decoded, "path": decoded, "send": decoded, "receive": decoded, "response_buffer_size": decoded,
		"request_headers_to_add": decoded, "request_headers_to_remove": decoded, "expected_statuses": decoded,
		"retriable_statuses": decoded, "codec_client_type": decoded, "method": decoded,
		"service_name_matcher": decoded,
	}
	grpcHealthCheckFields     = fields{"service_name": decoded, "authority": decoded, "initial_metadata": decoded}
	tcpHealthCheckFields      = fields{"send": decoded, "receive": decoded}
	payloadFields             = fields{"text": decoded, "binary": decoded}
	statusRangeFields         = fields{"start": decoded, "end": decoded}
	endpointHealthCheckFields = fields{
		"port_value": decoded, "hostname": decoded, "address": decoded, "disable_active_health_check": decoded,
	}
)

// healthChecks decodes the health check of a cluster, nil for none.
func (a *at) healthChecks(c *clusterv3.Cluster, protocol config.Protocol) *config.HealthCheck {
	if len(c.GetHealthChecks()) == 0 {
		return nil
	}
	if len(c.GetHealthChecks()) > 1 {
		a.item("health_checks", 1).errorf("is not supported, only one health check per cluster")
	}
	return a.item("health_checks", 0).healthCheck(c.GetHealthChecks()[0], protocol)
}

func (a *at) healthCheck(h *corev3.HealthCheck, protocol config.Protocol) *config.HealthCheck {
	a.only(h, healthCheckFields)
	out := &config.HealthCheck{
		Timeout:            a.positive("timeout", h.GetTimeout(), 0),
		UnhealthyThreshold: a.threshold("unhealthy_threshold", h.GetUnhealthyThreshold().GetValue()),
		HealthyThreshold:   a.threshold("healthy_threshold", h.GetHealthyThreshold().GetValue()),
		ReuseConnection:    orBool(h.GetReuseConnection(), true),
		Intervals:          a.healthIntervals(h),
		EventLogs:          a.eventLogs(h),
		LogFailures:        h.GetAlwaysLogHealthCheckFailures(),
		LogSuccesses:       h.GetAlwaysLogHealthCheckSuccess(),
	}
	if criteria := h.GetTransportSocketMatchCriteria(); criteria != nil {
		out.SocketLabels = &config.Labels{Values: a.in("transport_socket_match_criteria").labels(criteria)}
	}
	switch check := h.GetHealthChecker().(type) {
	case *corev3.HealthCheck_HttpHealthCheck_:
		out.HTTP = a.in("http_health_check").httpHealthCheck(check.HttpHealthCheck)
	case *corev3.HealthCheck_GrpcHealthCheck_:
		out.GRPC = a.in("grpc_health_check").grpcHealthCheck(check.GrpcHealthCheck, protocol)
	case *corev3.HealthCheck_TcpHealthCheck_:
		place := a.in("tcp_health_check")
		place.only(check.TcpHealthCheck, tcpHealthCheckFields)
		out.TCP = &config.TCPHealthCheck{
			Send:    place.in("send").payload(check.TcpHealthCheck.GetSend()),
			Receive: place.payloads("receive", check.TcpHealthCheck.GetReceive()),
		}
	}
	return out
}

// threshold checks a number of probes in a row, which could not be reached if it were 0.
func (a *at) threshold(field string, n uint32) uint32 {
	if n == 0 {
		a.in(field).errorf("must be at least 1")
	}
	return n
}

// healthIntervals decodes the times between probes. One that is left out has the value of another.
func (a *at) healthIntervals(h *corev3.HealthCheck) config.HealthIntervals {
	base := a.positive("interval", h.GetInterval(), 0)
	noTraffic := a.positive("no_traffic_interval", h.GetNoTrafficInterval(), config.DefaultNoTrafficInterval)
	unhealthy := a.positive("unhealthy_interval", h.GetUnhealthyInterval(), base)
	i := config.HealthIntervals{
		Base:             base,
		NoTraffic:        noTraffic,
		NoTrafficHealthy: a.positive("no_traffic_healthy_interval", h.GetNoTrafficHealthyInterval(), noTraffic),
		Unhealthy:        unhealthy,
		UnhealthyEdge:    a.positive("unhealthy_edge_interval", h.GetUnhealthyEdgeInterval(), unhealthy),
		HealthyEdge:      a.positive("healthy_edge_interval", h.GetHealthyEdgeInterval(), base),
		InitialJitter:    a.duration("initial_jitter", h.GetInitialJitter(), 0),
		Jitter:           a.duration("interval_jitter", h.GetIntervalJitter(), 0),
		JitterPercent:    h.GetIntervalJitterPercent(),
	}
	if i.JitterPercent > maxJitterPercent {
		a.in("interval_jitter_percent").errorf("%d is too large, it must be from 0 to %d", i.JitterPercent, maxJitterPercent)
	}
	return i
}

func (a *at) httpHealthCheck(h *corev3.HealthCheck_HttpHealthCheck) *config.HTTPHealthCheck {
	a.only(h, httpHealthCheckFields)
	a.in("host").noSpace(h.GetHost())
	a.in("path").noSpace(h.GetPath())
	out := &config.HTTPHealthCheck{
		Host: h.GetHost(), Path: h.GetPath(), Method: "GET",
		HTTP2:         h.GetCodecClientType() == typev3.CodecClientType_HTTP2,
		Send:          a.in("send").payload(h.GetSend()),
		Receive:       a.payloads("receive", h.GetReceive()),
		ResponseBytes: config.DefaultHealthResponseBytes,
		Expected:      a.statuses("expected_statuses", h.GetExpectedStatuses()),
		Retriable:     a.statuses("retriable_statuses", h.GetRetriableStatuses()),
		Headers:       a.literalHeaders("request_headers_to_add", h.GetRequestHeadersToAdd()),
		Remove:        a.headersToRemove("request_headers_to_remove", h.GetRequestHeadersToRemove()),
	}
	if m := h.GetServiceNameMatcher(); m != nil {
		matcher := a.in("service_name_matcher").stringMatcher(m)
		out.ServiceName = &matcher
	}
	if h.GetCodecClientType() == typev3.CodecClientType_HTTP3 {
		a.in("codec_client_type").errorf("HTTP3 is not supported, only HTTP1 and HTTP2")
	}
	if h.GetMethod() != corev3.RequestMethod_METHOD_UNSPECIFIED {
		out.Method = h.GetMethod().String()
	}
	if len(out.Send) > 0 {
		switch out.Method {
		case "GET", "HEAD", "DELETE", "TRACE":
			a.in("send").errorf("cannot be set with method %s, only with POST, PUT, PATCH and OPTIONS", out.Method)
		}
	}
	if len(out.Expected) == 0 {
		out.Expected = []config.StatusRange{{Start: 200, End: 201}}
	}
	a.responseBytes(h, out)
	return out
}

// responseBytes decodes how much of the body is searched. All of it is as much as is kept.
func (a *at) responseBytes(h *corev3.HealthCheck_HttpHealthCheck, out *config.HTTPHealthCheck) {
	place := a.in("response_buffer_size")
	if size := h.GetResponseBufferSize(); size != nil {
		switch n := size.GetValue(); {
		case n > config.MaxHealthResponseBytes:
			place.errorf("%d is too large, it must be from 0 to %d", n, config.MaxHealthResponseBytes)
			return
		case n == 0:
			out.ResponseBytes = config.MaxHealthResponseBytes
		default:
			out.ResponseBytes = int(n)
		}
	}
	expected := 0
	for _, segment := range out.Receive {
		expected += len(segment)
	}
	if expected > out.ResponseBytes {
		a.in("receive").errorf("%d bytes are expected, which is more than response_buffer_size, %d", expected, out.ResponseBytes)
	}
}

// grpcHealthCheck decodes a check by grpc.health.v1, which takes HTTP/2.
func (a *at) grpcHealthCheck(h *corev3.HealthCheck_GrpcHealthCheck, protocol config.Protocol) *config.GRPCHealthCheck {
	a.only(h, grpcHealthCheckFields)
	if protocol == config.ProtocolHTTP1 {
		a.errorf("cannot be set on a cluster that does not speak HTTP/2: see http2_protocol_options")
	}
	a.in("authority").noSpace(h.GetAuthority())
	return &config.GRPCHealthCheck{
		Service: h.GetServiceName(), Authority: h.GetAuthority(), Headers: a.literalHeaders("initial_metadata", h.GetInitialMetadata()),
	}
}

// noSpace refuses what would end a part of a request line or field before its end.
func (a *at) noSpace(s string) {
	if strings.ContainsAny(s, " \t") {
		a.errorf("%q must not have spaces in it", s)
	}
}

// statuses decodes ranges of statuses.
func (a *at) statuses(field string, ranges []*typev3.Int64Range) []config.StatusRange {
	var out []config.StatusRange
	for i, r := range ranges {
		place := a.item(field, i)
		place.only(r, statusRangeFields)
		if r.GetStart() < 100 || r.GetStart() >= r.GetEnd() || r.GetEnd() > 600 {
			place.errorf("start %d and end %d must be from 100 to 600, and start less than end", r.GetStart(), r.GetEnd())
			continue
		}
		out = append(out, config.StatusRange{Start: int(r.GetStart()), End: int(r.GetEnd())})
	}
	return out
}

// payload decodes bytes that are written in hexadecimal, or as they are.
func (a *at) payload(p *corev3.HealthCheck_Payload) []byte {
	if p == nil {
		return nil
	}
	a.only(p, payloadFields)
	data := p.GetBinary()
	if text, ok := p.GetPayload().(*corev3.HealthCheck_Payload_Text); ok {
		var err error
		if data, err = hex.DecodeString(text.Text); err != nil {
			a.in("text").errorf("invalid hex string '%s'", text.Text)
		}
	}
	if len(data) > maxPayload {
		a.errorf("%d bytes are too many, at most %d are allowed", len(data), maxPayload)
	}
	return data
}

// payloads decodes what is expected, without what is empty.
func (a *at) payloads(field string, list []*corev3.HealthCheck_Payload) [][]byte {
	var out [][]byte
	for i, p := range list {
		if data := a.item(field, i).payload(p); len(data) > 0 {
			out = append(out, data)
		}
	}
	return out
}

// literalHeaders decodes fields of a request that is not made for one of traffic: there is nothing that command operators could
// stand for.
func (a *at) literalHeaders(field string, list []*corev3.HeaderValueOption) []config.HeaderValue {
	out := a.headersToAdd(field, list)
	for i := range out {
		if strings.Contains(strings.ReplaceAll(out[i].Value, "%%", ""), "%") {
			a.item(field, i).in("header.value").errorf("%q: command operators are not supported in health checks", out[i].Value)
		}
		out[i].Value = strings.ReplaceAll(out[i].Value, "%%", "%")
	}
	return out
}

// endpointHealthCheck decodes health_check_config of an endpoint.
func (a *at) endpointHealthCheck(h *endpointv3.Endpoint_HealthCheckConfig) config.EndpointHealthCheck {
	if h == nil {
		return config.EndpointHealthCheck{}
	}
	a.only(h, endpointHealthCheckFields)
	out := config.EndpointHealthCheck{Port: h.GetPortValue(), Hostname: h.GetHostname(), Disabled: h.GetDisableActiveHealthCheck()}
	a.in("hostname").noSpace(out.Hostname)
	if h.GetAddress() != nil {
		at := a.in("address").address(h.GetAddress(), onlyIP)
		out.IP = at.IP
		if out.Port == 0 {
			out.Port = at.Port
		}
	}
	return out
}
