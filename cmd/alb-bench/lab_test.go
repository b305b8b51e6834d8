package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/bench"
)

// TestSelected chooses scenarios by name and from a file.
func TestSelected(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scenarios.yaml")
	if err := os.WriteFile(file, []byte("scenarios: [{name: ours}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"the default":        {nil, bench.DefaultScenarios()},
		"by name":            {[]string{"--scenario", "h2-h2,h1-churn"}, []string{"h2-h2", "h1-churn"}},
		"a curve":            {[]string{"--scenario", "growth-clusters"}, []string{"growth-clusters/1", "growth-clusters/10", "growth-clusters/100", "growth-clusters/1000", "growth-clusters/10000"}},
		"a file":             {[]string{"--scenario-file", file}, []string{"ours"}},
		"a file and by name": {[]string{"--scenario-file", file, "--scenario", "h1-small"}, []string{"h1-small", "ours"}},
	} {
		f, err := parseLabFlags(test.args, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		scenarios, err := f.selected()
		if err != nil || len(scenarios) != len(test.want) {
			t.Fatalf("%s: %+v, %v, want %q", name, scenarios, err, test.want)
		}
		for i, s := range scenarios {
			if s.Name != test.want[i] {
				t.Errorf("%s: scenario %d is %s, want %s", name, i, s.Name, test.want[i])
			}
		}
	}
}
