package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

// roleEnv makes the test program alb-bench itself or a proxy under test.
const roleEnv = "ALB_BENCH_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "proxy":
		if err := runFakeProxy(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "burner":
		if err := runBurner(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		main()
	}
}

// script writes a program that runs the test program in a role.
func script(t *testing.T, role string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), role)
	text := "#!/bin/sh\n" + roleEnv + "=" + role + " exec " + os.Args[0] + " \"$@\"\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// options measure the fake proxy in one scenario.
func options(t *testing.T, s bench.Scenario) bench.Options {
	t.Helper()
	if testing.Short() {
		t.Skip("a run takes seconds")
	}
	t.Setenv("TMPDIR", t.TempDir())
	return bench.Options{
		Proxies:   []bench.Proxy{{Kind: peer.Kinds()[0], Path: script(t, "proxy")}},
		Scenarios: []bench.Scenario{s},
		Rounds:    1, Duration: time.Second, Warmup: time.Second,
		Load: bench.Own, Self: script(t, "lab"), Progress: t.Output(),
	}
}

// noneLeft fails when the run left a process or a file.
func noneLeft(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
	if tree, err := (proc.FS{}).Tree(os.Getpid()); err != nil || len(tree) != 1 {
		t.Errorf("processes left: %v, %v", tree, err)
	}
}

var small = bench.Scenario{Name: "h1-small", Measure: bench.Throughput, Connections: 8, Path: "/16", Body: 16}

func TestThroughput(t *testing.T) {
	o := options(t, small)
	o.Latency = true
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	latencies := report.Scenarios[0].Latencies
	if len(latencies) != 3 {
		t.Fatalf("%+v, want latencies at three rates", latencies)
	}
	for i, l := range latencies {
		if l.Error != "" || l.Load.Requests == 0 || l.Load.P50 <= 0 || l.Rate <= 0 || i > 0 && l.Rate <= latencies[i-1].Rate {
			t.Errorf("%+v", l)
		}
	}
	round := report.Scenarios[0].Rounds[0]
	if report.Failed() || round.Load.Requests == 0 || round.TotalCPU <= 0 || round.UserCPU+round.SystemCPU != round.TotalCPU ||
		round.Startup <= 0 || round.BaseRSS <= 0 || round.AfterRSS <= 0 {
		t.Errorf("%+v", round)
	}
	if sum := report.Scenarios[0].Summary[0]; sum.Proxy != peer.ProxyALB || sum.CPU <= 0 || sum.RequestsPerSecond <= 0 || sum.P99 < sum.P50 {
		t.Errorf("%+v", sum)
	}
	noneLeft(t)
}

