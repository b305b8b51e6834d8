package main

import "sync/atomic"

// The states of the process, by Envoy's names.
const (
	stateLive            = "LIVE"
	stateDraining        = "DRAINING"
	statePreInitializing = "PRE_INITIALIZING"
	stateInitializing    = "INITIALIZING"
)

// health is the state of the process as Envoy names it.
type health struct {
	live     atomic.Bool // the first configuration is there
	draining atomic.Bool
	failed   atomic.Bool // POST /healthcheck/fail
}

func (h *health) initialized() { h.live.Store(true) }
func (h *health) drain()       { h.draining.Store(true) }

// state returns the state and, where it is not LIVE, why.
func (p *process) state() (state, reason string) {
	h := &p.health
	switch {
	case h.draining.Load():
		return stateDraining, "the process is shutting down"
	case h.failed.Load():
		return stateDraining, "health checks were made to fail over the admin interface"
	case h.live.Load():
		return stateLive, ""
	}
	s := p.manager.State()
	reason = s.Waiting
	if s.LastError != "" {
		reason += ": " + s.LastError
	}
	if s.ClustersInitialized {
		return stateInitializing, reason
	}
	return statePreInitializing, reason
}

// failHealthChecks has everybody who asks told that the process is not healthy, or is again.
func (p *process) failHealthChecks(fail bool) {
	p.health.failed.Store(fail)
	p.server.FailHealthChecks(fail)
}
