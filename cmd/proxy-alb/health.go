package main

import "sync/atomic"

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
		return "DRAINING", "the process is shutting down"
	case h.failed.Load():
		return "DRAINING", "health checks were made to fail over the admin interface"
	case h.live.Load():
		return "LIVE", ""
	}
	s := p.manager.State()
	reason = s.Waiting
	if s.LastError != "" {
		reason += ": " + s.LastError
	}
	if reason == "" {
		reason = "waiting for name lookups"
	}
	if s.Initialized {
		return "INITIALIZING", reason
	}
	return "PRE_INITIALIZING", reason
}
