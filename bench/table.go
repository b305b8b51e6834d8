package bench

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// ratioHead heads the columns of ratioCells.
func ratioHead(first string) []string {
	var head []string
	for i, p := range ratioPeers() {
		if i == 0 {
			p = first + " " + p
		} else {
			p = "vs " + p
		}
		head = append(head, p)
	}
	return head
}

func ratioCells(ratios map[string]float64) []string {
	var cells []string
	for _, p := range ratioPeers() {
		cell := "-"
		if x, ok := ratios[p]; ok {
			cell = fmt.Sprintf("%.3f", x)
		}
		cells = append(cells, cell)
	}
	return cells
}

// known writes a number of which 0 means that nobody told it.
func known(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", x)
}

func percent(fraction float64) string { return fmt.Sprintf("%.1f%%", 100*fraction) }

func mebibytes(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

// table aligns columns; a table without rows below its head writes nothing.
type table struct {
	tw   *tabwriter.Writer
	out  *strings.Builder
	rows int
	text strings.Builder
}

func newTable(out *strings.Builder) *table {
	t := &table{out: out}
	t.tw = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	return t
}

func (t *table) row(cells ...string) {
	t.rows++
	fmt.Fprintln(t.tw, strings.Join(cells, "\t"))
}

func (t *table) flush() {
	if t.rows > 1 {
		t.tw.Flush() // to a strings.Builder, which does not fail
		t.out.WriteString("\n" + t.text.String() + "\n")
	}
}
