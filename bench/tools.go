package bench

import (
	"context"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// Programs of nghttp2 that HTTP/2 is measured with.
const (
	h2loadProgram  = "h2load"
	nghttpdProgram = "nghttpd"
)

// findTools finds the generators and nghttpd, without which there are fewer scenarios.
func (l *lab) findTools() (err error) {
	if l.generators, err = findGenerators(l.options, l.dir, len(l.machine.LoadCPUs)); err != nil {
		return err
	}
	if path, err := peer.FindProgram(nghttpdProgram); err == nil {
		l.nghttpd = path
	}
	return nil
}

// missing says what the scenario lacks on this machine; "" when it can run.
func (l *lab) missing(s Scenario) string {
	if s.needsNghttpd() && l.nghttpd == "" {
		return "no " + nghttpdProgram + " on the PATH"
	}
	return ""
}

// tools describes those programs that the scenarios use.
func (l *lab) tools(ctx context.Context) []Program {
	load, origin := Program{Name: h2loadProgram, Path: l.generators.h2load.path}, Program{Name: nghttpdProgram, Path: l.nghttpd}
	used := make(map[string]bool)
	for _, s := range l.options.Scenarios {
		used[h2loadProgram] = used[h2loadProgram] || l.generatorOf(s).name == H2load
		used[nghttpdProgram] = used[nghttpdProgram] || s.needsNghttpd()
	}
	var found []Program
	for _, p := range []Program{load, origin} {
		if p.Path != "" && used[p.Name] {
			p.Version = l.version(ctx, p.Path, []string{"--version"})
			found = append(found, p)
		}
	}
	return found
}

// version returns the first line with which the program states its version.
func (l *lab) version(ctx context.Context, path string, args []string) string {
	const unknown = "version unknown"
	c, err := l.spawner.Start(child.Spec{Path: path, Args: args, CPUs: l.machine.LoadCPUs})
	if err != nil {
		return unknown
	}
	if err := c.Wait(ctx, versionTimeout); err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(strings.TrimSpace(c.Tail()), "\n")
	if line == "" {
		return unknown
	}
	return line
}
