package bench

import (
	"fmt"
	"io"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/bench/verdict"
)

// WriteText writes the comparison for people: a table, notes, and the verdict in one line.
func (c Comparison) WriteText(w io.Writer) error {
	var b document
	writeFindings(&b, c.Findings)
	for _, note := range c.Notes {
		fmt.Fprintln(&b, note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeFindings writes nothing where there is none.
func writeFindings(b *document, findings []Finding) {
	t := b.table()
	t.row("scenario", "measure", "old", "new", "change", "interval", "confidence", "rounds", "verdict")
	for _, f := range findings {
		t.row(append([]string{f.Scenario, f.Measure, Plain(f.Old), Plain(f.New)}, f.cells()...)...)
	}
	t.flush()
	if len(findings) == 0 {
		return
	}
	for _, f := range findings {
		if len(f.Reference) > 0 {
			fmt.Fprintf(b, "%s, %s: changes are of the ratio to %s\n", f.Scenario, f.Measure, strings.Join(f.Reference, " and "))
		}
		if f.Alone {
			fmt.Fprintf(b, "%s, %s: no peer is in both reports: what the machine did differently counts as well\n", f.Scenario, f.Measure)
		}
	}
	fmt.Fprintln(b, conclusion(findings))
}

func (f Finding) cells() []string {
	rounds := fmt.Sprint(f.Values)
	if f.Outcome == verdict.TooFew {
		return []string{"-", "-", "-", rounds, fmt.Sprintf("%s, want %d", f.Outcome, f.wanted())}
	}
	return []string{
		signed(f.Change), signed(f.Low) + " to " + signed(f.High), fmt.Sprintf("%.1f%%", 100*f.Confidence), rounds, string(f.Outcome),
	}
}

// wanted is the fewest rounds that can tell.
func (f Finding) wanted() int {
	if f.Paired {
		return verdict.MinPaired
	}
	return verdict.MinApart
}

// signed writes a change.
func signed(fraction float64) string { return fmt.Sprintf("%+.1f%%", 100*fraction) }

// conclusion is the verdict on all findings.
func conclusion(findings []Finding) string {
	counts := make(map[verdict.Outcome]int)
	for _, f := range findings {
		counts[f.Outcome]++
	}
	judged := len(findings) - counts[verdict.TooFew]
	if judged == 0 {
		return "verdict: none, there are too few rounds"
	}
	confidence := fmt.Sprintf("with a confidence of at least %.0f%% in each comparison", 100*verdict.Confidence)
	switch worse := Regressed(findings); {
	case len(worse) > 0:
		return fmt.Sprintf("verdict: regression in %s, %s", strings.Join(worse, ", "), confidence)
	case counts[verdict.Better] > 0:
		return "verdict: improvement, " + confidence
	}
	return fmt.Sprintf("verdict: no difference, %s", confidence)
}
