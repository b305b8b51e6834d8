package bench

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// measured makes a throughput round of 1000 requests in a second.
func measured(proxy string, n int, cpu time.Duration) Round {
	return Round{
		Proxy: proxy, Round: n,
		Load: load.Result{
			Requests: 1000, Elapsed: time.Second,
			Mean: time.Duration(n) * time.Millisecond,
			P50:  time.Duration(n) * time.Millisecond, P99: time.Duration(2*n) * time.Millisecond,
		},
		TotalCPU: 1000 * cpu, UserCPU: 400 * cpu, SystemCPU: 600 * cpu, FineCPU: true,
	}
}

// downloaded makes a round of one answer of 1 GiB that took as much CPU time as time.
func downloaded(proxy string, elapsed time.Duration, growth int64) Round {
	const base = 10 << 20
	return Round{
		Proxy: proxy, Round: 1,
		Load:     load.Result{Requests: 1, Bytes: 1 << 30, Elapsed: elapsed},
		TotalCPU: elapsed, UserCPU: elapsed / 4, SystemCPU: elapsed * 3 / 4, FineCPU: true,
		BaseRSS: base, PeakRSS: base + growth, AfterRSS: base + growth/2,
	}
}

// updated makes a round of an update that took a multiple of what is good.
func updated(n int, times time.Duration) Round {
	return Round{
		Proxy: peer.ProxyALB, Round: n, TotalCPU: times * 300 * time.Millisecond, AfterRSS: 200 << 20,
		Update: &Update{
			Applied: times * 400 * time.Millisecond, Acknowledged: times * 410 * time.Millisecond, Visible: times * 4 * time.Millisecond,
			P99Before: 2 * time.Millisecond, P99During: times * 3 * time.Millisecond, Requests: 400,
		},
	}
}

// moved1m makes a round of 1000 answers of 1 MiB in a second, half of which the proxy computes, or as much more as times says.
func moved1m(proxy string, n int, times time.Duration) Round {
	return Round{
		Proxy: proxy, Round: n, Load: load.Result{Requests: 1000, Bytes: 1000 << 20, Elapsed: time.Second},
		TotalCPU: times * 500 * time.Millisecond, UserCPU: times * 400 * time.Millisecond, SystemCPU: times * 100 * time.Millisecond, FineCPU: true,
	}
}

