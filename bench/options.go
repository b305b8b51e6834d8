package bench

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// Generator names a load generator.
type Generator string

const (
	// Auto is Wrk for HTTP/1.1 and H2load for HTTP/2 where they are there and can make the load, otherwise Own.
	Auto Generator = "auto"
	// H2load is the program of that name. It makes HTTP/2 load only.
	H2load Generator = "h2load"
	// Wrk is the program of that name, found on the PATH. It makes no load of handshakes, of bodies or of pipelined requests, and
	// for it to be asked for is as Auto, but that it must be there.
	Wrk Generator = "wrk"
	// Own is package load in a process of its own.
	Own Generator = "own"
)

// Limits of Options: what is longer than a working day is a mistake.
const (
	maxRounds   = 100
	maxDuration = 10 * time.Minute
)

// Baseline is the label of another build of proxy-alb that is measured beside it and compared with it.
const Baseline = "baseline"

// Proxy is a proxy under test.
type Proxy struct {
	Kind peer.Kind
	Path string // of its program
	// Label is what reports call it; "" for the name of its kind. No two proxies of a run have the same.
	Label string
}

func (p Proxy) label() string {
	if p.Label != "" {
		return p.Label
	}
	return p.Kind.Name
}

// Options say what to run.
type Options struct {
	Proxies   []Proxy
	Scenarios []Scenario
	// Rounds each proxy is measured in every scenario, in [1, 100]; at most 2 in those
	// of memory, unless there is a Baseline.
	Rounds int
	// Duration of the measured part of a round, whole seconds in [1s, 10m].
	Duration time.Duration
	// Warmup is the part of a round before it, whole seconds in [1s, 10m].
	Warmup time.Duration
	// Load names the generator.
	Load Generator
	// CrossCheck has each proxy measured once more in every scenario of throughput, by another generator.
	CrossCheck bool
	// Latency has the latencies of each proxy measured in every scenario of throughput, at parts of the lowest peak.
	Latency bool
	// Self is the path of a program with the sub-commands origin, load, idle, stall and
	// control-plane.
	Self string
	// Progress receives a line per round.
	Progress io.Writer
}

// Check says what is wrong with the options: Run refuses them for the same reasons.
func (o Options) Check() error {
	switch {
	case len(o.Proxies) == 0:
		return fmt.Errorf("no proxy to measure: name one with --proxy or --peer, or install nginx, haproxy or nghttpx")
	case len(o.Scenarios) == 0:
		return fmt.Errorf("no scenario to measure")
	case o.Rounds < 1 || o.Rounds > maxRounds:
		return fmt.Errorf("rounds: %d is not in [1, %d]", o.Rounds, maxRounds)
	}
	if label := o.twice(); label != "" {
		return fmt.Errorf("two proxies are called %s", label)
	}
	switch o.Load {
	case Auto, Wrk, Own:
	default:
		return fmt.Errorf("load generator %q: want %s, %s or %s", o.Load, Auto, Wrk, Own)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"duration", o.Duration}, {"warmup", o.Warmup}} {
		if d.value < time.Second || d.value > maxDuration || d.value%time.Second != 0 {
			return fmt.Errorf("%s: %v is not a whole number of seconds in [1s, %v]", d.name, d.value, maxDuration)
		}
	}
	return nil
}

// twice returns a label that two proxies have; "" when there is none.
func (o Options) twice() string {
	seen := make(map[string]bool)
	for _, p := range o.Proxies {
		if seen[p.label()] {
			return p.label()
		}
		seen[p.label()] = true
	}
	return ""
}

// baseline says that there is something to compare proxy-alb with.
func (o Options) baseline() bool {
	return slices.ContainsFunc(o.Proxies, func(p Proxy) bool { return p.label() == Baseline })
}
