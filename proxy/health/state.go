package health

import "github.com/penguintechinc/marchproxy-alb/config"

// state is what is known of a host, and how near it is to the other side:
//
//	          UnhealthyThreshold failures that count, or one that does not have to
//	well ──────────────────────────────────────────────────────────────────────────▶ failed
//	     ◀──────────────────────────────────────────────────────────────────────────
//	          HealthyThreshold passes; the first probe of all needs one
//
// A host begins as failed. The zero value is no state.
type state struct {
	flags config.HostHealth
	// first is set until a probe has ended. With former, what the flags say is of a check that was configured before, and
	// stands until this one has an answer of its own.
	first, former bool
	passes        uint32 // in a row, while failed
	failures      uint32 // in a row that count towards the threshold, while well
}

// transition is what an outcome did to the state.
type transition uint8

const (
	unchanged transition = iota
	pending              // on the way to the other state
	changed
)

// newState returns the state of a host that no probe has been made of.
func newState() state {
	return state{flags: config.FailedActiveHC | config.PendingActiveHC, first: true}
}

// newStateAfter returns the state of a host whose check has changed.
func newStateAfter(before *state) state {
	if before.first && !before.former {
		return newState()
	}
	return state{flags: before.flags, first: true, former: true}
}

// known reports whether the flags come from a probe.
func (s *state) known() bool { return !s.first || s.former }

// take goes by the outcome of a probe, or of traffic.
func (s *state) take(r result, check *config.HealthCheck) transition {
	before := s.flags
	var t transition
	if r.outcome == passed || r.outcome == degraded {
		t = s.pass(r.outcome == degraded, check)
	} else {
		t = s.fail(r, check)
	}
	s.first, s.former = false, false
	s.flags &^= config.PendingActiveHC
	if t == unchanged && s.flags != before {
		t = changed
	}
	return t
}

func (s *state) pass(isDegraded bool, check *config.HealthCheck) transition {
	s.failures = 0
	t := unchanged
	if s.flags.Has(config.FailedActiveHC) {
		s.passes++
		if !s.first && s.passes < check.HealthyThreshold {
			t = pending
		} else {
			s.passes = 0
			s.flags &^= config.FailedActiveHC | config.ActiveHCTimeout | config.ExcludedViaImmediateHCFail
			t = changed
		}
	}
	s.flags &^= config.DegradedActiveHC
	if isDegraded {
		s.flags |= config.DegradedActiveHC
	}
	return t
}

func (s *state) fail(r result, check *config.HealthCheck) transition {
	s.passes = 0
	t := unchanged
	if !s.flags.Has(config.FailedActiveHC) {
		s.failures++
		if r.outcome.countsToThreshold() && s.failures < check.UnhealthyThreshold && !s.former {
			t = pending
		} else {
			s.failures = 0
			s.flags |= config.FailedActiveHC
			t = changed
		}
	}
	s.flags &^= config.ActiveHCTimeout
	if r.outcome == timedOut && s.flags.Has(config.FailedActiveHC) {
		s.flags |= config.ActiveHCTimeout
	}
	if r.excluded && s.flags.Has(config.FailedActiveHC) {
		s.flags |= config.ExcludedViaImmediateHCFail
	}
	return t
}
