package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

// Finding compares one measure of proxy-alb in one scenario.
type Finding struct {
	Scenario string `json:"scenario"`
	Measure  string `json:"measure"` // what was measured, with its unit; less is better
	// Old and New are medians, in that unit.
	Old float64 `json:"old"`
	New float64 `json:"new"`
	// Paired says that the rounds were taken side by side.
	Paired bool `json:"paired"`
	// Reference are the peers that both were divided by, round by round, where the rounds were not taken side by side: what the
	// machine did differently then has hit them as well.
	Reference []string `json:"reference,omitempty"`
	// Alone says that there was no such peer: what the machine did differently is part of the change.
	Alone bool `json:"alone,omitempty"`
	verdict.Verdict
}

// Comparison is of two reports.
type Comparison struct {
	Findings []Finding `json:"findings"`
	// Notes say what was not compared, and what makes the findings doubtful.
	Notes []string `json:"notes,omitempty"`
}

// Regressed names the scenarios that became worse.
func Regressed(findings []Finding) []string {
	var names []string
	for _, f := range findings {
		if f.Outcome == verdict.Worse && !slices.Contains(names, f.Scenario) {
			names = append(names, f.Scenario)
		}
	}
	return names
}

// ErrNothingCompared is for a comparison that could tell nothing, neither good nor bad.
var ErrNothingCompared = errors.New("nothing could be compared")

// Judged fails with ErrNothingCompared when no finding says anything.
func Judged(findings []Finding) error {
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Outcome != verdict.TooFew }) {
		return nil
	}
	return ErrNothingCompared
}

// measure is something that is compared, of which less is better.
type measure struct {
	name  string
	value func(Round) float64
	// timed says that it depends on how fast the machine was.
	timed bool
	// against is its ratio to the Baseline's, 0 in rounds that were not measured by turns; nil where none are.
	against func(Round) float64
}

// compared lists what counts in the scenario.
func (s *ScenarioReport) compared() []measure {
	switch s.Scenario.Measure {
	case Idle, Stalled:
		_, unit := s.Scenario.held()
		return []measure{{"bytes per " + unit, s.bytesEach, false, nil}}
	case Updated:
		return []measure{
			{"ms until a push is served", func(r Round) float64 { return r.update().Applied.Seconds() * 1000 }, true, nil},
			{"CPU ms of a push", func(r Round) float64 { return r.TotalCPU.Seconds() * 1000 }, true, nil},
		}
	}
	return []measure{{"CPU µs per request", Round.cpuPerRequest, true, func(r Round) float64 { return r.AgainstBaseline }}}
}

// update returns what an update took; nothing for a round of something else, as a report from elsewhere may have.
func (r Round) update() Update {
	if r.Update == nil {
		return Update{}
	}
	return *r.Update
}

// againstBaseline compares the rounds of proxy-alb with those of the Baseline beside them.
func (r Report) againstBaseline() []Finding {
	if !slices.ContainsFunc(r.Proxies, func(p Program) bool { return p.Name == Baseline }) {
		return nil
	}
	var findings []Finding
	for _, s := range r.Scenarios {
		for _, m := range s.compared() {
			old, fresh := s.sideBySide(m)
			findings = append(findings, Finding{
				Scenario: s.Scenario.Name, Measure: m.name, Paired: true,
				Old:     median(s.values(Baseline, m.value)),
				New:     median(s.values(peer.ProxyALB, m.value)),
				Verdict: verdict.Paired(old, fresh),
			})
		}
	}
	return findings
}

// sideBySide returns a value of the Baseline and one of proxy-alb for each round: what counts is their ratio.
func (s *ScenarioReport) sideBySide(m measure) (old, fresh []float64) {
	if m.against != nil {
		for _, byProxy := range s.byRound(m.against) {
			if ratio := byProxy[peer.ProxyALB]; ratio > 0 {
				old, fresh = append(old, 1), append(fresh, ratio)
			}
		}
	}
	if len(fresh) > 0 {
		return old, fresh
	}
	for _, byProxy := range s.byRound(m.value) {
		old, fresh = append(old, byProxy[Baseline]), append(fresh, byProxy[peer.ProxyALB])
	}
	return old, fresh
}

