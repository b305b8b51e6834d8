package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/page"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

// Defaults make a run of about five minutes with all peers. Many short rounds say more
// than few long ones: what disturbs a round lasts seconds.
const (
	defaultRounds   = 5
	defaultDuration = 2 * time.Second
	defaultWarmup   = time.Second
	// defaultCompared rounds of comparedDuration find a difference of a few percent where the machine disturbs some of them. That
	// long, two builds take twenty turns each, whose median a disturbance of a second does not move.
	defaultCompared  = 15
	comparedDuration = 4 * time.Second
)

var errRounds = errors.New("some rounds failed")

// labFlags is the command line of the lab.
type labFlags struct {
	proxy     string
	baseline  string
	named     bool // that there is --scenario
	peers     stringList
	scenarios string
	file      string
	rounds    int
	duration  time.Duration
	warmup    time.Duration
	load      string
	check     bool
	latency   bool
	json      string
	html      string
}

func parseLabFlags(args []string, stderr io.Writer) (labFlags, error) {
	var f labFlags
	flags := flag.NewFlagSet("alb-bench", flag.ContinueOnError)
	flags.StringVar(&f.proxy, "proxy", "", "`path` of proxy-alb; empty leaves it out")
	flags.StringVar(&f.baseline, "baseline", "", "`path` of another build of proxy-alb to compare it with in the same rounds; of the peers only those that are named take part then")
	flags.Var(&f.peers, "peer", "`name=path` of a peer: "+strings.Join(peerNames(), ", ")+"; an empty path leaves it out (default: as found on the PATH, but for caddy and traefik)")
	flags.StringVar(&f.scenarios, "scenario", strings.Join(bench.DefaultScenarios(), ","), "`names` of scenarios, separated by commas: "+strings.Join(bench.ScenarioNames(), ", "))
	flags.StringVar(&f.file, "scenario-file", "", "`file` of further scenarios, in YAML: see docs/performance.md")
	flags.IntVar(&f.rounds, "rounds", defaultRounds, fmt.Sprintf("`number` of rounds per proxy and scenario, at most 2 in those of memory; with --baseline %d unless it is given, and in all", defaultCompared))
	flags.DurationVar(&f.duration, "duration", defaultDuration, fmt.Sprintf("measured `time` of a round, whole seconds; with --baseline %v unless it is given", comparedDuration))
	flags.DurationVar(&f.warmup, "warmup", defaultWarmup, "`time` before it, whole seconds")
	flags.StringVar(&f.load, "load", string(bench.Auto), "load `generator`: auto, which is wrk for HTTP/1.1 and h2load for HTTP/2 where they can make the load and own elsewhere, wrk, or own for all of it; with --baseline what is measured by turns is by own")
	flags.BoolVar(&f.check, "cross-check", false, "measure each proxy once more with another generator, and print both")
	flags.BoolVar(&f.latency, "latency", false, "measure latencies at 50, 80 and 95 % of the lowest peak too")
	flags.StringVar(&f.json, "json", "", "`file` to write the report to as JSON")
	flags.StringVar(&f.html, "html", "", "`file` to write the report to as a page with plots, which needs no network")
	if err := parse(flags, args, stderr); err != nil {
		return f, err
	}
	given := make(map[string]bool)
	flags.Visit(func(set *flag.Flag) { given[set.Name] = true })
	f.named = given["scenario"]
	if f.baseline == "" {
		return f, nil
	}
	if !given["rounds"] {
		f.rounds = defaultCompared
	}
	if !given["duration"] {
		f.duration = comparedDuration
	}
	switch {
	case f.proxy == "":
		return f, usagef(stderr, "--baseline: want --proxy with it, to be compared")
	case f.rounds < verdict.MinPaired:
		return f, usagef(stderr, "--baseline: %d rounds cannot tell a difference from chance, want at least %d", f.rounds, verdict.MinPaired)
	}
	return f, nil
}

// selected are the scenarios that were named and those of the file; with a file the default is none of the lab's.
func (f labFlags) selected() ([]bench.Scenario, error) {
	var all []bench.Scenario
	if f.named || f.file == "" {
		found, err := bench.FindScenarios(strings.Split(f.scenarios, ","))
		if err != nil {
			return nil, err
		}
		all = found
	}
	if f.file == "" {
		return all, nil
	}
	text, err := readFile(f.file, bench.MaxScenarioFile)
	if err != nil {
		return nil, err
	}
	own, err := bench.ReadScenarios(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.file, err)
	}
	return append(all, own...), nil
}

// peerNames are the kinds that proxy-alb is compared with.
func peerNames() []string {
	var names []string
	for _, kind := range peer.Kinds() {
		if kind.Name != peer.ProxyALB {
			names = append(names, kind.Name)
		}
	}
	return names
}

func runLab(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	f, err := parseLabFlags(args, stderr)
	if err != nil {
		return err
	}
	scenarios, err := f.selected()
	if err != nil {
		return usagef(stderr, "%v", err)
	}
	proxies, err := f.proxies(stderr)
	if err != nil {
		return usagef(stderr, "%v", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	options := bench.Options{
		Proxies:   proxies,
		Scenarios: scenarios,
		Rounds:    f.rounds,
		Duration:  f.duration,
		Warmup:    f.warmup,
		Load:      bench.Generator(f.load),
		Self:      self,

		CrossCheck: f.check, Latency: f.latency,
		Progress: stderr,
	}
	if err := options.Check(); err != nil {
		return usagef(stderr, "%v", err)
	}
	report, err := bench.Run(ctx, options)
	if err != nil {
		return err
	}
	return finish(report, f, stdout)
}

// finish prints the report, writes it to the files that were asked for, and fails when
// rounds failed or something became worse.
func finish(report bench.Report, f labFlags, stdout io.Writer) error {
	if err := report.WriteText(stdout); err != nil {
		return err
	}
	if f.json != "" {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if f.html != "" {
		var text bytes.Buffer
		if err := page.Write(&text, report); err != nil {
			return err
		}
		if err := os.WriteFile(f.html, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if report.Failed() {
		return errRounds
	}
	return regression(report.Findings)
}

// proxies finds what to measure. A proxy that was named must be there; peers that
// were not are left out when they are missing, and stderr says so.
func (f labFlags) proxies(stderr io.Writer) ([]bench.Proxy, error) {
	paths := map[string]string{peer.ProxyALB: f.proxy}
	for _, p := range f.peers {
		name, path, ok := strings.Cut(p, "=")
		if !ok || !slices.Contains(peerNames(), name) {
			return nil, fmt.Errorf("peer %q: want name=path, the name one of %s", p, strings.Join(peerNames(), ", "))
		}
		paths[name] = path
	}
	var found []bench.Proxy
	for _, kind := range peer.Kinds() {
		path, named := paths[kind.Name]
		if !named && f.baseline != "" {
			continue
		}
		if named && path == "" {
			fmt.Fprintf(stderr, "%s: left out as asked\n", kind.Name)
			continue
		}
		program, err := kind.Find(path)
		if err != nil && named {
			return nil, err
		}
		if err != nil {
			fmt.Fprintf(stderr, "left out: %v\n", err)
			continue
		}
		found = append(found, bench.Proxy{Kind: kind, Path: program})
	}
	if f.baseline != "" {
		kind := found[0].Kind // proxy-alb is the first, and without it there is no baseline
		program, err := kind.Find(f.baseline)
		if err != nil {
			return nil, err
		}
		found = slices.Insert(found, 1, bench.Proxy{Kind: kind, Path: program, Label: bench.Baseline})
	}
	return found, nil
}
