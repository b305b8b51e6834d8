package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// written writes a report of as many rounds, in which a request took proxy-alb this CPU time.
func written(t *testing.T, rounds int, cpu time.Duration) string {
	t.Helper()
	s := bench.ScenarioReport{Scenario: small}
	for n := range rounds {
		s.Rounds = append(s.Rounds, bench.Round{Proxy: peer.ProxyALB, Round: n + 1, Load: load.Result{Requests: 1}, TotalCPU: cpu + time.Duration(n)})
	}
	text, err := json.Marshal(bench.Report{Scenarios: []bench.ScenarioReport{s}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCompare(t *testing.T) {
	old, few := written(t, 5, 10*time.Microsecond), written(t, 4, 10*time.Microsecond)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		old, fresh string
		exit       int
		out, err   string
	}{
		"itself":     {old, old, exitOK, "verdict: no difference", ""},
		"worse":      {old, written(t, 5, 11*time.Microsecond), exitFailed, "verdict: regression in h1-small", "beyond the noise"},
		"better":     {old, written(t, 5, 9*time.Microsecond), exitOK, "verdict: improvement", ""},
		"too few":    {old, few, exitFailed, "want 5", "nothing could be compared"},
		"no file":    {old, "/nonexistent", exitFailed, "", "/nonexistent"},
		"no report":  {broken, old, exitFailed, "", broken},
		"not a file": {t.TempDir(), old, exitFailed, "", "is a directory"},
	} {
		var out, complaint bytes.Buffer
		got := run([]string{"compare", test.old, test.fresh}, nil, &out, &complaint)
		if got != test.exit || !strings.Contains(out.String(), test.out) || !strings.Contains(complaint.String(), test.err) {
			t.Errorf("%s: exit status %d, want %d; stdout %q, stderr %q", name, got, test.exit, out.String(), complaint.String())
		}
	}
}

// TestTable puts the figures of two reports into a document.
func TestTable(t *testing.T) {
	dir := t.TempDir()
	document := filepath.Join(dir, "README.md")
	const place = "a\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nb\n"
	if err := os.WriteFile(document, []byte(place), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	text, err := json.Marshal(bench.Report{Scenarios: []bench.ScenarioReport{{
		Scenario: small, Summary: []bench.Summary{{Proxy: peer.ProxyALB, Rounds: 1, CPU: 7}},
	}}})
	report := filepath.Join(dir, "report.json")
	if err != nil || os.WriteFile(report, text, 0o600) != nil {
		t.Fatal(err)
	}
	if code := run([]string{"table", "--into", document, report, report}, nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("%d: %s", code, &stderr)
	}
	text, err = os.ReadFile(document)
	if err != nil || !strings.Contains(string(text), "\n| `h1-small` | proxy-alb |") || !strings.Contains(string(text), "7.00") || strings.Contains(string(text), "old") {
		t.Errorf("%v: %s", err, text)
	}
	if code := run([]string{"table", "--scenario", "h2-h2", report}, nil, &stdout, &stderr); code != exitOK || strings.Contains(stdout.String(), "h1-small") {
		t.Errorf("%d: %s", code, &stdout)
	}
	for _, args := range [][]string{{"table"}, {"table", "--into", report, report}, {"table", filepath.Join(dir, "absent.json")}} {
		if code := run(args, nil, &stdout, &stderr); code == exitOK {
			t.Errorf("%q is fine", args)
		}
	}
}
