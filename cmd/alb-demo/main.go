// Command alb-demo shows proxy-alb at work on one machine: it starts a control plane, two origins and the proxy, and prints what to try.
//
//	alb-demo [flags]                               run until Ctrl-C
//	alb-demo weight ROUTE [BACKEND=WEIGHT ...]     split a route's traffic; without weights, hand the route back
//	alb-demo limit ROUTE RATE [BURST]              limit a route's requests per second; RATE off takes the limit away
//
// The last two call marchproxy.ModuleService of a running proxy, for those who have no grpcurl.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // the flag package's own
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has been seen, a second one ends the program at once; the kernel then ends the proxy (see startProxy).
	context.AfterFunc(ctx, stop)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// usageError is a command line that cannot be followed.
type usageError struct{ error }

func usageErrorf(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run follows the command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "alb-demo: %s\n", err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "alb-demo: %s\n", err)
		return exitFailure
	}
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "weight":
			return weightCommand(ctx, args[1:], stdout, stderr)
		case "limit":
			return limitCommand(ctx, args[1:], stdout, stderr)
		}
	}
	opts, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	return runDemo(ctx, opts, stdout)
}

// parseFlags parses args; its errors are usage errors or flag.ErrHelp.
func parseFlags(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	// The package prints each error with the whole help below it, which buries the error. Only asking for help should give help.
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stderr)
		flags.Usage()
		return err
	}
	if err != nil {
		return usageErrorf("%w (alb-demo -h lists the flags)", err)
	}
	return nil
}
