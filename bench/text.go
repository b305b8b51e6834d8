package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// noResult stands for the numbers of a proxy none of whose rounds went through.
const noResult = "no result"

// WriteText writes the report for people: machine, tables, goals.
func (r Report) WriteText(w io.Writer) error {
	var b document
	r.writeHeading(&b)
	for _, columns := range allColumns() {
		r.writeTable(&b, columns)
	}
	r.writeCurves(&b)
	r.writeStarts(&b)
	r.writeLimits(&b)
	r.writeLatencies(&b)
	r.writeCrossChecks(&b)
	r.writeNotes(&b)
	r.writeDisturbances(&b)
	r.writeFailures(&b)
	for _, g := range r.Goals {
		fmt.Fprintln(&b, g)
	}
	writeFindings(&b, r.Findings)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) writeHeading(b *document) {
	fmt.Fprintf(b, "%s, Linux %s %s, load by %s, %s\n", r.Machine.CPU, r.Machine.Kernel, r.Machine.Arch, r.generators(), r.Machine.places())
	for _, p := range slices.Concat(r.Proxies, r.Tools) {
		fmt.Fprintf(b, "%s: %s (%s)\n", p.Name, p.Version, p.Path)
	}
}

// generators names those that made load, in the order of their first scenario.
func (r Report) generators() string {
	var names []string
	for _, s := range r.Scenarios {
		if name := string(s.Load); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, " and ")
}

// columns are those of the table of some measures. One follows for each peer that took part, with what ratio has of it.
type columns struct {
	head     []string
	cells    func(Scenario, Summary) []string
	measures []Measure
	ratio    func(Summary) map[string]float64 // nil where nothing is compared
	compares string                           // heads the first of those columns, before "vs"
}

// allColumns are in the order of the tables.
func allColumns() []columns {
	return []columns{
		{throughputHead(), throughputCells, []Measure{Throughput}, cpuRatio, "CPU "},
		{transferHead(), transferCells, []Measure{Transfer}, cpuRatio, "CPU "},
		{downloadHead(), downloadCells, []Measure{Download}, cpuRatio, "CPU "},
		{memoryHead(), memoryCells, []Measure{Idle, Stalled}, memoryRatio, ""},
		{updateHead(), updateCells, []Measure{Updated}, nil, ""},
		{churnHead(), churnCells, []Measure{Churned}, nil, ""},
		{calledHead(), calledCells, []Measure{Called}, nil, ""},
	}
}

func cpuRatio(sum Summary) map[string]float64 { return sum.CPURatio }

func memoryRatio(sum Summary) map[string]float64 { return sum.MemoryRatio }

// of returns the scenarios that the columns are for.
func (c columns) of(all []ScenarioReport) (some []ScenarioReport) {
	for _, s := range all {
		if slices.Contains(c.measures, s.Scenario.Measure) {
			some = append(some, s)
		}
	}
	return some
}

// peers returns who gets a column: those that somebody is compared with in a scenario, in the order of the reports, but for the
// proxy itself in either build.
func (c columns) peers(scenarios []ScenarioReport) (peers []string) {
	if c.ratio == nil {
		return nil
	}
	for _, s := range scenarios {
		for _, sum := range s.Summary {
			name := sum.Proxy
			if name == peer.ProxyALB || name == Baseline || slices.Contains(peers, name) {
				continue
			}
			if slices.ContainsFunc(s.Summary, func(one Summary) bool { return c.ratio(one)[name] > 0 }) {
				peers = append(peers, name)
			}
		}
	}
	return peers
}

// heads returns the head of all columns.
func (c columns) heads(peers []string) []string {
	head := slices.Clone(c.head)
	for i, p := range peers {
		if i == 0 {
			p = c.compares + "vs " + p
		} else {
			p = "vs " + p
		}
		head = append(head, p)
	}
	return head
}

// row returns the cells of a proxy, as many as there are in the head.
func (c columns) row(s Scenario, sum Summary, peers []string) []string {
	if sum.Rounds == 0 {
		return append([]string{noResult}, slices.Repeat([]string{"-"}, len(c.head)+len(peers)-1)...)
	}
	cells := c.cells(s, sum)
	for _, p := range peers {
		cell := "-"
		if x, ok := c.ratio(sum)[p]; ok {
			cell = fmt.Sprintf("%.3f", x)
		}
		cells = append(cells, cell)
	}
	return cells
}

// writeTable writes the rows of the scenarios that the columns are for.
func (r Report) writeTable(b *document, c columns) {
	scenarios := c.of(r.Scenarios)
	peers := c.peers(scenarios)
	t := b.table()
	t.row(append([]string{"scenario", "proxy"}, c.heads(peers)...)...)
	for _, s := range scenarios {
		for _, sum := range s.Summary {
			t.row(append([]string{s.Scenario.Name, sum.Proxy}, c.row(s.Scenario, sum, peers)...)...)
		}
	}
	t.flush()
}

