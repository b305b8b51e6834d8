package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

const (
	defaultGRPCAddr = "127.0.0.1:50051"
	// callTimeout bounds connecting and one call; the proxy answers within milliseconds.
	callTimeout = 5 * time.Second
)

// weightCommand splits a route's traffic.
func weightCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	addr, args, err := parseCall("alb-demo weight", "ROUTE [BACKEND=WEIGHT ...]", args, stderr)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usageErrorf("weight: which route? such as: alb-demo weight hello blue=20 green=80")
	}
	request := &marchproxypb.TrafficWeightRequest{RouteName: args[0]}
	for _, arg := range args[1:] {
		weight, err := parseWeight(arg)
		if err != nil {
			return err
		}
		request.Weights = append(request.Weights, weight)
	}
	return call(ctx, addr, func(ctx context.Context, client marchproxypb.ModuleServiceClient) error {
		response, err := client.SetTrafficWeight(ctx, request)
		if err != nil {
			return err
		}
		if err := outcome(stdout, response.GetSuccess(), response.GetMessage()); err != nil {
			return err
		}
		for _, applied := range response.GetAppliedWeights() {
			fmt.Fprintf(stdout, "%s=%d\n", applied.GetBackendName(), applied.GetWeight())
		}
		return nil
	})
}

func parseWeight(arg string) (*marchproxypb.BackendWeight, error) {
	name, text, ok := strings.Cut(arg, "=")
	weight, err := strconv.ParseInt(text, 10, 32)
	if !ok || name == "" || err != nil || weight < 0 {
		return nil, usageErrorf("weight: %q is not BACKEND=WEIGHT with a weight of 0 or more, such as blue=20", arg)
	}
	return &marchproxypb.BackendWeight{BackendName: name, Weight: int32(weight)}, nil
}

// limitCommand limits a route's rate.
func limitCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	addr, args, err := parseCall("alb-demo limit", "ROUTE RATE [BURST], or ROUTE off", args, stderr)
	if err != nil {
		return err
	}
	if len(args) < 2 || len(args) > 3 {
		return usageErrorf("limit: a route and a rate are needed, such as: alb-demo limit hello 5")
	}
	config, err := parseLimit(args[1:])
	if err != nil {
		return err
	}
	request := &marchproxypb.RateLimitRequest{RouteName: args[0], Config: config}
	return call(ctx, addr, func(ctx context.Context, client marchproxypb.ModuleServiceClient) error {
		response, err := client.ApplyRateLimit(ctx, request)
		if err != nil {
			return err
		}
		return outcome(stdout, response.GetSuccess(), response.GetMessage())
	})
}

// parseLimit reads RATE [BURST] or off. The burst is the rate when it is not given.
func parseLimit(args []string) (*marchproxypb.RateLimitConfig, error) {
	if args[0] == "off" && len(args) == 1 {
		return &marchproxypb.RateLimitConfig{}, nil
	}
	numbers := make([]int32, len(args))
	for i, arg := range args {
		number, err := strconv.ParseInt(arg, 10, 32)
		if err != nil || number < 1 {
			return nil, usageErrorf("limit: %q is not a number of requests, 1 or more", arg)
		}
		numbers[i] = int32(number)
	}
	return &marchproxypb.RateLimitConfig{RequestsPerSecond: numbers[0], BurstSize: numbers[len(numbers)-1], Enabled: true}, nil
}

// parseCall parses a subcommand's flags and returns the proxy's address and the other arguments.
func parseCall(name, arguments string, args []string, stderr io.Writer) (addr string, rest []string, err error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: %s [--grpc ADDRESS] %s\n", name, arguments)
		flags.PrintDefaults()
	}
	flags.StringVar(&addr, "grpc", defaultGRPCAddr, "`address` of the proxy's ModuleService")
	err = parseFlags(flags, args, stderr)
	return addr, flags.Args(), err
}

// call connects to the ModuleService at addr for one use.
func call(ctx context.Context, addr string, use func(context.Context, marchproxypb.ModuleServiceClient) error) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("ModuleService at %s: %w", addr, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := use(ctx, marchproxypb.NewModuleServiceClient(conn)); err != nil {
		return fmt.Errorf("ModuleService at %s: %w", addr, err)
	}
	return nil
}

// outcome prints what the proxy has to say, or returns it when it refuses.
func outcome(stdout io.Writer, success bool, message string) error {
	if !success {
		return errors.New(message)
	}
	if message != "" {
		fmt.Fprintln(stdout, message)
	}
	return nil
}
