package bench

import (
	"slices"
	"testing"
)

func TestMedianAndSpread(t *testing.T) {
	tests := []struct {
		xs             []float64
		median, spread float64
	}{
		{nil, 0, 0},
		{[]float64{7}, 7, 0},
		{[]float64{3, 1}, 2, 0.5},
		{[]float64{9, 10, 12}, 10, 0.15},
		{[]float64{4, 1, 3, 2}, 2.5, 0.6},
		{[]float64{5, 5, 5, 5, 100}, 5, 9.5},
		{[]float64{0, 0, 1}, 0, 0},
	}
	for _, test := range tests {
		before := slices.Clone(test.xs)
		if got := median(test.xs); got != test.median {
			t.Errorf("median of %v: got %v, want %v", test.xs, got, test.median)
		}
		if got := spread(test.xs); got != test.spread {
			t.Errorf("spread of %v: got %v, want %v", test.xs, got, test.spread)
		}
		if !slices.Equal(before, test.xs) {
			t.Errorf("%v became %v", before, test.xs)
		}
	}
}
