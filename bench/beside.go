package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/internal/bulk"
)

const (
	// churnPause is the time between an acknowledgement and the next push: more often than any control plane pushes
	// that gathers changes.
	churnPause = 50 * time.Millisecond
	// callRate is what a manager that looks often calls in a second, of which it waits for callStreams at a time.
	callRate    = 500
	callStreams = 8
)

// Beside is what a proxy does beside its requests, and what they cost each other.
type Beside struct {
	// Quiet are the requests with nothing beside them, at the same rate.
	Quiet load.Result `json:"quiet"`
	// Pushes is how many changes of the configuration there were during the requests; the longest took PushMax until the control plane
	// had its acknowledgement, the median one PushP50.
	Pushes  int           `json:"pushes,omitempty"`
	PushP50 time.Duration `json:"push_p50_ns,omitempty"`
	PushMax time.Duration `json:"push_max_ns,omitempty"`
	// Calls are those of ModuleService beside the requests, Alone those without any, both at a rate; Peak as many as are answered.
	Calls load.Result `json:"calls,omitzero"`
	Alone load.Result `json:"alone,omitzero"`
	Peak  load.Result `json:"peak,omitzero"`
}

// rated is the scenario's load for as long as a round takes.
func (l *lab) rated(s Scenario, p *runningProxy) load.Config {
	config := s.load(p.address)
	config.Duration = l.options.Duration
	return config
}

// quiet warms the proxy up and makes the requests with nothing beside them.
func (l *lab) quiet(ctx context.Context, s Scenario, p *runningProxy, r *Round) error {
	if _, err := l.warmUp(ctx, s, p); err != nil {
		return err
	}
	r.Beside = &Beside{}
	var err error
	r.Beside.Quiet, err = l.generate(ctx, l.generatorOf(s), l.loadCPUs(s), l.rated(s, p))
	return err
}

// churn has one change after another pushed to a proxy that serves.
func (u *updating) churn(ctx context.Context) error {
	for _, step := range []string{bulk.Small, bulk.Prepare, bulk.Large} {
		if err := u.step(ctx, step); err != nil {
			return err
		}
	}
	u.round.Update = nil
	if err := u.lab.quiet(ctx, u.scenario, u.proxy, u.round); err != nil {
		return err
	}
	pushing, stop := context.WithCancel(ctx)
	defer stop()
	pushed := make(chan error, 1)
	var took []time.Duration
	go func() {
		var err error
		took, err = u.pushes(pushing)
		pushed <- err
	}()
	err := u.lab.measured(ctx, u.scenario, u.proxy, u.lab.rated(u.scenario, u.proxy), u.round)
	stop()
	if err = errors.Join(err, <-pushed); err == nil && len(took) == 0 {
		err = errors.New("no push was acknowledged during the requests")
	}
	b := u.round.Beside
	b.Pushes, b.PushP50, b.PushMax = len(took), quantile(took, 0.5), quantile(took, 1)
	u.round.Load.Errors = u.round.Load.Errors.Add(b.Quiet.Errors)
	return err
}

// pushes has changes pushed until ctx is done, each after the acknowledgement of the one before, and returns what each took.
func (u *updating) pushes(ctx context.Context) (took []time.Duration, err error) {
	for {
		began := time.Now()
		err := u.step(ctx, bulk.Churn)
		if ctx.Err() != nil {
			return took, nil
		}
		if err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
		select {
		case <-ctx.Done():
			return took, nil
		case <-time.After(churnPause):
		}
	}
}

// called calls ModuleService beside requests, and alone.
func (l *lab) called(ctx context.Context, s Scenario, p *runningProxy, r *Round) error {
	calls, err := l.statusCalls(p)
	if err != nil {
		return err
	}
	if err := l.quiet(ctx, s, p, r); err != nil {
		return err
	}
	b, peak := r.Beside, calls
	calls.Rate = callRate
	if b.Peak, err = l.generate(ctx, l.generators.own, l.loadCPUs(s), peak); err != nil {
		return err
	}
	if b.Alone, err = l.generate(ctx, l.generators.own, l.loadCPUs(s), calls); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		var err error
		b.Calls, err = l.generate(ctx, l.generators.own, l.loadCPUs(s), calls)
		done <- err
	}()
	err = l.measured(ctx, s, p, l.rated(s, p), r)
	if err = errors.Join(err, <-done); err != nil {
		return err
	}
	for _, other := range []load.Result{b.Quiet, b.Peak, b.Alone, b.Calls} {
		if r.Load.Errors = r.Load.Errors.Add(other.Errors); other.Requests == 0 {
			return errors.New("no call was answered")
		}
	}
	return nil
}

