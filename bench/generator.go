package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/wrk"
)

// loadGrace is what a load process may take beyond its duration: to let requests in
// flight end or time out, and to report.
const loadGrace = 20 * time.Second

// generator makes the command line of a load process and reads its output.
type generator struct {
	name  Generator
	path  string
	args  func(load.Config) []string
	parse func(output []byte) (load.Result, error)
}

// newGenerator chooses the generator. Half of the load's CPUs are wrk's, the origin
// gets the rest.
func newGenerator(options Options, dir string, cpus int) (generator, error) {
	own := generator{name: Own, path: options.Self, args: ownArgs, parse: parseOwn}
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

// generate runs the load and returns what it saw.
func (l *lab) generate(ctx context.Context, config load.Config) (load.Result, error) {
	var output bytes.Buffer
	c, err := l.spawner.Start(child.Spec{
		Path:   l.generator.path,
		Args:   l.generator.args(config),
		CPUs:   l.machine.LoadCPUs,
		Stdout: &output,
	})
	if err != nil {
		return load.Result{}, err
	}
	if err := c.Wait(ctx, config.Duration+loadGrace); err != nil {
		return load.Result{}, err
	}
	return l.generator.parse(output.Bytes())
}
