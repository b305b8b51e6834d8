package ads

import (
	"math/rand/v2"
	"time"
)

// The back-off of Envoy's gRPC streams.
const (
	DefaultBackoffBase = 500 * time.Millisecond
	DefaultBackoffMax  = 30 * time.Second
)

// exponential is a fully jittered exponential back-off: the n-th wait is random in [0, base*2^n), and below max.
type exponential struct {
	base, max, bound time.Duration
	jitter           func(n int64) int64
}

// newExponential takes the defaults where base, max or jitter are zero. A max below base is raised to it.
func newExponential(base, limit time.Duration, jitter func(n int64) int64) exponential {
	if base <= 0 {
		base = DefaultBackoffBase
	}
	if limit <= 0 {
		limit = DefaultBackoffMax
	}
	if jitter == nil {
		jitter = rand.Int64N
	}
	return exponential{base: base, max: max(base, limit), bound: base, jitter: jitter}
}

func (e *exponential) next() time.Duration {
	d := time.Duration(e.jitter(int64(e.bound)))
	e.bound = min(2*e.bound, e.max)
	return d
}

func (e *exponential) reset() { e.bound = e.base }
