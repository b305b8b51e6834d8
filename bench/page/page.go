// Package page writes the report of the load lab as one HTML file with its plots in it, which opens from disk: it asks the network
// for nothing and has no script.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

//go:embed page.html
var text string

// Write writes the page of the report.
func Write(w io.Writer, r bench.Report) error {
	parsed, err := template.New("page").Parse(text)
	if err != nil {
		return err
	}
	return parsed.Execute(w, newView(r))
}

// view is what the template shows.
type view struct {
	Date     string
	Machine  string
	CPUs     string
	Rounds   string
	Programs []bench.Program
	Goals    []goal
	GoalsMet string
	Findings []finding
	Curves   []section
	Sections []section
	Failures []string
}

// goal is a line of the list of goals. Class is one of met, missed and unknown.
type goal struct{ Class, Word, Text, Value string }

type finding struct{ Class, Scenario, Measure, Change, Interval, Outcome string }

// section is about one scenario.
type section struct {
	Name, About, Load string
	Figures           []figure
	Head              []string
	Rows              []row
	Notes             []string
}

type row struct {
	Proxy  string
	Series int
	Cells  []string
}

// figure is a plot with what it shows. The SVG is package plot's, which escapes what it is told.
type figure struct {
	Title string
	Parts []string // what parts of bars are, in the order of their shades
	SVG   template.HTML
}

func newView(r bench.Report) view {
	v := view{
		Date:    r.Started.Format("2 January 2006, 15:04 MST"),
		Machine: fmt.Sprintf("%s, Linux %s, %s", r.Machine.CPU, r.Machine.Kernel, r.Machine.Arch),
		CPUs:    cpus(r.Machine),
		Rounds:  fmt.Sprintf("%v after %v of warm-up", r.Duration.Round(time.Millisecond), r.Warmup.Round(time.Millisecond)),
	}
	v.Programs = slices.Concat(r.Proxies, r.Tools)
	series := make(map[string]int)
	for i, p := range r.Proxies {
		series[p.Name] = i
	}
	v.addGoals(r.Goals)
	for _, f := range r.Findings {
		v.Findings = append(v.Findings, newFinding(f))
	}
	for _, c := range r.Curves() {
		v.Curves = append(v.Curves, newCurve(c, series))
	}
	for _, s := range r.Scenarios {
		if s.Scenario.Growth == nil {
			v.Sections = append(v.Sections, newSection(s, series))
		}
		for _, round := range s.Rounds {
			if why, _, _ := strings.Cut(round.Failure(), "\n"); why != "" {
				v.Failures = append(v.Failures, fmt.Sprintf("%s, round %d, %s: %s", s.Scenario.Name, round.Round, round.Proxy, why))
			}
		}
	}
	return v
}

func cpus(m bench.Machine) string {
	if m.Shared {
		return fmt.Sprintf("proxy, origin and load share CPU %v: compare ratios, and those with care", m.ProxyCPUs)
	}
	return fmt.Sprintf("proxy on CPU %v, origin and load on %v", m.ProxyCPUs, m.LoadCPUs)
}

func (v *view) addGoals(goals []bench.GoalResult) {
	met, measured := 0, 0
	for _, g := range goals {
		line := goal{Class: "unknown", Word: "not measured", Text: g.Goal}
		if g.Measured {
			measured++
			line.Class, line.Word, line.Value = "missed", "not met", bench.Plain(g.Value)
		}
		if g.Met {
			met++
			line.Class, line.Word = "met", "met"
		}
		v.Goals = append(v.Goals, line)
	}
	v.GoalsMet = fmt.Sprintf("%d of %d that were measured are met", met, measured)
}

func newFinding(f bench.Finding) finding {
	shown := finding{Class: "unknown", Scenario: f.Scenario, Measure: f.Measure, Outcome: string(f.Outcome), Change: "-", Interval: "-"}
	switch f.Outcome {
	case verdict.Worse:
		shown.Class = "missed"
	case verdict.Better:
		shown.Class = "met"
	case verdict.TooFew:
		return shown
	}
	shown.Change = fmt.Sprintf("%+.1f%%", 100*f.Change)
	shown.Interval = fmt.Sprintf("%+.1f%% to %+.1f%%, confidence %.1f%%", 100*f.Low, 100*f.High, 100*f.Confidence)
	return shown
}

func newSection(s bench.ScenarioReport, series map[string]int) section {
	out := section{Name: s.Scenario.Name, About: s.Scenario.About, Notes: slices.Clone(s.Notes)}
	if s.Load != "" {
		out.Load = "load by " + string(s.Load)
	}
	present := slices.DeleteFunc(slices.Clone(s.Summary), func(sum bench.Summary) bool { return sum.Rounds == 0 })
	p := plots{scenario: s.Scenario, summary: present, latencies: s.Latencies, series: series}
	out.Figures = p.figures()
	var rows [][]string
	out.Head, rows = s.Table()
	for i, cells := range rows {
		name := s.Summary[i].Proxy
		out.Rows = append(out.Rows, row{Proxy: name, Series: series[name], Cells: cells})
	}
	return out
}
