package outbound

import (
	"net"
	"sync"
	"time"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Outcome is how a request ended.
type Outcome uint8

// The outcomes.
const (
	Success    Outcome = iota
	Failure            // a response that says so
	TimedOut           // no response in time
	Cancelled          // by this side
	Reset              // by the host: the stream alone
	Unfinished         // the connection has ended, or there was none
)

// What requests without a response count as.
const (
	serviceUnavailable = 503
	gatewayTimeout     = 504
)

// Request counts one request, which waits for a connection at first. Its methods may be called from any goroutine; those of a nil
// Request do nothing.
type Request struct {
	cluster *Cluster
	began   time.Time

	mu       sync.Mutex // guards all below
	host     *host      // nil while it waits
	conn     *conn      // nil when nobody knows it
	answered bool
	ended    bool
}

// Begin counts a request. It is in flight until its End. A nil Cluster returns nil.
func (k *Cluster) Begin() *Request {
	if k == nil {
		return nil
	}
	k.scopes.Cluster.Inc(stats.ClusterUpstreamRqPendingTotal)
	k.scopes.Cluster.Inc(stats.ClusterUpstreamRqPendingActive)
	return &Request{cluster: k, began: time.Now()}
}

// Sent notes that the request goes out on the connection with this local address.
func (r *Request) Sent(local net.Addr) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.host != nil || r.ended {
		return
	}
	scopes := &r.cluster.scopes
	r.host, r.conn = &r.cluster.unnamed, connAt(local)
	if r.conn != nil {
		r.host = r.conn.host
		r.conn.requests.Add(1)
	}
	r.host.rqTotal.Add(1)
	r.host.rqActive.Add(1)
	scopes.Cluster.Dec(stats.ClusterUpstreamRqPendingActive)
	scopes.Cluster.Inc(stats.ClusterUpstreamRqTotal)
	scopes.Cluster.Inc(stats.ClusterUpstreamRqActive)
	if scopes.HTTP2 != nil {
		scopes.HTTP2.Inc(stats.HTTP2StreamsActive)
	}
}

// Answered notes the status of the response.
func (r *Request) Answered(status int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer(status)
}

// answer counts the status, once. The caller holds mu.
func (r *Request) answer(status int) {
	if !r.answered && !r.ended {
		r.answered = true
		r.cluster.scopes.Cluster.IncStatus(status)
	}
}

// End notes how the request ended. Without a response it counts as one that this side has answered, as in Envoy: with 503, and with 504
// when there was none in time.
func (r *Request) End(o Outcome) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	switch o {
	case TimedOut:
		r.answer(gatewayTimeout)
	case Reset, Unfinished:
		r.answer(serviceUnavailable)
	}
	r.ended = true
	if r.host == nil {
		r.unsent(o)
		return
	}
	r.count(o)
	scopes := &r.cluster.scopes
	if r.conn != nil {
		r.conn.requests.Add(-1)
	}
	r.host.rqActive.Add(^uint64(0))
	scopes.Cluster.Dec(stats.ClusterUpstreamRqActive)
	scopes.Cluster.Record(stats.ClusterUpstreamRqTime, microseconds(r.began))
	if scopes.HTTP2 != nil {
		scopes.HTTP2.Dec(stats.HTTP2StreamsActive)
	}
}

// unsent counts the end of a request for which there was no connection.
func (r *Request) unsent(o Outcome) {
	scope := r.cluster.scopes.Cluster
	scope.Dec(stats.ClusterUpstreamRqPendingActive)
	switch o {
	case Cancelled:
		scope.Inc(stats.ClusterUpstreamRqCancelled)
	case TimedOut:
		scope.Inc(stats.ClusterUpstreamRqTimeout)
	default:
		scope.Inc(stats.ClusterUpstreamRqPendingFailureEject)
	}
}

// count counts the outcome of a request that went out.
func (r *Request) count(o Outcome) {
	scopes := &r.cluster.scopes
	reset := func(statistic, codec int) {
		scopes.Cluster.Inc(statistic)
		if scopes.HTTP2 != nil {
			scopes.HTTP2.Inc(codec)
		}
	}
	switch o {
	case Success:
		r.host.rqSuccess.Add(1)
	case Cancelled:
		reset(stats.ClusterUpstreamRqTxReset, stats.HTTP2TxReset)
	case TimedOut:
		reset(stats.ClusterUpstreamRqTxReset, stats.HTTP2TxReset)
		scopes.Cluster.Inc(stats.ClusterUpstreamRqTimeout)
		r.host.rqTimeout.Add(1)
		r.host.rqError.Add(1)
	case Reset:
		reset(stats.ClusterUpstreamRqRxReset, stats.HTTP2RxReset)
		r.host.rqError.Add(1)
	default:
		r.host.rqError.Add(1)
	}
}
