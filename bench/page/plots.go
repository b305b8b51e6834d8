package page

import (
	"fmt"
	"html/template"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/plot"
)

// plots draws one scenario.
type plots struct {
	scenario  bench.Scenario
	summary   []bench.Summary // of proxies with a result
	latencies []bench.LatencyRound
	series    map[string]int
}

// figures are the plots of the scenario's measure; there is none where there is nothing to compare in a picture.
func (p plots) figures() []figure {
	if len(p.summary) == 0 {
		return nil
	}
	switch p.scenario.Measure {
	case bench.Idle, bench.Stalled:
		return []figure{p.memory()}
	case bench.Updated, bench.Churned, bench.Called:
		return nil
	case bench.Transfer, bench.Download:
		perGiB := float64(1<<30) / float64(max(1, p.scenario.Body+p.scenario.Message)) / 1000 // from microseconds per answer
		return []figure{p.cpu("CPU time per GiB", "ms", perGiB)}
	}
	return append([]figure{p.cpu("CPU time per request", "µs", 1)}, append(p.paced(), p.latency()...)...)
}

// cpu draws CPU times, in microseconds per answer times the factor.
func (p plots) cpu(title, unit string, factor float64) figure {
	parts := []string{"user", "system"}
	var bars []plot.Bar
	for _, sum := range p.summary {
		bars = append(bars, plot.Bar{
			Label: sum.Proxy, Series: p.series[sum.Proxy], Parts: []float64{sum.UserCPU * factor, sum.SystemCPU * factor},
			Value: fmt.Sprintf("%s %s%s", plot.Short(sum.CPU*factor), unit, against(sum.Proxy, sum.CPURatio)),
		})
	}
	return drawn(title, parts, plot.Bars(p.scenario.Name+": "+title, unit, parts, bars))
}

func (p plots) memory() figure {
	unit := "connection"
	if p.scenario.Measure == bench.Stalled {
		unit = "stream"
	}
	title := "Memory that each " + unit + " adds"
	var bars []plot.Bar
	for _, sum := range p.summary {
		bars = append(bars, plot.Bar{
			Label: sum.Proxy, Series: p.series[sum.Proxy], Parts: []float64{sum.BytesEach},
			Value: fmt.Sprintf("%s B%s", plot.Short(sum.BytesEach), against(sum.Proxy, sum.MemoryRatio)),
		})
	}
	return drawn(title, nil, plot.Bars(p.scenario.Name+": "+title, "B", nil, bars))
}

// latency draws quantiles, where the generator has told them.
func (p plots) latency() []figure {
	const title = "Latency under full load"
	var lines []plot.Line
	for _, sum := range p.summary {
		if sum.P50 > 0 {
			lines = append(lines, plot.Line{
				Name: sum.Proxy, Series: p.series[sum.Proxy], Values: []float64{sum.P50, sum.P90, sum.P99, sum.P999, sum.Max},
			})
		}
	}
	svg := plot.Lines(p.scenario.Name+": "+title, "µs", quantiles(), lines)
	if svg == "" {
		return nil
	}
	return []figure{drawn(title, nil, svg)}
}

// paced draws quantiles at each part of the lowest peak.
func (p plots) paced() []figure {
	var figures []figure
	var lines []plot.Line
	for i, l := range p.latencies {
		if l.Error == "" {
			lines = append(lines, plot.Line{Name: l.Proxy, Series: p.series[l.Proxy], Values: l.Quantiles()})
		}
		if i+1 < len(p.latencies) && p.latencies[i+1].Part == l.Part {
			continue
		}
		title := fmt.Sprintf("Latency at %.0f %% of the lowest peak, %s/s", 100*l.Part, plot.Short(l.Rate))
		if svg := plot.Lines(p.scenario.Name+": "+title, "µs", quantiles(), lines); svg != "" {
			figures = append(figures, drawn(title, nil, svg))
		}
		lines = nil
	}
	return figures
}

// quantiles are the ticks of latencies.
func quantiles() []string { return []string{"p50", "p90", "p99", "p99.9", "max"} }

func drawn(title string, parts []string, svg string) figure {
	return figure{Title: title, Parts: parts, SVG: template.HTML(svg)}
}

// against writes how many times as much as proxy-alb another needs, from the ratios of that other.
func against(name string, ratios map[string]float64) string {
	ratio, ok := ratios[peer.ProxyALB]
	if !ok || name == peer.ProxyALB {
		return ""
	}
	return fmt.Sprintf(" (%.2f times)", ratio)
}
