package ratelimit

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// heldShare is the part of a bucket, one in so many tokens, that may lie in leases. It bounds how far a bucket with
	// leases falls behind one without.
	heldShare = 8

	// maxBatch is the most tokens that a lease takes at once. One lock in 64 requests is no longer visible in a profile,
	// and a larger batch only makes more of what others may have to take back.
	maxBatch = 64
)

// Bucket is a token bucket shared by all workers. It is safe for concurrent use.
type Bucket struct {
	burst     int
	perSecond float64
	maxHeld   int // most tokens in leases and spare together

	mu      sync.Mutex // guards all below, and every write to Lease.left but the owner's
	limiter *rate.Limiter
	now     time.Time // the latest time seen: the limiter earns twice for a time that goes back
	leases  []*Lease
	spare   int // tokens taken from the limiter that are in no lease
	held    int // what the limiter's burst was last lowered by
}

// NewBucket returns a full bucket of burst tokens that earns perSecond tokens a second. Both must be at least 1; smaller
// values count as 1.
func NewBucket(perSecond, burst int32) *Bucket {
	perSecond, burst = max(perSecond, 1), max(burst, 1)
	return &Bucket{
		burst:     int(burst),
		perSecond: float64(perSecond),
		maxHeld:   int(burst) / heldShare,
		limiter:   rate.NewLimiter(rate.Limit(perSecond), int(burst)),
	}
}

// Lease returns a worker's share of the bucket, with no tokens in it yet. The worker gives it back with Lease.Return.
func (b *Bucket) Lease() *Lease {
	l := &Lease{bucket: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases = append(b.leases, l)
	return l
}

// allow takes a token for l and, where there is more, a batch to go on with.
func (b *Bucket) allow(l *Lease, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now.Before(now) {
		b.now = now
	}
	n := b.take(b.batch(l))
	if n == 0 && b.reclaim() {
		n = b.take(b.batch(l))
	}
	if n == 0 {
		// No lease has a token either, so there is none for anybody until the limiter has earned the rest of one.
		l.refusedUntil = b.now.Add(b.untilNext())
	} else {
		l.left.Store(int32(n - 1))
	}
	b.lowerBurst()
	return n > 0
}

// batch returns how many tokens l may take: one to spend now, and its part of what may still be held.
func (b *Bucket) batch(l *Lease) int {
	if l.returned {
		return 1
	}
	return 1 + max(0, min(maxBatch-1, b.maxHeld/len(b.leases), b.maxHeld-b.inLeases()-b.spare))
}

// take takes up to n tokens, 0 when there are none.
func (b *Bucket) take(n int) int {
	if b.spare > 0 {
		n = min(n, b.spare)
		b.spare -= n
		return n
	}
	n = min(n, max(1, int(b.limiter.TokensAt(b.now))))
	if !b.limiter.AllowN(b.now, n) {
		return 0
	}
	return n
}

// reclaim takes back what lies in leases and reports whether there was any.
func (b *Bucket) reclaim() bool {
	for _, l := range b.leases {
		b.spare += l.empty()
	}
	return b.spare > 0
}

// lowerBurst leaves room in the limiter for what it gave out and is not spent. The old burst held until now, when leases
// had at least as much: raising it for the past would earn tokens twice.
func (b *Bucket) lowerBurst() {
	held := b.inLeases() + b.spare
	if held == b.held {
		return
	}
	b.limiter.SetBurstAt(b.now, b.burst-held)
	b.held = held
}

// inLeases returns the unspent tokens in leases. Their owners may spend some while it counts: the result is never too small
// for what remains after.
func (b *Bucket) inLeases() int {
	sum := 0
	for _, l := range b.leases {
		sum += max(0, int(l.left.Load()))
	}
	return sum
}

// untilNext returns the time until the limiter will have a whole token.
func (b *Bucket) untilNext() time.Duration {
	return time.Duration((1 - b.limiter.TokensAt(b.now)) / b.perSecond * float64(time.Second))
}

// retire takes l out of the leases and its tokens back.
func (b *Bucket) retire(l *Lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.returned {
		return
	}
	l.returned = true
	b.spare += l.empty()
	b.leases = slices.DeleteFunc(b.leases, func(other *Lease) bool { return other == l })
}
