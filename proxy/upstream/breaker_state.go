package upstream

// Open tells which circuit breakers of a cluster are open: at its limit, so that the next connection, pending request,
// request or retry is refused. It may be called from any goroutine.
type Open struct {
	Connections, Pending, Requests, Retries bool
}

// Open returns the state of the breakers now.
func (s *Shared) Open() Open {
	l := s.limits.Load()
	return Open{
		Connections: s.connections.Load() >= int64(l.MaxConnections),
		Pending:     s.pending.Load() >= int64(l.MaxPending),
		Requests:    s.requests.Load() >= int64(l.MaxRequests),
		Retries:     s.retries.Load() >= s.maxRetries(l),
	}
}
