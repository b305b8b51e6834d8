// Package bench is the load lab: on one machine it drives proxy-alb and its peers
// with the same workloads in the same run and reports what a request costs each.
//
// Absolute numbers depend on the machine and its mood; ratios of rounds taken side
// by side are what it is for. A round is a fresh proxy process, a warm-up that is
// thrown away, and the measured part; rounds of the proxies alternate. CPU time is
// that of the proxy's whole process tree. The proxy has a CPU of its own where there
// are two.
//
// The lab, its origin and its load generator are processes of one program, see
// command alb-bench. None of them, no proxy and no file survives the run.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

// lab is a run in progress. It belongs to the goroutine of Run.
type lab struct {
	options   Options
	machine   Machine
	generator generator
	spawner   *child.Spawner
	ports     *portFinder
	cpus      []int  // that the process was allowed before the run
	dir       string // of all files, removed at the end
	files     uint64 // limit on open files per process
	origin    string // address
}

// Run measures and returns the report. Rounds that went wrong are part of it, see
// Report.Failed; the error is for what made the whole impossible, the end of ctx
// included. All processes have ended when it returns.
func Run(ctx context.Context, options Options) (report Report, err error) {
	if err := options.Check(); err != nil {
		return Report{}, err
	}
	l, err := newLab(options)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	stopOrigin, err := l.startOrigin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, stopOrigin()) }()
	return l.measure(ctx)
}

func newLab(options Options) (*lab, error) {
	cpus, err := proc.AllowedCPUs()
	if err != nil {
		return nil, err
	}
	machine, err := inspectMachine(cpus)
	if err != nil {
		return nil, err
	}
	files, err := raiseFileLimit()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "alb-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{options: options, machine: machine, ports: newPortFinder(), cpus: cpus, dir: dir, files: files}
	if l.generator, err = newGenerator(options, dir, len(machine.LoadCPUs)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := proc.PinSelf(machine.LoadCPUs); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	l.spawner = child.NewSpawner()
	return l, nil
}

// close ends what is left, removes the files and lets the process run where it could
// before. The raised limit on open files stays.
func (l *lab) close() error {
	l.spawner.Close()
	return errors.Join(os.RemoveAll(l.dir), proc.PinSelf(l.cpus))
}

// startOrigin starts the origin and waits until it answers.
func (l *lab) startOrigin(ctx context.Context) (stop func() error, err error) {
	addresses, err := l.ports.addresses(1)
	if err != nil {
		return nil, err
	}
	l.origin = addresses[0]
	c, err := l.spawner.Start(child.Spec{
		Path: l.options.Self,
		Args: []string{"origin", "--listen", l.origin},
		CPUs: l.machine.LoadCPUs,
	})
	if err != nil {
		return nil, err
	}
	if err := awaitAnswer(ctx, c, l.origin); err != nil {
		return nil, errors.Join(fmt.Errorf("origin: %w", err), c.Stop())
	}
	return c.Stop, nil
}

func (l *lab) measure(ctx context.Context) (Report, error) {
	report := Report{
		Started:  time.Now().UTC(),
		Machine:  l.machine,
		Load:     l.generator.name,
		Duration: l.options.Duration,
		Warmup:   l.options.Warmup,
	}
	if l.machine.Shared {
		l.progress("one cpu only: proxy, origin and load share it; compare ratios, and those with care")
	}
	var names []string
	for _, p := range l.options.Proxies {
		names = append(names, p.Kind.Name)
		report.Proxies = append(report.Proxies, ProxyInfo{p.Kind.Name, p.Path, l.version(ctx, p)})
	}
	for _, s := range l.options.Scenarios {
		result := ScenarioReport{Scenario: s}
		if err := l.scenario(ctx, &result); err != nil {
			return Report{}, err
		}
		result.summarize(names)
		report.Scenarios = append(report.Scenarios, result)
	}
	report.Goals = report.judge()
	return report, nil
}

// scenario measures all rounds of one scenario, the proxies by turns. A proxy whose
// round had no result is left out of the rounds that follow: what stopped it once
// would again.
func (l *lab) scenario(ctx context.Context, s *ScenarioReport) error {
	out := make(map[string]bool)
	for n := 1; n <= l.options.Rounds; n++ {
		for _, p := range l.options.Proxies {
			if out[p.Kind.Name] {
				continue
			}
			r, err := l.round(ctx, s.Scenario, p, n)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				r.Error = err.Error()
				out[p.Kind.Name] = true
			}
			s.Rounds = append(s.Rounds, r)
			l.progress("%s round %d/%d %s: %s", s.Scenario.Name, n, l.options.Rounds, p.Kind.Name, describe(s.Scenario, r))
		}
	}
	return nil
}

