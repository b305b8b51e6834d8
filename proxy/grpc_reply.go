package proxy

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// isGRPC reports whether the request is one of gRPC, which expects errors as a status and not as an HTTP error.
func (x *exchange) isGRPC() bool {
	value, ok := x.request.Fields.Get(message.NameContentType)
	const grpc = "application/grpc"
	if !ok || len(value) < len(grpc) || string(value[:len(grpc)]) != grpc {
		return false
	}
	return len(value) == len(grpc) || value[len(grpc)] == '+' || value[len(grpc)] == ';'
}

// grpcDeadlineExceeded is DEADLINE_EXCEEDED of gRPC.
const grpcDeadlineExceeded = 4

// grpcStatus maps an HTTP status to a gRPC one as Envoy does (doc/http-grpc-status-mapping of grpc, but 429 is UNAVAILABLE).
func grpcStatus(status int) int64 {
	switch status {
	case 400:
		return 13
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 12
	case 429, 502, 503, 504:
		return 14
	default:
		return 2
	}
}

// makeGRPC turns the answer in x.response into a gRPC one, with body as its message.
func (x *exchange) makeGRPC(body string) {
	resp := &x.response
	resp.Fields.Set(message.NameContentType, valueGRPC)
	status := answers[x.verdict].grpc
	if status == 0 {
		status = grpcStatus(resp.Status)
	}
	resp.Fields.Set(message.NameGRPCStatus, x.arenaInt(status))
	if body != "" {
		resp.Fields.Set(message.NameGRPCMessage, x.percentEncoded(body))
	}
	resp.Status = 200
}

// percentEncoded returns s as the value of grpc-message: everything but printable ASCII, and the percent sign, is escaped
// (gRPC over HTTP/2, "Percent-Byte-Unencoded").
func (x *exchange) percentEncoded(s string) []byte {
	const digits = "0123456789ABCDEF"
	start := len(x.arena)
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			x.arena = append(x.arena, c)
		} else {
			x.arena = append(x.arena, '%', digits[c>>4], digits[c&15])
		}
	}
	return x.added(start)
}
