package harness

import "time"

// h2Event is what becomes of a stream that the proxy opened.
type h2Event uint8

const (
	h2Started  h2Event = iota
	h2Finished         // answered to the end, or reset by the origin
	h2Reset            // reset by the proxy before
)

// H2Counts counts the requests that an H2Origin got. A request is in flight from its head until it is answered to the end or
// reset, or its connection has ended.
type H2Counts struct {
	Started     int
	Finished    int // answered to the end, or reset by the origin
	Reset       int // reset by the proxy before that
	Dropped     int // in flight when their connection ended
	InFlight    int
	MaxInFlight int
}

func (n *H2Counts) add(e h2Event) {
	switch e {
	case h2Started:
		n.Started++
		n.InFlight++
		n.MaxInFlight = max(n.MaxInFlight, n.InFlight)
		return
	case h2Finished:
		n.Finished++
	case h2Reset:
		n.Reset++
	}
	n.InFlight--
}

// drop takes the rest of a connection that has ended.
func (n *H2Counts) drop(inFlight int) {
	n.Dropped += inFlight
	n.InFlight -= inFlight
}

// event counts for the connection and the origin.
func (p *H2Peer) event(e h2Event) {
	p.origin.mu.Lock()
	defer p.origin.mu.Unlock()
	p.counts.add(e)
	p.origin.counts.add(e)
	p.origin.changed.Broadcast()
}

// Counts returns the requests of all connections.
func (o *H2Origin) Counts() H2Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts
}

// Counts returns the requests of the connection.
func (p *H2Peer) Counts() H2Counts {
	p.origin.mu.Lock()
	defer p.origin.mu.Unlock()
	return p.counts
}

// WaitCounts waits until the requests of all connections are as ok wants them. What says in a failure what did not happen.
func (o *H2Origin) WaitCounts(what string, ok func(H2Counts) bool) H2Counts {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.waitLocked(func() bool { return ok(o.counts) }) {
		o.t.Fatalf("want %s: %+v", what, o.counts)
	}
	return o.counts
}

// waitLocked waits for a condition that others bring about under mu, which the caller holds. It returns false after Guard.
func (o *H2Origin) waitLocked(ok func() bool) bool {
	guard := time.AfterFunc(Guard, o.changed.Broadcast)
	defer guard.Stop()
	for deadline := time.Now().Add(Guard); !ok(); {
		if time.Now().After(deadline) {
			return false
		}
		o.changed.Wait()
	}
	return true
}
