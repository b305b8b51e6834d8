package bench

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// latency is a result of so many requests in a second, of which the slow ones took ten times as long.
func latency(requests uint64, p50 time.Duration) load.Result {
	return load.Result{Requests: requests, Elapsed: time.Second, P50: p50, P99: 10 * p50}
}

// besideReport has two rounds of each scenario of what is beside requests, and one with a limit.
func besideReport(t *testing.T) Report {
	t.Helper()
	scenarios, err := FindScenarios([]string{"config-churn", moduleCalls, "rate-limited"})
	if err != nil {
		t.Fatal(err)
	}
	churned, called, limited := ScenarioReport{Scenario: scenarios[0], Load: Own}, ScenarioReport{Scenario: scenarios[1], Load: Own}, ScenarioReport{Scenario: scenarios[2], Load: Own}
	for n := 1; n <= 2; n++ {
		by := time.Duration(n) * time.Microsecond
		requests := Round{Proxy: peer.ProxyALB, Round: n, Load: latency(2000, 100*by), TotalCPU: 100 * time.Millisecond}
		push, call := requests, requests
		push.Beside = &Beside{Quiet: latency(2000, 50*by), Pushes: 10 * n, PushP50: 1000 * by, PushMax: 4000 * by}
		call.Beside = &Beside{Quiet: latency(2000, 60*by), Peak: latency(12_000, 200*by), Alone: latency(500, 70*by), Calls: latency(500, 80*by)}
		churned.Rounds, called.Rounds = append(churned.Rounds, push), append(called.Rounds, call)
		refused := measured(peer.Nginx, n, time.Microsecond)
		refused.Load.Limited = 480
		limited.Rounds = append(limited.Rounds, refused)
	}
	churned.summarize([]string{peer.ProxyALB})
	called.summarize([]string{peer.ProxyALB})
	limited.summarize([]string{peer.Nginx})
	r := Report{Scenarios: []ScenarioReport{churned, called, limited}}
	r.Goals = r.judge()
	return r
}

func TestBesideGolden(t *testing.T) {
	var b document
	r := besideReport(t)
	for _, c := range allColumns() {
		r.writeTable(&b, c)
	}
	r.writeLimits(&b)
	for _, g := range r.Goals {
		b.WriteString(g.String() + "\n")
	}
	for _, s := range r.Scenarios {
		b.WriteString(s.describe(s.Rounds[0]) + "\n")
	}
	checkGolden(t, "testdata/beside.golden", b.String())
}

// TestBesideElsewhere summarizes a report that lacks what was beside.
func TestBesideElsewhere(t *testing.T) {
	r := besideReport(t)
	s := &r.Scenarios[0]
	s.Rounds[0].Beside, s.Rounds[1].Beside = nil, nil
	s.summarize([]string{peer.ProxyALB})
	if b := s.Summary[0].Beside; b == nil || b.Pushes != 0 || b.Quiet.P99 != 0 {
		t.Errorf("%+v", b)
	}
}

// TestCheckLimited holds what passed against the limit.
func TestCheckLimited(t *testing.T) {
	s := Scenario{Traffic: peer.Traffic{RateLimit: 5000}}
	for passed, good := range map[uint64]bool{5000: true, 5900: true, 4100: true, 6100: false, 3900: false, 10_000: false} {
		result := load.Result{Requests: 10_000, Limited: 10_000 - passed, Elapsed: time.Second}
		if err := s.checkLoad(result); (err == nil) != good {
			t.Errorf("%d passed: %v", passed, err)
		}
	}
}
