package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/origin"
)

// runOrigin serves package origin until it is interrupted.
func runOrigin(ctx context.Context, args []string, _ io.Reader, _, stderr io.Writer) error {
	flags := flag.NewFlagSet("alb-bench origin", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "`address` to listen on")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "origin listens on %s\n", ln.Addr())
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
	var headers stringList
	flags := flag.NewFlagSet("alb-bench load", flag.ContinueOnError)
	loadFlags(flags, &config)
	flags.DurationVar(&config.Duration, "duration", 5*time.Second, "`time` during which requests are started")
	flags.BoolVar(&config.NewConnections, "new-connections", false, "open a connection per request")
	flags.BoolVar(&config.TLS, "tls", false, "under TLS")
	flags.BoolVar(&config.Resume, "resume", false, "resume the session of TLS with each new connection")
	flags.Var(&headers, "header", "`name: value` to send, may be repeated")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	config.Headers = headers
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