// round starts the proxy, measures it once and stops it.
func (l *lab) round(ctx context.Context, s Scenario, p Proxy, n int) (r Round, err error) {
	r = Round{Proxy: p.Kind.Name, Round: n}
	dir := filepath.Join(l.dir, fmt.Sprintf("%s-%s-%d", s.Name, p.Kind.Name, n))
	running, err := l.startProxy(ctx, p, s, dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	if s.Measure == Idle {
		err = l.idle(ctx, s, running, &r)
	} else {
		err = l.throughput(ctx, s, running, &r)
	}
	return r, err
}

// throughput warms the proxy up and measures the CPU time it needs for a whole run
// of the load generator, first connection to last.
func (l *lab) throughput(ctx context.Context, s Scenario, p *runningProxy, r *Round) error {
	config := load.Config{
		Address: p.address, Path: s.Path, Headers: s.Headers,
		Connections: s.Connections, NewConnections: s.NewConnections, Duration: l.options.Warmup,
	}
	if _, err := l.generate(ctx, config); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	config.Duration = l.options.Duration
	before, err := l.sample(p)
	if err != nil {
		return err
	}
	if r.Load, err = l.generate(ctx, config); err != nil {
		return err
	}
	after, err := l.sample(p)
	if err != nil {
		return err
	}
	cpu, err := after.proxy.Since(before.proxy)
	if err != nil {
		return err
	}
	r.TotalCPU, r.UserCPU, r.SystemCPU, r.FineCPU = cpu.Total, cpu.User, cpu.System, cpu.Fine
	if !l.machine.Shared {
		r.Foreign = after.busy.Foreign(before.busy, cpu.Total)
	}
	if r.Load.Requests == 0 {
		return errors.New("no request was answered")
	}
	return nil
}

// sample is what is read before and after the measured part of a round.
type sample struct {
	proxy proc.CPUSample
	busy  proc.BusyTime // of the proxy's CPUs
}

func (l *lab) sample(p *runningProxy) (sample, error) {
	busy, err := proc.FS{}.SampleBusy(l.machine.ProxyCPUs)
	if err != nil {
		return sample{}, err
	}
	cpu, err := p.sampleCPU()
	return sample{proxy: cpu, busy: busy}, err
}

func (l *lab) progress(format string, args ...any) {
	fmt.Fprintf(l.options.Progress, format+"\n", args...)
}

// describe returns a round in a few words.
func describe(s Scenario, r Round) string {
	switch {
	case r.failed():
		return "FAILED: " + r.failure()
	case s.Measure == Idle:
		each := float64(r.IdleRSS-r.BaseRSS) / float64(s.Connections)
		return fmt.Sprintf("%.0f bytes/connection (RSS %s to %s)", each, mebibytes(float64(r.BaseRSS)), mebibytes(float64(r.IdleRSS)))
	}
	return fmt.Sprintf("%.0f req/s, %.2f µs/req (%.2f+%.2f), p50 %v, p99 %v", r.Load.RequestsPerSecond(),
		r.cpuPerRequest(), r.perRequest(r.UserCPU), r.perRequest(r.SystemCPU), r.Load.P50, r.Load.P99)
}
