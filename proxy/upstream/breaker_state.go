package upstream

// Open tells which circuit breakers of a priority are open: at its limit, so that the next connection, pending request,
// request or retry is refused. It may be called from any goroutine.
type Open struct {
	Connections, Pending, Requests, Retries bool
}

// Open returns the state of the breakers now.
func (b *Breakers) Open() Open {
	l := b.limits.Load()
	return Open{
		Connections: b.connections.Load() >= int64(l.MaxConnections),
		Pending:     b.pending.Load() >= int64(l.MaxPending),
		Requests:    b.requests.Load() >= int64(l.MaxRequests),
		Retries:     b.retries.Load() >= b.maxRetries(l),
	}
}
