package admin

import "context"

// resetCounters is /reset_counters.
func (a *surface) resetCounters(r *request) {
	a.Stats.ResetCounters(context.Background()) // bounds its wait itself
	r.ok("OK\n")
}

// healthCheckFail is /healthcheck/fail.
func (a *surface) healthCheckFail(r *request) {
	a.FailHealthChecks(true)
	r.ok("OK\n")
}

// healthCheckOK is /healthcheck/ok.
func (a *surface) healthCheckOK(r *request) {
	a.FailHealthChecks(false)
	r.ok("OK\n")
}

// drainListeners is /drain_listeners.
func (a *surface) drainListeners(r *request) {
	d := Drain{Graceful: r.has("graceful"), SkipExit: r.has("skip_exit"), InboundOnly: r.has("inboundonly")}
	if d.SkipExit && !d.Graceful {
		r.bad("skip_exit requires graceful\n")
		return
	}
	a.Drain(d)
	r.ok("OK\n")
}

// quit is /quitquitquit.
func (a *surface) quit(r *request) {
	// The end of the process waits for this answer: Shutdown waits for requests that are under way.
	a.Quit()
	r.ok("OK\n")
}

// reopenLogs is /reopen_logs.
func (a *surface) reopenLogs(r *request) {
	if err := a.ReopenLogs(); err != nil {
		r.failed(err)
		return
	}
	r.ok("OK\n")
}
