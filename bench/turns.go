package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

// slice is how long one build is measured before it is the other's turn: short against what a machine does beside for a while,
// and long against the microseconds that the first requests find cold caches.
const slice = 200 * time.Millisecond

// takesTurns says that proxy-alb and the Baseline are measured by turns in the scenario, both as long as a round: over connections
// that stay open, by the lab's own load.
func (l *lab) takesTurns(s Scenario) bool {
	return l.options.baseline() && s.driven() && s.Growth == nil && s.Workers <= 1 &&
		!s.NewConnections && s.Traffic.RateLimit == 0 && !(s.Traffic.TLS && s.http2())
}

// builds returns the entries of proxy-alb and its Baseline, nil unless both take part.
func builds(entries []*entry) (fresh, old *entry) {
	for _, e := range entries {
		if e.proxy.label() == Baseline {
			old = e
		} else if e.proxy.label() == e.proxy.Kind.Name && fresh == nil {
			fresh = e // the first of all
		}
	}
	if old == nil || fresh == nil || fresh.proxy.Kind.Name != old.proxy.Kind.Name {
		return nil, nil
	}
	return fresh, old
}

// turn is one of two builds that are measured by turns.
type turn struct {
	scenario Scenario
	proxy    *runningProxy
	load     *load.Slices
	round    Round
}

// turns measures two builds of proxy-alb by turns: both run on the same CPU, one of them idle, and what a request costs one is held
// against what it has cost the other just before or just after. What one process happens to be like, by where its memory lies, is
// in all slices of a round: rounds are what is independent of each other.
func (l *lab) turns(ctx context.Context, fresh, old *entry, n int) (rounds [2]Round, err error) {
	var sides [2]*turn
	both := [2]*entry{fresh, old}
	for i, e := range both {
		rounds[i] = Round{Proxy: e.proxy.label(), Round: n}
	}
	for _, i := range order(n) { // so that neither is always the one that has just been warmed up
		e := both[i]
		if n == 1 {
			if err := l.inspect(ctx, e.proxy, e.scenario); err != nil {
				return rounds, err
			}
		}
		side, err := l.openTurn(ctx, e, n)
		if err != nil {
			return rounds, err
		}
		defer func() { err = errors.Join(err, side.close()) }()
		sides[i] = side
	}
	var logs []float64
	for i := range max(1, int(l.options.Duration/slice)) {
		var cost [2]float64
		for _, at := range order(i) {
			if cost[at], err = sides[at].measure(ctx); err != nil {
				return rounds, err
			}
		}
		logs = append(logs, math.Log(cost[0]/cost[1]))
	}
	slices.Sort(logs)
	for i, side := range sides {
		if side.round.AfterRSS, err = side.proxy.rss(); err != nil {
			return rounds, err
		}
		rounds[i] = side.round
		if err := side.scenario.checkLoad(side.round.Load); err != nil {
			return rounds, err
		}
	}
	rounds[0].AgainstBaseline = math.Exp(median(logs))
	return rounds, nil
}

// order has each of the two go first in turn.
func order(i int) [2]int { return [2]int{i % 2, 1 - i%2} }

// openTurn starts a build and warms it up.
func (l *lab) openTurn(ctx context.Context, e *entry, n int) (_ *turn, err error) {
	t := &turn{scenario: e.scenario, round: Round{Proxy: e.proxy.label(), Round: n}}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	if t.proxy, err = l.startProxy(ctx, e.proxy, e.scenario, l.origins.of(e.scenario.Traffic)); err != nil {
		return nil, err
	}
	t.round.Startup = t.proxy.startup
	if err := e.scenario.checkAnswer(t.proxy.answer); err != nil {
		return nil, err
	}
	if t.round.BaseRSS, err = t.proxy.rss(); err != nil {
		return nil, err
	}
	config, err := l.loadOf(e.scenario, t.proxy)
	if err != nil {
		return nil, err
	}
	config.Threads = max(1, len(l.machine.LoadCPUs)/2)
	if t.load, err = load.OpenSlices(config); err != nil {
		return nil, err
	}
	warm, err := t.load.Make(ctx, l.options.Warmup)
	switch {
	case err != nil:
		return nil, fmt.Errorf("warm-up: %w", err)
	case warm.Requests == 0:
		return nil, errors.New("warm-up: no request was answered")
	}
	return t, nil
}

// measure makes load for a slice, counts it in the round and returns what CPU time a request has taken, in nanoseconds.
func (t *turn) measure(ctx context.Context) (float64, error) {
	before, err := t.proxy.sampleCPU()
	if err != nil {
		return 0, err
	}
	result, err := t.load.Make(ctx, slice)
	if err != nil {
		return 0, err
	}
	after, err := t.proxy.sampleCPU()
	if err != nil {
		return 0, err
	}
	cpu, err := after.Since(before)
	if err != nil {
		return 0, err
	}
	r := &t.round
	r.Load = r.Load.Add(result)
	r.TotalCPU, r.UserCPU, r.SystemCPU, r.FineCPU = r.TotalCPU+cpu.Total, r.UserCPU+cpu.User, r.SystemCPU+cpu.System, cpu.Fine
	if result.Requests == 0 || cpu.Total <= 0 {
		return 0, fmt.Errorf("%d requests were answered in %v, with %v of CPU time", result.Requests, slice, cpu.Total)
	}
	return float64(cpu.Total) / float64(result.Requests), nil
}

// close ends what there is.
func (t *turn) close() error {
	var err error
	if t.load != nil {
		err = t.load.Close()
	}
	if t.proxy != nil {
		err = errors.Join(err, t.proxy.stop())
	}
	return err
}
