package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// attempt is what an exchange has of one host: the way to it, and the response of it. An exchange has one at hand, which it uses
// for one host after the other. Where it hedges, those that take too long go on beside it: its rivals, which it has no more to do
// for than to wait for their responses.
type attempt struct {
	response message.Response
	lease    upstream.Lease

	attemptState
}

// attemptState is the part of an attempt that begins as zero.
type attemptState struct {
	cluster   *upstream.Cluster // that serves the attempt: where the target leads, or a member of it
	up        upstream.Stream
	connected bool
	began     int64 // when it had its connection, in nanoseconds on the loop's clock
	counted   bool  // it is a retry in the circuit breaker
	marks     marks

	slow  bool  // it has taken longer than an attempt should, and goes on all the same
	raced bool  // another was begun for that, and it is not tried again for anything else
	stage stage // where the exchange goes on with it, of one that is not at hand
}

// clear makes a ready for reuse. The response is emptied by whoever fills it next.
func (a *attempt) clear() {
	a.lease = upstream.Lease{}
	a.attemptState = attemptState{}
}
