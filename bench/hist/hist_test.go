package hist

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
	"time"
)

// TestErrorBound is the promise of Quantile against exact quantiles of random sets
// that span all magnitudes.
func TestErrorBound(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		values := make([]time.Duration, 1+random.IntN(500))
		var h Histogram
		for i := range values {
			values[i] = time.Duration(random.Uint64() >> (64 - maxBits + random.IntN(maxBits)))
			h.Record(values[i])
		}
		slices.Sort(values)
		for _, q := range []float64{0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
			rank := int(q * float64(len(values)))
			if float64(rank) < q*float64(len(values)) || rank == 0 {
				rank++
			}
			exact, got := values[rank-1], h.Quantile(q)
			if got < exact || float64(got-exact) > RelativeError*float64(exact) {
				t.Fatalf("quantile %v of %d values: got %d, exact %d", q, len(values), got, exact)
			}
		}
		if got := h.Quantile(1); got != values[len(values)-1] || h.Max() != got {
			t.Fatalf("quantile 1 is %d, max %d, want both %d", got, h.Max(), values[len(values)-1])
		}
		if h.Count() != uint64(len(values)) {
			t.Fatalf("count %d, want %d", h.Count(), len(values))
		}
	}
}

func TestBucketHoldsItsValues(t *testing.T) {
	property := func(v uint64) bool {
		v %= 1 << maxBits
		i := index(v)
		return i >= 0 && i < buckets && v <= upper(i) && (i == 0 || v > upper(i-1)) && index(upper(i)) == i
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 10_000}); err != nil {
		t.Error(err)
	}
	for bit := range maxBits {
		for _, v := range []uint64{1<<bit - 1, 1 << bit, 1<<bit + 1} {
			if !property(v) {
				t.Errorf("%d: bucket %d ends at %d", v, index(v), upper(index(v)))
			}
		}
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("an empty histogram is not zero")
	}
	h.Record(-time.Second)
	if h.Quantile(1) != 0 || h.Count() != 1 {
		t.Errorf("a negative duration: quantile %v, count %d", h.Quantile(1), h.Count())
	}
	h.Record(time.Hour)
	if got := h.Max(); got != time.Hour {
		t.Errorf("max %v, want 1h", got)
	}
	if got := h.Quantile(1); got < 15*time.Minute {
		t.Errorf("a duration beyond the range counts as %v", got)
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	h := new(Histogram)
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
