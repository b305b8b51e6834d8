package plot

import (
	"fmt"
	"math"
	"slices"
)

// Measures of a chart of lines.
const (
	linesWidth  = 640
	linesHeight = 260
	linesTop    = 14
	linesLeft   = 58
	linesRight  = 96 // for the names at the ends of the lines
	linesBottom = 34
	// namePitch is the least distance of two names.
	namePitch = 15
	// maxGrid bounds the lines of the grid, whatever the values are.
	maxGrid = 12
)

// Line is one of the lines of a chart.
type Line struct {
	Name   string
	Series int
	// Values are those over the ticks; one that is not positive is left out.
	Values []float64
}

// Lines draws the lines over equally spaced ticks and a logarithmic scale of values in the unit. It is "" when there is nothing to
// draw.
func Lines(what, unit string, ticks []string, lines []Line) string {
	scale, ok := scaleOf(lines)
	if !ok || len(ticks) == 0 {
		return ""
	}
	var d drawing
	d.begin(linesWidth, linesHeight, what)
	for _, value := range scale.grid() {
		y := scale.y(value)
		d.line(linesLeft, y, linesWidth-linesRight, y, "g")
		d.text(linesLeft-8, y, "t m e", Short(value))
	}
	d.text(linesLeft-8, linesHeight-linesBottom+20, "t m e", unit)
	for i, tick := range ticks {
		d.text(tickX(i, len(ticks)), linesHeight-linesBottom+20, "t m c", tick)
	}
	var names []name
	for _, line := range lines {
		if n, ok := d.draw(line, ticks, unit, scale); ok {
			names = append(names, n)
		}
	}
	for _, n := range spread(names) {
		d.text(linesWidth-linesRight+10, n.y, fmt.Sprintf("t n s%d", n.series), n.text)
	}
	return d.end()
}

// draw returns where the name of the line belongs, and false for a line without a value.
func (d *drawing) draw(line Line, ticks []string, unit string, scale logScale) (name, bool) {
	var points []string
	at := name{text: line.Name, series: line.Series}
	class := fmt.Sprintf("s%d", line.Series)
	type place struct {
		x, y  float64
		title string
	}
	var dots []place
	for i, value := range line.Values {
		if !drawable(value) || i >= len(ticks) {
			continue
		}
		x, y := tickX(i, len(ticks)), scale.y(value)
		points = append(points, number(x)+","+number(y))
		dots = append(dots, place{x, y, fmt.Sprintf("%s, %s: %s %s", line.Name, ticks[i], Short(value), unit)})
		at.y = y
	}
	d.path(points, "l "+class)
	for _, p := range dots {
		d.dot(p.x, p.y, class, p.title)
	}
	return at, len(points) > 0
}

func drawable(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

// tickX is where tick i of n is.
func tickX(i, n int) float64 {
	room := float64(linesWidth - linesLeft - linesRight)
	return linesLeft + room*(float64(i)+0.5)/float64(n)
}

// name is what stands at the end of a line.
type name struct {
	text   string
	series int
	y      float64
}

// spread moves names down that would cover the one above, and all of them up as far as the lowest has left the chart.
func spread(names []name) []name {
	slices.SortStableFunc(names, func(a, b name) int {
		switch {
		case a.y < b.y:
			return -1
		case a.y > b.y:
			return 1
		}
		return 0
	})
	for i := 1; i < len(names); i++ {
		names[i].y = max(names[i].y, names[i-1].y+namePitch)
	}
	for i, limit := len(names)-1, float64(linesHeight-linesBottom); i >= 0; i-- {
		names[i].y = min(names[i].y, limit)
		limit = names[i].y - namePitch
	}
	return names
}

// logScale has the logarithms of the least and the greatest value.
type logScale struct{ low, high float64 }

// scaleOf spans all values with whole powers of ten where they are far apart, and with some room otherwise.
func scaleOf(lines []Line) (logScale, bool) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, line := range lines {
		for _, value := range line.Values {
			if drawable(value) {
				low, high = min(low, math.Log10(value)), max(high, math.Log10(value))
			}
		}
	}
	if low > high {
		return logScale{}, false
	}
	const margin = 0.06 // of a power of ten
	return logScale{low - margin, high + margin}, true
}

func (s logScale) y(value float64) float64 {
	room := float64(linesHeight - linesTop - linesBottom)
	return linesTop + room*(s.high-math.Log10(value))/(s.high-s.low)
}

// grid returns round values within the scale, as many as leave room between them: steps of 1, 2 and 5, or powers of ten only.
func (s logScale) grid() []float64 {
	for _, steps := range [][]float64{{1, 1.5, 2, 3, 4, 5, 6, 8}, {1, 2, 5}, {1}} {
		var values []float64
		for power := math.Floor(s.low); power <= s.high; power++ {
			for _, step := range steps {
				if value := step * math.Pow(10, power); math.Log10(value) >= s.low && math.Log10(value) <= s.high {
					values = append(values, value)
				}
			}
		}
		if len(values) <= maxGrid/2+2 {
			return values
		}
	}
	var values []float64
	stride := math.Ceil((s.high - s.low) / maxGrid)
	for power := math.Ceil(s.low); power <= s.high; power += stride {
		values = append(values, math.Pow(10, power))
	}
	return values
}
