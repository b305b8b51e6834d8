package health

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// session checks one host. All but what is said to be guarded is fixed or its goroutine's.
type session struct {
	checker  *Checker
	group    *group
	cluster  string // its name
	endpoint config.Endpoint
	socket   *tls.Upstream       // nil for plaintext
	header   *config.ProxyHeader // that connections begin with, nil for none
	check    *config.HealthCheck
	scope    *stats.Scope
	prober   prober
	ctx      context.Context
	cancel   context.CancelFunc

	checked chan struct{} // closed when the first probe has ended, or the session has
	once    sync.Once     // closes it

	state state // guarded by Checker.mu
}

func newSession(g *group, e *config.Endpoint, socket *tls.Upstream, header *config.ProxyHeader, first state) *session {
	s := &session{
		checker: g.checker, group: g, cluster: g.target.Config.Name, endpoint: *e, socket: socket, header: header, check: g.target.Config.HealthCheck, scope: g.target.Stats,
		prober: g.checker.newProber(g.target.Config, e, socket, header, g.target.Bind),
		state:  first, checked: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(g.checker.ctx)
	return s
}

// end has the session's goroutine end soon. What a probe that is under way finds is not taken any more.
func (s *session) end() { s.cancel() }

func (s *session) isChecked() { s.once.Do(func() { close(s.checked) }) }

// run probes again and again until the session ends.
func (s *session) run() {
	defer s.isChecked()
	defer s.cancel()
	defer s.prober.close()
	pause := time.NewTimer(firstWait(&s.check.Intervals, s.checker.random))
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-s.ctx.Done():
			return
		}
		r, done := s.probe()
		if !done {
			return
		}
		wait, going := s.settle(r)
		if !going {
			return
		}
		s.isChecked()
		pause.Reset(wait)
	}
}

// probe makes a probe when there is a place for it. done is false when the session ends meanwhile.
func (s *session) probe() (r result, done bool) {
	select {
	case s.checker.places <- struct{}{}:
		defer func() { <-s.checker.places }()
	case <-s.ctx.Done():
		return result{}, false
	}
	s.scope.Inc(stats.HealthCheckAttempt)
	ctx, cancel := context.WithTimeout(s.ctx, s.check.Timeout)
	defer cancel()
	r = s.attempt(ctx)
	if r.verified {
		s.scope.Inc(stats.HealthCheckVerifyCluster)
	}
	if r.outcome == networkFailure && ctx.Err() == context.DeadlineExceeded {
		r.outcome = timedOut
	}
	return r, s.ctx.Err() == nil
}

// attempt has the prober make a probe. A panic costs the probe: what hosts answer must not take the process down.
func (s *session) attempt(ctx context.Context) (r result) {
	defer func() {
		if v := recover(); v != nil {
			s.checker.log.Error("panic in a health check", zap.String("cluster", s.cluster),
				zap.Stringer("host", s.endpoint.Address), zap.Any("panic", v), zap.Stack("stack"))
			r = result{outcome: networkFailure, why: fmt.Sprint("panic: ", v)}
		}
	}()
	return s.prober.probe(ctx)
}

// settle goes by what a probe found, and returns how long it is to the next. going is false when the session has ended.
func (s *session) settle(r result) (wait time.Duration, going bool) {
	c := s.checker
	c.mu.Lock()
	if s.ctx.Err() != nil {
		c.mu.Unlock()
		return 0, false
	}
	before := s.state.flags
	t := s.take(r)
	now := s.state.flags
	idle := !s.group.target.Carried()
	c.mu.Unlock()
	s.log(r, before, now)
	well := r.outcome == passed || r.outcome == degraded
	return nextWait(&s.check.Intervals, well, t, idle, c.random), true
}

// take changes the state by an outcome, and lets it be known. The caller holds Checker.mu.
func (s *session) take(r result) transition {
	before, first, news := s.state.flags, s.state.first, !s.state.known()
	t := s.state.take(r, s.check)
	s.countOutcome(r.outcome)
	s.group.events.tell(s, r, before, first)
	if s.state.flags != before || news {
		s.group.weigh(before, ^uint64(0))
		s.group.weigh(s.state.flags, 1)
		s.group.count()
		s.checker.soil(s.group.target.Config)
	}
	return t
}

func (s *session) countOutcome(o outcome) {
	if o == passed || o == degraded {
		s.scope.Inc(stats.HealthCheckSuccess)
		return
	}
	s.scope.Inc(stats.HealthCheckFailure)
	switch o {
	case networkFailure, timedOut:
		s.scope.Inc(stats.HealthCheckNetworkFailure)
	case reported:
		s.scope.Inc(stats.HealthCheckPassiveFailure)
	}
}

// log tells of a host that was taken out or has come back.
func (s *session) log(r result, before, now config.HostHealth) {
	fields := []zap.Field{
		zap.String("cluster", s.cluster), zap.Stringer("host", s.endpoint.Address), zap.Stringer("outcome", r.outcome),
	}
	failed, hadFailed := now.Has(config.FailedActiveHC), before.Has(config.FailedActiveHC)
	switch {
	case failed && (!hadFailed || before.Has(config.PendingActiveHC)):
		s.checker.log.Warn("host fails its health check", append(fields, zap.String("why", r.why))...)
	case !failed && hadFailed:
		s.checker.log.Info("host passes its health check", fields...)
	}
}
