package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

func TestMarkdownGolden(t *testing.T) {
	var b strings.Builder
	if err := sampleReport(t).WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "testdata/markdown.golden", b.String())
}

// TestColumnsOfPeers gives each peer that took part a column, and neither build of the proxy.
func TestColumnsOfPeers(t *testing.T) {
	var s ScenarioReport
	names := []string{peer.ProxyALB, Baseline, peer.Traefik, peer.Caddy}
	s.Scenario.Measure = Throughput
	for i, name := range names {
		s.Rounds = append(s.Rounds, measured(name, 1, time.Duration(i+1)*time.Microsecond))
	}
	s.summarize(names)
	head, rows := s.Table()
	if got := strings.Join(head[len(head)-2:], ", "); got != "CPU vs traefik, vs caddy" {
		t.Errorf("the last columns are %q", got)
	}
	for i, want := range []string{"0.333 0.250", "0.667 0.500", "- 0.750", "1.333 -"} {
		if got := strings.Join(rows[i][len(head)-2:], " "); got != want {
			t.Errorf("%s has %q, want %q", names[i], got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	first, second := sampleReport(t), sampleReport(t).Only([]string{idle10k})
	second.Scenarios[0].Notes = []string{"again"}
	second.Proxies[0].Version = "1.1"
	got, err := Merge([]Report{first, second})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Scenarios) != len(first.Scenarios) || got.Scenarios[1].Notes[0] != "again" || len(first.Scenarios[1].Notes) > 0 {
		t.Errorf("scenarios are %+v", got.Scenarios)
	}
	if len(got.Proxies) != len(first.Proxies)+1 || len(got.Goals) != len(first.Goals) {
		t.Errorf("proxies %v, goals %v", got.Proxies, got.Goals)
	}
	second.Machine.Kernel = "7.0"
	for want, reports := range map[string][]Report{"there is no report": nil, "of different machines": {first, second}} {
		if _, err := Merge(reports); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestInto(t *testing.T) {
	const place = measuredBegin + "old\n" + measuredEnd
	got, err := Into("a\n"+place+"\nb\n", "new\n")
	if want := "a\n" + measuredBegin + "\nnew\n\n" + measuredEnd + "\nb\n"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, text := range []string{"", measuredBegin, measuredEnd, measuredEnd + measuredBegin, place + place} {
		if _, err := Into(text, "new"); err == nil {
			t.Errorf("%q has a place for figures", text)
		}
	}
}
