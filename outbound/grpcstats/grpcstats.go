// Package grpcstats has a gRPC client of the process count for the cluster that it connects to.
package grpcstats

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/outbound"
)

// DialOptions returns options of a client whose connections and streams count for a cluster, which is asked for at each of
// them; it is nil while there is no such cluster, and nothing counts. The dialer, which opens the connections, is among the options, for targets as gRPC names them.
func DialOptions(cluster func() *outbound.Cluster, dialer *net.Dialer) []grpc.DialOption {
	dial := func(ctx context.Context, target string) (net.Conn, error) {
		network, address := split(target)
		return cluster().Dial(ctx, address, func(ctx context.Context) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		})
	}
	return append(RequestOptions(cluster), grpc.WithContextDialer(dial))
}

// RequestOptions is DialOptions for a client with a dialer of its own, which counts by [outbound.Cluster.Dial].
func RequestOptions(cluster func() *outbound.Cluster) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStatsHandler(handler{cluster}), grpc.WithChainStreamInterceptor(commit)}
}

// commit opens a stream that is not retried. Of one that may be, gRPC tells the end as a success when it is a send that comes to know of
// it.
func commit(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, o...)
	if err == nil {
		stream.Context() // rules out retries, as it says
	}
	return stream, err
}

// split returns the network and address of a target as gRPC tells it to a dialer: "host:port", or the path of a Unix domain socket,
// with its scheme unless it is an abstract one, which begins with a NUL.
func split(target string) (network, address string) {
	path, pipe := strings.CutPrefix(target, "unix:")
	switch {
	case pipe:
		return "unix", strings.TrimPrefix(path, "//")
	case strings.HasPrefix(target, "\x00"):
		return "unix", "@" + target[1:]
	default:
		return "tcp", target
	}
}

// handler is told of everything that a client does.
type handler struct{ cluster func() *outbound.Cluster }

// TagConn implements stats.Handler. Hands are shaken by now.
func (handler) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	outbound.Established(info.LocalAddr, true)
	return ctx
}

// HandleConn implements stats.Handler.
func (handler) HandleConn(context.Context, stats.ConnStats) {}

// call is the key of what counts a call, in its context.
type call struct{}

// counted is a call that is counted.
type counted struct {
	*outbound.Request
	trailers bool // have come; it is written before the end is told, and read then
}

// TagRPC implements stats.Handler.
func (h handler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, call{}, &counted{Request: h.cluster().Begin()})
}

// statusOK is what gRPC responses have for a status of HTTP, or else they are none.
const statusOK = 200

// HandleRPC implements stats.Handler.
func (h handler) HandleRPC(ctx context.Context, event stats.RPCStats) {
	c, ok := ctx.Value(call{}).(*counted)
	if !ok {
		return
	}
	switch e := event.(type) {
	case *stats.OutHeader:
		c.Sent(e.LocalAddr)
	case *stats.InHeader:
		c.Answered(statusOK)
	case *stats.InTrailer:
		c.Answered(statusOK)
		c.trailers = true
	case *stats.End:
		c.End(outcomeOf(ctx, e.Error, c.trailers))
	}
}

// outcomeOf says how a call ended with err. What the server has said in trailers is a failure as the HTTP status of its code says,
// from 500 on; see https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto.
func outcomeOf(ctx context.Context, err error, trailers bool) outbound.Outcome {
	if err == nil || errors.Is(err, io.EOF) {
		return outbound.Success
	}
	found := status.Convert(err)
	if trailers {
		switch found.Code() {
		case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
			return outbound.Failure
		}
		return outbound.Success
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), found.Code() == codes.DeadlineExceeded:
		return outbound.TimedOut
	case ctx.Err() != nil:
		return outbound.Cancelled
	case strings.HasPrefix(found.Message(), "stream terminated by RST_STREAM"): // gRPC tells it in no other way
		return outbound.Reset
	}
	return outbound.Unfinished
}
