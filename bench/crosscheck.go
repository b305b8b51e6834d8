package bench

import (
	"context"
	"errors"
	"fmt"
)

// crossCheck measures each proxy of a scenario of throughput once more, with load by another generator than before: what a proxy
// costs is not to depend on who asks.
func (l *lab) crossCheck(ctx context.Context, entries []*entry, result *ScenarioReport) error {
	s := result.Scenario
	other, ok := l.generators.other(s, l.options.Load)
	if !l.options.CrossCheck || !s.driven() || !ok {
		return nil
	}
	result.CheckedBy = other.name
	for _, e := range entries {
		if e.out {
			continue
		}
		checked := e.scenario
		checked.with = other.name
		r, err := l.round(ctx, checked, e.proxy, result.checkRound())
		if stop := errors.Join(ctx.Err(), l.origins.alive()); stop != nil {
			return stop
		}
		if err != nil {
			r.Error = err.Error()
		}
		result.CrossChecks = append(result.CrossChecks, r)
		l.progress.say("%s checked by %s, %s: %s", s.Name, other.name, r.Proxy, result.describe(r))
	}
	return nil
}

// checkRound is the number of the round of a cross-check: that after the last.
func (s *ScenarioReport) checkRound() int {
	last := 0
	for _, r := range s.Rounds {
		last = max(last, r.Round)
	}
	return last + 1
}

// writeCrossChecks writes what both generators say of each proxy.
func (r Report) writeCrossChecks(b *document) {
	t := b.table()
	t.row("scenario", "proxy", "load by", "req/s", "CPU µs/req", "checked by", "req/s", "CPU µs/req", "difference of CPU")
	for _, s := range r.Scenarios {
		for _, check := range s.CrossChecks {
			for _, sum := range s.Summary {
				if sum.Proxy != check.Proxy || sum.Rounds == 0 || check.failed() {
					continue
				}
				t.row(s.Scenario.Name, sum.Proxy, string(s.Load), fmt.Sprintf("%.0f", sum.RequestsPerSecond), fmt.Sprintf("%.2f", sum.CPU),
					string(s.CheckedBy), fmt.Sprintf("%.0f", check.Load.RequestsPerSecond()), fmt.Sprintf("%.2f", check.cpuPerRequest()),
					signed(check.cpuPerRequest()/sum.CPU-1))
			}
		}
	}
	t.flush()
}
