package health

// outcome is how a probe ended.
type outcome uint8

const (
	// passed: the host is well.
	passed outcome = iota
	// degraded: the host is well and says that it is degraded, with the field x-envoy-degraded.
	degraded
	// failed: the host answered, and not as one that is well does. That is enough to take it out.
	failed
	// retriable: it answered with one of the retriable statuses, which counts towards the threshold.
	retriable
	// networkFailure: there was no whole answer. It counts towards the threshold.
	networkFailure
	// timedOut: there was none in time. It counts towards the threshold.
	timedOut
	// reported: an answer to a request of traffic said that the host wants no more. That is enough to take it out.
	reported
)

// String returns the name of o as the log has it.
func (o outcome) String() string {
	switch o {
	case passed:
		return "passed"
	case degraded:
		return "degraded"
	case failed:
		return "failed"
	case retriable:
		return "retriable status"
	case networkFailure:
		return "network failure"
	case timedOut:
		return "timeout"
	default:
		return "immediate failure in traffic"
	}
}

// countsToThreshold reports whether it takes UnhealthyThreshold such outcomes to take a host out.
func (o outcome) countsToThreshold() bool {
	return o == retriable || o == networkFailure || o == timedOut
}

// result is what a probe found.
type result struct {
	outcome outcome
	// excluded tells that the host asked to be left out of the count for panic.
	excluded bool
	status   int    // of an HTTP answer that is a failure, 0 for none
	verified bool   // it was asked which service the host is of
	why      string // of a failure, for the log
}
