package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// What documents have around measured figures.
const (
	measuredBegin = "<!-- measured: begin -->\n"
	measuredEnd   = "<!-- measured: end -->"
)

// Errors about the place for measured figures.
var (
	errNoReport = errors.New("there is no report")
	errNoPlace  = errors.New("there is no place for figures, want the lines " + strings.TrimSpace(measuredBegin) + " and " + measuredEnd + " once, in this order")
)

// WriteMarkdown writes what WriteText does of machine, tables and goals, as documents have it: without the paths of the machine.
func (r Report) WriteMarkdown(w io.Writer) error {
	b := document{markdown: true}
	fmt.Fprintf(&b, "%s, Linux %s %s, %s; load by %s. Rounds of %v after %v of warm-up; figures are medians, ± is half the range.\n\n",
		r.Machine.CPU, r.Machine.Kernel, r.Machine.Arch, r.Machine.places(), r.generators(), r.Duration, r.Warmup)
	for _, p := range slices.Concat(r.Proxies, r.Tools) {
		fmt.Fprintf(&b, "- %s: %s\n", p.Name, p.Version)
	}
	for _, columns := range allColumns() {
		r.writeTable(&b, columns)
	}
	r.writeCurves(&b)
	r.writeStarts(&b)
	r.writeLimits(&b)
	r.writeLatencies(&b)
	t := b.table()
	t.row("goal", "", "measured", "")
	for _, g := range r.Goals {
		if name, what, ok := strings.Cut(g.Goal, ": "); ok && g.Measured {
			t.row(name, what, Plain(g.Value), g.verdict())
		}
	}
	t.flush()
	_, err := io.WriteString(w, b.String())
	return err
}

// places says who ran where.
func (m Machine) places() string {
	if m.Shared {
		return fmt.Sprintf("proxy, origin and load on cpu %v", m.ProxyCPUs)
	}
	return fmt.Sprintf("the proxy on cpu %v, origin and load on %v", m.ProxyCPUs, m.LoadCPUs)
}

// Merge returns what reports of one machine come to, the later ones in place of what earlier ones have of the same scenario. How
// long a round was is told of the last.
func Merge(reports []Report) (Report, error) {
	if len(reports) == 0 {
		return Report{}, errNoReport
	}
	out := reports[0]
	out.Scenarios, out.Proxies, out.Tools = slices.Clone(out.Scenarios), slices.Clone(out.Proxies), slices.Clone(out.Tools)
	out.Findings = nil
	for _, r := range reports[1:] {
		if r.Machine.CPU != out.Machine.CPU || r.Machine.Kernel != out.Machine.Kernel {
			return Report{}, fmt.Errorf("the reports are of different machines: %s with Linux %s, and %s with Linux %s",
				out.Machine.CPU, out.Machine.Kernel, r.Machine.CPU, r.Machine.Kernel)
		}
		out.Duration, out.Warmup = r.Duration, r.Warmup
		out.Proxies, out.Tools = mergePrograms(out.Proxies, r.Proxies), mergePrograms(out.Tools, r.Tools)
		for _, s := range r.Scenarios {
			if i := slices.IndexFunc(out.Scenarios, s.sameName); i >= 0 {
				out.Scenarios[i] = s
			} else {
				out.Scenarios = append(out.Scenarios, s)
			}
		}
	}
	out.Goals = out.judge()
	return out, nil
}

func (s ScenarioReport) sameName(other ScenarioReport) bool {
	return s.Scenario.Name == other.Scenario.Name
}

// mergePrograms adds those of further reports; both versions of one that was measured in two are named.
func mergePrograms(all, more []Program) []Program {
	for _, p := range more {
		if !slices.ContainsFunc(all, func(o Program) bool { return o.Name == p.Name && o.Version == p.Version }) {
			all = append(all, p)
		}
	}
	return all
}

// Only keeps the scenarios of these names.
func (r Report) Only(names []string) Report {
	r.Scenarios = slices.DeleteFunc(slices.Clone(r.Scenarios), func(s ScenarioReport) bool { return !slices.Contains(names, s.Scenario.Name) })
	r.Goals = r.judge()
	return r
}

// Into returns a document with figures in the place of those that it has.
func Into(text, figures string) (string, error) {
	before, rest, begun := strings.Cut(text, measuredBegin)
	_, after, ended := strings.Cut(rest, measuredEnd)
	if !begun || !ended || strings.Contains(after, measuredBegin) {
		return "", errNoPlace
	}
	return before + measuredBegin + "\n" + strings.TrimSpace(figures) + "\n\n" + measuredEnd + after, nil
}
