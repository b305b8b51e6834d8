package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

// TestTurnsOfBuilds pairs proxy-alb with its Baseline alone, in scenarios that can be sliced.
func TestTurnsOfBuilds(t *testing.T) {
	kinds := peer.Kinds()
	all := []*entry{{proxy: Proxy{Kind: kinds[0]}}, {proxy: Proxy{Kind: kinds[0], Label: Baseline}}, {proxy: Proxy{Kind: kinds[1]}}}
	with, without := &lab{}, &lab{}
	for _, e := range all {
		with.options.Proxies = append(with.options.Proxies, e.proxy)
	}
	sizes := func(groups [][]*entry) (n []int) {
		for _, g := range groups {
			n = append(n, len(g))
		}
		return n
	}
	for _, s := range Scenarios() {
		want := []int{1, 1, 1}
		switch s.Name {
		case h1Small, "h1-64k", "h1-pipelined", "h1-mixed", "routes-10k", h2ToH2, h2ToH1, grpcUnary, "grpc-stream", "websocket-tunnel", "tcp-proxy",
			"h1-1k-headers", "h1-1m", "h1-1m-up", tlsH1, "tls-1m":
			want = []int{2, 1}
		}
		if got := sizes(with.groups(s, all)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", s.Name, got, want)
		}
		if got := sizes(without.groups(s, all[:1])); !slices.Equal(got, []int{1}) {
			t.Errorf("%s without a baseline: %v", s.Name, got)
		}
	}
}

// TestAgainstBaselineByTurns goes by the slices where there are some, and not by what whole rounds came to.
func TestAgainstBaselineByTurns(t *testing.T) {
	for ratio, want := range map[float64]verdict.Outcome{1: verdict.Same, 1.05: verdict.Worse} {
		s := ScenarioReport{Scenario: Scenario{Name: h1Small}}
		for n := 1; n <= 9; n++ {
			fresh := measured(peer.ProxyALB, n, time.Duration(n)*time.Microsecond)
			fresh.AgainstBaseline = ratio * (1 + float64(n-5)/1000)
			s.Rounds = append(s.Rounds, fresh, measured(Baseline, n, time.Duration(10-n)*time.Microsecond))
		}
		r := Report{Proxies: []Program{{Name: peer.ProxyALB}, {Name: Baseline}}, Scenarios: []ScenarioReport{s}}
		if f := r.againstBaseline(); len(f) != 1 || f[0].Outcome != want || math.Abs(f[0].Change-(ratio-1)) > 0.001 {
			t.Errorf("%v: %+v", ratio, f)
		}
	}
}

// machine is one on which a build is measured: what a request costs depends on what else goes on, which changes slowly, now and
// then for a moment, and a little on how a process happens to lie in memory.
type machine struct {
	random *rand.Rand
	drift  float64
}

func (m *machine) process() float64 { return math.Exp(0.01 * m.random.NormFloat64()) }

func (m *machine) slice(cost float64) float64 {
	m.drift = 0.98*m.drift + 0.03*m.random.NormFloat64()
	cost *= math.Exp(m.drift + 0.04*m.random.NormFloat64())
	if m.random.IntN(30) == 0 {
		cost *= 1.5
	}
	return cost
}

// TestTurnsFindFivePercent makes runs of a machine that is as noisy as ours, from a fixed seed: by turns, 5 % are found nearly
// always and nothing is found where nothing is; by rounds that follow each other in the same time, they are mostly missed.
func TestTurnsFindFivePercent(t *testing.T) {
	const runs, rounds, pairs = 500, 15, 20
	byTurns := func(m *machine, cost float64) float64 {
		fresh, old := cost*m.process(), m.process()
		var ratios []float64
		for i := range pairs {
			var c [2]float64
			for _, at := range [][2]int{{0, 1}, {1, 0}}[i%2] {
				c[at] = m.slice([2]float64{fresh, old}[at])
			}
			ratios = append(ratios, c[0]/c[1])
		}
		return median(ratios)
	}
	byRounds := func(m *machine, cost float64) float64 {
		var sum [2]float64
		for i, cost := range [2]float64{cost * m.process(), m.process()} {
			for range pairs {
				sum[i] += m.slice(cost)
			}
		}
		return sum[0] / sum[1]
	}
	found := func(measure func(*machine, float64) float64, cost float64) float64 {
		m, n := &machine{random: rand.New(rand.NewPCG(1, 2))}, 0
		ones := slices.Repeat([]float64{1}, rounds)
		for range runs {
			var ratios []float64
			for range rounds {
				ratios = append(ratios, measure(m, cost))
			}
			if verdict.Paired(ones, ratios).Outcome != verdict.Same {
				n++
			}
		}
		return float64(n) / runs
	}
	falsely, turned, rounded := found(byTurns, 1), found(byTurns, 1.05), found(byRounds, 1.05)
	t.Logf("found falsely %.3f, 5 %% by turns %.3f, by rounds %.3f", falsely, turned, rounded)
	if falsely > 0.02 || turned < 0.98 || rounded > 0.6 {
		t.Errorf("found falsely %v, want at most 0.02; 5 %% by turns %v, want 0.98; by rounds %v, want less than 0.6", falsely, turned, rounded)
	}
}
