package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBinsCoverTheirValues(t *testing.T) {
	check := func(v uint64) {
		t.Helper()
		d, bin := locate(v)
		lo, hi := binBounds(d, bin)
		if v <= lo || v > hi {
			t.Fatalf("value %d is in the bin (%d, %d]", v, lo, hi)
		}
		if width := float64(hi-lo) / float64(lo); width > 0.0501 {
			t.Fatalf("bin (%d, %d] is %.3f of its lower bound wide", lo, hi, width)
		}
	}
	for v := uint64(linearBins); v < 200_000; v++ {
		check(v)
	}
	for exp := firstDecade; exp < firstDecade+decades; exp++ {
		for _, v := range []uint64{powersOf10[exp], powersOf10[exp] + 1, 2 * powersOf10[exp], 5*powersOf10[exp] + 1} {
			if v >= linearBins && v <= maxBinned {
				check(v)
			}
		}
	}
	check(maxBinned)
}

func TestValuesBeyondTheBinsAreKept(t *testing.T) {
	var h histogram
	h.record(math.MaxUint64)
	h.record(maxBinned + 1)
	d := Distribution{h: &h}
	if d.Count() != 2 || d.Quantile(1) < maxBinned*0.97 {
		t.Fatalf("count %d, largest %g", d.Count(), d.Quantile(1))
	}
}

// logUniform returns n values spread evenly over the magnitudes from 1 to top.
func logUniform(r *rand.Rand, n int, top float64) []uint64 {
	values := make([]uint64, n)
	for i := range values {
		values[i] = uint64(math.Exp(r.Float64() * math.Log(top)))
	}
	return values
}

func TestQuantileErrorIsBounded(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		values := logUniform(r, 1+r.IntN(3000), math.Pow(10, 1+11*r.Float64()))
		var h histogram
		var sum uint64
		for _, v := range values {
			h.record(v)
			sum += v
		}
		slices.Sort(values)
		d := Distribution{h: &h}
		if d.Count() != uint64(len(values)) || d.Sum() != float64(sum) {
			t.Fatalf("seed %d: count %d sum %g, want %d and %d", seed, d.Count(), d.Sum(), len(values), sum)
		}
		for _, percent := range supportedQuantiles {
			rank := max(int(math.Ceil(percent/100*float64(len(values)))), 1)
			want := float64(values[rank-1])
			if got := d.Quantile(percent / 100); math.Abs(got-want) > 0.025*want {
				t.Errorf("seed %d: P%g is %g, want %g", seed, percent, got, want)
			}
		}
	}
}

func TestBucketsAreExactAtBinBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	values := logUniform(r, 5000, 1e10)
	for _, bound := range DefaultBuckets() {
		values = append(values, uint64(bound*1000), uint64(bound*1000)+1) // at a bound and just above
	}
	var h histogram
	for _, v := range values {
		h.record(v)
	}
	d := Distribution{h: &h, unit: Milliseconds}
	cumulative := d.cumulative(DefaultBuckets(), nil)
	for i, bound := range DefaultBuckets() {
		var want uint64
		for _, v := range values {
			if float64(v) <= bound*1000 {
				want++
			}
		}
		if got := d.CountAtMost(bound); got != want || cumulative[i] != want {
			t.Errorf("%g ms: %d and %d values, want %d", bound, got, cumulative[i], want)
		}
	}
}

func TestMergedEqualsSingle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var parts [4]histogram
	var single, merged histogram
	for i, v := range logUniform(r, 4000, 1e13) {
		parts[i%len(parts)].record(v)
		single.record(v)
	}
	for i := range parts {
		merged.add(&parts[i])
	}
	if !equalHistograms(&single, &merged) {
		t.Fatal("the merged histogram differs from the one that got all values")
	}
}

func TestSinceIsWhatWasAdded(t *testing.T) {
	var h, prev, added histogram
	for v := range uint64(1000) {
		h.record(v * v)
	}
	prev.copyFrom(&h)
	for v := range uint64(300) {
		h.record(v * 7)
		added.record(v * 7)
	}
	got := h.since(&prev)
	if got.count != added.count || got.sum != added.sum {
		t.Fatalf("count %d sum %d, want %d and %d", got.count, got.sum, added.count, added.sum)
	}
	gotBins, wantBins := histogram{}, histogram{}
	gotBins.linear, gotBins.decade = got.linear, got.decade
	wantBins.linear, wantBins.decade = added.linear, added.decade
	if !equalHistograms(&gotBins, &wantBins) {
		t.Fatal("the bins differ")
	}
}

// equalHistograms compares totals and non-empty bins.
func equalHistograms(a, b *histogram) bool {
	type bin struct{ lo, hi, n uint64 }
	list := func(h *histogram) (bins []bin) {
		h.each(func(lo, hi, n uint64) bool {
			bins = append(bins, bin{lo, hi, n})
			return true
		})
		return bins
	}
	return a.count == b.count && a.sum == b.sum && a.min == b.min && a.max == b.max && slices.Equal(list(a), list(b))
}

func TestEmptyDistribution(t *testing.T) {
	var d Distribution
	if d.Count() != 0 || d.Sum() != 0 || d.Mean() != 0 || !math.IsNaN(d.Quantile(0.5)) || d.CountAtMost(1) != 0 {
		t.Fatal("an empty distribution is not empty")
	}
}
