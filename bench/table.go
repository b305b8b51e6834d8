package bench

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// known writes a number of which 0 means that nobody told it.
func known(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", x)
}

func percent(fraction float64) string { return fmt.Sprintf("%.1f%%", 100*fraction) }

func mebibytes(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

// document is a text with tables, for a terminal or in Markdown.
type document struct {
	strings.Builder
	markdown bool
}

// table aligns columns; a table without rows below its head writes nothing.
type table struct {
	out  *document
	rows [][]string
}

// table begins one, which is there when it is flushed.
func (d *document) table() *table { return &table{out: d} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) flush() {
	switch {
	case len(t.rows) < 2:
	case t.out.markdown:
		t.mark()
	default:
		t.align()
	}
}

func (t *table) align() {
	t.out.WriteByte('\n')
	tw := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush() // to a strings.Builder, which does not fail
	t.out.WriteByte('\n')
}

// mark writes the table in Markdown, with names of scenarios as code.
func (t *table) mark() {
	for i, row := range t.rows {
		switch i {
		case 0:
			t.out.WriteByte('\n')
		case 1:
			t.out.WriteString(strings.Repeat("|---", len(t.rows[0])) + "|\n")
		}
		if i > 0 && row[0] != "" {
			row = append([]string{"`" + row[0] + "`"}, row[1:]...)
		}
		t.out.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
}
