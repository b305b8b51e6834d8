package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

// wobble is what a machine adds to rounds, a fraction each.
var wobble = []float64{0.01, -0.02, 0.3, 0, 0.02, -0.01, 0.005, -0.005, 0.015}

// ran makes a report of h1-small and idle-10k: proxy-alb needs cost µs for a request, nginx 12, on a machine that is slow by a factor.
func ran(t *testing.T, rounds int, cost, slow float64, label string) Report {
	t.Helper()
	scenarios, err := FindScenarios([]string{h1Small, idle10k})
	if err != nil {
		t.Fatal(err)
	}
	requests, idle := ScenarioReport{Scenario: scenarios[0], Load: Wrk}, ScenarioReport{Scenario: scenarios[1], Load: Wrk}
	for n := range rounds {
		now := slow * (1 + wobble[n%len(wobble)])
		jitter := 1 + wobble[(n+4)%len(wobble)]/20
		cpu := func(us float64) time.Duration { return time.Duration(us * now * float64(time.Microsecond)) }
		requests.Rounds = append(requests.Rounds, measured(label, n+1, cpu(cost*jitter)), measured(peer.Nginx, n+1, cpu(12)))
		idle.Rounds = append(idle.Rounds,
			Round{Proxy: label, Round: n + 1, BaseRSS: 10 << 20, AfterRSS: 10<<20 + int64(1500*jitter*idleConnections)})
	}
	return Report{
		Machine: Machine{CPU: "Some CPU"}, Scenarios: []ScenarioReport{requests, idle},
		Proxies: []Program{{label, "/bin/proxy-alb", "1.0"}, {peer.Nginx, "/bin/nginx", "1.22"}},
	}
}

func outcomes(findings []Finding) []verdict.Outcome {
	var all []verdict.Outcome
	for _, f := range findings {
		all = append(all, f.Outcome)
	}
	return all
}

// TestCompareReports has the second report from a day on which the machine was half as fast: the peer tells.
func TestCompareReports(t *testing.T) {
	old := ran(t, 9, 9, 1, peer.ProxyALB)
	for name, test := range map[string]struct {
		cost float64
		want verdict.Outcome
	}{"same": {9, verdict.Same}, "5 % more": {9.45, verdict.Worse}, "less": {8.5, verdict.Better}} {
		c := Compare(old, ran(t, 9, test.cost, 2, peer.ProxyALB))
		if got, want := outcomes(c.Findings), []verdict.Outcome{test.want, verdict.Same}; !slices.Equal(got, want) || len(c.Notes) > 0 {
			t.Errorf("%s: %v, want %v; notes %q", name, got, want, c.Notes)
		}
		if f := c.Findings[0]; !slices.Equal(f.Reference, []string{peer.Nginx}) || f.New < f.Old {
			t.Errorf("%s: %+v", name, f)
		}
		if (len(Regressed(c.Findings)) > 0) != (test.want == verdict.Worse) || Judged(c.Findings) != nil {
			t.Errorf("%s: regressed %v", name, Regressed(c.Findings))
		}
	}
}

func TestCompareWhatCannotBe(t *testing.T) {
	old := ran(t, 9, 9, 1, peer.ProxyALB)
	fresh := ran(t, 4, 12, 1, peer.ProxyALB)
	if c := Compare(old, fresh); Judged(c.Findings) != ErrNothingCompared || len(Regressed(c.Findings)) > 0 {
		t.Errorf("four rounds: %+v", c)
	}
	fresh = ran(t, 9, 9, 1, peer.ProxyALB)
	fresh.Machine.CPU = "Another"
	fresh.Scenarios[0].Load = Own
	fresh.Scenarios[1].Scenario.Connections = 5
	fresh.Scenarios = append(fresh.Scenarios, ScenarioReport{Scenario: Scenario{Name: h2ToH2}})
	old.Scenarios = append(old.Scenarios, ScenarioReport{Scenario: Scenario{Name: h2ToH1}})
	c := Compare(old, fresh)
	if len(c.Findings) > 0 || len(c.Notes) != 5 {
		t.Errorf("%q, %+v", c.Notes, c.Findings)
	}
	for i, want := range []string{"Another", "by wrk", "another task", "not in the old", "not in the new"} {
		if !strings.Contains(c.Notes[i], want) {
			t.Errorf("note %q, want %q in it", c.Notes[i], want)
		}
	}
}

