package plot

import "fmt"

// Measures of a chart of bars.
const (
	barsWidth  = 640
	barsTop    = 6
	barHeight  = 20
	barPitch   = 30
	labelWidth = 96
	valueWidth = 150 // beside the longest bar
)

// Bar is one of the bars of a chart.
type Bar struct {
	Label  string
	Series int
	// Parts are stacked from the left; one that is not positive is left out.
	Parts []float64
	// Value is what is written beside it.
	Value string
}

// Bars draws the bars below each other, on one linear scale that begins with 0. Parts names what the parts are, for who points at
// them; unit follows their values.
func Bars(what, unit string, parts []string, bars []Bar) string {
	longest := 0.0
	for _, b := range bars {
		longest = max(longest, sum(b.Parts))
	}
	room := float64(barsWidth - labelWidth - valueWidth)
	var d drawing
	d.begin(barsWidth, barsTop+float64(len(bars)*barPitch), what)
	for i, b := range bars {
		y := float64(barsTop + i*barPitch)
		d.text(labelWidth-8, y+barHeight/2, "t e", b.Label)
		x := float64(labelWidth)
		for j, value := range b.Parts {
			if !drawable(value) {
				continue
			}
			w := room * value / longest
			name := ""
			if j < len(parts) {
				name = parts[j] + " "
			}
			d.rect(x, y, w, barHeight, fmt.Sprintf("s%d p%d", b.Series, j), fmt.Sprintf("%s: %s%s %s", b.Label, name, Short(value), unit))
			x += w
		}
		d.text(x+8, y+barHeight/2, "t", b.Value)
	}
	return d.end()
}

func sum(xs []float64) float64 {
	total := 0.0
	for _, x := range xs {
		if drawable(x) {
			total += x
		}
	}
	return total
}
