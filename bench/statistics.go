package bench

import "slices"

// median returns the middle of xs, or the mean of the two in the middle; 0 when
// there are none. It leaves xs as it is.
func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(xs))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// spread returns half the range of xs as a fraction of its median: the x of
// "median ± x". Rounds are few, so the range says more than a deviation would. It
// is 0 when the median is.
func spread(xs []float64) float64 {
	m := median(xs)
	if m == 0 {
		return 0
	}
	return (slices.Max(xs) - slices.Min(xs)) / 2 / m
}
