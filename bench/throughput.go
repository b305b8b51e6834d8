package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

// throughput warms the proxy up and measures the CPU time it needs for a whole run
// of the load generator, first connection to last.
func (l *lab) throughput(ctx context.Context, s Scenario, p *runningProxy, r *Round) error {
	var err error
	if r.BaseRSS, err = p.rss(); err != nil {
		return err
	}
	warm, err := l.warmUp(ctx, s, p)
	if err != nil {
		return err
	}
	config, err := l.loadOf(s, p)
	if err != nil {
		return err
	}
	config.Duration = l.options.Duration
	if err := l.driven(ctx, s, p, config, warm, r); err != nil {
		return err
	}
	r.AfterRSS, err = p.rss()
	return err
}

// driven makes the load that is measured.
func (l *lab) driven(ctx context.Context, s Scenario, p *runningProxy, config load.Config, warm load.Result, r *Round) error {
	if !l.generatorOf(s).counts {
		return l.measured(ctx, s, p, config, r)
	}
	config.Requests = requestsFor(warm, config.Duration)
	if err := l.measured(ctx, s, p, config, r); err != nil || r.Load.Elapsed >= config.Duration/2 {
		return err
	}
	// The warm-up was slow, as on a machine that does something else for a moment, and
	// this was too short to count.
	config.Requests = requestsFor(r.Load, config.Duration)
	return l.measured(ctx, s, p, config, r)
}

// requestsFor is how many requests fill the duration at the rate of the warm-up.
func requestsFor(warm load.Result, duration time.Duration) uint64 {
	return max(1, uint64(warm.RequestsPerSecond()*duration.Seconds()))
}

// measured makes load and fills in what it was and what CPU time the proxy needed for
// it.
func (l *lab) measured(ctx context.Context, s Scenario, p *runningProxy, config load.Config, r *Round) error {
	before, err := l.sample(p)
	if err != nil {
		return err
	}
	if r.Load, err = l.generate(ctx, l.generatorOf(s), l.loadCPUs(s), config); err != nil {
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
	if l.alone(s) {
		r.Foreign = after.busy.Foreign(before.busy, cpu.Total)
	}
	return s.checkLoad(r.Load)
}

// checkLoad holds what came against what was asked for. h2load knows no trailers, so
// that a gRPC call which failed looks like one that did not: but it has no message.
func (s Scenario) checkLoad(result load.Result) error {
	switch want := result.Requests * uint64(s.Body); {
	case result.Requests == 0:
		return fmt.Errorf("no request was answered, %d failed", result.Errors.Total())
	case s.http2() && len(s.Also) == 0 && result.Errors.Total() == 0 && result.Bytes != want:
		return fmt.Errorf("%d answers have %d bytes, want %d", result.Requests, result.Bytes, want)
	}
	if s.handshakes() {
		return s.checkResumed(result)
	}
	return s.checkLimited(result)
}

// limitTolerance is how far from its limit a proxy may let requests pass: those that count in windows of a second are that far off
// at its beginning.
const limitTolerance = 0.2

// checkLimited fails unless as many requests passed as were to.
func (s Scenario) checkLimited(result load.Result) error {
	limit := float64(s.Traffic.RateLimit)
	if got := result.AdmittedPerSecond(); limit > 0 && math.Abs(got-limit) > limitTolerance*limit {
		return fmt.Errorf("%.0f requests per second passed, want %.0f", got, limit)
	}
	return nil
}

// checkResumed fails when sessions were resumed that were to be new, or the other way round. The first of each connection
// is new in any case, and so is the one after a failure, which fails the round by itself.
func (s Scenario) checkResumed(result load.Result) error {
	switch full := result.Requests - result.Resumed; {
	case !s.Resume && result.Resumed > 0:
		return fmt.Errorf("%d of %d handshakes were resumed, want none", result.Resumed, result.Requests)
	case s.Resume && full > uint64(s.Connections)+result.Errors.Total():
		return fmt.Errorf("%d of %d handshakes were not resumed, want at most %d", full, result.Requests, s.Connections)
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
