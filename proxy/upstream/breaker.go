package upstream

import (
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Shared is the part of a cluster that all workers see: the circuit breakers, which bound the cluster as a whole. It is
// made once per cluster name and handed to every worker's Cluster.
type Shared struct {
	connections, pending, requests atomic.Int64
	limits                         atomic.Pointer[config.Thresholds]
	workers                        int64
}

// NewShared returns the shared part of a cluster served by so many workers.
func NewShared(workers int) *Shared {
	s := &Shared{workers: int64(workers)}
	s.limits.Store(&config.Thresholds{})
	return s
}

// SetLimits replaces the thresholds. What is in flight above a lowered one is left to finish.
func (s *Shared) SetLimits(t config.Thresholds) { s.limits.Store(&t) }

// Limits returns the thresholds.
func (s *Shared) Limits() config.Thresholds { return *s.limits.Load() }

// take counts one more of n unless that would exceed limit.
func take(n *atomic.Int64, limit int64) bool {
	if n.Add(1) <= limit {
		return true
	}
	n.Add(-1)
	return false
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

func (s *Shared) batch(limit int64) int64 { return limit / (batchShare * s.workers) }

// acquire takes a permit and reports whether there was one.
func (p *requestPermits) acquire(s *Shared) bool {
	if p.unused > 0 {
		p.unused--
		p.inFlight++
		return true
	}
	limit := int64(s.limits.Load().MaxRequests)
	batch := s.batch(limit)
	if batch > 1 && s.requests.Add(batch) <= limit {
		p.unused = batch - 1
		p.inFlight++
		return true
	}
	if batch > 1 {
		s.requests.Add(-batch)
	}
	if take(&s.requests, limit) {
		p.inFlight++
		return true
	}
	return false
}

// release gives a permit back.
func (p *requestPermits) release(s *Shared) {
	p.inFlight--
	p.unused++
	if batch := s.batch(int64(s.limits.Load().MaxRequests)); p.unused > 2*batch {
		back := p.unused - batch
		p.unused -= back
		s.requests.Add(-back)
	}
}

// returnUnused gives back what no request holds.
func (p *requestPermits) returnUnused(s *Shared) {
	s.requests.Add(-p.unused)
	p.unused = 0
}
