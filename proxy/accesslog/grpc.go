package accesslog

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// InvalidGRPCStatus stands for a grpc-status that is not a number from 0 to 16.
const InvalidGRPCStatus = -1

// maxGRPCStatus is the last status that gRPC knows (UNAUTHENTICATED).
const maxGRPCStatus = 16

// GRPCStatus returns the gRPC status of a response: that of its trailers, else of its head, else what its HTTP status amounts to.
// ok is false when there is none of them.
func (e *Entry) GRPCStatus() (status int64, ok bool) {
	if e.Trailers != nil {
		if value, found := e.Trailers.Get(message.NameGRPCStatus); found {
			return parseGRPCStatus(value), true
		}
	}
	if e.Response == nil {
		return 0, false
	}
	if value, found := e.Response.Fields.Get(message.NameGRPCStatus); found {
		return parseGRPCStatus(value), true
	}
	return message.GRPCStatus(e.Status), true
}

func parseGRPCStatus(value []byte) (n int64) {
	if len(value) == 0 || len(value) > len("16") {
		return InvalidGRPCStatus
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return InvalidGRPCStatus
		}
		n = n*10 + int64(c-'0')
	}
	if n > maxGRPCStatus {
		return InvalidGRPCStatus
	}
	return n
}
