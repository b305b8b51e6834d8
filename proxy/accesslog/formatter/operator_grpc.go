package formatter

import (
	"fmt"
	"strconv"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// grpcNames are the names of gRPC statuses, by their numbers: as GRPC_STATUS prints them, and with SNAKE_STRING. It is never
// written.
var grpcNames = [...]struct{ camel, snake string }{
	{"OK", "OK"}, {"Canceled", "CANCELLED"}, {"Unknown", "UNKNOWN"}, {"InvalidArgument", "INVALID_ARGUMENT"},
	{"DeadlineExceeded", "DEADLINE_EXCEEDED"}, {"NotFound", "NOT_FOUND"}, {"AlreadyExists", "ALREADY_EXISTS"},
	{"PermissionDenied", "PERMISSION_DENIED"}, {"ResourceExhausted", "RESOURCE_EXHAUSTED"},
	{"FailedPrecondition", "FAILED_PRECONDITION"}, {"Aborted", "ABORTED"}, {"OutOfRange", "OUT_OF_RANGE"},
	{"Unimplemented", "UNIMPLEMENTED"}, {"Internal", "INTERNAL"}, {"Unavailable", "UNAVAILABLE"}, {"DataLoss", "DATA_LOSS"},
	{"Unauthenticated", "UNAUTHENTICATED"},
}

// grpcStatus returns the gRPC status of a request of gRPC.
func grpcStatus(e *accesslog.Entry) (int64, bool) {
	if contentType, _ := e.Request.Fields.Get(message.NameContentType); !message.IsGRPC(contentType) {
		return 0, false
	}
	return e.GRPCStatus()
}

// grpcOperator makes o the operator GRPC_STATUS(CAMEL_STRING|SNAKE_STRING|NUMBER).
func (o *operator) grpcOperator(form string) error {
	snake := false
	switch form {
	case "", "CAMEL_STRING":
	case "SNAKE_STRING":
		snake = true
	case "NUMBER":
		o.number = grpcStatus
		return nil
	default:
		return fmt.Errorf("%q is not known, want CAMEL_STRING, SNAKE_STRING or NUMBER", form)
	}
	o.value = func(_ *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
		status, set := grpcStatus(e)
		switch {
		case !set:
			return dst, false
		case status < 0 || status >= int64(len(grpcNames)):
			return strconv.AppendInt(dst, status, 10), true
		case snake:
			return append(dst, grpcNames[status].snake...), true
		default:
			return append(dst, grpcNames[status].camel...), true
		}
	}
	return nil
}
