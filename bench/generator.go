package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/h2load"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/wrk"
)

const (
	// loadGrace is what a load process may take beyond its duration: to let requests
	// in flight end or time out, and to report.
	loadGrace = 20 * time.Second
	// countedFactor is how many times longer than planned a number of requests may
	// take, for a proxy that is slower than it was at the warm-up.
	countedFactor = 3
)

// generator makes the command line of a load process and reads its output.
type generator struct {
	name  Generator
	path  string
	args  func(load.Config) []string
	parse func(output []byte) (load.Result, error)
	// counts says that it is to be given a number of requests for a measurement: see
	// h2load.Args.
	counts bool
}

// generators are those that there are; one without a path is not.
type generators struct{ own, wrk, h2load generator }

// findGenerators looks for the programs. Half of the load's CPUs are theirs, the origin gets the rest.
func findGenerators(options Options, dir string, cpus int) (generators, error) {
	threads := max(1, cpus/2)
	g := generators{
		own:    generator{name: Own, path: options.Self, args: func(c load.Config) []string { return ownArgs(c, threads) }, parse: parseOwn},
		wrk:    generator{name: Wrk},
		h2load: generator{name: H2load},
	}
	if path, err := peer.FindProgram(h2loadProgram); err == nil {
		args := func(config load.Config) []string { return h2load.Args(config, threads) }
		g.h2load = generator{name: H2load, path: path, args: args, parse: h2load.Parse, counts: true}
	}
	path, err := exec.LookPath("wrk")
	if err != nil {
		if options.Load == Wrk {
			return g, fmt.Errorf("load generator %s: %w", Wrk, err)
		}
		return g, nil
	}
	script := filepath.Join(dir, "result.lua")
	args := func(config load.Config) []string { return wrk.Args(config, threads, script) }
	g.wrk = generator{name: Wrk, path: path, args: args, parse: wrk.Parse}
	return g, os.WriteFile(script, wrk.Script, 0o600)
}

// foreign returns the generator of somebody else that can make the scenario's load, without a path where there is none.
// Handshakes are made by the lab's own, which knows whether a session was resumed; wrk does not pipeline, sends no bodies and asks for
// one path; neither it nor h2load waits for what it has sent to come back.
func (g generators) foreign(s Scenario) generator {
	switch {
	case s.Traffic.Echoes():
		return generator{}
	case s.http2() && s.Rate == 0 && len(s.Also) == 0:
		return g.h2load
	case s.Traffic.RateLimit > 0, s.handshakes(), s.Pipeline > 1, s.Message > 0, s.Rate > 0, len(s.Also) > 0, s.Slow > 0:
		return generator{}
	}
	return g.wrk
}

// of returns the generator of the scenario's load: somebody else's where there is one, unless the options or the scenario ask for
// the lab's own.
func (g generators) of(s Scenario, asked Generator) generator {
	if foreign := g.foreign(s); foreign.path != "" && asked != Own && s.with != Own {
		return foreign
	}
	return g.own
}

// other returns one that is not the usual, to check that against; false where there is none.
func (g generators) other(s Scenario, asked Generator) (generator, bool) {
	if g.of(s, asked).name != Own {
		return g.own, true
	}
	foreign := g.foreign(s)
	return foreign, foreign.path != ""
}

// ownArgs makes the command line of the sub-command load.
func ownArgs(config load.Config, threads int) []string {
	args := []string{
		"load",
		"--address", config.Address,
		"--path", config.Path,
		"--connections", strconv.Itoa(config.Connections),
		"--threads", strconv.Itoa(threads),
		"--duration", config.Duration.String(),
	}
	if config.HTTP2 {
		args = append(args, "--http2", "--streams", strconv.Itoa(config.Streams))
	}
	if config.GRPC {
		args = append(args, "--grpc")
	}
	if config.Messages > 0 {
		args = append(args, "--messages", strconv.Itoa(config.Messages))
	}
	if config.WebSocket {
		args = append(args, "--websocket")
	}
	if config.BodyFile != "" {
		args = append(args, "--body", config.BodyFile)
	}
	if config.Requests > 0 {
		args = append(args, "--requests", strconv.FormatUint(config.Requests, 10))
	}
	if config.Pipeline > 0 {
		args = append(args, "--pipeline", strconv.Itoa(config.Pipeline))
	}
	if config.Rate > 0 {
		args = append(args, "--rate", strconv.FormatFloat(config.Rate, 'f', -1, 64))
	}
	if config.Limited {
		args = append(args, "--limited")
	}
	if config.Slow > 0 {
		args = append(args, "--slow", strconv.Itoa(config.Slow))
	}
	for i, path := range config.Paths {
		if i > 0 { // the first is the path
			args = append(args, "--also", path)
		}
	}
	if config.NewConnections {
		args = append(args, "--new-connections")
	}
	if config.TLS {
		args = append(args, "--tls")
	}
	if config.Resume {
		args = append(args, "--resume")
	}
	for _, h := range config.Headers {
		args = append(args, "--header", h)
	}
	return args
}

func parseOwn(output []byte) (load.Result, error) {
	var r load.Result
	if err := json.Unmarshal(output, &r); err != nil {
		return load.Result{}, fmt.Errorf("result of the load process: %w", err)
	}
	return r, nil
}

// generatorOf returns the generator of the scenario's load.
func (l *lab) generatorOf(s Scenario) generator {
	if l.takesTurns(s) {
		return l.generators.own
	}
	return l.generators.of(s, l.options.Load)
}

// generate runs the load on the CPUs and returns what it saw. With a number of requests, the
// duration of config is how long they are expected to take.
func (l *lab) generate(ctx context.Context, g generator, cpus []int, config load.Config) (load.Result, error) {
	var output bytes.Buffer
	c, err := l.spawner.Start(child.Spec{
		Path:   g.path,
		Args:   g.args(config),
		CPUs:   cpus,
		Stdout: &output,
	})
	if err != nil {
		return load.Result{}, err
	}
	limit := config.Duration + loadGrace
	if config.Requests > 0 {
		limit = countedFactor*config.Duration + loadGrace
	}
	if err := c.Wait(ctx, limit); err != nil {
		return load.Result{}, err
	}
	return g.parse(output.Bytes())
}

// loadOf is what the generator is asked for to load p, but how much. It writes the body
// of the requests to a file where they have one.
func (l *lab) loadOf(s Scenario, p *runningProxy) (load.Config, error) {
	config := s.load(p.address)
	if s.Message == 0 {
		return config, nil
	}
	config.BodyFile = filepath.Join(p.dir, "message")
	return config, os.WriteFile(config.BodyFile, s.message(), 0o600)
}

// warmUp makes the scenario's load for the time of a warm-up.
func (l *lab) warmUp(ctx context.Context, s Scenario, p *runningProxy) (load.Result, error) {
	config, err := l.loadOf(s, p)
	if err != nil {
		return load.Result{}, err
	}
	config.Duration = l.options.Warmup
	result, err := l.generate(ctx, l.generatorOf(s), l.loadCPUs(s), config)
	switch {
	case err != nil:
		return load.Result{}, fmt.Errorf("warm-up: %w", err)
	case result.Requests == 0:
		return load.Result{}, errors.New("warm-up: no request was answered")
	}
	return result, nil
}
