package stats

import "math"

// supportedQuantiles are the percentiles that Envoy shows of a histogram.
var supportedQuantiles = [...]float64{0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100}

// Distribution is a merged, immutable histogram, in shown units: milliseconds for times. The zero value is empty.
type Distribution struct {
	h    *histogram
	unit Unit
}

// Count returns how many values were recorded.
func (d Distribution) Count() uint64 {
	if d.h == nil {
		return 0
	}
	return d.h.count
}

// Sum returns the exact sum of the recorded values.
func (d Distribution) Sum() float64 {
	if d.h == nil {
		return 0
	}
	return float64(d.h.sum) / d.unit.perShown()
}

// Mean returns the exact mean of the recorded values, or 0 when there are none.
func (d Distribution) Mean() float64 {
	if d.Count() == 0 {
		return 0
	}
	return d.Sum() / float64(d.h.count)
}

// Quantile returns the value at q, 0 to 1, within 2.5 %, or NaN when nothing was recorded.
func (d Distribution) Quantile(q float64) float64 {
	if d.Count() == 0 {
		return math.NaN()
	}
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(d.h.count)))
	rank = min(max(rank, 1), d.h.count)
	value := float64(d.h.max)
	var seen uint64
	d.h.each(func(lo, hi, n uint64) bool {
		seen += n
		if seen < rank {
			return true
		}
		value = float64(lo)/2 + float64(hi)/2
		return false
	})
	return min(max(value, float64(d.h.min)), float64(d.h.max)) / d.unit.perShown()
}

// CountAtMost returns how many values are at most bound. It is exact for a bound that is the bound of a bin, as is every
// number of recorded units with at most two significant digits; otherwise the values of the bin that bound falls into
// are left out, which amounts to a bound up to 5 % smaller.
func (d Distribution) CountAtMost(bound float64) uint64 {
	if d.h == nil {
		return 0
	}
	// Half a recorded unit, so that 0.5 ms is 500 µs whatever the rounding of the product.
	limit := bound*d.unit.perShown() + 0.5
	var seen uint64
	d.h.each(func(_, hi, n uint64) bool {
		if float64(hi) > limit {
			return false
		}
		seen += n
		return true
	})
	return seen
}

// cumulative returns CountAtMost of each of the ascending bounds, in one pass.
func (d Distribution) cumulative(bounds []float64, counts []uint64) []uint64 {
	counts = counts[:0]
	var seen uint64
	if d.h != nil {
		d.h.each(func(_, hi, n uint64) bool {
			for len(counts) < len(bounds) && float64(hi) > bounds[len(counts)]*d.unit.perShown()+0.5 {
				counts = append(counts, seen)
			}
			seen += n
			return len(counts) < len(bounds)
		})
	}
	for len(counts) < len(bounds) {
		counts = append(counts, seen)
	}
	return counts
}

// bins calls yield with the lower bound, width and count of each non-empty bin, ascending, in shown units.
func (d Distribution) bins(yield func(lower, width float64, n uint64)) {
	if d.h == nil {
		return
	}
	d.h.each(func(lo, hi, n uint64) bool {
		yield(float64(lo)/d.unit.perShown(), float64(hi-lo)/d.unit.perShown(), n)
		return true
	})
}
