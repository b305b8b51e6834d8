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

// newGenerator chooses the generator of HTTP/1.1. Half of the load's CPUs are wrk's,
// the origin gets the rest.
func newGenerator(options Options, dir string, cpus int) (generator, error) {
	own := newOwnGenerator(options)
	if options.Load == Own {
		return own, nil
	}
	path, err := exec.LookPath("wrk")
	if err != nil {
		if options.Load == Auto {
			return own, nil
		}
		return generator{}, fmt.Errorf("load generator %s: %w", Wrk, err)
	}
	script := filepath.Join(dir, "result.lua")
	if err := os.WriteFile(script, wrk.Script, 0o600); err != nil {
		return generator{}, err
	}
	args := func(config load.Config) []string { return wrk.Args(config, cpus/2, script) }
	return generator{name: Wrk, path: path, args: args, parse: wrk.Parse}, nil
}

func newOwnGenerator(options Options) generator {
	return generator{name: Own, path: options.Self, args: ownArgs, parse: parseOwn}
}

// newHTTP2Generator makes the generator of HTTP/2 of the program at path.
func newHTTP2Generator(path string, cpus int) generator {
	args := func(config load.Config) []string { return h2load.Args(config, cpus/2) }
	return generator{name: H2load, path: path, args: args, parse: h2load.Parse, counts: true}
}

// ownArgs makes the command line of the sub-command load.
func ownArgs(config load.Config) []string {
	args := []string{
		"load",
		"--address", config.Address,
		"--path", config.Path,
		"--connections", strconv.Itoa(config.Connections),
		"--duration", config.Duration.String(),
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

// generatorOf returns the generator of the scenario's protocol. Handshakes are made by the lab's own, which knows whether a
// session was resumed.
func (l *lab) generatorOf(s Scenario) generator {
	switch {
	case s.http2():
		return l.http2Load
	case s.handshakes():
		return l.handshakeLoad
	}
	return l.http1Load
}

// generate runs the load and returns what it saw. With a number of requests, the
// duration of config is how long they are expected to take.
func (l *lab) generate(ctx context.Context, g generator, config load.Config) (load.Result, error) {
	var output bytes.Buffer
	c, err := l.spawner.Start(child.Spec{
		Path:   g.path,
		Args:   g.args(config),
		CPUs:   l.machine.LoadCPUs,
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
	return config, os.WriteFile(config.BodyFile, message(s.Message), 0o600)
}

// warmUp makes the scenario's load for the time of a warm-up.
func (l *lab) warmUp(ctx context.Context, s Scenario, p *runningProxy) (load.Result, error) {
	config, err := l.loadOf(s, p)
	if err != nil {
		return load.Result{}, err
	}
	config.Duration = l.options.Warmup
	result, err := l.generate(ctx, l.generatorOf(s), config)
	switch {
	case err != nil:
		return load.Result{}, fmt.Errorf("warm-up: %w", err)
	case result.Requests == 0:
		return load.Result{}, errors.New("warm-up: no request was answered")
	}
	return result, nil
}
