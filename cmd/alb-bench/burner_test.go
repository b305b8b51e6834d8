package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/proc"
	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

// live is a proxy-alb for the test that depends on how quiet the machine is.
var live = flag.String("lab.live", "", "`path` of a proxy-alb to compare with itself and with one that burns 5 % more; takes some minutes of a quiet machine")

// burnerEnv is the path of the proxy that the burner runs.
const burnerEnv = "ALB_BENCH_TEST_BURNER"

const (
	// burned is the part of the proxy's CPU time that the burner uses on top.
	burned = 0.05
	// burnEvery is short against a request's time in a queue and long against what a look at the proxy takes.
	burnEvery = 20 * time.Millisecond
)

// runBurner runs the proxy and does nothing with CPU time that is a fixed part of the proxy's own, on the same CPU: to the lab,
// which looks at process trees, a proxy whose requests cost that much more.
func runBurner(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cmd := exec.Command(os.Getenv(burnerEnv), args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	first, err := proc.FS{}.SampleCPU([]int{cmd.Process.Pid})
	for tick := time.NewTicker(burnEvery); err == nil; {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			cmd.Process.Signal(syscall.SIGTERM)
			return <-ended
		case <-tick.C:
		}
		var now proc.CPUSample
		if now, err = (proc.FS{}).SampleCPU([]int{cmd.Process.Pid}); err != nil {
			break
		}
		var used proc.CPU
		if used, err = now.Since(first); err == nil {
			for goal := time.Duration(burned * float64(used.Total)); ownCPU() < goal; {
			}
		}
	}
	return <-ended
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestLive holds the verdict against the machine: a proxy beside itself is no different, and one that takes 5 % more is found out.
func TestLive(t *testing.T) {
	if *live == "" {
		t.Skip("needs -lab.live")
	}
	proxy, err := filepath.Abs(*live)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(burnerEnv, proxy)
	scenarios, err := bench.FindScenarios([]string{"h1-small"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path string
		want verdict.Outcome
	}{"itself": {proxy, verdict.Same}, "a burner": {script(t, "burner"), verdict.Worse}} {
		t.Run(name, func(t *testing.T) {
			o := options(t, scenarios[0])
			kind := peer.Kinds()[0]
			o.Proxies = []bench.Proxy{{Kind: kind, Path: test.path}, {Kind: kind, Path: proxy, Label: bench.Baseline}}
			o.Rounds, o.Duration, o.Load = defaultCompared, comparedDuration, bench.Auto
			report, err := bench.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := report.WriteText(t.Output()); err != nil {
				t.Fatal(err)
			}
			if len(report.Findings) != 1 || report.Findings[0].Outcome != test.want {
				t.Errorf("%+v, want %s", report.Findings, test.want)
			}
			noneLeft(t)
		})
	}
}
