package page

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

// sample has one scenario of each measure, named by its measure, all texts of which are word.
func sample(word string) bench.Report {
	proxies := []string{peer.ProxyALB, word}
	r := bench.Report{
		Started: time.Unix(1e9, 0).UTC(), Duration: time.Second, Warmup: time.Second, Machine: bench.Machine{CPU: word, Kernel: word, Arch: word},
		Tools: []bench.Program{{Name: word, Path: word, Version: word}},
		Goals: []bench.GoalResult{
			{Goal: "kept " + word, Measured: true, Met: true, Value: 4841472}, {Goal: "missed " + word, Measured: true, Value: 0.9}, {Goal: "unknown " + word},
		},
		Findings: []bench.Finding{
			{Scenario: word, Measure: word, Verdict: verdict.Verdict{Outcome: verdict.Worse, Change: 0.05, Low: 0.04, High: 0.06, Confidence: 0.992}},
			{Scenario: word, Measure: word, Verdict: verdict.Verdict{Outcome: verdict.TooFew}},
		},
	}
	for _, name := range proxies {
		r.Proxies = append(r.Proxies, bench.Program{Name: name, Path: word, Version: word})
	}
	for _, measure := range []bench.Measure{bench.Throughput, bench.Transfer, bench.Download, bench.Idle, bench.Stalled, bench.Updated} {
		s := bench.ScenarioReport{
			Scenario: bench.Scenario{Name: string(measure) + word, About: word, Measure: measure, Body: 1 << 20, Connections: 1, Streams: 1},
			Load:     bench.Generator(word), Notes: []string{word},
			Rounds: []bench.Round{{Proxy: word, Error: word}, {Proxy: word, Load: load.Result{Errors: load.Errors{Read: 1}}}, {Proxy: word}},
		}
		for i, name := range proxies {
			s.Summary = append(s.Summary, bench.Summary{
				Proxy: name, Rounds: 1, CPU: 10, UserCPU: 4, SystemCPU: 6, P50: 100, P90: 200, P99: 400, P999: 900, Max: 5000, BytesEach: 900,
				CPURatio: map[string]float64{peer.ProxyALB: 1.5}, MemoryRatio: map[string]float64{peer.ProxyALB: 2}, Update: &bench.Update{Requests: i},
			})
		}
		s.Summary = append(s.Summary, bench.Summary{Proxy: "absent"})
		if measure == bench.Throughput {
			at := load.Result{P50: 1000, P90: 2000, P99: 3000, P999: 4000, Max: 5000}
			for _, part := range []float64{0.5, 0.8} {
				s.Latencies = append(s.Latencies, bench.LatencyRound{Proxy: peer.ProxyALB, Part: part, Rate: 100, Load: at}, bench.LatencyRound{Proxy: word, Part: part, Rate: 100, Error: word})
			}
		}
		r.Scenarios = append(r.Scenarios, s)
	}
	return r
}

func written(t *testing.T, r bench.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestAlone looks for whatever would have a browser ask for something, and for what is not HTML.
func TestAlone(t *testing.T) {
	const hostile = `"><script src="http://example.com/x"></script><img src=x onerror='alert(1)'>{{.}}</svg></style>`
	for _, word := range []string{"word", hostile} {
		tokens := html.NewTokenizer(strings.NewReader(written(t, sample(word))))
		var open []string
		for {
			kind := tokens.Next()
			if kind == html.ErrorToken {
				if !errors.Is(tokens.Err(), io.EOF) {
					t.Fatal(tokens.Err())
				}
				break
			}
			token := tokens.Token()
			switch kind {
			case html.StartTagToken:
				check(t, token)
				if token.Data != "meta" {
					open = append(open, token.Data)
				}
			case html.SelfClosingTagToken:
				check(t, token)
			case html.EndTagToken:
				if len(open) == 0 || open[len(open)-1] != token.Data {
					t.Fatalf("%q: </%s> where %v are open", word, token.Data, open)
				}
				open = open[:len(open)-1]
			case html.TextToken:
				if len(open) > 0 && open[len(open)-1] == "style" && (strings.Contains(token.Data, "url(") || strings.Contains(token.Data, "@import")) {
					t.Errorf("the style refers to something: %s", token.Data)
				}
			}
		}
		if len(open) > 0 {
			t.Errorf("%q: %v are not closed", word, open)
		}
	}
}

// check refuses elements and attributes that load or run something.
func check(t *testing.T, token html.Token) {
	t.Helper()
	switch token.Data {
	case "script", "link", "img", "iframe", "object", "embed", "image", "use", "base", "form":
		t.Errorf("the page has <%s>", token.Data)
	}
	for _, a := range token.Attr {
		if a.Key == "src" || a.Key == "href" || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			t.Errorf("<%s> has %s=%q", token.Data, a.Key, a.Val)
		}
	}
}

func TestContent(t *testing.T) {
	got := written(t, sample("other"))
	for text, want := range map[string]int{
		"<svg ": 8, "<figure>": 8, // throughput has four plots, updates none
		"Latency at 50 % of the lowest peak, 100/s": 2, "Latency at 80 % of the lowest peak, 100/s": 2,
		"10 µs (1.50 times)": 1, "900 B (2.00 times)": 2, "Latency under full load": 2,
		"no result": 6, "1 of 2 that were measured are met": 1, "4841472": 1, ">not met<": 1, ">not measured<": 1,
		"&#43;5.0%": 1, "too few rounds to tell": 1, "Rounds that failed": 1, "round 0, other: other": 6, "errors: connect 0, read 1": 6,
	} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q is there %d times, want %d", text, n, want)
		}
	}
	if got := written(t, bench.Report{}); strings.Contains(got, "<section") {
		t.Errorf("a report of nothing has sections: %s", got)
	}
}
