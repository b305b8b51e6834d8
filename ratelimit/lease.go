package ratelimit

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/cpu"
)

// Lease is one worker's share of a Bucket. Its methods belong to that worker's thread.
type Lease struct {
	_ cpu.CacheLinePad // two workers' leases do not share a cache line

	// left are the tokens to spend. The owner decrements it, below 0 when another worker was faster to take them back;
	// everything else happens under bucket.mu.
	left         atomic.Int32
	returned     bool // guarded by bucket.mu
	bucket       *Bucket
	refusedUntil time.Time // owner only: no lease can get a token before

	_ cpu.CacheLinePad
}

// Allow takes one token and reports whether there was one. now is the worker's time and should not go back.
//
// It takes the bucket's lock once per batch of tokens, and when they run out once per token that the bucket earns. It does
// not allocate. On a returned lease each call asks the bucket.
func (l *Lease) Allow(now time.Time) bool {
	if l.left.Load() > 0 && l.left.Add(-1) >= 0 {
		return true
	}
	if now.Before(l.refusedUntil) {
		return false
	}
	return l.bucket.allow(l, now)
}

// Return gives unspent tokens back to the bucket, for a worker that is done with it. A second call does nothing.
func (l *Lease) Return() { l.bucket.retire(l) }

// empty takes all tokens out of l.
func (l *Lease) empty() int { return max(0, int(l.left.Swap(0))) }
