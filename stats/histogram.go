package stats

import "math/bits"

// The bins of a histogram. Values 0 to 100 have a bin each. Above, every decade (10^k, 10^(k+1)] is divided in steps of
// 5 % of its start up to twice its start, of 10 % up to five times, and of 25 % from there: no bin is wider than 5 % of
// its lower bound, so that its middle is at most 2.5 % away from any value in it. Each number of at most two significant
// digits is a bound of a bin, which makes the counts of Envoy's default buckets exact.
const (
	linearBins = 101
	decadeBins = 20 + 30 + 20
	// firstDecade is the k of the first decade, which starts where the linear bins end.
	firstDecade = 2
	// decades reach to 10^13: 115 days in microseconds, 10 TB in bytes. What is larger counts as the largest bin.
	decades = 11
)

// maxBinned is the largest value that has a bin of its own.
const maxBinned = 10_000_000_000_000

// powersOf10 is indexed by exponent.
var powersOf10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13}

// histogram is a distribution of recorded values. Bins are allocated a decade at a time when one first receives a value;
// there are at most linearBins + decades*decadeBins of them.
type histogram struct {
	count, sum uint64
	// min and max are exact, and mean nothing while count is 0. In a difference of two histograms they are those of the
	// later, hence bounds only.
	min, max uint64
	linear   *[linearBins]uint64
	decade   [decades]*[decadeBins]uint64
}

func (h *histogram) record(v uint64) {
	if h.count == 0 || v < h.min {
		h.min = v
	}
	if v > h.max {
		h.max = v
	}
	h.count++
	h.sum += v
	if v < linearBins {
		if h.linear == nil {
			h.linear = new([linearBins]uint64)
		}
		h.linear[v]++
		return
	}
	d, bin := locate(v)
	page := h.decade[d]
	if page == nil {
		page = new([decadeBins]uint64)
		h.decade[d] = page
	}
	page[bin]++
}

// locate returns the decade and bin of v, which is at least linearBins. Bins are open below and closed above, (lo, hi],
// so that a bucket bound takes the values equal to it, as Prometheus' le does.
func locate(v uint64) (decade, bin int) {
	u := min(v, maxBinned) - 1
	// The length in decimal digits, from the length in bits: 1233/4096 is log10(2), at most one too large.
	log10 := bits.Len64(u) * 1233 >> 12
	if u < powersOf10[log10] {
		log10--
	}
	decade = log10 - firstDecade
	m := int(u / powersOf10[decade]) // 100..999
	switch {
	case m < 200:
		return decade, (m - 100) / 5
	case m < 500:
		return decade, 20 + (m-200)/10
	default:
		return decade, 50 + (m-500)/25
	}
}

// binBounds returns the bounds of a bin of a decade: it holds the values in (lo, hi].
func binBounds(decade, bin int) (lo, hi uint64) {
	scale := powersOf10[decade]
	b := uint64(bin)
	switch {
	case b < 20:
		return (100 + 5*b) * scale, (105 + 5*b) * scale
	case b < 50:
		return (200 + 10*(b-20)) * scale, (210 + 10*(b-20)) * scale
	default:
		return (500 + 25*(b-50)) * scale, (525 + 25*(b-50)) * scale
	}
}

// each calls yield with the non-empty bins in ascending order until it returns false. The values of a bin are in
// (lo, hi], or are hi when lo == hi.
func (h *histogram) each(yield func(lo, hi, n uint64) bool) {
	if h.linear != nil {
		for v, n := range h.linear {
			if n != 0 && !yield(uint64(v), uint64(v), n) {
				return
			}
		}
	}
	for d, page := range h.decade {
		if page == nil {
			continue
		}
		for bin, n := range page {
			if n == 0 {
				continue
			}
			if lo, hi := binBounds(d, bin); !yield(lo, hi, n) {
				return
			}
		}
	}
}

// add adds the values of o to h.
func (h *histogram) add(o *histogram) {
	if o.count == 0 {
		return
	}
	if h.count == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.count += o.count
	h.sum += o.sum
	if o.linear != nil {
		if h.linear == nil {
			h.linear = new([linearBins]uint64)
		}
		for i, n := range o.linear {
			h.linear[i] += n
		}
	}
	for d, page := range o.decade {
		if page == nil {
			continue
		}
		if h.decade[d] == nil {
			h.decade[d] = new([decadeBins]uint64)
		}
		for i, n := range page {
			h.decade[d][i] += n
		}
	}
}

// copyFrom makes h equal to o, using the pages that h has.
func (h *histogram) copyFrom(o *histogram) {
	h.count, h.sum, h.min, h.max = o.count, o.sum, o.min, o.max
	switch {
	case o.linear == nil:
		h.linear = nil
	case h.linear == nil:
		page := *o.linear
		h.linear = &page
	default:
		*h.linear = *o.linear
	}
	for d, page := range o.decade {
		switch {
		case page == nil:
			h.decade[d] = nil
		case h.decade[d] == nil:
			bins := *page
			h.decade[d] = &bins
		default:
			*h.decade[d] = *page
		}
	}
}

// since returns the values that h has and prev, an earlier state of h, has not. prev may be nil.
func (h *histogram) since(prev *histogram) *histogram {
	d := new(histogram)
	d.copyFrom(h)
	if prev == nil {
		return d
	}
	d.count -= prev.count
	d.sum -= prev.sum
	if prev.linear != nil && d.linear != nil {
		for i, n := range prev.linear {
			d.linear[i] -= n
		}
	}
	for k, page := range prev.decade {
		if page == nil || d.decade[k] == nil {
			continue
		}
		if *d.decade[k] == *page {
			d.decade[k] = nil // nothing new here: an interval keeps only the pages it needs
			continue
		}
		for i, n := range page {
			d.decade[k][i] -= n
		}
	}
	return d
}

// words returns about how many words h occupies, the measure of a copy's cost.
func (h *histogram) words() int {
	n := 16
	if h.linear != nil {
		n += linearBins
	}
	for _, page := range h.decade {
		if page != nil {
			n += decadeBins
		}
	}
	return n
}
