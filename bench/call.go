package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// grpcHeaders are those of a call.
func grpcHeaders() []string { return []string{"content-type: application/grpc", "te: trailers"} }

// call makes a call to the process, which may just have started, and checks the answer.
func call(ctx context.Context, c *child.Child, address string, made peer.Call) error {
	question := load.Question{Address: address, Path: made.Path, HTTP2: true, Headers: grpcHeaders(), Body: prefixed(made.Message)}
	answer, err := awaitAnswer(ctx, c, question)
	if err != nil {
		return fmt.Errorf("call of %s: %w", made.Path, err)
	}
	status, why := answer.Trailer.Get("Grpc-Status"), answer.Trailer.Get("Grpc-Message")
	if status == "" { // an answer without a message has it in its head
		status, why = answer.Header.Get("Grpc-Status"), answer.Header.Get("Grpc-Message")
	}
	switch {
	case status != "0":
		err = fmt.Errorf("grpc-status %q, %s", status, why)
	case len(answer.Body) < messagePrefix:
		err = errors.New("no message in the answer")
	default:
		err = made.Check(answer.Body[messagePrefix:])
	}
	if err != nil {
		return fmt.Errorf("call of %s: %w", made.Path, err)
	}
	return nil
}