// Table returns what the text has of the scenario: a head, and a row for each of the Summary, both without its name and the proxy's.
func (s ScenarioReport) Table() (head []string, rows [][]string) {
	for _, c := range allColumns() {
		scenarios := c.of([]ScenarioReport{s})
		if len(scenarios) == 0 {
			continue
		}
		peers := c.peers(scenarios)
		for _, sum := range s.Summary {
			rows = append(rows, c.row(s.Scenario, sum, peers))
		}
		return c.heads(peers), rows
	}
	return nil, nil
}

func throughputHead() []string {
	return []string{"req/s", "±", "CPU µs/req (user+sys)", "±", "busy", "mean µs", "p50 µs", "p99 µs", "errors"}
}

func throughputCells(_ Scenario, sum Summary) []string {
	return []string{
		fmt.Sprintf("%.0f", sum.RequestsPerSecond), percent(sum.RequestsPerSecondSpread),
		fmt.Sprintf("%.2f (%.2f+%.2f)", sum.CPU, sum.UserCPU, sum.SystemCPU), percent(sum.CPUSpread),
		fmt.Sprintf("%.0f%%", 100*sum.Busy),
		known(sum.Mean), known(sum.P50), known(sum.P99),
		fmt.Sprint(sum.Errors.Total()),
	}
}

func transferHead() []string {
	return []string{"Gbit/s", "±", "Gbit/s per core", "CPU ms/GiB (user+sys)", "±", "busy", "errors"}
}

func transferCells(s Scenario, sum Summary) []string {
	perGiB := float64(1<<30) / float64(s.moved()) / 1000 // from microseconds per answer
	return []string{
		fmt.Sprintf("%.2f", sum.Gigabits), percent(sum.GigabitsSpread), fmt.Sprintf("%.2f", sum.GigabitsPerCore),
		fmt.Sprintf("%.0f (%.0f+%.0f)", sum.CPU*perGiB, sum.UserCPU*perGiB, sum.SystemCPU*perGiB), percent(sum.CPUSpread),
		fmt.Sprintf("%.0f%%", 100*sum.Busy), fmt.Sprint(sum.Errors.Total()),
	}
}

func downloadHead() []string {
	return []string{"Gbit/s", "±", "CPU ms/GiB (user+sys)", "±", "busy", "RSS before", "peak", "after", "memory"}
}

func downloadCells(s Scenario, sum Summary) []string {
	perGiB := float64(1<<30) / float64(s.moved()) / 1000 // from microseconds per answer
	memory := "flat"
	if sum.Growth > growthLimit {
		memory = "GROWS"
	}
	return []string{
		fmt.Sprintf("%.2f", sum.Gigabits), percent(sum.GigabitsSpread),
		fmt.Sprintf("%.0f (%.0f+%.0f)", sum.CPU*perGiB, sum.UserCPU*perGiB, sum.SystemCPU*perGiB), percent(sum.CPUSpread),
		fmt.Sprintf("%.0f%%", 100*sum.Busy),
		mebibytes(sum.BaseRSS), mebibytes(sum.PeakRSS), mebibytes(sum.AfterRSS), memory,
	}
}

func memoryHead() []string {
	return []string{"held", "bytes each", "±", "RSS before", "RSS after"}
}

func memoryCells(s Scenario, sum Summary) []string {
	n, unit := s.held()
	return []string{
		fmt.Sprintf("%d %ss", n, unit),
		fmt.Sprintf("%.0f", sum.BytesEach), percent(sum.BytesEachSpread),
		mebibytes(sum.BaseRSS), mebibytes(sum.AfterRSS),
	}
}

func updateHead() []string {
	return []string{"push ms", "acknowledged ms", "CPU ms", "RSS", "p99 µs before", "during", "requests", "one endpoint ms", "errors"}
}

func updateCells(_ Scenario, sum Summary) []string {
	u := sum.Update
	return []string{
		millis(u.Applied), millis(u.Acknowledged), millis(sum.PushCPU), mebibytes(sum.AfterRSS),
		fmt.Sprintf("%.0f", micros(u.P99Before)), fmt.Sprintf("%.0f", micros(u.P99During)), fmt.Sprint(u.Requests),
		millis(u.Visible), fmt.Sprint(sum.Errors.Total()),
	}
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }

// writeStarts writes what a proxy needs to be there, and what its memory comes to under load.
func (r Report) writeStarts(b *document) {
	t := b.table()
	t.row("scenario", "proxy", "start ms", "RSS idle", "RSS loaded")
	for _, s := range r.Scenarios {
		for _, sum := range s.Summary {
			if s.Scenario.driven() && s.Scenario.Growth == nil && sum.Rounds > 0 && sum.Startup > 0 {
				t.row(s.Scenario.Name, sum.Proxy, fmt.Sprintf("%.0f", sum.Startup), mebibytes(sum.BaseRSS), mebibytes(sum.AfterRSS))
			}
		}
	}
	t.flush()
}

