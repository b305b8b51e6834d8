package upstream

// Open tells which circuit breakers of a priority are open: at its limit, so that the next connection, pending request,
// request or retry is refused. It may be called from any goroutine. A budget for retries with a time is as of the last request.
type Open struct {
	Connections, Pending, Requests, Retries bool
}

// Open returns the state of the breakers now.
func (b *Breakers) Open() Open {
	l, now := b.limits.Load(), int64(0)
	if l.window != nil {
		now = l.window.last.Load()
	}
	return Open{
		Connections: b.connections.Load() >= int64(l.MaxConnections),
		Pending:     b.pending.Load() >= int64(l.MaxPending),
		Requests:    b.requests.Load() >= int64(l.MaxRequests),
		Retries:     b.retries.Load() >= b.maxRetries(l, now),
	}
}

// Remaining tells how many more connections, pending requests, requests and retries of a priority the breakers allow. It may be
// called from any goroutine.
type Remaining struct {
	Connections, Pending, Requests uint64
	Retries                        uint64 // 0 with a retry budget: what it allows follows from other counts
}

// Remaining returns what is left now, and false when nobody wants to know (track_remaining).
func (b *Breakers) Remaining() (r Remaining, tracked bool) {
	l := b.limits.Load()
	if !l.TrackRemaining {
		return r, false
	}
	r = Remaining{
		Connections: left(l.MaxConnections, b.connections.Load()),
		Pending:     left(l.MaxPending, b.pending.Load()),
		Requests:    left(l.MaxRequests, b.requests.Load()),
	}
	if l.RetryBudget == nil {
		r.Retries = left(l.MaxRetries, b.retries.Load())
	}
	return r, true
}

// left returns what of limit is not taken: connections may be beyond it.
func left(limit uint32, taken int64) uint64 { return uint64(max(int64(limit)-taken, 0)) }