// TestTurns measures a build beside itself by turns.
func TestTurns(t *testing.T) {
	o := options(t, small)
	o.Proxies = append(o.Proxies, bench.Proxy{Kind: o.Proxies[0].Kind, Path: o.Proxies[0].Path, Label: bench.Baseline})
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	rounds := report.Scenarios[0].Rounds
	if report.Failed() || len(rounds) != 2 || rounds[0].AgainstBaseline <= 0 || rounds[1].AgainstBaseline != 0 {
		t.Fatalf("%+v", rounds)
	}
	for _, r := range rounds {
		if r.Load.Requests == 0 || r.Load.Elapsed < time.Second || r.TotalCPU <= 0 || r.Startup <= 0 || r.BaseRSS <= 0 || r.AfterRSS <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if len(report.Findings) != 1 || report.Findings[0].Values != 1 {
		t.Errorf("%+v, want one of one round", report.Findings)
	}
	noneLeft(t)
}

// TestTurnsWithoutAnswer has no result for either build when one of them fails.
func TestTurnsWithoutAnswer(t *testing.T) {
	o := options(t, small)
	o.Rounds = 2
	o.Proxies = append(o.Proxies, bench.Proxy{Kind: o.Proxies[0].Kind, Path: "/bin/false", Label: bench.Baseline})
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if rounds := report.Scenarios[0].Rounds; len(rounds) != 2 || rounds[0].Error == "" || rounds[1].Error == "" {
		t.Errorf("%+v", rounds)
	}
	noneLeft(t)
}

func TestIdle(t *testing.T) {
	s := bench.Scenario{Name: "idle", Measure: bench.Idle, Connections: 500, Path: "/16", Body: 16}
	report, err := bench.Run(t.Context(), options(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if round := report.Scenarios[0].Rounds[0]; report.Failed() || round.BaseRSS <= 0 || round.AfterRSS <= round.BaseRSS {
		t.Errorf("%+v", round)
	}
	noneLeft(t)
}

func TestProxyThatDoesLess(t *testing.T) {
	o := options(t, small)
	t.Setenv("FAKE_PROXY_LAZY", "1")
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Scenarios[0].Rounds[0].Error; !report.Failed() || !strings.Contains(got, "0 x-request-id") {
		t.Errorf("error %q", got)
	}
	noneLeft(t)
}

func TestProxyThatDoesNotStart(t *testing.T) {
	o := options(t, small)
	o.Proxies[0].Path = "/bin/false"
	o.Rounds = 3
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	rounds := report.Scenarios[0].Rounds
	if len(rounds) != 1 || !strings.Contains(rounds[0].Error, "exit status 1") || !report.Failed() {
		t.Errorf("%+v", rounds)
	}
	noneLeft(t)
}

// interrupter cancels a run when it has written its first line.
type interrupter struct{ cancel context.CancelFunc }

func (i interrupter) Write(p []byte) (int, error) {
	i.cancel()
	return len(p), nil
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options(t, small)
	o.Rounds = 100
	o.Progress = interrupter{cancel}
	if _, err := bench.Run(ctx, o); err == nil {
		t.Error("want an error")
	}
	noneLeft(t)
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--nothing"}, {"surplus"}, {"--scenario", "h9"}, {"--peer", "caddy=/x"}, {"--peer", "nginx"},
		{"--proxy", "/nonexistent"}, {"--peer", "nginx=", "--peer", "haproxy=", "--peer", "nghttpx="}, {"--proxy", "/bin/true", "--load", "ab"},
		{"--proxy", "/bin/true", "--duration", "10ms"}, {"--proxy", "/bin/true", "--rounds", "0"}, {"origin", "x"}, {"load", "--x"}, {"idle", "--x"}, {"stall", "x"},
		{"--baseline", "/bin/true"}, {"--proxy", "/bin/true", "--baseline", "/nonexistent"}, {"--proxy", "/bin/true", "--baseline", "/bin/true", "--rounds", "7"},
		{"compare"}, {"compare", "a.json"}, {"compare", "a", "b", "c"}, {"compare", "--x", "a", "b"}, {"html"}, {"html", "a", "b"},
		{"--proxy", "/bin/true", "--scenario-file", "/nonexistent"}, {"--proxy", "/bin/true", "--scenario-file", "/dev/null"},
	} {
		var out, complaint bytes.Buffer
		if got := run(args, strings.NewReader(""), &out, &complaint); got != exitUsage {
			t.Errorf("%q: exit status %d, want %d", args, got, exitUsage)
		}
		if complaint.Len() == 0 || out.Len() != 0 {
			t.Errorf("%q: stderr %q, stdout %q", args, complaint.String(), out.String())
		}
	}
	var complaint bytes.Buffer
	if got := run([]string{"-h"}, nil, nil, &complaint); got != exitOK || !strings.Contains(complaint.String(), "idle-10k") {
		t.Errorf("help: exit status %d, %q", got, complaint.String())
	}
}

func TestFinish(t *testing.T) {
	file, html := filepath.Join(t.TempDir(), "report.json"), filepath.Join(t.TempDir(), "report.html")
	report := bench.Report{Scenarios: []bench.ScenarioReport{{Load: bench.Own, Rounds: []bench.Round{{Error: "x"}}}}}
	var out bytes.Buffer
	if err := finish(report, labFlags{json: file, html: html}, &out); err != errRounds || out.Len() == 0 {
		t.Errorf("got %v, want %v; stdout %q", err, errRounds, out.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back bench.Report
	if err := json.Unmarshal(text, &back); err != nil || !back.Failed() || back.Scenarios[0].Load != bench.Own {
		t.Errorf("%+v, %v", back, err)
	}
	var printed, complaint bytes.Buffer
	if got := run([]string{"html", file}, nil, &printed, &complaint); got != exitOK {
		t.Errorf("exit status %d, %s", got, complaint.String())
	}
	if text, err := os.ReadFile(html); err != nil || !bytes.Equal(text, printed.Bytes()) || !bytes.Contains(text, []byte("</html>")) {
		t.Errorf("%v: the page of the run and that of its report differ, or are none", err)
	}
	report.Scenarios = nil
	if err := finish(report, labFlags{}, &out); err != nil {
		t.Errorf("a report without failures: %v", err)
	}
}
