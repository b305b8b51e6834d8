// Package verdict says whether two series of measurements differ, how much, and with what confidence.
//
// Rounds are few, and what disturbs a machine makes some of them far too long and none too short, so nothing is assumed about how
// they are distributed but that the two series differ by a factor. That factor is estimated as Hodges and Lehmann do, with the
// exact interval of a rank test: Wilcoxon's signed ranks where each measurement of one series was taken beside one of the other,
// Mann's and Whitney's otherwise. One round that went wrong moves neither much.
//
//	Hodges, J. L., and Lehmann, E. L.: Estimates of location based on rank tests (1963)
//	Hollander, M., Wolfe, D. A., and Chicken, E.: Nonparametric Statistical Methods, sections 3.1 to 3.3 and 4.1 to 4.3
package verdict

import (
	"math"
	"slices"
)

const (
	// Confidence of an interval, at least. There are several comparisons in a run and each may err: with ten of them, nine runs
	// in ten of something that has not changed say so throughout.
	Confidence = 0.99
	// Minimum is the change below which there is none, whatever the confidence: where a function happens to lie in memory changes
	// as much.
	Minimum = 0.01
	// MinPaired and MinApart are the fewest measurements of a series that can give the confidence: even if they all say the same,
	// with fewer that would be by chance too often.
	MinPaired = 8
	MinApart  = 5
)

// Outcome is what a comparison comes to.
type Outcome string

const (
	// Same says that no difference was found.
	Same Outcome = "no difference"
	// Worse says that the new values are larger, beyond the noise.
	Worse Outcome = "regression"
	// Better says that they are smaller, beyond the noise.
	Better Outcome = "improvement"
	// TooFew says that there are too few values to tell.
	TooFew Outcome = "too few rounds to tell"
)

// Verdict is a comparison of values of which less is better. Changes are fractions of the old value: 0.05 is 5 % more.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Change is the estimate; Low and High enclose the true change with the Confidence, in (0, 1).
	Change     float64 `json:"change"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"`
	// Values is how many of the smaller series took part.
	Values int `json:"values"`
}

// Paired compares values that were measured in pairs, old[i] beside fresh[i]. Pairs of which one is not positive are left out;
// so is what one series has more.
func Paired(old, fresh []float64) Verdict {
	var logs []float64
	for i := range min(len(old), len(fresh)) {
		if measured(old[i]) && measured(fresh[i]) {
			logs = append(logs, math.Log(fresh[i]/old[i]))
		}
	}
	n := len(logs)
	if n < MinPaired {
		return Verdict{Outcome: TooFew, Values: n}
	}
	var averages []float64 // Walsh's, of each with each and with itself
	for i := range logs {
		for j := i; j < n; j++ {
			averages = append(averages, (logs[i]+logs[j])/2)
		}
	}
	return judge(averages, signedRanks(n), n)
}

// Apart compares values that were measured independently of each other. Those that are not positive are left out.
func Apart(old, fresh []float64) Verdict {
	old, fresh = logarithms(old), logarithms(fresh)
	n := min(len(old), len(fresh))
	if n < MinApart {
		return Verdict{Outcome: TooFew, Values: n}
	}
	var differences []float64
	for _, x := range old {
		for _, y := range fresh {
			differences = append(differences, y-x)
		}
	}
	return judge(differences, rankSums(len(old), len(fresh)), n)
}

func measured(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

func logarithms(xs []float64) []float64 {
	var logs []float64
	for _, x := range xs {
		if measured(x) {
			logs = append(logs, math.Log(x))
		}
	}
	return logs
}

// judge takes the estimates that a test counts, and the distribution of how many of them are below the true value: its ends are
// cut off, as many on each side as leave the confidence.
func judge(estimates, distribution []float64, values int) Verdict {
	slices.Sort(estimates)
	cut, tail := 0, 0.0
	for tail+distribution[cut] <= (1-Confidence)/2 {
		tail += distribution[cut]
		cut++
	}
	if cut == 0 {
		return Verdict{Outcome: TooFew, Values: values}
	}
	v := Verdict{
		Change: change(median(estimates)), Low: change(estimates[cut-1]), High: change(estimates[len(estimates)-cut]),
		Confidence: 1 - 2*tail, Values: values,
	}
	switch {
	case v.Low > 0 && v.Change >= Minimum:
		v.Outcome = Worse
	case v.High < 0 && v.Change <= -Minimum:
		v.Outcome = Better
	default:
		v.Outcome = Same
	}
	return v
}

// change turns the logarithm of a factor into what is added.
func change(log float64) float64 { return math.Expm1(log) }

// median is of sorted values.
func median(sorted []float64) float64 {
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
