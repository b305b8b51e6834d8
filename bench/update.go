package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/internal/bulk"
)

const (
	// paceInterval leaves the proxy idle most of the time: latency is measured, not load.
	paceInterval = time.Millisecond
	// stepTimeout bounds a step of the control plane.
	stepTimeout = time.Minute
)

// Update is what an update of the configuration took.
type Update struct {
	// Applied is the time from when the push was sent until the last of its routes
	// was served, Acknowledged until the control plane knew.
	Applied      time.Duration `json:"applied_ns"`
	Acknowledged time.Duration `json:"acknowledged_ns"`
	// Visible is the time from when one changed endpoint was sent until a request
	// reached it.
	Visible time.Duration `json:"visible_ns"`
	// P99Before and P99During are of requests in the time before and until Applied.
	P99Before time.Duration `json:"p99_before_ns"`
	P99During time.Duration `json:"p99_during_ns"`
	// Requests were made during the push.
	Requests int `json:"requests"`
}

// updateRound starts a control plane and a proxy, and measures what a push of a large
// configuration takes, and then one changed endpoint.
func (l *lab) updateRound(ctx context.Context, s Scenario, p Proxy, r *Round) (err error) {
	at, err := l.ports.addresses(proxyAddresses + 2)
	if err != nil {
		return err
	}
	at, xds, steps := at[:proxyAddresses], at[proxyAddresses], at[proxyAddresses+1]
	plane, err := l.startControlPlane(s, at[0], xds, steps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	running, err := l.startProxyAt(ctx, p, s, at, l.origins.http1, xds)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	if err := s.checkAnswer(running.answer); err != nil {
		return err
	}
	u := &updating{lab: l, scenario: s, proxy: running, steps: steps, round: r, result: &Update{}}
	if s.Measure == Churned {
		return u.churn(ctx)
	}
	r.Update = u.result
	return u.measure(ctx)
}

func (l *lab) startControlPlane(s Scenario, listen, xds, steps string) (*child.Child, error) {
	return l.spawner.Start(child.Spec{
		Path: l.options.Self,
		Args: []string{
			"control-plane", "--proxy", listen, "--xds", xds, "--steps", steps, "--clusters", strconv.Itoa(s.Push.Clusters),
			"--endpoints", strconv.Itoa(s.Push.Endpoints), "--routes", strconv.Itoa(s.Push.Routes),
		},
		CPUs:        l.machine.LoadCPUs,
		DeathSignal: syscall.SIGTERM,
	})
}

// updating is the measurement of a round.
type updating struct {
	lab      *lab
	scenario Scenario
	proxy    *runningProxy
	steps    string
	round    *Round
	result   *Update
}

func (u *updating) measure(ctx context.Context) (err error) {
	if err := u.step(ctx, bulk.Small); err != nil {
		return err
	}
	if u.result.P99Before, err = u.before(ctx); err != nil {
		return err
	}
	if u.round.BaseRSS, err = u.proxy.rss(); err != nil {
		return err
	}
	if err := u.step(ctx, bulk.Prepare); err != nil {
		return err
	}
	cpu, err := u.proxy.sampleCPU()
	if err != nil {
		return err
	}
	if err := u.push(ctx); err != nil {
		return err
	}
	after, err := u.proxy.sampleCPU()
	if err != nil {
		return err
	}
	used, err := after.Since(cpu)
	if err != nil {
		return err
	}
	u.round.TotalCPU, u.round.UserCPU, u.round.SystemCPU, u.round.FineCPU = used.Total, used.User, used.System, used.Fine
	if u.round.AfterRSS, err = settledRSS(ctx, u.proxy); err != nil {
		return err
	}
	return u.move(ctx)
}

// before measures the latency without a push.
func (u *updating) before(ctx context.Context) (p99 time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, u.lab.options.Duration)
	defer cancel()
	paced, err := load.Pace(ctx, u.scenario.question(u.proxy.address), paceInterval)
	u.round.Load.Errors.Read += uint64(paced.Failed)
	return quantile(paced.Latencies, 0.99), err
}

// push has the configuration sent, and asks for the last of its routes until that is there.
func (u *updating) push(ctx context.Context) error {
	pacing, stop := context.WithCancel(ctx)
	defer stop()
	type outcome struct {
		load.Paced
		err error
	}
	paced := make(chan outcome, 1)
	go func() {
		p, err := load.Pace(pacing, u.scenario.question(u.proxy.address), paceInterval)
		paced <- outcome{p, err}
	}()
	began := time.Now()
	acknowledged := make(chan error, 1)
	go func() {
		err := u.step(ctx, bulk.Large)
		u.result.Acknowledged = time.Since(began)
		acknowledged <- err
	}()
	err := u.await(ctx, bulk.Before, awaitPush)
	u.result.Applied = time.Since(began)
	stop()
	during := <-paced
	u.round.Load.Errors.Read += uint64(during.Failed)
	u.result.Requests, u.result.P99During = len(during.Latencies), quantile(during.Latencies, 0.99)
	return errors.Join(err, during.err, <-acknowledged)
}

// move has one endpoint changed, and asks for its cluster until a request reaches it.
func (u *updating) move(ctx context.Context) error {
	began := time.Now()
	if err := u.step(ctx, bulk.Move); err != nil {
		return err
	}
	err := u.await(ctx, bulk.After, awaitMove)
	u.result.Visible = time.Since(began)
	return err
}

// await asks for the last cluster every so often until the body comes.
func (u *updating) await(ctx context.Context, body string, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	last := u.scenario.Push.Clusters - 1
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.proxy.address+u.scenario.Push.Path(last), nil)
	if err != nil {
		return err
	}
	request.Host = u.scenario.Push.Host(last)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	for pause := time.NewTicker(every); ; <-pause.C {
		got, err := fetch(transport, request)
		if err == nil && got == "200 "+body {
			pause.Stop()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the last cluster answers %q, want %q: %w", got, body, ctx.Err())
		}
	}
}

// The pauses between two questions are well below what is measured, and during a push no shorter than between the requests whose
// latency is.
const (
	awaitPush = paceInterval
	awaitMove = 200 * time.Microsecond
)

// step has the control plane take a step.
func (u *updating) step(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+u.steps+path, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	got, err := fetch(transport, request)
	if err == nil && got != "200 " {
		err = errors.New(got)
	}
	if err != nil {
		err = fmt.Errorf("control plane, %s: %w", path, err)
	}
	return err
}

// fetch returns the status and the body.
func fetch(transport *http.Transport, request *http.Request) (string, error) {
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return fmt.Sprintf("%d %s", response.StatusCode, body), err
}

// quantile returns the value below which the fraction q of all is; 0 of none.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
