package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

// latencyParts are the parts of the lowest peak at which latencies are measured: half a load, a busy proxy, and one near its end.
var latencyParts = [...]float64{0.50, 0.80, 0.95}

// LatencyRound is the latency of one proxy at a rate that all of a scenario can serve. It counts from when a request was due.
type LatencyRound struct {
	Proxy string `json:"proxy"`
	// Part is that of the lowest peak, the median requests per second of the slowest proxy; Rate is what it comes to.
	Part  float64     `json:"part"`
	Rate  float64     `json:"rate"`
	Error string      `json:"error,omitempty"`
	Load  load.Result `json:"load_result"`
}

// kept says that the proxy has kept up: its latencies are those of the rate.
func (r LatencyRound) kept() bool {
	return r.Error == "" && r.Load.Errors.Total() == 0 && r.Load.Unsent*100 <= r.Load.Requests
}

// latencies measures each proxy of the scenario at rates that all of them can serve, by turns, with the lab's own load.
func (l *lab) latencies(ctx context.Context, entries []*entry, result *ScenarioReport) error {
	if !l.options.Latency || !result.Scenario.paced() {
		return nil
	}
	peak := result.lowestPeak()
	for _, part := range latencyParts {
		for _, e := range entries {
			if e.out || peak <= 0 {
				continue
			}
			paced := e.scenario
			paced.Rate = part * peak
			round, err := l.round(ctx, paced, e.proxy, result.checkRound())
			if stop := errors.Join(ctx.Err(), l.origins.alive()); stop != nil {
				return stop
			}
			r := LatencyRound{Proxy: e.proxy.label(), Part: part, Rate: paced.Rate, Load: round.Load}
			if err != nil {
				r.Error = err.Error()
			}
			result.Latencies = append(result.Latencies, r)
			l.progress.say("%s at %.0f%% of the lowest peak, %s: %s", result.Scenario.Name, 100*part, r.Proxy, r.describe())
		}
	}
	return nil
}

// paced says that the scenario can be had at a rate.
func (s Scenario) paced() bool { return s.Measure == Throughput && s.Rate == 0 }

// lowestPeak is the least of the requests per second of the proxies that have any; 0 when none has.
func (s *ScenarioReport) lowestPeak() float64 {
	lowest := 0.0
	for _, proxy := range s.proxies() {
		rate := median(s.values(proxy, func(r Round) float64 { return r.Load.RequestsPerSecond() }))
		if rate > 0 && (lowest == 0 || rate < lowest) {
			lowest = rate
		}
	}
	return lowest
}

// proxies lists those of the rounds.
func (s *ScenarioReport) proxies() []string {
	seen := make(map[string]bool)
	var names []string
	for _, r := range s.Rounds {
		if !seen[r.Proxy] {
			seen[r.Proxy] = true
			names = append(names, r.Proxy)
		}
	}
	return names
}

func (r LatencyRound) describe() string {
	switch {
	case r.Error != "":
		return "FAILED: " + r.Error
	case r.Load.Errors.Total() > 0:
		return fmt.Sprintf("FAILED: %d errors", r.Load.Errors.Total())
	case !r.kept():
		return fmt.Sprintf("does not keep up with %.0f req/s: %d were due and not sent", r.Rate, r.Load.Unsent)
	}
	return fmt.Sprintf("%.0f req/s, p50 %v, p99 %v, p99.9 %v", r.Load.RequestsPerSecond(), r.Load.P50, r.Load.P99, r.Load.P999)
}

// writeLatencies writes a row for each proxy and rate.
func (r Report) writeLatencies(b *document) {
	t := b.table()
	t.row("scenario", "proxy", "load", "due/s", "req/s", "p50 µs", "p90 µs", "p99 µs", "p99.9 µs", "max µs", "errors", "unsent")
	for _, s := range r.Scenarios {
		for _, l := range s.Latencies {
			row := []string{s.Scenario.Name, l.Proxy, fmt.Sprintf("%.0f%%", 100*l.Part), fmt.Sprintf("%.0f", l.Rate)}
			if l.Error != "" {
				t.row(append(row, noResult, "-", "-", "-", "-", "-", "-", "-")...)
				continue
			}
			row = append(row, fmt.Sprintf("%.0f", l.Load.RequestsPerSecond()))
			for _, q := range l.Quantiles() {
				row = append(row, fmt.Sprintf("%.0f", q))
			}
			t.row(append(row, fmt.Sprint(l.Load.Errors.Total()), fmt.Sprint(l.Load.Unsent))...)
		}
	}
	t.flush()
}

// Quantiles returns p50, p90, p99, p99.9 and the longest, in microseconds.
func (r LatencyRound) Quantiles() []float64 {
	return []float64{micros(r.Load.P50), micros(r.Load.P90), micros(r.Load.P99), micros(r.Load.P999), micros(r.Load.Max)}
}
