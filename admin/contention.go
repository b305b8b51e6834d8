package admin

import (
	"runtime"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
)

// contention is /contention.
func (a *surface) contention(r *request) {
	if !a.MutexTracing {
		r.ok("Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.")
		return
	}
	r.json(mutexStats(), printDefaults)
}

// mutexStats sums up what Go's runtime has seen of contention. It does not tell how long somebody waits at present.
func mutexStats() *adminv3.MutexStats {
	n, _ := runtime.MutexProfile(nil)
	records := make([]runtime.BlockProfileRecord, n+n/8) // some more may come meanwhile
	if n, ok := runtime.MutexProfile(records); ok {
		records = records[:n]
	}
	stats := &adminv3.MutexStats{}
	for _, r := range records {
		stats.NumContentions += uint64(r.Count)
		stats.LifetimeWaitCycles += uint64(r.Cycles)
	}
	return stats
}
