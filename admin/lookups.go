package admin

// Envoy counts here who asks for statistics by name, which costs time. Statistics have fixed places in this process and are never
// looked up, so there is nothing to count; the answers are those of Envoy for as much.

// recentLookups is /stats/recentlookups.
func (a *surface) recentLookups(r *request) {
	if a.lookups.Load() {
		r.ok("   Count Lookup\n\ntotal: 0\n")
		return
	}
	r.ok("Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n\ntotal: 0\n")
}

// trackLookups answers /stats/recentlookups/enable and /disable.
func (a *surface) trackLookups(on bool) func(*request) {
	return func(r *request) {
		a.lookups.Store(on)
		r.ok("OK\n")
	}
}
