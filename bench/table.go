package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// noResult stands for the numbers of a proxy none of whose rounds went through.
const noResult = "no result"

// ratioPeers are the peers that have a column.
func ratioPeers() []string { return []string{peer.Nginx, peer.HAProxy} }

// WriteText writes the report for people: machine, tables, goals.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	r.writeHeading(&b)
	r.writeThroughput(&b)
	r.writeIdle(&b)
	r.writeDisturbances(&b)
	r.writeFailures(&b)
	for _, g := range r.Goals {
		fmt.Fprintln(&b, g)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) writeHeading(b *strings.Builder) {
	fmt.Fprintf(b, "%s, Linux %s %s, load by %s", r.Machine.CPU, r.Machine.Kernel, r.Machine.Arch, r.Load)
	if r.Machine.Shared {
		fmt.Fprintf(b, ", proxy, origin and load SHARE cpu %v\n", r.Machine.ProxyCPUs)
	} else {
		fmt.Fprintf(b, ", proxy on cpu %v, origin and load on %v\n", r.Machine.ProxyCPUs, r.Machine.LoadCPUs)
	}
	for _, p := range r.Proxies {
		fmt.Fprintf(b, "%s: %s (%s)\n", p.Name, p.Version, p.Path)
	}
}

func (r Report) writeThroughput(b *strings.Builder) {
	t := newTable(b)
	t.row("scenario", "proxy", "req/s", "±", "CPU µs/req (user+sys)", "±", "busy", "p50 µs", "p99 µs", "errors", "CPU vs nginx", "vs haproxy")
	for _, s := range r.Scenarios {
		if s.Scenario.Measure != Throughput {
			continue
		}
		for _, sum := range s.Summary {
			if sum.Rounds == 0 {
				t.row(s.Scenario.Name, sum.Proxy, noResult)
				continue
			}
			cells := []string{
				s.Scenario.Name, sum.Proxy,
				fmt.Sprintf("%.0f", sum.RequestsPerSecond), percent(sum.RequestsPerSecondSpread),
				fmt.Sprintf("%.2f (%.2f+%.2f)", sum.CPU, sum.UserCPU, sum.SystemCPU), percent(sum.CPUSpread),
				fmt.Sprintf("%.0f%%", 100*sum.Busy),
				fmt.Sprintf("%.0f", sum.P50), fmt.Sprintf("%.0f", sum.P99),
				fmt.Sprint(sum.Errors.Total()),
			}
			t.row(append(cells, ratioCells(sum.CPURatio)...)...)
		}
	}
	t.flush()
}

func (r Report) writeIdle(b *strings.Builder) {
	t := newTable(b)
	t.row("scenario", "proxy", "bytes/connection", "±", "RSS before", "RSS after", "vs nginx", "vs haproxy")
	for _, s := range r.Scenarios {
		if s.Scenario.Measure != Idle {
			continue
		}
		for _, sum := range s.Summary {
			if sum.Rounds == 0 {
				t.row(s.Scenario.Name, sum.Proxy, noResult)
				continue
			}
			cells := []string{
				s.Scenario.Name, sum.Proxy,
				fmt.Sprintf("%.0f", sum.BytesPerConnection), percent(sum.BytesPerConnectionSpread),
				mebibytes(sum.BaseRSS), mebibytes(sum.IdleRSS),
			}
			t.row(append(cells, ratioCells(sum.MemoryRatio)...)...)
		}
	}
	t.flush()
}

// foreignLimit is the fraction of the proxy's CPU used by others above which a
// measurement counts as disturbed: an idle machine stays well below.
const foreignLimit = 0.05

// writeDisturbances names what should be measured again on a quieter machine.
func (r Report) writeDisturbances(b *strings.Builder) {
	for _, s := range r.Scenarios {
		for _, sum := range s.Summary {
			if sum.Foreign > foreignLimit {
				fmt.Fprintf(b, "disturbed: %s %s: others used %s of the proxy's cpu\n", s.Scenario.Name, sum.Proxy, percent(sum.Foreign))
			}
		}
	}
}

// writeFailures lists the rounds that make the run a failure.
func (r Report) writeFailures(b *strings.Builder) {
	for _, s := range r.Scenarios {
		for _, round := range s.Rounds {
			if round.failed() {
				fmt.Fprintf(b, "FAILED %s round %d %s: %s\n", s.Scenario.Name, round.Round, round.Proxy, round.failure())
			}
		}
	}
}

func (r Round) failure() string {
	if r.Error != "" {
		return r.Error
	}
	e := r.Load.Errors
	return fmt.Sprintf("errors: connect %d, read %d, write %d, timeout %d, status %d", e.Connect, e.Read, e.Write, e.Timeout, e.Status)
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