// writeLimits writes how many requests passed of those that came.
func (r Report) writeLimits(b *document) {
	t := b.table()
	t.row("scenario", "proxy", "limit/s", "req/s", "passed/s", "refused/s")
	for _, s := range r.Scenarios {
		for _, sum := range s.Summary {
			if limit := s.Scenario.Traffic.RateLimit; limit > 0 && sum.Rounds > 0 {
				t.row(s.Scenario.Name, sum.Proxy, fmt.Sprint(limit), fmt.Sprintf("%.0f", sum.RequestsPerSecond),
					fmt.Sprintf("%.0f", sum.AdmittedPerSecond), fmt.Sprintf("%.0f", sum.RequestsPerSecond-sum.AdmittedPerSecond))
			}
		}
	}
	t.flush()
}

// writeNotes says who did not take part as the others did.
func (r Report) writeNotes(b *document) {
	for _, s := range r.Scenarios {
		for _, note := range s.Notes {
			fmt.Fprintf(b, "%s: %s\n", s.Scenario.Name, note)
		}
	}
}

// foreignLimit is the fraction of the proxy's CPU used by others above which a
// measurement counts as disturbed: an idle machine stays well below.
const foreignLimit = 0.05

// writeDisturbances names what should be measured again on a quieter machine.
func (r Report) writeDisturbances(b *document) {
	for _, s := range r.Scenarios {
		for _, sum := range s.Summary {
			if sum.Foreign > foreignLimit {
				fmt.Fprintf(b, "disturbed: %s %s: others used %s of the proxy's cpu\n", s.Scenario.Name, sum.Proxy, percent(sum.Foreign))
			}
		}
	}
}

// writeFailures lists the rounds that make the run a failure.
func (r Report) writeFailures(b *document) {
	for _, s := range r.Scenarios {
		for _, round := range slices.Concat(s.Rounds, s.CrossChecks) {
			if round.failed() {
				fmt.Fprintf(b, "FAILED %s round %d %s: %s\n", s.Scenario.Name, round.Round, round.Proxy, round.Failure())
			}
		}
	}
}

// Failure says what went wrong in the round, "" for one that was good.
func (r Round) Failure() string {
	if r.Error != "" {
		return r.Error
	}
	if !r.failed() {
		return ""
	}
	e := r.Load.Errors
	return fmt.Sprintf("errors: connect %d, read %d, write %d, timeout %d, status %d", e.Connect, e.Read, e.Write, e.Timeout, e.Status)
}

// describe returns a round in a few words.
func (s ScenarioReport) describe(r Round) string {
	before, after := mebibytes(float64(r.BaseRSS)), mebibytes(float64(r.AfterRSS))
	switch {
	case r.failed():
		return "FAILED: " + r.Failure()
	case s.Scenario.Measure == Idle, s.Scenario.Measure == Stalled:
		_, unit := s.Scenario.held()
		return fmt.Sprintf("%.0f bytes/%s (RSS %s to %s)", s.bytesEach(r), unit, before, after)
	case s.Scenario.Measure == Updated:
		u := r.Update
		return fmt.Sprintf("push applied in %s ms, %s ms of CPU, RSS %s, p99 %v, %v before, one endpoint in %s ms", millis(u.Applied),
			millis(r.TotalCPU), after, u.P99During, u.P99Before, millis(u.Visible))
	case s.Scenario.beside():
		return r.describeBeside(s.Scenario.Measure)
	case s.Scenario.Measure == Transfer:
		return fmt.Sprintf("%.2f Gbit/s, %.2f per core", r.gigabits(), r.gigabitsPerCore())
	case s.Scenario.Measure == Download:
		return fmt.Sprintf("%.2f Gbit/s, %.0f ms of CPU, RSS %s to %s, peak %s",
			r.gigabits(), r.TotalCPU.Seconds()*1000, before, after, mebibytes(float64(r.PeakRSS)))
	}
	return fmt.Sprintf("%.0f req/s, %.2f µs/req (%.2f+%.2f)%s", r.Load.RequestsPerSecond(),
		r.cpuPerRequest(), r.perRequest(r.UserCPU), r.perRequest(r.SystemCPU), r.describeRest())
}

// describeRest returns what the generator tells of latencies, or what the turns have come to.
func (r Round) describeRest() string {
	switch l := r.Load; {
	case r.AgainstBaseline > 0:
		return fmt.Sprintf(", %.3f of the baseline's", r.AgainstBaseline)
	case l.P50 > 0:
		return fmt.Sprintf(", latency p50 %v, p99 %v", l.P50, l.P99)
	case l.Mean > 0:
		return fmt.Sprintf(", latency %v ± %v", l.Mean, l.SD)
	}
	return ""
}
