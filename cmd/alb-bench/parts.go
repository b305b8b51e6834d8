package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/origin"
)

// runOrigin serves package origin until it is interrupted.
func runOrigin(ctx context.Context, args []string, _ io.Reader, _, stderr io.Writer) error {
	flags := flag.NewFlagSet("alb-bench origin", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "`address` to listen on")
	echo := flags.Bool("echo", false, "send back messages of gRPC and frames of WebSocket as they come, in HTTP/1.1 and HTTP/2")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "origin listens on %s\n", ln.Addr())
	if *echo {
		return origin.ServeEcho(ctx, ln)
	}
	return origin.Serve(ctx, ln)
}

// loadFlags adds the flags that load, idle and stall have in common.
func loadFlags(flags *flag.FlagSet, config *load.Config) {
	flags.StringVar(&config.Address, "address", "127.0.0.1:10000", "`address` of the server")
	flags.StringVar(&config.Path, "path", "/16", "request `target`")
	flags.IntVar(&config.Connections, "connections", 64, "`number` of connections")
}

// runLoad makes load and prints the load.Result as JSON.
func runLoad(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	var config load.Config
	var headers, also stringList
	flags := flag.NewFlagSet("alb-bench load", flag.ContinueOnError)
	loadFlags(flags, &config)
	flags.DurationVar(&config.Duration, "duration", 5*time.Second, "`time` during which requests are started")
	flags.BoolVar(&config.NewConnections, "new-connections", false, "open a connection per request")
	flags.BoolVar(&config.TLS, "tls", false, "under TLS")
	flags.BoolVar(&config.Resume, "resume", false, "resume the session of TLS with each new connection")
	flags.BoolVar(&config.HTTP2, "http2", false, "HTTP/2, with prior knowledge or by ALPN")
	flags.IntVar(&config.Streams, "streams", 0, "`number` of requests in flight on each connection of HTTP/2")
	flags.IntVar(&config.Pipeline, "pipeline", 0, "`number` of requests in flight on each connection of HTTP/1.1")
	flags.BoolVar(&config.GRPC, "grpc", false, "answers end with grpc-status: 0")
	flags.IntVar(&config.Messages, "messages", 0, "`number` of messages of each gRPC call, one after another as they come back; --body is one")
	flags.BoolVar(&config.WebSocket, "websocket", false, "upgrade each connection, then send --body in a frame again and again as it comes back")
	flags.BoolVar(&config.Limited, "limited", false, "answers of status 429 are counted by themselves and are no errors")
	flags.Float64Var(&config.Rate, "rate", 0, "`requests` due per second, whether those before were answered or not; 0: as many as are answered")
	flags.StringVar(&config.BodyFile, "body", "", "`file` that is the body of each request, a POST then")
	flags.Uint64Var(&config.Requests, "requests", 0, "`number` of requests after which to stop")
	flags.IntVar(&config.Slow, "slow", 0, "`number` of the connections that read slowly")
	flags.IntVar(&config.Threads, "threads", 1, "`number` of threads")
	flags.Var(&also, "also", "further request `target`, by turns, may be repeated")
	flags.Var(&headers, "header", "`name: value` to send, may be repeated")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	// A loop that waits for events keeps a processor of Go's, up to 10 ms, and who tells it what is due needs another: with none
	// besides, which is what Go gives a process on one CPU, all that is due is late.
	runtime.GOMAXPROCS(max(1, config.Threads) + 1)
	config.Headers = headers
	if len(also) > 0 {
		config.Paths = append([]string{config.Path}, also...)
	}
	result, err := load.Run(ctx, config)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(result)
}

// runIdle opens connections and holds them until the end of its input.
func runIdle(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var config load.Config
	flags := flag.NewFlagSet("alb-bench idle", flag.ContinueOnError)
	loadFlags(flags, &config)
	flags.BoolVar(&config.HTTP2, "http2", false, "HTTP/2 with prior knowledge")
	flags.BoolVar(&config.TLS, "tls", false, "HTTP/1.1 under TLS")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	held, err := load.Hold(ctx, config)
	if err != nil {
		return err
	}
	defer held.Close()
	return hold(ctx, stdin, stdout, held.Closed)
}

// runStall opens HTTP/2 streams whose answers it does not read and holds them until the
// end of its input.
func runStall(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var config load.Config
	flags := flag.NewFlagSet("alb-bench stall", flag.ContinueOnError)
	loadFlags(flags, &config)
	flags.IntVar(&config.Streams, "streams", 100, "`number` of streams per connection")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	stalled, err := load.Stall(ctx, config)
	if err != nil {
		return err
	}
	defer stalled.Close()
	return hold(ctx, stdin, stdout, stalled.Lost)
}

// hold is a holder's part of the dialogue with the lab.
func hold(ctx context.Context, stdin io.Reader, stdout io.Writer, lost func() int) error {
	fmt.Fprintln(stdout, bench.HoldReady)
	input := make(chan struct{})
	go func() {
		io.Copy(io.Discard, stdin)
		close(input)
	}()
	select {
	case <-input:
	case <-ctx.Done():
	}
	fmt.Fprintln(stdout, bench.HoldClosed, lost())
	return nil
}
