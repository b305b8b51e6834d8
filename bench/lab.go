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
	"os"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

// lab is a run in progress. It belongs to the goroutine of Run.
type lab struct {
	options     Options
	machine     Machine
	generators  generators
	nghttpd     string // path; "" where there is none
	spawner     *child.Spawner
	ports       *portFinder
	origins     origins
	cpus        []int  // that the process was allowed before the run
	dir         string // of all files, removed at the end
	certificate string // path of what all proxies show under TLS, beside it its key; "" where nothing is under TLS
	files       uint64 // limit on open files per process
	progress    *progress
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
	if err := l.makeCertificate(); err != nil {
		return Report{}, err
	}
	if err := l.startOrigins(ctx); err != nil {
		return Report{}, err
	}
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
	if err := l.findTools(); err != nil {
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
	err := l.origins.stop()
	l.spawner.Close()
	return errors.Join(err, os.RemoveAll(l.dir), proc.PinSelf(l.cpus))
}

func (l *lab) measure(ctx context.Context) (Report, error) {
	report := Report{
		Started:  time.Now().UTC(),
		Machine:  l.machine,
		Tools:    l.tools(ctx),
		Duration: l.options.Duration,
		Warmup:   l.options.Warmup,
	}
	l.progress = newProgress(l.options.Progress, l.planned(), time.Now)
	if l.machine.Shared {
		l.progress.say("one cpu only: proxy, origin and load share it; compare ratios, and those with care")
	}
	for _, p := range l.options.Proxies {
		report.Proxies = append(report.Proxies, Program{p.label(), p.Path, l.version(ctx, p.Path, p.Kind.VersionArgs)})
	}
	for _, s := range l.options.Scenarios {
		result, err := l.scenario(ctx, s)
		if err != nil {
			return Report{}, err
		}
		report.Scenarios = append(report.Scenarios, result)
	}
	report.Goals = report.judge()
	report.Findings = report.againstBaseline()
	return report, nil
}

// scenario measures all rounds of one scenario, the proxies that take part by turns. A
// proxy whose round had no result is left out of the rounds that follow: what stopped
// it once would again.
func (l *lab) scenario(ctx context.Context, s Scenario) (ScenarioReport, error) {
	result := ScenarioReport{Scenario: s}
	if missing := l.missing(s); missing != "" {
		result.Notes = []string{"left out: " + missing}
		l.progress.say("%s left out: %s", s.Name, missing)
		return result, nil
	}
	result.Load = l.generatorOf(s).name
	var entries []*entry
	entries, result.Notes = l.entries(s)
	rounds := l.options.rounds(s)
	for n := 1; n <= rounds; n++ {
		for _, group := range l.groups(s, entries) {
			measured, err := l.measureGroup(ctx, group, n)
			if stop := errors.Join(ctx.Err(), l.origins.alive()); stop != nil {
				return result, stop
			}
			if measured == nil {
				l.progress.skip(len(group))
			}
			for i, r := range measured {
				if err != nil {
					r.Error, group[i].out = err.Error(), true
				}
				result.Rounds = append(result.Rounds, r)
				l.progress.round("%s round %d/%d %s: %s", s.Name, n, rounds, r.Proxy, result.describe(r))
			}
		}
	}
	if err := l.latencies(ctx, entries, &result); err != nil {
		return result, err
	}
	if err := l.crossCheck(ctx, entries, &result); err != nil {
		return result, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.proxy.label())
	}
	result.summarize(names)
	return result, nil
}

// entry is a proxy that takes part in a scenario.
type entry struct {
	proxy    Proxy
	scenario Scenario // as the proxy takes part in it
	out      bool     // of the rounds that follow
}

// entries lists who takes part in the scenario, with notes on who does not, or not as
// the others do.
func (l *lab) entries(s Scenario) (entries []*entry, notes []string) {
	for _, p := range l.options.Proxies {
		own, note, ok := s.of(p)
		if note != "" {
			notes = append(notes, note)
		}
		if ok {
			entries = append(entries, &entry{proxy: p, scenario: own})
		}
	}
	return entries, notes
}

// groups are the entries that are measured together: two builds by turns, and everybody else alone.
func (l *lab) groups(s Scenario, entries []*entry) (groups [][]*entry) {
	fresh, old := builds(entries)
	if !l.takesTurns(s) {
		fresh, old = nil, nil
	}
	for _, e := range entries {
		switch {
		case e == old && old != nil:
		case e == fresh:
			groups = append(groups, []*entry{fresh, old})
		default:
			groups = append(groups, []*entry{e})
		}
	}
	return groups
}

// measureGroup measures once who is measured together, and returns a round for each. It returns none when one of them is out.
func (l *lab) measureGroup(ctx context.Context, group []*entry, n int) ([]Round, error) {
	if slices.ContainsFunc(group, func(e *entry) bool { return e.out }) {
		return nil, nil
	}
	if len(group) == 2 {
		both, err := l.turns(ctx, group[0], group[1], n)
		return both[:], err
	}
	r, err := l.round(ctx, group[0].scenario, group[0].proxy, n)
	return []Round{r}, err
}

// round starts the proxy, measures it once and stops it. Before the first of a scenario
// it is looked at.
func (l *lab) round(ctx context.Context, s Scenario, p Proxy, n int) (r Round, err error) {
	r = Round{Proxy: p.label(), Round: n}
	if s.Traffic.ControlPlane {
		err := l.updateRound(ctx, s, p, &r)
		return r, err
	}
	if n == 1 {
		if err := l.inspect(ctx, p, s); err != nil {
			return r, err
		}
	}
	running, err := l.startProxy(ctx, p, s, l.origins.of(s.Traffic))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	r.Startup = running.startup
	if err := s.checkAnswer(running.answer); err != nil {
		return r, err
	}
	switch s.Measure {
	case Idle, Stalled:
		err = l.memory(ctx, s, running, &r)
	case Called:
		err = l.called(ctx, s, running, &r)
	case Download:
		err = l.download(ctx, s, running, &r)
	default:
		err = l.throughput(ctx, s, running, &r)
	}
	return r, err
}

// planned is how many rounds of all proxies there will be, if none fails.
func (l *lab) planned() int {
	n := 0
	for _, s := range l.options.Scenarios {
		if l.missing(s) == "" {
			entries, _ := l.entries(s)
			n += len(entries) * l.options.rounds(s)
		}
	}
	return n
}
