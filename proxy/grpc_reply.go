package proxy

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// isGRPC reports whether the request is one of gRPC, which expects errors as a status and not as an HTTP error.
func (x *exchange) isGRPC() bool {
	value, _ := x.request.Fields.Get(message.NameContentType)
	return message.IsGRPC(value)
}

// grpcDeadlineExceeded is DEADLINE_EXCEEDED of gRPC.
const grpcDeadlineExceeded = 4

// makeGRPC turns the answer in x.response into a gRPC one, with body as its message.
func (x *exchange) makeGRPC(body string) {
	resp := &x.response
	resp.Fields.Set(message.NameContentType, valueGRPC)
	if !resp.Fields.Has(message.NameGRPCStatus) {
		resp.Fields.Set(message.NameGRPCStatus, x.arenaInt(x.grpcStatus()))
	}
	if body != "" {
		start := len(x.arena)
		x.arena = message.AppendPercentEncoded(x.arena, body)
		resp.Fields.Set(message.NameGRPCMessage, x.added(start))
	}
	resp.Status = 200
}

// grpcStatus returns the gRPC status of the answer in x.response.
func (x *exchange) grpcStatus() int64 {
	status := answers[x.verdict].grpc
	if x.verdict == verdictFilterReply {
		status = x.filterReplied.GRPCStatus
	}
	if status == 0 {
		status = message.GRPCStatus(x.response.Status)
	}
	return status
}