// TestPeersThatDiffer are no measure of the machine.
func TestPeersThatDiffer(t *testing.T) {
	old, fresh := ran(t, 9, 9, 1, peer.ProxyALB), ran(t, 9, 9, 1, peer.ProxyALB)
	fresh.Proxies[1].Version = "1.23"
	c := Compare(old, fresh)
	var b strings.Builder
	if err := c.WriteText(&b); err != nil || len(c.Findings[0].Reference) != 0 || !strings.Contains(b.String(), "no peer is in both") {
		t.Errorf("%v, %s", err, b.String())
	}
}

func TestAgainstBaseline(t *testing.T) {
	for cost, want := range map[float64]verdict.Outcome{9: verdict.Same, 9.45: verdict.Worse} {
		report, beside := ran(t, 9, cost, 1, peer.ProxyALB), ran(t, 9, 9, 1, Baseline)
		report.Proxies = append(report.Proxies, beside.Proxies[0])
		for i := range report.Scenarios {
			report.Scenarios[i].Rounds = append(report.Scenarios[i].Rounds, beside.Scenarios[i].Rounds...)
		}
		report.Findings = report.againstBaseline()
		if got := outcomes(report.Findings); !slices.Equal(got, []verdict.Outcome{want, verdict.Same}) || !report.Findings[0].Paired {
			t.Errorf("%v µs: %+v, want %s", cost, report.Findings, want)
		}
	}
	if got := ran(t, 9, 9, 1, peer.ProxyALB).againstBaseline(); got != nil {
		t.Errorf("without a baseline: %+v", got)
	}
}

// TestRecordedRounds reads rounds of one binary beside itself, taken on a machine that was busy with other things: the verdict
// finds nothing, and with an addition to one of them that exceeds that noise it finds it.
func TestRecordedRounds(t *testing.T) {
	text, err := os.ReadFile("testdata/itself.json")
	if err != nil {
		t.Fatal(err)
	}
	report, err := ReadReport(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.againstBaseline() {
		if f.Outcome != verdict.Same || f.Values != 15 {
			t.Errorf("%+v", f)
		}
	}
	for i := range report.Scenarios {
		for j := range report.Scenarios[i].Rounds {
			if r := &report.Scenarios[i].Rounds[j]; r.Proxy == peer.ProxyALB {
				r.TotalCPU = r.TotalCPU * 14 / 10
			}
		}
	}
	for _, f := range report.againstBaseline() {
		if f.Outcome != verdict.Worse {
			t.Errorf("with 40 %% more: %+v", f)
		}
	}
}

func TestReadReport(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "x", "something else": `{"a": 1}`, "a list": "[]", "nothing in it": `{"scenarios": []}`} {
		if _, err := ReadReport([]byte(text)); err == nil || !strings.Contains(err.Error(), "alb-bench --json") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Rounds out of range are none, and an update without its figures has no value.
	odd := `{"scenarios": [{"scenario": {"measure": "update"}, "rounds": [{"proxy": "proxy-alb", "round": 1}, {"proxy": "proxy-alb", "round": 1000000000}]}]}`
	report, err := ReadReport([]byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	if c := Compare(report, report); Judged(c.Findings) == nil {
		t.Errorf("%+v", c)
	}
}

func TestCompareTextGolden(t *testing.T) {
	const golden = "testdata/compare.golden"
	c := Compare(ran(t, 9, 9, 1, peer.ProxyALB), ran(t, 9, 9.45, 2, peer.ProxyALB))
	few := Compare(ran(t, 3, 9, 1, peer.ProxyALB), ran(t, 3, 9, 1, peer.ProxyALB))
	c.Notes = append(c.Notes, "a note")
	var b bytes.Buffer
	for _, x := range []Comparison{c, few} {
		if err := x.WriteText(&b); err != nil {
			t.Fatal(err)
		}
	}
	checkGolden(t, golden, b.String())
}

func FuzzReadReport(f *testing.F) {
	text, err := json.Marshal(Report{Scenarios: []ScenarioReport{{Rounds: []Round{{Round: 1}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := ReadReport(text); err == nil {
			var b strings.Builder
			Compare(r, r).WriteText(&b)
		}
	})
}
