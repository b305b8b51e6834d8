package page

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/plot"
)

// newCurve draws how CPU time and memory grow.
func newCurve(c bench.Curve, series map[string]int) section {
	out := section{Name: c.Name, About: "what grows with the number of " + c.Of}
	var ticks []string
	for _, x := range c.Points {
		ticks = append(ticks, plot.Short(float64(x)))
	}
	type plotted struct {
		title, unit string
		values      map[string][]float64
	}
	all := []plotted{{"CPU time per request", "µs", c.CPU}, {"Resident memory when just started", "B", c.Idle}, {"Resident memory under load", "B", c.Loaded}}
	if c.Rated() {
		all = append([]plotted{{"Requests per second", "", c.Rate}}, all...)
	}
	for _, f := range all {
		var lines []plot.Line
		for _, proxy := range c.Proxies {
			lines = append(lines, plot.Line{Name: proxy, Series: series[proxy], Values: f.values[proxy]})
		}
		if svg := plot.Lines(c.Name+": "+f.title, f.unit, ticks, lines); svg != "" {
			out.Figures = append(out.Figures, drawn(f.title+" by "+c.Of, nil, svg))
		}
	}
	for _, proxy := range c.Proxies {
		if each, ok := c.Each(proxy); ok && c.Configured() {
			out.Notes = append(out.Notes, fmt.Sprintf("%s: %s bytes for each of the %s", proxy, plot.Short(each), c.Of))
		}
	}
	return out
}
