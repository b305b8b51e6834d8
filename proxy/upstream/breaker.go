package upstream

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Shared is the part of a cluster that all workers see: the circuit breakers, which bound the cluster as a whole, and whether
// there has been traffic. It is made once per cluster name and handed to every worker's Cluster.
type Shared struct {
	connections, pending, requests, retries atomic.Int64
	limits                                  atomic.Pointer[limits]
	workers                                 int64
	carried                                 atomic.Bool

	mu      sync.Mutex             // guards members
	members map[netip.AddrPort]int // of a cluster of type ORIGINAL_DST: how many workers have the host
}

// limits are thresholds with what follows from them.
type limits struct {
	config.Thresholds
	batch int64 // permits for requests that a worker takes at once; 0 and 1 mean one by one
}

// NewShared returns the shared part of a cluster served by so many workers. It allows nothing until SetLimits.
func NewShared(workers int) *Shared {
	s := &Shared{workers: int64(workers)}
	s.limits.Store(&limits{})
	return s
}

// SetLimits replaces the thresholds. What is in flight above a lowered one is left to finish; a worker holds to a lowered
// one from its next Cluster.Update on.
func (s *Shared) SetLimits(t config.Thresholds) {
	if s.limits.Load().Thresholds != t {
		batch := int64(t.MaxRequests) / (batchShare * s.workers)
		if t.RetryBudget != nil {
			batch = 1 // the budget is a share of the requests that are in flight, not of the permits that are taken
		}
		s.limits.Store(&limits{Thresholds: t, batch: batch})
	}
}

// Limits returns the thresholds.
func (s *Shared) Limits() config.Thresholds { return s.limits.Load().Thresholds }

// maxRetries returns how many retries may be in flight now.
func (s *Shared) maxRetries(l *limits) int64 {
	b := l.RetryBudget
	if b == nil {
		return int64(l.MaxRetries)
	}
	share := float64(s.requests.Load()+s.pending.Load()) * b.Percent / 100
	return max(int64(share), int64(b.MinConcurrency))
}

// AcquireRetry counts one more retry in flight, unless the breaker is open. ReleaseRetry ends it.
func (k *Cluster) AcquireRetry() bool {
	return take(&k.shared.retries, 1, k.shared.maxRetries(k.shared.limits.Load()))
}

// ReleaseRetry ends a retry that AcquireRetry has counted.
func (k *Cluster) ReleaseRetry() { k.shared.retries.Add(-1) }

// carries notes that there is traffic.
func (s *Shared) carries() {
	if !s.carried.Load() {
		s.carried.Store(true)
	}
}

// Carried reports whether a connection for traffic was ever opened.
func (s *Shared) Carried() bool { return s.carried.Load() }

// take counts want more of n unless that would exceed limit. An attempt that is refused is never seen by others.
func take(n *atomic.Int64, want, limit int64) bool {
	for {
		now := n.Load()
		if now+want > limit {
			return false
		}
		if n.CompareAndSwap(now, now+want) {
			return true
		}
	}
}

// requestPermits are the requests that one worker may have in flight. Permits are taken from and given back to the
// Shared count in batches, so that workers do not write the same word for every request. The count of all workers never
// exceeds the limit; because a worker may hold up to two batches that it does not use, a request can be refused that many
// places early. Batches shrink to single permits for small limits.
type requestPermits struct {
	unused, inFlight int64
}

// batchShare is the part of the limit, divided by the workers, that makes a batch: at most 1/16 of a limit lies unused.
const batchShare = 32

// acquire takes a permit and reports whether there was one.
func (p *requestPermits) acquire(s *Shared) bool {
	if p.unused > 0 {
		p.unused--
		p.inFlight++
		return true
	}
	l := s.limits.Load()
	limit := int64(l.MaxRequests)
	switch {
	case l.batch > 1 && take(&s.requests, l.batch, limit):
		p.unused = l.batch - 1
	case !take(&s.requests, 1, limit):
		return false
	}
	p.inFlight++
	return true
}

// release gives a permit back. While more are taken than a lowered limit allows, none is kept for the next request.
func (p *requestPermits) release(s *Shared) {
	p.inFlight--
	p.unused++
	switch l := s.limits.Load(); {
	case s.requests.Load() > int64(l.MaxRequests):
		p.returnUnused(s)
	case p.unused > 2*l.batch:
		s.requests.Add(l.batch - p.unused)
		p.unused = l.batch
	}
}

// returnUnused gives back what no request holds.
func (p *requestPermits) returnUnused(s *Shared) {
	if p.unused > 0 {
		s.requests.Add(-p.unused)
		p.unused = 0
	}
}