func TestGigabits(t *testing.T) {
	r := moved1m(peer.Nginx, 1, 1)
	if got := r.gigabits(); got != 8.388608 {
		t.Errorf("%v Gbit/s, want 8.388608", got)
	}
	if got := r.gigabitsPerCore(); got != 16.777216 {
		t.Errorf("%v Gbit/s per core, want 16.777216", got)
	}
	if got := (Round{}).gigabitsPerCore(); got != 0 {
		t.Errorf("%v Gbit/s per core of nothing, want 0", got)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, test := range []struct {
		all  []time.Duration
		q    float64
		want time.Duration
	}{{nil, 0.99, 0}, {[]time.Duration{7}, 0.99, 7}, {hundred, 0.99, 100}, {hundred, 0.5, 51}, {hundred, 0, 1}} {
		if got := quantile(test.all, test.q); got != test.want {
			t.Errorf("quantile %v of %d: %v, want %v", test.q, len(test.all), got, test.want)
		}
	}
}

// sampleReport has three rounds, in the second of which the machine was slow.
func sampleReport(t *testing.T) Report {
	t.Helper()
	scenarios, err := FindScenarios([]string{h1Small, idle10k, h2Large, h2Stalled, h2ToH2, xds10k, "tls-1m"})
	if err != nil {
		t.Fatal(err)
	}
	small := ScenarioReport{Scenario: scenarios[0], Load: Wrk}
	idle := ScenarioReport{Scenario: scenarios[1], Load: Wrk}
	large := ScenarioReport{Scenario: scenarios[2], Load: H2load, Notes: []string{"nginx lacks something: HTTP/1.1 to the origin"}}
	stalled := ScenarioReport{Scenario: scenarios[3], Load: H2load}
	absent := ScenarioReport{Scenario: scenarios[4], Notes: []string{"left out: no h2load on the PATH"}}
	pushed := ScenarioReport{Scenario: scenarios[5], Notes: []string{"nginx has no xDS: left out"}}
	names := []string{peer.ProxyALB, peer.Nginx, peer.HAProxy}
	for i, slow := range []time.Duration{1, 10, 1} {
		small.Rounds = append(small.Rounds,
			measured(peer.ProxyALB, i+1, 9*slow*time.Microsecond),
			measured(peer.Nginx, i+1, 12*slow*time.Microsecond),
			measured(peer.HAProxy, i+1, 10*slow*time.Microsecond))
		idle.Rounds = append(idle.Rounds,
			Round{Proxy: peer.ProxyALB, Round: i + 1, BaseRSS: 10 << 20, AfterRSS: 10<<20 + 1500*idleConnections},
			Round{Proxy: peer.Nginx, Round: i + 1, BaseRSS: 5 << 20, AfterRSS: 5<<20 + 500*idleConnections})
	}
	small.Rounds[1].Foreign, small.Rounds[4].Foreign = 0.5, 0.25
	idle.Rounds = append(idle.Rounds, Round{Proxy: peer.HAProxy, Round: 1, Error: "does not start"})
	large.Rounds = []Round{downloaded(peer.ProxyALB, time.Second, 20<<20), downloaded(peer.Nghttpx, 2*time.Second, 500<<20)}
	stalled.Rounds = []Round{{Proxy: peer.ProxyALB, Round: 1, BaseRSS: 10 << 20, AfterRSS: 210 << 20}}
	moved := ScenarioReport{Scenario: scenarios[6], Load: Wrk}
	for i := range 3 {
		moved.Rounds = append(moved.Rounds, moved1m(peer.ProxyALB, i+1, 2), moved1m(peer.Nginx, i+1, 1))
		pushed.Rounds = append(pushed.Rounds, updated(i+1, time.Duration(1+i)))
	}
	for i := range small.Rounds {
		r := &small.Rounds[i]
		r.Startup, r.BaseRSS, r.AfterRSS = 50*time.Millisecond, 30<<20, 40<<20
	}
	small.Latencies = []LatencyRound{
		{Proxy: peer.ProxyALB, Part: 0.5, Rate: 50, Load: load.Result{Requests: 50, Elapsed: time.Second, P50: time.Millisecond, P90: 2 * time.Millisecond, Max: time.Second}},
		{Proxy: peer.Nginx, Part: 0.5, Rate: 50, Load: load.Result{Requests: 40, Elapsed: time.Second, Unsent: 10}},
		{Proxy: peer.HAProxy, Part: 0.5, Rate: 50, Error: "does not start"},
	}
	small.CheckedBy, small.CrossChecks = Own, []Round{measured(peer.ProxyALB, 4, 9900*time.Nanosecond), {Proxy: peer.Nginx, Round: 4, Error: "does not start"}}
	moved.summarize(names[:2])
	pushed.summarize(names[:1])
	small.summarize(names)
	idle.summarize(names)
	large.summarize([]string{peer.ProxyALB, peer.Nghttpx})
	stalled.summarize(names[:1])
	r := Report{
		Machine:   Machine{Kernel: "6.1", Arch: "amd64", CPU: "Some CPU", ProxyCPUs: []int{0}, LoadCPUs: []int{1, 2}},
		Tools:     []Program{{"h2load", "/bin/h2load", "1.52"}},
		Proxies:   []Program{{peer.ProxyALB, "/bin/proxy-alb", "1.0"}, {peer.Nginx, "/bin/nginx", "1.22"}, {peer.HAProxy, "/bin/haproxy", "2.6"}},
		Scenarios: []ScenarioReport{small, idle, large, stalled, absent, pushed, moved},
	}
	r.Goals = r.judge()
	return r
}

func TestRatiosArePairedByRound(t *testing.T) {
	sum := sampleReport(t).Scenarios[0].Summary[0]
	if got := sum.CPURatio[peer.Nginx]; got != 0.75 {
		t.Errorf("ratio to nginx %v, want 0.75", got)
	}
	if got := sum.CPURatio[peer.HAProxy]; got != 0.9 {
		t.Errorf("ratio to haproxy %v, want 0.9", got)
	}
	if _, ok := sum.CPURatio[peer.ProxyALB]; ok {
		t.Error("ratio to itself")
	}
	if sum.CPU != 9 || sum.CPUSpread != 4.5 || sum.RequestsPerSecond != 1000 || sum.P50 != 2000 {
		t.Errorf("summary %+v", sum)
	}
}

// TestRatiosSkipMissingRounds pairs only rounds that both proxies have.
func TestRatiosSkipMissingRounds(t *testing.T) {
	s := ScenarioReport{Rounds: []Round{
		measured("a", 1, time.Microsecond), {Proxy: "b", Round: 1, Error: "failed"},
		measured("a", 2, 4*time.Microsecond), measured("b", 2, 2*time.Microsecond),
	}}
	s.summarize([]string{"a", "b"})
	if got := s.Summary[0].CPURatio["b"]; got != 2 {
		t.Errorf("ratio %v, want 2", got)
	}
	if b := s.Summary[1]; b.Rounds != 1 || b.Failed != 1 {
		t.Errorf("summary of b: %+v", b)
	}
}

func TestGoals(t *testing.T) {
	got := sampleReport(t).Goals
	want := []GoalResult{
		{Limit: 0.90, Measured: true, Value: 0.75, Met: true},
		{Limit: 0.80, Measured: true, Value: 0.9},
		{Limit: 0.70},
		{Limit: 0.55},
		{Limit: 2048, Measured: true, Value: 1500, Met: true},
		{Limit: 196608, Measured: true, Value: 209715.2},
		{Limit: 32 << 20, Measured: true, Value: 20 << 20, Met: true},
		{Limit: 1000, Measured: true, Value: 800, Met: true},
		{Limit: 2, Measured: true, Value: 3},
		{Limit: 10, Measured: true, Value: 8, Met: true},
		{Limit: 400e6, Measured: true, Value: 200 << 20, Met: true},
	}
	if len(got) != len(want) {
		t.Fatalf("%d goals, want %d", len(got), len(want))
	}
	for i, g := range got {
		if g.Goal = ""; g != want[i] {
			t.Errorf("goal %d: got %+v, want %+v", i, g, want[i])
		}
	}
}

func TestLowestPeak(t *testing.T) {
	s := ScenarioReport{Rounds: []Round{{Proxy: "none", Error: "failed"}}}
	if got := s.lowestPeak(); got != 0 {
		t.Errorf("of nobody: %v", got)
	}
	rate := func(proxy string, n uint64) Round {
		return Round{Proxy: proxy, Load: load.Result{Requests: n, Elapsed: time.Second}}
	}
	s.Rounds = append(s.Rounds, rate("a", 10), rate("a", 30), rate("a", 20), rate("b", 15), rate("b", 40), rate("b", 50))
	if got := s.lowestPeak(); got != 20 {
		t.Errorf("%v, want the median of the slower one, 20", got)
	}
}

func TestKept(t *testing.T) {
	for _, test := range []struct {
		r    LatencyRound
		want bool
	}{
		{LatencyRound{Load: load.Result{Requests: 1000}}, true},
		{LatencyRound{Load: load.Result{Requests: 1000, Unsent: 10}}, true},
		{LatencyRound{Load: load.Result{Requests: 1000, Unsent: 11}}, false},
		{LatencyRound{Load: load.Result{Requests: 1000, Errors: load.Errors{Read: 1}}}, false},
		{LatencyRound{Error: "x"}, false},
	} {
		if got := test.r.kept(); got != test.want {
			t.Errorf("%+v: %v", test.r, got)
		}
		failed := Report{Scenarios: []ScenarioReport{{Latencies: []LatencyRound{test.r}}}}.Failed()
		if want := test.r.Error != "" || test.r.Load.Errors.Total() > 0; failed != want {
			t.Errorf("%+v: failed %v, want %v", test.r, failed, want)
		}
	}
}

func TestGoalsNeedBothSides(t *testing.T) {
	s := ScenarioReport{Scenario: Scenario{Name: h1Small, Measure: Throughput}, Rounds: []Round{measured(peer.ProxyALB, 1, 1)}}
	s.summarize([]string{peer.ProxyALB})
	for _, g := range (Report{Scenarios: []ScenarioReport{s}}).judge() {
		if g.Measured || g.Met || !strings.HasSuffix(g.String(), "not measured") {
			t.Errorf("%v: want not measured", g)
		}
	}
}

func TestFailed(t *testing.T) {
	report := func(r Round) Report { return Report{Scenarios: []ScenarioReport{{Rounds: []Round{{}, r}}}} }
	if report(Round{}).Failed() {
		t.Error("rounds without errors failed")
	}
	if !report(Round{Error: "x"}).Failed() {
		t.Error("a round without result did not fail")
	}
	for _, e := range []load.Errors{{Connect: 1}, {Read: 1}, {Write: 1}, {Timeout: 1}, {Status: 1}} {
		if !report(Round{Load: load.Result{Errors: e}}).Failed() {
			t.Errorf("%+v did not fail the report", e)
		}
	}
}

func TestWriteTextGolden(t *testing.T) {
	const golden = "testdata/report.golden"
	var b strings.Builder
	if err := sampleReport(t).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, golden, b.String())
}

// checkGolden fails the test when got differs from what a file has, or writes it there with -update.
func checkGolden(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (rewrite it with -update):\n%s", golden, got)
	}
}
