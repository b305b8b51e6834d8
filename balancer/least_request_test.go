package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// The chance of drawing the one idle host of n in k draws with repetition is 1 - (1-1/n)^k.
func TestLeastRequestChoices(t *testing.T) {
	const n, picks = 10, 20000
	for _, tt := range []struct{ count, draws uint32 }{{0, 2}, {1, 2}, {2, 2}, {5, 5}, {1000, maxChoiceCount}} {
		t.Run(fmt.Sprint(tt.count), func(t *testing.T) {
			hosts := fleet(n)
			for _, h := range hosts[1:] {
				h.Active = 3
			}
			p := pickCase{hosts: hosts, policy: Policy{Kind: LeastRequest, ChoiceCount: tt.count}}.picker(1)
			chance := 1 - math.Pow(1-1.0/n, float64(tt.draws))
			want, deviation := picks*chance, math.Sqrt(picks*chance*(1-chance))
			if got := float64(count(&p, picks)[hosts[0]]); math.Abs(got-want) > 4*deviation+1 {
				t.Errorf("idle host picked %v times of %d, want %v +- %v", got, picks, want, deviation)
			}
		})
	}
}

func TestLeastRequestEvensOut(t *testing.T) {
	hosts := fleet(50)
	p := pickCase{hosts: hosts, policy: Policy{Kind: LeastRequest}}.picker(1)
	for range 50 * 100 {
		h, _ := p.Pick()
		h.Active++
	}
	// Two choices keep the busiest host within a few requests of the mean; one choice would give about 100 +- 30.
	for _, h := range hosts {
		if h.Active < 95 || h.Active > 105 {
			t.Errorf("%s has %d requests in flight, want about 100", h.Address, h.Active)
		}
	}
}

func TestLeastRequestByWeight(t *testing.T) {
	for _, bias := range []float64{0, 1, 1.5, math.NaN(), -1} {
		hosts := withWeights(6, 3, 1)
		p := pickCase{hosts: hosts, policy: Policy{Kind: LeastRequest, ActiveRequestBias: bias}}.picker(1)
		counts := count(&p, 10000)
		for i, want := range []int{6000, 3000, 1000} {
			if got := counts[hosts[i]]; got < want-1 || got > want+1 {
				t.Errorf("bias %v: idle host of weight %d picked %d times, want %d", bias, hosts[i].Weight, got, want)
			}
		}
	}
}

// A host of weight w with a requests in flight gets a share of w / (a+1)^bias.
func TestLeastRequestByWeightAndActive(t *testing.T) {
	for _, tt := range []struct {
		bias float64
		want []int // of 9000
	}{
		{bias: 0, want: []int{6000, 3000}},
		{bias: 1, want: []int{3000, 6000}},
		{bias: 2, want: []int{1000, 8000}},
	} {
		hosts := withWeights(2, 1)
		hosts[0].Active = 3
		p := pickCase{hosts: hosts, policy: Policy{Kind: LeastRequest, ActiveRequestBias: tt.bias}}.picker(1)
		counts := count(&p, 9000)
		for i, want := range tt.want {
			if got := counts[hosts[i]]; got < want-1 || got > want+1 {
				t.Errorf("bias %v: host %d picked %d times, want %d", tt.bias, i, got, want)
			}
		}
	}
}

// Requests in flight count from the host's next turn on.
func TestLeastRequestReadsActiveOnPick(t *testing.T) {
	hosts := withWeights(2, 1)
	p := pickCase{hosts: hosts, policy: Policy{Kind: LeastRequest, ActiveRequestBias: 1}}.picker(1)
	count(&p, 99)
	hosts[0].Active = 1e6
	counts := count(&p, 1000)
	if n := counts[hosts[0]]; n != 1 {
		t.Errorf("host with a million requests in flight picked %d times of 1000, want 1", n)
	}
}

// A schedule built while a host is busy does not begin with a burst to it.
func TestLeastRequestStartsWithActive(t *testing.T) {
	busy := 0
	for seed := range uint64(200) {
		hosts := withWeights(1, 2, 1)
		hosts[1].Active = 999
		p := pickCase{hosts: hosts, policy: Policy{Kind: LeastRequest, ActiveRequestBias: 1}}.picker(seed)
		busy += count(&p, 10)[hosts[1]]
	}
	// Its share of 2000 picks is 2000 * 0.002 / 2.002.
	if busy > 8 {
		t.Errorf("busy host picked %d times of 2000, want about 2", busy)
	}
}

// Workers that build their pickers at once do not begin with the same host.
func TestLeastRequestStartsAnywhere(t *testing.T) {
	hosts := withWeights(2, 2, 1)
	first := make(map[*Host]int)
	for seed := range uint64(1000) {
		p := pickCase{hosts: hosts, policy: Policy{Kind: LeastRequest, ActiveRequestBias: 1}}.picker(seed)
		h, _ := p.Pick()
		first[h]++
	}
	for _, h := range hosts {
		if n := first[h]; n < 100 {
			t.Errorf("host of weight %d is first %d times of 1000", h.Weight, n)
		}
	}
}

func TestInterval(t *testing.T) {
	for _, tt := range []struct {
		weight, active uint32
		bias           float64
		want           instant
	}{
		{weight: 1, active: 0, bias: 1, want: instant{whole: 1}},
		{weight: 4, active: 0, bias: 1, want: instant{frac: 1 << 62}},
		{weight: 2, active: 4, bias: 1, want: instant{whole: 2, frac: 1 << 63}},
		{weight: 2, active: 4, bias: 0, want: instant{frac: 1 << 63}},
		{weight: 4, active: 2, bias: 2, want: instant{whole: 2, frac: 1 << 62}},
		{weight: 1, active: 3, bias: 0.5, want: instant{whole: 2}},
		{weight: 1, active: math.MaxUint32, bias: 1, want: instant{whole: maxInterval}},
		{weight: 1, active: math.MaxUint32, bias: 100, want: instant{whole: maxInterval}},
		{weight: 1, active: 1, bias: math.Inf(1), want: instant{whole: maxInterval}},
	} {
		if got := interval(tt.weight, tt.active, tt.bias); got != tt.want {
			t.Errorf("interval(%d, %d, %v) = %v, want %v", tt.weight, tt.active, tt.bias, got, tt.want)
		}
	}
}

// No interval is 0, or a host would be picked for ever.
func TestIntervalIsPositive(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 10000 {
		weight, active, bias := 1+rnd.Uint32()>>rnd.IntN(32), rnd.Uint32()>>rnd.IntN(32), rnd.Float64()*4
		if weight == 0 {
			weight = math.MaxUint32
		}
		if got := interval(weight, active, bias); got == (instant{}) {
			t.Fatalf("interval(%d, %d, %v) is 0", weight, active, bias)
		}
	}
}
