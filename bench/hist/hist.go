// Package hist counts durations in a histogram of bounded size and bounded
// relative error, in the manner of HdrHistogram: each power of two is divided
// into the same number of equal buckets.
package hist

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// subBits makes 128 buckets per power of two: a reported value exceeds the
	// true one by less than 1/128.
	subBits = 7
	// maxBits bounds what is told apart to 2^40 ns, about 18 minutes, far above
	// any timeout of the load generator. Longer durations count as the longest.
	maxBits = 40

	buckets = (maxBits - subBits + 1) << subBits
)

// RelativeError bounds (reported - true) / true of every quantile.
const RelativeError = 1.0 / (1 << subBits)

// Histogram counts durations. Its zero value is empty. Record may be called from
// any goroutine; Quantile sees each Record wholly or not at all.
type Histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
	sum    atomic.Int64 // nanoseconds: some 300 years
}

// Record counts d; a negative d counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[index(uint64(d))].Add(1)
	h.sum.Add(int64(d))
	for {
		m := h.max.Load()
		if int64(d) <= m || h.max.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Max returns the longest duration recorded, exactly; 0 when there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Mean returns the mean of all durations, exactly; 0 when there is none.
func (h *Histogram) Mean() time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	return time.Duration(h.sum.Load() / int64(n))
}

// Quantile returns the smallest value v such that at least the fraction q, in
// (0, 1], of all recorded durations is <= v, rounded up by less than
// RelativeError and never above Max. It is 0 when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total))
	if float64(rank) < q*float64(total) || rank == 0 {
		rank++
	}
	var seen uint64
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= rank {
			return min(time.Duration(upper(i)), h.Max())
		}
	}
	return h.Max()
}

// index returns the bucket of v. Values below 2^subBits have a bucket each; above,
// the leading subBits+1 bits choose it.
func index(v uint64) int {
	v = min(v, 1<<maxBits-1)
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// upper returns the largest value of bucket i.
func upper(i int) uint64 {
	shift := max(i>>subBits-1, 0)
	mantissa := uint64(i - shift<<subBits)
	return (mantissa+1)<<shift - 1
}