// statusCalls is a load of GetStatus, which is what a manager asks again and again.
func (l *lab) statusCalls(p *runningProxy) (load.Config, error) {
	file := filepath.Join(p.dir, "status-request")
	return load.Config{
		Address: p.grpc, Path: peer.StatusPath, Headers: grpcHeaders(), HTTP2: true, GRPC: true, BodyFile: file,
		Connections: 1, Streams: callStreams, Duration: l.options.Duration,
	}, os.WriteFile(file, prefixed(nil), 0o600)
}

// summarizeBeside takes medians of what is shown.
func (s *ScenarioReport) summarizeBeside(sum *Summary) {
	middle := func(value func(*Beside) time.Duration) time.Duration {
		return time.Duration(median(s.values(sum.Proxy, func(r Round) float64 { return float64(value(r.beside())) })))
	}
	sum.Beside = &Beside{
		Pushes:  int(median(s.values(sum.Proxy, func(r Round) float64 { return float64(r.beside().Pushes) }))),
		PushP50: middle(func(b *Beside) time.Duration { return b.PushP50 }),
		PushMax: middle(func(b *Beside) time.Duration { return b.PushMax }),
	}
	for _, part := range []struct {
		into *load.Result
		of   func(*Beside) load.Result
	}{
		{&sum.Beside.Quiet, func(b *Beside) load.Result { return b.Quiet }},
		{&sum.Beside.Calls, func(b *Beside) load.Result { return b.Calls }},
		{&sum.Beside.Alone, func(b *Beside) load.Result { return b.Alone }},
		{&sum.Beside.Peak, func(b *Beside) load.Result { return b.Peak }},
	} {
		*part.into = load.Result{
			Requests: uint64(median(s.values(sum.Proxy, func(r Round) float64 { return float64(part.of(r.beside()).Requests) }))),
			Elapsed:  middle(func(b *Beside) time.Duration { return part.of(b).Elapsed }),
			P50:      middle(func(b *Beside) time.Duration { return part.of(b).P50 }),
			P99:      middle(func(b *Beside) time.Duration { return part.of(b).P99 }),
		}
	}
}

// beside returns what was beside the requests; nothing for a round of something else, as a report from elsewhere may have.
func (r Round) beside() *Beside {
	if r.Beside == nil {
		return &Beside{}
	}
	return r.Beside
}

func churnHead() []string {
	return []string{"req/s", "p50 µs quiet", "p99", "p50 with pushes", "p99", "pushes", "ms each", "longest", "CPU µs/req", "errors"}
}

func churnCells(_ Scenario, sum Summary) []string {
	b := sum.Beside
	return []string{
		fmt.Sprintf("%.0f", sum.RequestsPerSecond), known(micros(b.Quiet.P50)), known(micros(b.Quiet.P99)), known(sum.P50), known(sum.P99),
		fmt.Sprint(b.Pushes), millis(b.PushP50), millis(b.PushMax), fmt.Sprintf("%.2f", sum.CPU), fmt.Sprint(sum.Errors.Total()),
	}
}

func calledHead() []string {
	return []string{
		"calls/s", "p50 µs", "p99", "call p50 µs alone", "p99", "beside requests", "p99", "req/s", "req p99 µs quiet", "with calls", "errors",
	}
}

func calledCells(_ Scenario, sum Summary) []string {
	b := sum.Beside
	return []string{
		fmt.Sprintf("%.0f", b.Peak.RequestsPerSecond()), known(micros(b.Peak.P50)), known(micros(b.Peak.P99)),
		known(micros(b.Alone.P50)), known(micros(b.Alone.P99)), known(micros(b.Calls.P50)), known(micros(b.Calls.P99)),
		fmt.Sprintf("%.0f", sum.RequestsPerSecond), known(micros(b.Quiet.P99)), known(sum.P99), fmt.Sprint(sum.Errors.Total()),
	}
}

// describeBeside returns a round in a few words.
func (r Round) describeBeside(m Measure) string {
	b := r.beside()
	if m == Churned {
		return fmt.Sprintf("p99 %v, %v with %d pushes of %s ms", b.Quiet.P99, r.Load.P99, b.Pushes, millis(b.PushP50))
	}
	return fmt.Sprintf("%.0f calls/s, p99 of %d a second %v, %v beside requests", b.Peak.RequestsPerSecond(), callRate, b.Alone.P99, b.Calls.P99)
}
