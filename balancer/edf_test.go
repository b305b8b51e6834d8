package balancer

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// letters runs n picks and names the entries A, B, C, ...
func letters(e *edf, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('A' + e.pick()))
	}
	return b.String()
}

func TestEDFSequence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weights []uint32
		start   uint64
		want    string
	}{
		{name: "equal weights are first in first out", weights: []uint32{1, 1, 1}, want: "ABCABCABC"},
		{name: "equal weights over 1", weights: []uint32{7, 7}, want: "ABABABAB"},
		// B's turn at time 1 was put in before A's third, so it goes first.
		{name: "3 to 1", weights: []uint32{3, 1}, want: "AABAAABAAABA"},
		{name: "1 to 3", weights: []uint32{1, 3}, want: "BBABBBABBBAB"},
		{name: "2 to 1", weights: []uint32{2, 1}, want: "ABAABAABA"},
		// Turns: C 1/3, B 1/2, C 2/3, A B C at 1 in the order in which they were put back.
		{name: "1 to 2 to 3", weights: []uint32{1, 2, 3}, want: "CBCABCCBCABC"},
		{name: "5 to 1 to 1", weights: []uint32{5, 1, 1}, want: "AAAABCAAAAABCA"},
		{name: "alone", weights: []uint32{4}, want: "AAAA"},
		// From time 1/2: the turns at 1/3 and 1/2 are over.
		{name: "1 to 2 to 3 from the middle", weights: []uint32{1, 2, 3}, start: 1 << 63, want: "CABCCB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := letters(newEDF(tt.weights, tt.start), len(tt.want)); got != tt.want {
				t.Errorf("weights %v: got %s, want %s", tt.weights, got, tt.want)
			}
		})
	}
}

// reference is an earliest deadline first schedule by the definition, in exact arithmetic.
type reference struct {
	deadlines []*big.Rat
	order     []int
	steps     []*big.Rat
	last      int
}

func newReference(weights []uint32) *reference {
	r := &reference{}
	for i, w := range weights {
		step := big.NewRat(1, int64(w))
		r.steps = append(r.steps, step)
		r.deadlines = append(r.deadlines, new(big.Rat).Set(step))
		r.order = append(r.order, i)
		r.last = i
	}
	return r
}

func (r *reference) pick() uint32 {
	first := 0
	for i := range r.deadlines {
		c := r.deadlines[i].Cmp(r.deadlines[first])
		if c < 0 || c == 0 && r.order[i] < r.order[first] {
			first = i
		}
	}
	r.deadlines[first].Add(r.deadlines[first], r.steps[first])
	r.last++
	r.order[first] = r.last
	return uint32(first)
}

func TestEDFAgainstExactArithmetic(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 1))
	limits := []uint32{3, 10, 100, 65536, math.MaxUint32}
	for range 100 {
		weights := make([]uint32, 1+rnd.IntN(9))
		limit := limits[rnd.IntN(len(limits))]
		for i := range weights {
			weights[i] = 1 + rnd.Uint32N(limit)
		}
		e, ref := newEDF(weights, 0), newReference(weights)
		for i := range 300 {
			if got, want := e.pick(), ref.pick(); got != want {
				t.Fatalf("weights %v, pick %d: got %d, want %d", weights, i, got, want)
			}
		}
	}
}

// Two fractions with denominators next to the largest weight differ in the last bits of an instant only.
func TestEDFNeighbouringFractions(t *testing.T) {
	a := ratio(math.MaxUint32-2, math.MaxUint32-1)
	b := ratio(math.MaxUint32-1, math.MaxUint32)
	if !a.before(b) || b.before(a) {
		t.Errorf("%v and %v are not in order", a, b)
	}
	if c := ratio(1, 3); c != ratio(1<<30, 3<<30) {
		t.Errorf("1/3 is %v and %v", c, ratio(1<<30, 3<<30))
	}
}

// Whatever the time it begins at, a schedule takes each entry exactly as often as its weight says in every period.
func TestEDFExactProportion(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 1))
	for range 50 {
		weights := make([]uint32, 1+rnd.IntN(20))
		period := 0
		for i := range weights {
			weights[i] = 1 + rnd.Uint32N(50)
			period += int(weights[i])
		}
		e := newEDF(weights, rnd.Uint64())
		for p := range 20 {
			counts := make([]uint32, len(weights))
			for range period {
				counts[e.pick()]++
			}
			for i := range weights {
				if counts[i] != weights[i] {
					t.Fatalf("weights %v, period %d: entry %d taken %d times", weights, p, i, counts[i])
				}
			}
		}
	}
}

// A heavy entry is never taken more often in a row than its weight allows.
func TestEDFSpreadsEvenly(t *testing.T) {
	e := newEDF([]uint32{90, 10}, 12345)
	gap := 0
	for i := range 1000 {
		if e.pick() == 0 {
			gap++
			continue
		}
		if i > 10 && (gap < 8 || gap > 10) {
			t.Fatalf("%d picks of weight 90 between two of weight 10, want 8..10", gap)
		}
		gap = 0
	}
}

func TestEDFStartsAnywhere(t *testing.T) {
	first := make([]int, 4)
	rnd := rand.NewPCG(5, 1)
	for range 1000 {
		first[newEDF([]uint32{1, 1, 1, 7}, rnd.Uint64()).pick()]++
	}
	// The entry of weight 7 is due first unless the time is in the last seventh, when it comes after the others.
	if first[3] < 800 || first[3] > 900 || first[0] == 0 {
		t.Errorf("first picks %v", first)
	}
}

func TestEDFWrapsAround(t *testing.T) {
	e := newEDF([]uint32{3, 1}, 0)
	e.order = math.MaxUint32 - 1
	for i := range e.heap {
		e.heap[i].deadline.whole += math.MaxUint64 - 1
		e.heap[i].order = math.MaxUint32 - 1 + e.heap[i].index
	}
	if got := letters(e, 24); got != strings.Repeat("AABA", 6) {
		t.Errorf("got %s across the end of the range", got)
	}
}

func TestInstant(t *testing.T) {
	half := ratio(1, 2)
	for _, tt := range []struct {
		name      string
		got, want instant
	}{
		{"ratio of whole numbers", ratio(6, 3), instant{whole: 2}},
		{"ratio", ratio(7, 2), instant{whole: 3, frac: 1 << 63}},
		{"add carries", half.add(ratio(3, 4)), instant{whole: 1, frac: 1 << 62}},
		{"scale fraction", half.scale(1 << 63), instant{frac: 1 << 62}},
		{"scale whole", instant{whole: 5}.scale(1 << 63), instant{whole: 2, frac: 1 << 63}},
		{"scale both", instant{whole: 3, frac: 1 << 63}.scale(1 << 63), instant{whole: 1, frac: 3 << 62}},
		{"scale by nothing", instant{whole: 3, frac: 9}.scale(0), instant{}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}
