package verdict

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestSignedRanks counts all signs of five ranks.
func TestSignedRanks(t *testing.T) {
	const n = 5
	want := make([]float64, n*(n+1)/2+1)
	for signs := range 1 << n {
		sum := 0
		for rank := 1; rank <= n; rank++ {
			sum += rank * (signs >> (rank - 1) & 1)
		}
		want[sum] += 1.0 / (1 << n)
	}
	compare(t, signedRanks(n), want)
}

// TestRankSums counts all orders of three values and four.
func TestRankSums(t *testing.T) {
	const n, m = 3, 4
	want, orders := make([]float64, n*m+1), 0.0
	for order := range uint(1 << (n + m)) {
		if bits.OnesCount(order) != n {
			continue
		}
		u, below := 0, 0
		for i := range n + m {
			if order>>i&1 == 1 {
				u += below
			} else {
				below++
			}
		}
		want[u]++
		orders++
	}
	for u := range want {
		want[u] /= orders
	}
	compare(t, rankSums(n, m), want)
}

func compare(t *testing.T, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("value %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

// TestLimits holds the numbers of values against the distributions: one fewer does not give the confidence.
func TestLimits(t *testing.T) {
	for name, p := range map[string]struct{ enough, tooFew float64 }{
		"paired": {signedRanks(MinPaired)[0], signedRanks(MinPaired - 1)[0]},
		"apart":  {rankSums(MinApart, MinApart)[0], rankSums(MinApart-1, MinApart-1)[0]},
	} {
		if 2*p.enough > 1-Confidence || 2*p.tooFew <= 1-Confidence {
			t.Errorf("%s: %v and %v, want one below and one above %v", name, 2*p.enough, 2*p.tooFew, 1-Confidence)
		}
	}
}

// noisy returns n values around 10: a few percent of noise, drift that both series of a pair share, and now and then a round
// that took much longer.
func noisy(random *rand.Rand, n int) (one, other []float64) {
	value := func() float64 {
		x := 10 * (1 + 0.02*random.NormFloat64())
		if random.IntN(50) == 0 {
			x *= 1.5
		}
		return x
	}
	for i := range n {
		drift := 1 + 0.2*math.Sin(float64(i))
		one, other = append(one, drift*value()), append(other, drift*value())
	}
	return one, other
}

func scaled(xs []float64, by float64) []float64 {
	var out []float64
	for _, x := range xs {
		out = append(out, x*by)
	}
	return out
}

// TestErrorRates makes many runs from a fixed seed: nothing is found where nothing is but for about one in a hundred, and
// 5 % are mostly found.
func TestErrorRates(t *testing.T) {
	const runs, rounds = 2000, 15
	random := rand.New(rand.NewPCG(1, 2))
	falsely, found, misjudged := 0, 0, 0
	for range runs {
		old, fresh := noisy(random, rounds)
		if Paired(old, fresh).Outcome != Same {
			falsely++
		}
		v := Paired(old, scaled(fresh, 1.05))
		if v.Outcome == Worse {
			found++
		}
		if v.Low > 0.05 || v.High < 0.05 {
			misjudged++
		}
	}
	if falsely > runs/100 || misjudged > runs/100 {
		t.Errorf("of %d runs %d falsely differ and %d intervals are beside the truth, want at most one in a hundred", runs, falsely, misjudged)
	}
	if found < runs*4/5 {
		t.Errorf("5 %% more was found in %d of %d runs, want four of five", found, runs)
	}
}

func TestOutcomes(t *testing.T) {
	old := []float64{10, 10.1, 9.9, 10.05, 9.95, 10.02, 9.98, 10.01, 9.99}
	for name, test := range map[string]struct {
		by   float64
		want Outcome
	}{"same": {1, Same}, "worse": {1.05, Worse}, "better": {0.95, Better}, "too little to matter": {1.005, Same}} {
		for how, v := range map[string]Verdict{"paired": Paired(old, scaled(old, test.by)), "apart": Apart(old, scaled(old, test.by))} {
			if v.Outcome != test.want || v.Confidence < Confidence || math.Abs(v.Change-(test.by-1)) > 1e-9 || v.Low > v.Change || v.High < v.Change {
				t.Errorf("%s, %s: %+v, want %s", name, how, v, test.want)
			}
		}
	}
}

func TestTooFew(t *testing.T) {
	ten := scaled(make([]float64, 10), 1)
	for i := range ten {
		ten[i] = float64(1 + i)
	}
	bad := []float64{0, -1, math.NaN(), math.Inf(1), 5, 6, 7, 8, 9, 10}
	for name, v := range map[string]Verdict{
		"nothing": Paired(nil, nil), "paired": Paired(ten[:MinPaired-1], ten), "apart": Apart(ten, ten[:MinApart-1]),
		"not positive": Paired(bad, ten), "nothing apart": Apart(nil, ten), "not positive apart": Apart(ten, bad[:8]),
	} {
		if v.Outcome != TooFew {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v := Apart(ten, bad); v.Values != 6 || v.Outcome == TooFew {
		t.Errorf("%+v, want six values", v)
	}
}