// byRound returns the value of each proxy, by its label, in each round; a proxy without a result is not there.
func (s *ScenarioReport) byRound(value func(Round) float64) []map[string]float64 {
	var rounds []map[string]float64
	for _, r := range s.Rounds {
		if r.Error != "" || r.Round < 1 || r.Round > maxRounds {
			continue
		}
		for len(rounds) < r.Round {
			rounds = append(rounds, make(map[string]float64))
		}
		rounds[r.Round-1][r.Proxy] = value(r)
	}
	return rounds
}

// Compare holds proxy-alb of fresh against that of old.
func Compare(old, fresh Report) Comparison {
	var c Comparison
	if a, b := old.Machine, fresh.Machine; a.CPU != b.CPU || a.Arch != b.Arch || a.Kernel != b.Kernel {
		c.Notes = append(c.Notes, fmt.Sprintf("the machines differ: %s, Linux %s %s, and %s, Linux %s %s", a.CPU, a.Kernel, a.Arch, b.CPU, b.Kernel, b.Arch))
	}
	peers := commonPeers(old, fresh)
	for i := range fresh.Scenarios {
		s := &fresh.Scenarios[i]
		name := s.Scenario.Name
		at := slices.IndexFunc(old.Scenarios, func(o ScenarioReport) bool { return o.Scenario.Name == name })
		switch {
		case at < 0:
			c.Notes = append(c.Notes, name+" is not in the old report")
		case !reflect.DeepEqual(old.Scenarios[at].Scenario, s.Scenario):
			c.Notes = append(c.Notes, name+" is another task in the old report")
		case old.Scenarios[at].Load != s.Load:
			c.Notes = append(c.Notes, fmt.Sprintf("%s had load by %s in the old report and by %s in the new", name, old.Scenarios[at].Load, s.Load))
		default:
			c.Findings = append(c.Findings, compareScenario(&old.Scenarios[at], s, peers)...)
		}
	}
	for _, o := range old.Scenarios {
		if !slices.ContainsFunc(fresh.Scenarios, func(s ScenarioReport) bool { return s.Scenario.Name == o.Scenario.Name }) {
			c.Notes = append(c.Notes, o.Scenario.Name+" is not in the new report")
		}
	}
	return c
}

// commonPeers are those that both reports have in the same version.
func commonPeers(old, fresh Report) []string {
	var names []string
	for _, p := range fresh.Proxies {
		same := func(o Program) bool { return o.Name == p.Name && o.Version == p.Version }
		if p.Name != peer.ProxyALB && p.Name != Baseline && slices.ContainsFunc(old.Proxies, same) {
			names = append(names, p.Name)
		}
	}
	return names
}

func compareScenario(old, fresh *ScenarioReport, peers []string) []Finding {
	var findings []Finding
	for i, m := range fresh.compared() {
		before := old.compared()[i]
		reference := slices.DeleteFunc(slices.Clone(peers), func(name string) bool {
			return !m.timed || len(old.values(name, before.value)) == 0 || len(fresh.values(name, m.value)) == 0
		})
		findings = append(findings, Finding{
			Scenario: fresh.Scenario.Name, Measure: m.name, Reference: reference, Alone: m.timed && len(reference) == 0,
			Old:     median(old.values(peer.ProxyALB, before.value)),
			New:     median(fresh.values(peer.ProxyALB, m.value)),
			Verdict: verdict.Apart(old.relative(before, reference), fresh.relative(m, reference)),
		})
	}
	return findings
}

// relative returns proxy-alb's value of each round over the geometric mean of the peers' in that round. Rounds in which one of
// them has none are left out.
func (s *ScenarioReport) relative(m measure, peers []string) []float64 {
	var values []float64
	for _, byProxy := range s.byRound(m.value) {
		logs := 0.0
		for _, name := range peers {
			logs += math.Log(byProxy[name]) // of nothing it is infinite, and the value then none
		}
		if len(peers) > 0 {
			logs /= float64(len(peers))
		}
		values = append(values, byProxy[peer.ProxyALB]/math.Exp(logs))
	}
	return values
}

// ReadReport reads a report as it is written in JSON.
func ReadReport(text []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, fmt.Errorf("want a report that alb-bench --json has written: %w", err)
	}
	if len(r.Scenarios) == 0 {
		return Report{}, errors.New("want a report that alb-bench --json has written: there is no scenario in it")
	}
	return r, nil
}
