// Command alb-bench is the load lab: it measures proxy-alb, nginx, HAProxy and nghttpx
// side by side on this machine and prints what a request costs each, and what an idle
// connection, a stalled stream or a large download adds to its memory.
//
//	alb-bench --proxy bin/proxy-alb
//	alb-bench --proxy "" --scenario h2-h2,grpc-unary --rounds 3 --duration 2s
//	alb-bench --proxy bin/proxy-alb --baseline /tmp/proxy-alb-before
//	alb-bench compare old.json new.json
//	alb-bench html report.json >report.html
//	alb-bench table --into docs/performance.md report.json
//
// HTTP/2 needs h2load and nghttpd of nghttp2: without them its scenarios are left out.
// The lab starts further processes of itself by the sub-commands origin, load, idle,
// stall and control-plane, which are of use by hand as well. The exit status is 0 when all rounds went
// through, 1 when any had errors or answers other than 2xx, or a comparison found a
// regression or could not tell, 2 for wrong usage.
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

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks a command line that the flag package has already complained about.
var errUsage = errors.New("wrong usage")

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Further signals are swallowed until all is cleaned up, which takes seconds.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	command := runLab
	if len(args) > 0 {
		switch args[0] {
		case "origin":
			command, args = runOrigin, args[1:]
		case "load":
			command, args = runLoad, args[1:]
		case "idle":
			command, args = runIdle, args[1:]
		case "stall":
			command, args = runStall, args[1:]
		case "compare":
			command, args = runCompare, args[1:]
		case "html":
			command, args = runHTML, args[1:]
		case "table":
			command, args = runTable, args[1:]
		case "control-plane":
			command, args = runControlPlane, args[1:]
		}
	}
	err := command(ctx, args, stdin, stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	}
	fmt.Fprintf(stderr, "alb-bench: %v\n", err)
	return exitFailed
}

// parse reads args into flags, which print their own complaints, and refuses
// arguments that are no flags.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	if err := parseFlags(flags, args, stderr); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usagef(stderr, "unexpected argument %q", flags.Arg(0))
	}
	return nil
}

// parseFlags reads the flags among args and leaves the arguments.
func parseFlags(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(stderr)
	err := flags.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return errUsage
	}
	return err
}

// usagef prints a complaint about the command line and returns errUsage.
func usagef(stderr io.Writer, format string, args ...any) error {
	fmt.Fprintf(stderr, "alb-bench: "+format+"\n", args...)
	return errUsage
}

// stringList is a flag that may be given more than once.
type stringList []string

func (l *stringList) String() string { return fmt.Sprint([]string(*l)) }

func (l *stringList) Set(value string) error {
	*l = append(*l, value)
	return nil
}
