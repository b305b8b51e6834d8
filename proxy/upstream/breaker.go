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
	Breakers // of priority DEFAULT
	high     Breakers
	carried  atomic.Bool

	mu      sync.Mutex             // guards what follows
	members map[netip.AddrPort]int // of a cluster of type ORIGINAL_DST: how many workers have the host
	hosts   map[config.Address]*hostBreaker
}

// Breakers are the circuit breakers of one priority: what is in flight over all workers, and how much of it may be.
type Breakers struct {
	connections, pending, requests, retries atomic.Int64
	limits                                  atomic.Pointer[limits]
	workers                                 int64
}

// limits are thresholds with what follows from them.
type limits struct {
	config.Thresholds
	batch int64 // permits for requests that a worker takes at once; 0 and 1 mean one by one
	// window is what the budget for retries is of, nil where that is what is in flight.
	window *requestWindow
}

// windowFor returns the window of new thresholds, which goes on where it is the same.
func (l *limits) windowFor(t *config.Thresholds) *requestWindow {
	switch {
	case t.RetryBudget == nil || t.RetryBudget.Interval == 0:
		return nil
	case l.window != nil && l.window.interval == t.RetryBudget.Interval:
		return l.window
	default:
		return newRequestWindow(t.RetryBudget.Interval)
	}
}

// NewShared returns the shared part of a cluster served by so many workers. It allows nothing until SetLimits.
func NewShared(workers int) *Shared {
	s := &Shared{}
	for priority := range config.RoutingPriorities {
		b := s.Of(priority)
		b.workers = int64(workers)
		b.limits.Store(&limits{})
	}
	return s
}

// Of returns the breakers of a priority.
func (s *Shared) Of(priority config.RoutingPriority) *Breakers {
	if priority == config.PriorityHigh {
		return &s.high
	}
	return &s.Breakers
}

// SetLimits replaces the thresholds. What is in flight above a lowered one is left to finish; a worker holds to a lowered
// one from its next Cluster.Update on.
func (b *Breakers) SetLimits(t config.Thresholds) {
	if old := b.limits.Load(); old.Thresholds != t {
		batch := int64(t.MaxRequests) / (batchShare * b.workers)
		if t.RetryBudget != nil || t.TrackRemaining {
			batch = 1 // both go by the requests that are in flight, not by the permits that are taken
		}
		b.limits.Store(&limits{Thresholds: t, batch: batch, window: old.windowFor(&t)})
	}
}

// Limits returns the thresholds.
func (b *Breakers) Limits() config.Thresholds { return b.limits.Load().Thresholds }

// maxRetries returns how many retries may be in flight at the time now.
func (b *Breakers) maxRetries(l *limits, now int64) int64 {
	budget := l.RetryBudget
	if budget == nil {
		return int64(l.MaxRetries)
	}
	var requests int64
	if l.window != nil {
		requests = l.window.count(now)
	} else {
		requests = b.requests.Load() + b.pending.Load()
	}
	return max(int64(float64(requests)*budget.Percent/100), int64(budget.MinConcurrency))
}

// countBegun counts a request that has begun for the budget of retries.
func (k *Cluster) countBegun(priority config.RoutingPriority) {
	if w := k.shared.Of(priority).limits.Load().window; w != nil {
		w.add(k.loop.Now())
	}
}

// AcquireRetry counts one more retry of a priority in flight, unless the breaker is open. ReleaseRetry ends it.
func (k *Cluster) AcquireRetry(priority config.RoutingPriority) bool {
	b := k.shared.Of(priority)
	return take(&b.retries, 1, b.maxRetries(b.limits.Load(), k.loop.Now()))
}

// ReleaseRetry ends a retry that AcquireRetry has counted.
func (k *Cluster) ReleaseRetry(priority config.RoutingPriority) {
	k.shared.Of(priority).retries.Add(-1)
}

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

// requestPermits are the requests of one priority that one worker may have in flight. Permits are taken from and given back to the
// count of the Breakers in batches, so that workers do not write the same word for every request. The count of all workers never
// exceeds the limit; because a worker may hold up to two batches that it does not use, a request can be refused that many
// places early. Batches shrink to single permits for small limits.
type requestPermits struct {
	unused, inFlight int64
}

// batchShare is the part of the limit, divided by the workers, that makes a batch: at most 1/16 of a limit lies unused.
const batchShare = 32

// acquire takes a permit and reports whether there was one.
func (p *requestPermits) acquire(b *Breakers) bool {
	if p.unused > 0 {
		p.unused--
		p.inFlight++
		return true
	}
	l := b.limits.Load()
	limit := int64(l.MaxRequests)
	switch {
	case l.batch > 1 && take(&b.requests, l.batch, limit):
		p.unused = l.batch - 1
	case !take(&b.requests, 1, limit):
		return false
	}
	p.inFlight++
	return true
}

// release gives a permit back. While more are taken than a lowered limit allows, none is kept for the next request.
func (p *requestPermits) release(b *Breakers) {
	p.inFlight--
	p.unused++
	switch l := b.limits.Load(); {
	case b.requests.Load() > int64(l.MaxRequests):
		p.returnUnused(b)
	case p.unused > 2*l.batch:
		b.requests.Add(l.batch - p.unused)
		p.unused = l.batch
	}
}

// returnUnused gives back what no request of the cluster on this worker holds.
func (k *Cluster) returnUnused() {
	for priority := range config.RoutingPriorities {
		k.permits[priority].returnUnused(k.shared.Of(priority))
	}
}

// inFlight returns how many requests the worker has in flight.
func (k *Cluster) inFlight() (n uint32) {
	for i := range k.permits {
		n += uint32(k.permits[i].inFlight)
	}
	return n
}

// returnUnused gives back what no request holds.
func (p *requestPermits) returnUnused(b *Breakers) {
	if p.unused > 0 {
		b.requests.Add(-p.unused)
		p.unused = 0
	}
}
